//! The few operations that exist twice, differentiable and fused (fast), and those that candle computes slowly.
//!
//! candle's fused `rms_norm`, `rope` and `softmax_last_dim` cut gradients without a word (candle issues #2168, #3569),
//! so training must never meet them; [`Pass`] is the one switch. On a CPU the differentiable ones are those of `gradient`,
//! elsewhere they are composed of candle's own.

use super::gradient;
use candle_core::{CpuStorage, CustomOp1, D, DType, Device, Layout, Result, Shape, Tensor};
use candle_nn::{ops, rotary_emb};

/// What a forward pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Gradients are wanted: composed operations only.
    Train,
    /// Speed is wanted: fused operations.
    Infer,
}

/// Root-mean-square norm over the last dimension, times `weight` (the effective weight, Gemma's 1 + w).
///
/// # Errors
/// Shapes that do not fit.
pub fn rms_norm(x: &Tensor, weight: &Tensor, epsilon: f64, pass: Pass) -> Result<Tensor> {
    match pass {
        Pass::Infer => ops::rms_norm(&x.contiguous()?, weight, epsilon as f32),
        Pass::Train if x.device().is_cpu() => gradient::rms_norm(x, weight, epsilon),
        Pass::Train => {
            let mean_square = x.sqr()?.mean_keepdim(D::Minus1)?;
            x.broadcast_div(&(mean_square + epsilon)?.sqrt()?)?.broadcast_mul(weight)
        }
    }
}

/// Layer norm over the last dimension: zero mean, unit variance, then `weight` and `bias`.
///
/// # Errors
/// Shapes that do not fit.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f64, pass: Pass) -> Result<Tensor> {
    match pass {
        Pass::Infer => ops::layer_norm(&x.contiguous()?, weight, bias, epsilon as f32),
        Pass::Train => {
            let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
            let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
            let normed = centred.broadcast_div(&(variance + epsilon)?.sqrt()?)?;
            normed.broadcast_mul(weight)?.broadcast_add(bias)
        }
    }
}

/// Softmax over the last dimension.
///
/// # Errors
/// None but candle's own.
pub fn softmax(x: &Tensor, pass: Pass) -> Result<Tensor> {
    match pass {
        Pass::Infer => ops::softmax_last_dim(x),
        Pass::Train => ops::softmax(x, D::Minus1),
    }
}

/// Softmax over the last dimension of `scores` (batch, heads, rows, seen) plus `mask` (tokens, seen), if there is one, which
/// begins anew every `tokens` rows.
///
/// # Errors
/// Shapes that do not fit.
pub fn masked_softmax(scores: &Tensor, mask: Option<&Tensor>, pass: Pass) -> Result<Tensor> {
    if pass == Pass::Train && scores.device().is_cpu() {
        return gradient::masked_softmax(scores, mask);
    }
    let Some(mask) = mask else { return softmax(scores, pass) };
    let (batch, heads, rows, seen) = scores.dims4()?;
    let apart = scores.reshape((batch, heads, rows / mask.dim(0)?, mask.dim(0)?, seen))?;
    softmax(&apart.broadcast_add(mask)?.reshape((batch, heads, rows, seen))?, pass)
}

/// `gelu(gate) * up`. candle's `gelu` is the tanh form, as Gemma's "gelu_pytorch_tanh"; on a CPU it goes value by value, so the
/// one node of `gradient` serves inference too.
///
/// # Errors
/// Shapes that differ.
pub fn gated(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if gate.device().is_cpu() { gradient::gated(gate, up) } else { gate.gelu()? * up }
}

/// GELU in its exact form, with the error function, as BERT's "gelu".
///
/// # Errors
/// None but candle's own.
pub fn gelu_erf(x: &Tensor, pass: Pass) -> Result<Tensor> {
    match pass {
        Pass::Infer if x.device().is_cpu() => x.contiguous()?.apply_op1_no_bwd(&GeluErf),
        Pass::Infer | Pass::Train => x.gelu_erf(),
    }
}

/// candle's own takes a fifth of the encoder's time: its error function goes value by value.
struct GeluErf;

impl CustomOp1 for GeluErf {
    fn name(&self) -> &'static str {
        "gelu-erf"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let first = layout.start_offset();
        let x = &x.as_slice::<f32>()?[first..first + layout.shape().elem_count()];
        let y = x.iter().map(|x| 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)));
        Ok((CpuStorage::F32(y.collect()), layout.shape().clone()))
    }
}

/// The error function to 3e-7, in a form that runs on many values at once: Abramowitz and Stegun, Handbook of Mathematical
/// Functions (1964), 7.1.28.
fn erf(x: f32) -> f32 {
    let polynomial = [0.000_276_567_2, 0.000_152_014_3, 0.009_270_527, 0.042_282_01, 0.070_523_078, 1.0];
    let sum = polynomial.iter().fold(0.000_043_063_8, |sum, next| sum * x.abs() + next);
    let power = sum * sum * sum * sum;
    let power = power * power * power * power;
    (1.0 - 1.0 / power).copysign(x)
}

/// Cosines and sines of rotary position embeddings (Su et al. 2021, arXiv 2104.09864), half-split pairs as in Gemma.
#[derive(Clone, Debug)]
pub struct Rope {
    /// (positions, head / 2)
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    /// Tables for positions 0 .. `positions` and the base `theta`.
    ///
    /// # Errors
    /// None but candle's own.
    pub fn new(theta: f64, head: usize, positions: usize, device: &Device) -> Result<Self> {
        let half = head / 2;
        let inverse: Vec<f32> = (0..half).map(|i| (1.0 / theta.powf(2.0 * i as f64 / head as f64)) as f32).collect();
        let inverse = Tensor::from_vec(inverse, (1, half), device)?;
        let positions = Tensor::arange(0, positions as u32, device)?.to_dtype(DType::F32)?.unsqueeze(1)?;
        let angles = positions.matmul(&inverse)?;
        Ok(Self { cos: angles.cos()?, sin: angles.sin()? })
    }

    /// Rotates `x` (batch, heads, tokens, head) whose first token stands at `position`.
    ///
    /// # Errors
    /// Positions beyond the table.
    pub fn rotate(&self, x: &Tensor, position: usize, pass: Pass) -> Result<Tensor> {
        let tokens = x.dim(2)?;
        let cos = self.cos.narrow(0, position, tokens)?;
        let sin = self.sin.narrow(0, position, tokens)?;
        match pass {
            Pass::Infer => rotary_emb::rope(&x.contiguous()?, &cos, &sin),
            Pass::Train if x.device().is_cpu() => gradient::rotate(x, &cos, &sin),
            Pass::Train => rotary_emb::rope_slow(&x.contiguous()?, &cos, &sin),
        }
    }
}
