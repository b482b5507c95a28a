//! The optimizer: its numbers by hand, what it refuses, and that a stored state goes on as if nothing had happened.

use crate::stages::{adam::Adam, finetune::FinetuneError};
use candle_core::{DType, Device, Tensor, Var};

fn variable(values: &[f32]) -> Var {
    Var::from_tensor(&Tensor::new(values, &Device::Cpu).unwrap()).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.to_vec1().unwrap()
}

fn close(found: &[f32], expected: &[f32]) {
    let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
    assert!(found.len() == expected.len() && found.iter().zip(expected).all(near), "{found:?}, not {expected:?}");
}

#[test]
fn two_steps_give_the_numbers_of_the_paper() {
    let weight = variable(&[1.0, -2.0]);
    let mut adam = Adam::new(vec![("w".into(), weight.clone())], 0.1, 100.0);
    // The sum of what examples ask for, each with its weight.
    adam.add(&[vec![0.75, -1.0]], 0.5);
    adam.add(&[vec![0.25, -1.0]], 0.5);
    let norm = adam.step(0.1).unwrap();
    assert!((norm - 1.25f32.sqrt()).abs() < 1e-6, "{norm}");
    // Both means, once corrected, are the gradient and its square: a step of the rate, and the decay of what was there.
    close(&numbers(&weight), &[1.0 - 0.1 * (1.0 + 0.1), -2.0 - 0.1 * (-1.0 - 0.2)]);
    adam.add(&[vec![0.1, 0.3]], 1.0);
    adam.step(0.01).unwrap();
    // mean (0.9 · 0.05 + 0.1 · 0.1) / 0.19 = 0.2894737, square (0.999 · 0.00025 + 0.001 · 0.01) / 0.001999 = 0.1299400;
    // mean (-0.09 + 0.03) / 0.19 = -0.3157895, square (0.000999 + 0.00009) / 0.001999 = 0.5447724.
    let first = 0.89 - 0.01 * (0.289_473_7 / 0.129_94f32.sqrt() + 0.1 * 0.89);
    let second = -1.88 - 0.01 * (-0.315_789_5 / 0.544_772_4f32.sqrt() - 0.1 * 1.88);
    close(&numbers(&weight), &[first, second]);
    assert_eq!(adam.steps, 2);
}

#[test]
fn gradients_of_all_variables_together_are_clipped() {
    let variables = || ["a", "b"].map(|name| (name.to_string(), variable(&[0.0]))).to_vec();
    let means = |clip: f64| {
        let mut adam = Adam::new(variables(), 0.0, clip);
        adam.add(&[vec![3.0], vec![4.0]], 1.0);
        assert_eq!(adam.step(0.1).unwrap(), 5.0, "the norm before clipping is told");
        let state = adam.state().unwrap();
        [numbers(&state["mean.a"])[0], numbers(&state["mean.b"])[0]]
    };
    close(&means(5.0), &[0.3, 0.4]);
    close(&means(1.0), &[0.06, 0.08]);
}

#[test]
fn gradients_come_in_the_order_of_the_variables() {
    let (a, b) = (variable(&[1.0, 2.0]), variable(&[5.0]));
    let adam = Adam::new(vec![("a".into(), a.clone()), ("b".into(), b.clone())], 0.0, 1.0);
    let loss = ((a.as_tensor() * 3.0).unwrap().sum_all().unwrap() + b.sqr().unwrap().sum_all().unwrap()).unwrap();
    assert_eq!(adam.gradients(&loss.backward().unwrap()).unwrap(), [vec![3.0, 3.0], vec![10.0]]);
    let without = a.sum_all().unwrap().backward().unwrap();
    assert!(adam.gradients(&without).unwrap_err().to_string().contains("b takes no part in the loss"));
}

#[test]
fn what_nothing_can_be_learnt_from_is_named() {
    let variables = ["a", "b"].map(|name| (name.to_string(), variable(&[1.0, 1.0])));
    let mut adam = Adam::new(variables.to_vec(), 0.0, 1.0);
    // At first A has no gradient, since B is zero.
    adam.add(&[vec![0.0, 0.0], vec![1.0, 0.0]], 1.0);
    adam.health().unwrap();
    adam.step(0.1).unwrap();
    // A step forgets what was added.
    assert!(adam.health().unwrap_err().to_string().contains("gradient of a is zero"));
    adam.add(&[vec![0.0, 1.0], vec![0.0, 0.0]], 1.0);
    assert!(adam.health().unwrap_err().to_string().contains("gradient of b is zero"));
    // Numbers that sum up to zero are not zero.
    adam.add(&[vec![0.0, 1.0], vec![1.0, -1.0]], 1.0);
    adam.health().unwrap();
    for sick in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut adam = Adam::new(variables.to_vec(), 0.0, 1.0);
        adam.add(&[vec![1.0, 1.0], vec![sick, 1.0]], 1.0);
        // What to do about it is said by the stage that trains.
        let words = FinetuneError::from(adam.health().unwrap_err()).to_string();
        assert!(words.contains("gradient of b is not finite") && words.contains("learning_rate"), "{words}");
    }
}

#[test]
fn a_stored_state_goes_on_as_if_nothing_had_happened() {
    let fresh = || Adam::new(vec![("w".into(), variable(&[0.3, -0.7, 1.1]))], 0.01, 1.0);
    let learn = |adam: &mut Adam, steps: std::ops::Range<usize>| {
        for step in steps {
            let gradient = (0..3).map(|at| ((step * 7 + at * 3) as f32 * 0.37).sin()).collect();
            adam.add(&[gradient], 1.0);
            adam.step(0.05).unwrap();
        }
        numbers(&adam.values()["w"])
    };
    let whole = learn(&mut fresh(), 0..9);
    let mut first = fresh();
    let half = learn(&mut first, 0..4);
    let state = first.state().unwrap();
    let mut second = Adam::new(vec![("w".into(), variable(&[9.0; 3]))], 0.01, 1.0);
    second.restore(&state, 4).unwrap();
    assert_eq!((numbers(&second.values()["w"]), second.steps), (half, 4));
    assert_eq!(learn(&mut second, 4..9), whole);
    // Without the running means, or with another count of steps, it would be another run.
    let mut other = fresh();
    other.restore(&state, 0).unwrap();
    assert_ne!(learn(&mut other, 4..9), whole);
    let mut lacking = state.clone();
    lacking.remove("square.w");
    assert!(fresh().restore(&lacking, 4).unwrap_err().to_string().contains("no square of w"));
}

#[test]
fn values_keep_their_shape() {
    let weight = Var::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
    let mut adam = Adam::new(vec![("w".into(), weight.clone())], 0.0, 1.0);
    adam.add(&[vec![1.0, -1.0, 1.0, -1.0, 1.0, -1.0]], 1.0);
    adam.step(0.5).unwrap();
    assert_eq!(weight.dims(), [2, 3]);
    let rows: Vec<Vec<f32>> = weight.to_vec2().unwrap();
    close(&rows.concat(), &[-0.5, 0.5, -0.5, 0.5, -0.5, 0.5]);
    assert!(adam.state().unwrap().values().all(|tensor| tensor.dims() == [2, 3]));
}
