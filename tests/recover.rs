//! What a model that was made smaller learns back: its loss and slope against candle's own, that training moves it, and the stage
//! that does it.

use crate::{
    prune::{ROWS, checkpoint, good_pieces, list},
    stages::{
        adapter::{Matrix, Shape, WEIGHTS},
        artifact::{Artifact, Artifacts, Origin, Stage},
        dense::{Dense, WINDOW},
        prune::{self, Watch},
        recipe::{Learn, Prune, Recover},
        recover::{self, Goal, Lesson, Record, RecoverError},
        sources::{Sources, VOCABULARY},
    },
    tiny,
    tiny_pruned::repository,
};
use candle_core::{D, Device, Tensor, Var};
use candle_nn::ops::log_softmax;
use indicatif::ProgressBar;
use std::{collections::BTreeMap, fs, path::Path};
use tempfile::{TempDir, tempdir};
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
    Lesson { shape, learning_rate: 0.01, clip: 1.0, batch: 2, epochs: 1, teacher }
}

#[test]
fn a_text_is_learnt_by_heart_and_the_same_every_time() {
    let learnt =
        [(); 2].map(|()| recover::run(model(), &windows(), &lesson(None), None, &ProgressBar::hidden()).unwrap());
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
    let recovered = recover::run(cut, &windows(), &lesson(Some(&whole)), None, &ProgressBar::hidden()).unwrap();
    let after = apart(&recovered.model);
    assert!(before > 1e-3 && after < 0.5 * before, "{before} -> {after}");
}

/// What fills a folder, as a finished stage.
fn artifact(root: &Path, number: u8, fill: impl FnOnce(&Path)) -> Artifact {
    let stage = Stage { number, name: "test", revision: 1 };
    let made = Artifacts::open(root).unwrap().produce(&stage, Origin::new(&stage, &(), BTreeMap::new()), |out| {
        fill(out);
        Ok::<(), RecoverError>(())
    });
    made.unwrap()
}

/// A checkpoint, and the same with fewer pieces; the repository that both learn from.
fn place() -> (TempDir, [Artifact; 2], (TempDir, Sources)) {
    let (work, base, (texts, sources)) = (tempdir().unwrap(), checkpoint(), repository());
    let whole = artifact(work.path(), 1, |out| {
        for file in fs::read_dir(base.path()).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), out.join(file.file_name())).unwrap();
        }
    });
    fs::write(texts.path().join(VOCABULARY), list(&whole.dir, &good_pieces())).unwrap();
    let pruned = artifact(work.path(), 2, |out| {
        let table = Prune { vocabulary: Some(ROWS), ..Prune::default() };
        let bar = ProgressBar::hidden();
        prune::run(&table, &whole.dir, &sources, out, &Watch { bytes: &bar, work: &bar, step: &|_| () }).unwrap();
    });
    (work, [whole, pruned], (texts, sources))
}

/// The stage's record and folder.
fn recovered(
    learn: Learn,
    learning_rate: f64,
    (work, [whole, pruned], (_, sources)): &(TempDir, [Artifact; 2], (TempDir, Sources)),
) -> (Record, TempDir) {
    let shape = Shape { rank: 2, alpha: 4.0, targets: Matrix::ALL.into() };
    let table = Recover { learn, shape, learning_rate, clip: 1.0, batch: 2, epochs: 1 };
    let (out, both) = (tempdir().unwrap(), (whole, pruned));
    let folders = (work.path(), out.path());
    let record = recover::make(&table, both, sources, folders, &Device::Cpu, &ProgressBar::hidden()).unwrap();
    recover::forget(work.path()).unwrap();
    (record, out)
}

#[test]
fn what_was_learnt_back_is_in_the_checkpoint_and_in_an_adapter_beside_it() {
    let place = place();
    let (record, out) = recovered(Learn::Text, 0.01, &place);
    let loss = |folder: &Path| {
        let dense = Dense::open(folder, WINDOW, &Device::Cpu).unwrap();
        let text = fs::read_to_string(place.2.1.path("data/text/calibration-english.txt")).unwrap();
        dense.loss(&text).unwrap().nats
    };
    assert!(out.path().join(WEIGHTS).is_file() && record.losses.iter().all(|loss| loss.is_finite()));
    let (before, after) = (loss(&place.1[1].dir), loss(out.path()));
    assert!(after < 0.98 * before, "{before} -> {after}");
}

#[test]
fn a_teacher_foretells_the_pieces_that_are_left() {
    // Shares of the pieces that both know, by the same model: nothing is apart where the teacher's rows are the right ones.
    let place = place();
    let ([apart, _], [text, _]) =
        (recovered(Learn::Teacher, 1e-9, &place).0.losses, recovered(Learn::Text, 1e-9, &place).0.losses);
    assert!(apart < 1e-4 && text > 1.0, "{apart}, {text}");
}

#[test]
fn what_it_is_made_from_is_text_checkpoint_table_and_a_teacher_where_there_is_one() {
    let (_work, [whole, pruned], (texts, sources)) = place();
    let shape = Shape { rank: 2, alpha: 4.0, targets: Matrix::ALL.into() };
    let table =
        |learn, epochs| Recover { learn, shape: shape.clone(), learning_rate: 0.1, clip: 1.0, batch: 2, epochs };
    let origin = |learn, epochs, whole, pruned| recover::origin(&table(learn, epochs), (whole, pruned), &sources);
    let before = origin(Learn::Text, 1, &whole, &pruned);
    assert_eq!(before, origin(Learn::Text, 1, &pruned, &pruned), "there is no teacher");
    for other in [origin(Learn::Text, 2, &whole, &pruned), origin(Learn::Text, 1, &whole, &whole)] {
        assert!(other != before);
    }
    assert!(origin(Learn::Teacher, 1, &whole, &pruned) != origin(Learn::Teacher, 1, &pruned, &pruned));
    fs::write(texts.path().join("data/text/calibration-english.txt"), "Other words.\n").unwrap();
    assert!(
        recover::origin(&table(Learn::Text, 1), (&whole, &pruned), &Sources::find(texts.path()).unwrap()) != before
    );
}
