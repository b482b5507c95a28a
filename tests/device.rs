//! What computes: a device that the program has no code for is told with what to do, examples that are read together give what
//! each gives alone, and another device gives what the processor does.

use crate::{
    stages::{
        adam::Adam,
        adapter,
        dense::Dense,
        device::{self, Kind},
        draw::Draw,
        finetune::objective::{self, Alone, Ready},
        heap,
        sources::Sources,
    },
    tiny,
    tiny_training::{lessons, shape},
};
use candle_core::{Device, Tensor};
use tomato_assistant::model::{ops::Pass, selector::Selector};

/// Differences of single values are compared with the largest one.
fn near(ours: &[f32], theirs: &[f32], what: &str) {
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.iter().chain(theirs).all(|value| value.is_finite()), "{what}");
    let largest = ours.iter().fold(0f32, |most, value| most.max(value.abs()));
    let apart = ours.iter().zip(theirs).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(apart <= 1e-3 * largest + 1e-7, "{what}: {apart} of {largest}");
}

/// Loss and gradients, summed.
type Learnt = (f32, Vec<Vec<f32>>);

/// Adapters of some values on `dense`, and a selection head.
fn adapted(dense: &mut Dense) -> (Adam, Selector) {
    let (variables, selector) = adapter::attach(&mut dense.model, &shape(), &mut Draw::new(1)).unwrap();
    // B begins at zero, and then A has no gradient.
    for (name, variable) in &variables {
        let values = Tensor::arange(0f32, variable.elem_count() as f32, variable.device()).unwrap().sin().unwrap();
        variable.set(&(values * 0.1).unwrap().reshape(variable.shape()).unwrap()).expect(name);
    }
    (Adam::new(variables, 0.0, 1.0), selector)
}

fn add((loss, sum): &mut Learnt, adam: &Adam, losses: &Tensor) {
    let total = losses.sum_all().unwrap();
    *loss += total.to_scalar::<f32>().unwrap();
    let gradients = adam.gradients(&total.backward().unwrap()).unwrap();
    match sum.is_empty() {
        true => *sum = gradients,
        false => sum.iter_mut().flatten().zip(gradients.iter().flatten()).for_each(|(sum, value)| *sum += value),
    }
}

/// Of four examples, so many of which are read together; with one of them, something may drop out.
fn learn(device: &Device, together: usize, dropout: f64) -> Learnt {
    let repository = lessons();
    let sources = Sources::find(repository.path()).unwrap();
    let mut dense = Dense::open(&tiny::folder(), 1024, device).unwrap();
    let (examples, _) = objective::examples(&dense, 1, &sources).unwrap();
    let examples: Vec<&Ready> = examples.iter().take(4).collect();
    assert!(examples.iter().any(|example| example.ids.len() != examples[0].ids.len()), "nothing is filled up");
    let ((adam, selector), mut learnt) = (adapted(&mut dense), Learnt::default());
    for examples in examples.chunks(together) {
        let tokens = examples[0].ids.len();
        let model = match dropout {
            0.0 => dense.model.clone(),
            share => adapter::drop_out(&dense.model, share, tokens, &mut Draw::new(2)).unwrap(),
        };
        let said = objective::say(&model, &selector, examples, Pass::Train).unwrap();
        add(&mut learnt, &adam, &objective::losses(examples, &said).unwrap());
    }
    learnt
}

/// Of the kinds of four questions of unlike length, so many of which are read together.
fn learn_kinds(device: &Device, together: usize) -> Learnt {
    let mut dense = Dense::open(&tiny::folder(), 1024, device).unwrap();
    let alone = |tokens: usize, kinds| Alone { ids: tiny::some_ids(tokens), kinds };
    let questions = [alone(7, 0..1), alone(19, 4..6), alone(12, 2..3), alone(30, 3..4)];
    let ((adam, selector), mut learnt) = (adapted(&mut dense), Learnt::default());
    for questions in questions.chunks(together) {
        let questions: Vec<&Alone> = questions.iter().collect();
        let kinds = objective::kinds(&dense.model, &selector, &questions, Pass::Train).unwrap();
        let losses = objective::kind_losses(&kinds, questions.iter().map(|question| &question.kinds)).unwrap();
        add(&mut learnt, &adam, &losses);
    }
    learnt
}

fn agree(ours: Learnt, theirs: Learnt) {
    near(&[ours.0], &[theirs.0], "loss");
    assert_eq!(ours.1.len(), theirs.1.len());
    ours.1.iter().zip(&theirs.1).for_each(|(ours, theirs)| near(ours, theirs, "gradient"));
}

#[test]
fn examples_that_are_read_together_teach_what_each_teaches_alone() {
    agree(learn(&Device::Cpu, 1, 0.0), learn(&Device::Cpu, 4, 0.0));
    agree(learn_kinds(&Device::Cpu, 1), learn_kinds(&Device::Cpu, 4));
}

#[cfg(not(any(feature = "cuda", feature = "metal")))]
#[test]
fn a_device_that_the_program_was_not_built_for_is_told_with_the_command_that_builds_it() {
    for (kind, feature) in [(Kind::Cuda, "cuda"), (Kind::Metal, "metal")] {
        let error = device::open(kind).unwrap_err();
        assert!(matches!(error, device::DeviceError::NotBuilt(_)));
        assert!(error.to_string().contains(&format!("--features {feature}")), "{error}");
    }
    assert!(device::open(Kind::Cpu).unwrap().is_cpu());
}

/// Run on a machine that has one.
#[cfg(any(feature = "cuda", feature = "metal"))]
mod beside_the_processor {
    use super::*;
    use crate::{
        stages::encoder,
        tiny_bundle::{entry, repository},
        tiny_encoder,
    };
    use candle_core::Var;
    use tomato_assistant::engine::sentence::SentenceEncoder;

    fn other() -> Device {
        device::open(if cfg!(feature = "cuda") { Kind::Cuda } else { Kind::Metal }).unwrap()
    }

    #[test]
    fn examples_teach_the_same() {
        agree(learn(&Device::Cpu, 1, 0.0), learn(&other(), 4, 0.0));
        agree(learn_kinds(&Device::Cpu, 1), learn_kinds(&other(), 4));
        agree(learn(&Device::Cpu, 1, 0.2), learn(&other(), 1, 0.2));
    }

    #[test]
    fn a_step_leaves_the_same_values() {
        let moved = |device: &Device| {
            let variable = Var::new(&[1f32, -2.0, 3.0], device).unwrap();
            let mut adam = Adam::new(vec![("a".into(), variable.clone())], 0.01, 1.0);
            let gradients = (variable.sqr().unwrap().sum_all().unwrap()).backward().unwrap();
            adam.add(&adam.gradients(&gradients).unwrap(), 1.0);
            adam.step(0.1).unwrap();
            variable.to_vec1::<f32>().unwrap()
        };
        near(&moved(&Device::Cpu), &moved(&other()), "values");
    }

    #[test]
    fn a_text_is_foretold_as_well() {
        let foretold = |device: &Device| {
            let dense = Dense::open(&tiny::folder(), 512, device).unwrap();
            dense.loss("Water the roots at dawn, and wash the stem.").unwrap().nats as f32
        };
        near(&[foretold(&Device::Cpu)], &[foretold(&other())], "loss");
    }

    #[test]
    fn a_sentence_has_the_same_vector() {
        let (root, out) = (repository(&format!("[{}]", entry("one", ""))), tempfile::tempdir().unwrap());
        let folder = tiny_encoder::folder(|_, _, _| ());
        let (base, sources) = (tiny_encoder::base(folder.path()), Sources::find(root.path()).unwrap());
        let mut dense = encoder::dense(&tiny_encoder::table(1000), &base, &sources, out.path()).unwrap();
        let vector = |dense: &SentenceEncoder| {
            let ids = [dense.ids("black leaf").unwrap()];
            dense.forward(&ids, Pass::Train).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let ours = vector(&dense);
        dense.encoder_mut().move_to(&other()).unwrap();
        near(&ours, &vector(&dense), "vector");
    }
}

#[test]
fn what_computes_for_minutes_keeps_freed_memory() {
    assert_eq!(heap::keep(), cfg!(target_env = "gnu"));
}
