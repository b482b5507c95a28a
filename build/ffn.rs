//! Narrower feed-forward layers: which neurons stay, and how the rest makes up for those that went.
//!
//! Turns a model and what its neurons do over calibration text into layers with fewer neurons. Source of the score:
//! "A Simple and Effective Pruning Approach for Large Language Models" (arXiv 2306.11695), taken over whole neurons;
//! the fit is plain ridge regression. Does NOT know which widths are wanted, nor whether the result is any good.

use candle_core::{DType, Device, Result, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tomato_assistant::model::{
    gemma3::{Gemma3, Layer, Site},
    linear::Linear,
    ops::Pass,
};

use super::cholesky;

/// Widths are multiples of this: the block of the quantized formats.
pub const BLOCK: usize = 32;
/// Added to the diagonal of the normal equations, as a share of its mean: neurons that never fire have no say.
const RIDGE: f64 = 0.01;

/// What one layer's neurons did over the calibration text.
pub struct Activity {
    /// Tokens seen.
    tokens: usize,
    /// Sum of absolute values of each neuron, (width).
    absolute: Tensor,
    /// Sum of products of every two neurons, (width, width).
    products: Tensor,
}

/// Runs `model` over `windows` of token ids and watches every layer's neurons. `each` is called after each window.
///
/// # Errors
/// The computation fails.
pub fn observe(model: &Gemma3, windows: &[Vec<u32>], each: impl Fn()) -> Result<Vec<Activity>> {
    let mut seen: Vec<Activity> = Vec::new();
    for ids in windows {
        let ids = Tensor::new(ids.as_slice(), model.device())?.unsqueeze(0)?;
        model.forward_observed(&ids, Pass::Infer, None, &mut |layer, site, neurons| {
            if site != Site::Down {
                return Ok(());
            }
            let neurons = neurons.squeeze(0)?;
            let absolute = neurons.abs()?.sum(0)?;
            let products = neurons.t()?.matmul(&neurons)?;
            match seen.get_mut(layer) {
                None => seen.push(Activity { tokens: neurons.dim(0)?, absolute, products }),
                Some(activity) => {
                    activity.tokens += neurons.dim(0)?;
                    activity.absolute = (&activity.absolute + absolute)?;
                    activity.products = (&activity.products + products)?;
                }
            }
            Ok(())
        })?;
        each();
    }
    Ok(seen)
}

/// What a neuron is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// Mean of its absolute activity times the length of its column in the down matrix: what it adds to the stream.
    #[default]
    Activity,
    /// Mean of its absolute weights in the gate and up matrices: the project document's, to be compared with.
    Weights,
}

/// Scores of all neurons of `layer`, (width).
///
/// # Errors
/// A layer that is not f32.
pub fn scores(layer: &Layer, activity: &Activity, score: Score) -> Result<Vec<f32>> {
    let scores = match score {
        Score::Activity => {
            let reach = dense(&layer.down)?.sqr()?.sum(0)?.sqrt()?;
            ((&activity.absolute / activity.tokens as f64)? * reach)?
        }
        Score::Weights => (dense(&layer.gate)?.abs()?.mean(1)? + dense(&layer.up)?.abs()?.mean(1)?)?,
    };
    scores.to_vec1()
}

/// The `width` best neurons, in their old order.
pub fn best(scores: &[f32], width: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    order.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]).then(a.cmp(&b)));
    order.truncate(width);
    order.sort_unstable();
    order
}

/// How the down matrix is made for the neurons that stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Its columns as they are.
    None,
    /// Columns that give, over the calibration text, what all neurons gave, as nearly as they can.
    #[default]
    LeastSquares,
}

/// `layer` with the neurons `kept` only.
///
/// # Errors
/// A layer that is not f32, or normal equations that have no solution.
pub fn narrow(layer: &Layer, activity: &Activity, kept: &[u32], fit: Fit) -> Result<Layer> {
    let rows = Tensor::new(kept, dense(&layer.down)?.device())?;
    let down = match fit {
        Fit::None => dense(&layer.down)?.index_select(&rows, 1)?,
        Fit::LeastSquares => refit(dense(&layer.down)?, &activity.products, &rows)?,
    };
    Ok(Layer {
        gate: Linear::Dense(dense(&layer.gate)?.index_select(&rows, 0)?),
        up: Linear::Dense(dense(&layer.up)?.index_select(&rows, 0)?),
        down: Linear::Dense(down.contiguous()?),
        ..layer.clone()
    })
}

/// The W' (hidden, kept) that is nearest to giving what `down` gives: W' (G_kk + ridge) = W G_k, G the products.
fn refit(down: &Tensor, products: &Tensor, kept: &Tensor) -> Result<Tensor> {
    let columns = products.index_select(kept, 1)?;
    // Not every device knows f64.
    let exact = |tensor: &Tensor| tensor.to_device(&Device::Cpu)?.to_dtype(DType::F64);
    let target: Vec<Vec<f64>> = exact(&down.matmul(&columns)?)?.to_vec2()?;
    let width = kept.elem_count();
    let mut normal: Vec<f64> = exact(&columns.index_select(kept, 0)?)?.flatten_all()?.to_vec1()?;
    let diagonal: f64 = (0..width).map(|at| normal[at * width + at]).sum();
    // As much of the old columns is kept as the ridge asks: a neuron that never fired keeps its own.
    let ridge = RIDGE * diagonal / width as f64;
    let old: Vec<Vec<f64>> = exact(&down.index_select(kept, 1)?)?.to_vec2()?;
    (0..width).for_each(|at| normal[at * width + at] += ridge);
    cholesky::factor(&mut normal, width)?;
    let solved: Vec<f32> = target
        .into_par_iter()
        .zip(old)
        .flat_map_iter(|(mut row, old)| {
            row.iter_mut().zip(&old).for_each(|(value, old)| *value += ridge * old);
            cholesky::solve(&normal, width, &mut row);
            row.into_iter().map(|value| value as f32)
        })
        .collect();
    Tensor::from_vec(solved, (down.dim(0)?, width), down.device())
}

fn dense(linear: &Linear) -> Result<&Tensor> {
    match linear {
        Linear::Dense(weight) => Ok(weight),
        _ => candle_core::bail!("only f32 layers can be pruned"),
    }
}

/// Widths that keep the share `keep` of all neurons of `layers` equal layers of `width`, shared out by what each layer
/// cannot spare: `sensitivity` is the loss added when a layer's FFN is left out. No layer loses more than twice the mean,
/// nor its last block.
pub fn shares(width: usize, keep: f64, sensitivity: &[f64]) -> Vec<usize> {
    let dispensable: Vec<f64> = sensitivity.iter().map(|added| 1.0 / added.max(1e-3)).collect();
    let most = (2.0 * (1.0 - keep)).min(1.0 - BLOCK as f64 / width as f64);
    // Raises all shares together until the mean is right; those at the limit stay there.
    let taken = |factor: f64| dispensable.iter().map(move |share| (share * factor).min(most)).collect::<Vec<f64>>();
    let mean = |shares: &[f64]| shares.iter().sum::<f64>() / shares.len().max(1) as f64;
    let (mut low, mut high) = (0.0, most / dispensable.iter().copied().fold(f64::INFINITY, f64::min));
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if mean(&taken(middle)) < 1.0 - keep { low = middle } else { high = middle }
    }
    taken(high).iter().map(|share| blocks(width, 1.0 - share)).collect()
}

/// The share `keep` of `width`, in whole blocks, one at least.
pub fn blocks(width: usize, keep: f64) -> usize {
    ((width as f64 * keep / BLOCK as f64).round() as usize).max(1) * BLOCK
}

/// `model` with nothing from the FFN of `layer`.
///
/// # Errors
/// A layer that is not f32.
pub fn without(model: &Gemma3, layer: usize) -> Result<Gemma3> {
    let mut model = model.clone();
    let down = dense(&model.layers[layer].down)?.zeros_like()?;
    model.layers[layer].down = Linear::Dense(down);
    Ok(model)
}
