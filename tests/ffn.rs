//! Narrower feed-forward layers: what is kept, what the refit gives back, which widths are chosen.

use crate::{
    stages::{
        config_json::{Config, Widths},
        ffn::{self, Fit, Score},
    },
    tiny, tiny_base,
};
use candle_core::{Device, Tensor};
use tomato_assistant::model::{gemma3::Gemma3, linear::Linear, ops::Pass};

fn windows() -> Vec<Vec<u32>> {
    (0..24).map(|window| (0..48).map(|at| 3 + (window * 131 + at * 57 + at * at * 7) % 200).collect()).collect()
}

/// The tiny model with every neuron of layer `layer` there twice, each copy with half of the down column.
fn doubled(layer: usize) -> Gemma3 {
    let mut model = tiny::model(tiny::config(), 64);
    let twice = |linear: &Linear, dim: usize, factor: f64| {
        let Linear::Dense(weight) = linear else { panic!("not dense") };
        Linear::Dense((Tensor::cat(&[weight, weight], dim).unwrap() * factor).unwrap())
    };
    let part = &mut model.layers[layer];
    (part.gate, part.up, part.down) = (twice(&part.gate, 0, 1.0), twice(&part.up, 0, 1.0), twice(&part.down, 1, 0.5));
    model
}

fn logits(model: &Gemma3) -> Tensor {
    let hidden = model.forward(&tiny::ids(&windows()[0]), Pass::Infer, None).unwrap();
    model.logits(&hidden).unwrap()
}

#[test]
fn the_refit_gives_back_what_copies_did() {
    let model = doubled(1);
    let activities = ffn::observe(&model, &windows(), || {}).unwrap();
    let layer = &model.layers[1];
    let width = layer.gate.rows().unwrap();
    // Half of the copies go: the neurons that lose theirs are heard half as loud as the others.
    let kept: Vec<u32> = (0..width as u32 * 3 / 4).collect();
    let with = |fit: Fit| {
        let mut narrowed = model.clone();
        narrowed.layers[1] = ffn::narrow(layer, &activities[1], &kept, fit).unwrap();
        assert_eq!(narrowed.layers[1].gate.rows().unwrap(), kept.len());
        tiny::distance(&logits(&model), &logits(&narrowed))
    };
    let (refit, plain) = (with(Fit::LeastSquares), with(Fit::None));
    assert!(refit < 0.2 * plain, "{refit} with the refit, {plain} without");
}

#[test]
fn keeping_all_neurons_changes_nothing() {
    let model = tiny::model(tiny::config(), 64);
    let activities = ffn::observe(&model, &windows(), || {}).unwrap();
    let layer = &model.layers[0];
    let all: Vec<u32> = (0..layer.gate.rows().unwrap() as u32).collect();
    let mut same = model.clone();
    same.layers[0] = ffn::narrow(layer, &activities[0], &all, Fit::LeastSquares).unwrap();
    assert!(tiny::distance(&logits(&model), &logits(&same)) < 1e-3);
}

#[test]
fn a_neuron_that_reaches_far_scores_high_by_activity_alone() {
    let mut model = tiny::model(tiny::config(), 64);
    let width = model.layers[0].gate.rows().unwrap();
    let Linear::Dense(down) = &model.layers[0].down else { panic!("not dense") };
    // Neuron 5 writes a hundred times as much as it did; its gate and up weights are as before.
    let factor: Vec<f32> = (0..width).map(|neuron| if neuron == 5 { 100.0 } else { 1.0 }).collect();
    let down = down.broadcast_mul(&Tensor::new(factor, &Device::Cpu).unwrap()).unwrap();
    let by = |model: &Gemma3, score: Score| {
        let activities = ffn::observe(model, &windows(), || {}).unwrap();
        ffn::scores(&model.layers[0], &activities[0], score).unwrap()
    };
    let before = by(&model, Score::Weights);
    model.layers[0].down = Linear::Dense(down);
    assert_eq!(ffn::best(&by(&model, Score::Activity), 1), [5]);
    assert_eq!(by(&model, Score::Weights), before);
}

#[test]
fn the_best_keep_their_order_and_ties_go_to_the_first() {
    assert_eq!(ffn::best(&[1.0, 5.0, 3.0, 5.0, 0.0], 3), [1, 2, 3]);
    assert_eq!(ffn::best(&[2.0; 4], 2), [0, 1]);
}

#[test]
fn widths_are_whole_blocks_and_sensitive_layers_keep_more() {
    assert_eq!((ffn::blocks(2048, 0.75), ffn::blocks(2048, 0.0), ffn::blocks(100, 1.0)), (1536, 32, 96));
    let widths = ffn::shares(2048, 0.75, &[4.0, 0.1, 0.1, 0.2, -0.5]);
    assert!(widths[0] > widths[3] && widths[3] >= widths[1] && widths[1] >= 1024, "{widths:?}");
    assert!(widths.iter().all(|width| width % ffn::BLOCK == 0));
    let mean = widths.iter().sum::<usize>() as f64 / 5.0 / 2048.0;
    assert!((mean - 0.75).abs() < 0.02, "{widths:?} keep {mean}");
    assert_eq!(ffn::shares(2048, 1.0, &[1.0, 2.0]), [2048, 2048]);
    // Little is kept: what one layer cannot give, the other gives.
    assert_eq!(ffn::shares(96, 0.34, &[0.2, 0.6]), [32, 32]);
}

#[test]
fn a_weight_that_is_no_number_is_found() {
    let mut model = tiny::model(tiny::config(), 64);
    let up = model.layers[0].up.clone();
    let Linear::Dense(weight) = up else { panic!("not dense") };
    model.layers[0].up = Linear::Dense((weight * f64::NAN).unwrap());
    let activities = ffn::observe(&model, &windows(), || {}).unwrap();
    let error = ffn::narrow(&model.layers[0], &activities[0], &[0, 1], Fit::LeastSquares).unwrap_err();
    assert!(error.to_string().contains("a number is none"), "{error}");
}

#[test]
fn a_config_may_give_each_layer_its_width() {
    let layers = tiny_base::config().num_hidden_layers;
    let widths: Vec<u32> = (1..=layers).map(|layer| 32 * layer).collect();
    let config = Config { intermediate_size: Widths::Each(widths.clone()), ..tiny_base::config() };
    config.check().unwrap();
    assert_eq!(serde_json::from_value::<Config>(config.to_json()).unwrap(), config);
    let down =
        config.tensors().into_iter().filter(|(name, _)| name.contains("down_proj")).map(|(_, shape)| shape[1] as u32);
    assert_eq!(down.collect::<Vec<_>>(), widths);
    let short = Config { intermediate_size: Widths::Each(vec![32]), ..tiny_base::config() };
    assert!(short.check().unwrap_err().to_string().contains("1 entries"));
    let none = Config { intermediate_size: Widths::Each(vec![0; layers as usize]), ..tiny_base::config() };
    assert!(none.check().unwrap_err().to_string().contains("is 0"));
}
