//! What a narrowed model learns back: its loss and slope against candle's own, and that training moves it.

use crate::{
    stages::{
        adapter::{Matrix, Shape},
        recover::{self, Goal, Lesson},
    },
    tiny,
};
use candle_core::{D, Device, Tensor, Var};
use candle_nn::ops::log_softmax;
use tomato_assistant::model::{gemma3::Gemma3, linear::Embedding, ops::Pass};

fn model() -> Gemma3 {
    tiny::model(tiny::config(), 128)
}

/// Log shares of all tokens, composed of candle's own operations.
fn logs(model: &Gemma3, hidden: &Tensor) -> Tensor {
    let Embedding::Dense(table) = &model.embedding else { panic!("not dense") };
    log_softmax(&hidden.matmul(&table.t().unwrap()).unwrap(), D::Minus1).unwrap()
}

fn number(tensor: &Tensor) -> f64 {
    f64::from(tensor.to_scalar::<f32>().unwrap())
}

/// More tokens than are scored at once.
const TOKENS: usize = 70;

fn hidden(model: &Gemma3) -> Var {
    Var::randn(0f32, 1.0, (TOKENS, model.config.hidden), &Device::Cpu).unwrap()
}

#[test]
fn the_loss_of_a_text_has_candles_slope() {
    let model = model();
    let hidden = hidden(&model);
    let ids = Tensor::new(tiny::some_ids(TOKENS), &Device::Cpu).unwrap();
    let chosen = logs(&model, &hidden).gather(&ids.unsqueeze(1).unwrap(), 1).unwrap();
    let expected = chosen.mean_all().unwrap().neg().unwrap();
    let slopes = expected.backward().unwrap();
    let (loss, slope) = recover::foretold(&model, &hidden.detach(), &Goal::Text(ids)).unwrap();
    assert!((loss - number(&expected)).abs() < 1e-4, "{loss}");
    assert!(tiny::distance(&slope, slopes.get(hidden.as_tensor()).unwrap()) < 1e-5);
}

#[test]
fn the_distance_from_a_teacher_has_candles_slope_and_is_nothing_from_itself() {
    let model = model();
    let (own, other) = (hidden(&model), hidden(&model).detach());
    let wanted = logs(&model, &other);
    let apart = (wanted.exp().unwrap() * (&wanted - logs(&model, &own)).unwrap()).unwrap();
    let expected = (apart.sum_all().unwrap() / TOKENS as f64).unwrap();
    let slopes = expected.backward().unwrap();
    let (loss, slope) = recover::foretold(&model, &own.detach(), &Goal::Teacher(&model, other)).unwrap();
    assert!((loss - number(&expected)).abs() < 1e-4 && loss > 0.1, "{loss}");
    assert!(tiny::distance(&slope, slopes.get(own.as_tensor()).unwrap()) < 1e-5);
    let (loss, slope) = recover::foretold(&model, &own.detach(), &Goal::Teacher(&model, own.detach())).unwrap();
    assert!(loss.abs() < 1e-5 && number(&slope.abs().unwrap().max_all().unwrap()) < 1e-6, "{loss}");
}

fn windows() -> Vec<Vec<u32>> {
    let ids = tiny::some_ids(24);
    vec![ids; 40]
}

fn lesson(teacher: Option<&Gemma3>) -> Lesson<'_> {
    let shape = Shape { rank: 4, alpha: 8.0, targets: Matrix::ALL.into() };
    Lesson { shape, learning_rate: 0.01, clip: 1.0, at_once: 2, teacher }
}

#[test]
fn a_text_is_learnt_by_heart_and_the_same_every_time() {
    let learnt = [(); 2].map(|()| recover::run(model(), &windows(), &lesson(None)).unwrap());
    let [first, last] = learnt[0].losses;
    assert!(last < 0.7 * first, "{first} -> {last}");
    assert_eq!(learnt[0].losses, learnt[1].losses);
}

#[test]
fn a_model_without_its_last_layer_comes_nearer_to_the_whole_one() {
    let (whole, mut cut) = (model(), model());
    cut.layers.pop();
    cut.config.windows.pop();
    let apart = |model: &Gemma3| {
        let ids = tiny::ids(&tiny::some_ids(24));
        let [one, other] =
            [model, &whole].map(|model| model.forward(&ids, Pass::Infer, None).unwrap().squeeze(0).unwrap());
        recover::foretold(&whole, &one, &Goal::Teacher(&whole, other)).unwrap().0
    };
    let before = apart(&cut);
    let recovered = recover::run(cut, &windows(), &lesson(Some(&whole))).unwrap();
    let after = apart(&recovered.model);
    assert!(before > 1e-3 && after < 0.5 * before, "{before} -> {after}");
}
