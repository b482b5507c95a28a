//! The hand-written gradients against candle's own of the composed operations.

use candle_core::{D, DType, Device, Tensor, Var};
use tomato_assistant::model::{gradient, ops};

use crate::tiny;

fn random(shape: impl Into<candle_core::Shape>) -> Var {
    Var::randn(0f32, 1.0, shape, &Device::Cpu).unwrap()
}

/// Results and gradients of both ways must agree; the loss weighs every value differently.
fn agree(variables: &[&Var], ours: Tensor, composed: Tensor) {
    assert!(tiny::distance(&ours, &composed) < 1e-4);
    let weights = Tensor::randn(0f32, 1.0, ours.shape(), &Device::Cpu).unwrap();
    let gradients = |y: Tensor| (y * &weights).unwrap().sum_all().unwrap().backward().unwrap();
    let (ours, composed) = (gradients(ours), gradients(composed));
    for variable in variables {
        let (a, b) = (ours.get(variable.as_tensor()).unwrap(), composed.get(variable.as_tensor()).unwrap());
        let largest: f32 = b.abs().unwrap().max_all().unwrap().to_scalar().unwrap();
        assert!(largest > 1e-3, "the gradient is nothing to compare with");
        assert!(tiny::distance(a, b) < 1e-4 * (1.0 + largest));
    }
}

#[test]
fn products() {
    let (x, a, b) = (random((7, 32)), random((4, 32)), random((24, 4)));
    let base = Tensor::randn(0f32, 1.0, (24, 32), &Device::Cpu).unwrap();
    let plain = x.matmul(&base.t().unwrap()).unwrap();
    agree(&[&x], gradient::frozen_product(&x, &base).unwrap(), plain.clone());
    let change = x.matmul(&a.t().unwrap()).unwrap().matmul(&b.t().unwrap()).unwrap();
    let composed = (plain + (change * 0.5).unwrap()).unwrap();
    agree(&[&x, &a, &b], gradient::adapted_product(&x, &base, &a, &b, 0.5).unwrap(), composed);
}

#[test]
fn a_frozen_weight_that_does_not_fit_is_an_error() {
    let base = Tensor::randn(0f32, 1.0, (24, 16), &Device::Cpu).unwrap();
    assert!(gradient::frozen_product(&random((7, 32)), &base).is_err());
}

#[test]
fn norm() {
    let x = random((2, 5, 32));
    let weight = Tensor::randn(0f32, 1.0, 32, &Device::Cpu).unwrap();
    let root = (x.sqr().unwrap().mean_keepdim(D::Minus1).unwrap() + 1e-6).unwrap().sqrt().unwrap();
    let composed = x.broadcast_div(&root).unwrap().broadcast_mul(&weight).unwrap();
    agree(&[&x], gradient::rms_norm(&x, &weight, 1e-6).unwrap(), composed);
}

#[test]
fn gated() {
    // More values than one core takes at once.
    let (gate, up) = (random((3, 2000)), random((3, 2000)));
    agree(&[&gate, &up], gradient::gated(&gate, &up).unwrap(), (gate.gelu().unwrap() * up.as_tensor()).unwrap());
}

#[test]
fn gelu_in_its_exact_form() {
    let x = Tensor::arange_step(-30f32, 30.0, 0.01, &Device::Cpu).unwrap();
    let turned = x.reshape((2, 3000)).unwrap().t().unwrap();
    for x in [x, turned] {
        let ours = ops::gelu_erf(&x, ops::Pass::Infer).unwrap();
        assert!(tiny::distance(&ours, &x.gelu_erf().unwrap()) < 1e-6);
    }
}

#[test]
fn softmax_under_a_mask() {
    let x = random((2, 1, 8, 4));
    let hidden: Vec<f32> =
        (0..4).flat_map(|q| (0..4).map(move |k| if k <= q { 0.0 } else { f32::NEG_INFINITY })).collect();
    let mask = Tensor::from_vec(hidden, (4, 4), &Device::Cpu).unwrap();
    let masked = x.reshape((2, 1, 2, 4, 4)).unwrap().broadcast_add(&mask).unwrap().reshape((2, 1, 8, 4)).unwrap();
    let composed = candle_nn::ops::softmax(&masked, D::Minus1).unwrap();
    agree(&[&x], gradient::masked_softmax(&x, Some(&mask)).unwrap(), composed);
    let composed = candle_nn::ops::softmax(&x, D::Minus1).unwrap();
    agree(&[&x], gradient::masked_softmax(&x, None).unwrap(), composed);
}

#[test]
fn rotation() {
    let x = random((2, 3, 5, 8));
    let angles = Tensor::arange(0u32, 20, &Device::Cpu).unwrap().to_dtype(DType::F32).unwrap().reshape((5, 4)).unwrap();
    let (cos, sin) = (angles.cos().unwrap(), angles.sin().unwrap());
    let composed = candle_nn::rotary_emb::rope_slow(&x, &cos, &sin).unwrap();
    agree(&[&x], gradient::rotate(&x, &cos, &sin).unwrap(), composed);
}
