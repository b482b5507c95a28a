//! Operations with gradients written by hand, for training: candle's composed ones would compute a gradient for every frozen
//! weight, several times the work of what is wanted, and run on one core.
//!
//! Each is one node of candle's graph. Does NOT know the network. All tensors are f32. The products run on any device, the rest
//! on the CPU alone: other devices take the composed forms.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Storage, Tensor};
use rayon::prelude::*;

mod products;

pub use products::{adapted_product, frozen_product};

/// Root-mean-square norm over the last dimension, times the frozen effective `weight`.
///
/// # Errors
/// Shapes that do not fit.
pub fn rms_norm(x: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    x.contiguous()?.apply_op1(RmsNorm { weight: weight.flatten_all()?.to_vec1()?, epsilon: epsilon as f32 })
}

/// `gelu(gate) * up`, with the tanh form of GELU.
///
/// # Errors
/// Shapes that differ.
pub fn gated(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    gate.contiguous()?.apply_op2(&up.contiguous()?, Gated)
}

/// Softmax over the last dimension of `x` (…, rows, seen) plus `mask` (tokens, seen), which begins anew every `tokens` rows.
///
/// # Errors
/// Shapes that do not fit.
pub fn masked_softmax(x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    let mask = mask.map(|mask| mask.flatten_all()?.to_vec1()).transpose()?;
    x.contiguous()?.apply_op1(MaskedSoftmax(mask))
}

/// Rotates the halves of the last dimension of `x` (…, tokens, head) by the angles whose `cos` and `sin` (tokens, head / 2)
/// are given.
///
/// # Errors
/// Shapes that do not fit.
pub fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let (cos, sin) = (cos.flatten_all()?.to_vec1()?, sin.flatten_all()?.to_vec1()?);
    x.contiguous()?.apply_op1(Rotate { half: x.dim(candle_core::D::Minus1)? / 2, cos, sin })
}

struct RmsNorm {
    weight: Vec<f32>,
    epsilon: f32,
}

impl RmsNorm {
    /// 1 / sqrt(mean square + epsilon).
    fn inverse(&self, row: &[f32]) -> f32 {
        (row.iter().map(|x| x * x).sum::<f32>() / row.len() as f32 + self.epsilon).sqrt().recip()
    }
}

impl CustomOp1 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(x, layout)?;
        if !x.len().is_multiple_of(self.weight.len()) {
            candle_core::bail!("{:?} does not fit a norm of {}", layout.shape(), self.weight.len());
        }
        let mut y = vec![0f32; x.len()];
        y.par_chunks_mut(self.weight.len()).zip(x.par_chunks(self.weight.len())).for_each(|(y, x)| {
            let inverse = self.inverse(x);
            for ((y, x), weight) in y.iter_mut().zip(x).zip(&self.weight) {
                *y = x * inverse * weight;
            }
        });
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let width = self.weight.len();
        let result = with_values([x, gradient], |[x, gradient]| {
            let mut result = vec![0f32; x.len()];
            let rows = result.par_chunks_mut(width).zip(x.par_chunks(width)).zip(gradient.par_chunks(width));
            rows.for_each(|((result, x), gradient)| {
                let inverse = self.inverse(x);
                let weighted = gradient.iter().zip(&self.weight).zip(x);
                let along = weighted.map(|((g, weight), x)| g * weight * x).sum::<f32>() / width as f32;
                let back = inverse * inverse * inverse * along;
                for (((result, x), g), weight) in result.iter_mut().zip(x).zip(gradient).zip(&self.weight) {
                    *result = inverse * g * weight - back * x;
                }
            });
            result
        })?;
        Ok(Some(Tensor::from_vec(result, x.shape(), x.device())?))
    }
}

struct Gated;

/// sqrt(2 / pi) and the cubic's factor of GELU's tanh form (Hendrycks and Gimpel 2016, arXiv 1606.08415).
const GELU_SLOPE: f32 = 0.797_884_6;
const GELU_CUBIC: f32 = 0.044_715;

/// e to the power of `x`, off by 2e-7 of it at most; 0 far below. Without a call or a branch, so that loops over it are
/// vectorized: the C library's takes a quarter of a training step.
fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 87.0);
    // x = n ln 2 + r, |r| <= ln 2 / 2. Adding and taking away 1.5 * 2^23 rounds; ln 2 in two parts keeps r exact.
    let n = (x * std::f32::consts::LOG2_E + 12_582_912.0) - 12_582_912.0;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let power = f32::from_bits(((n as i32 + 127) << 23) as u32);
    // Coefficients of Cephes' expf (Moshier).
    let polynomial = [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1];
    let tail = polynomial.iter().fold(1.987_569_1e-4, |sum, next| sum * r + next);
    power * (tail * r * r + r + 1.0)
}

/// GELU and its derivative at `x`.
fn gelu(x: f32) -> (f32, f32) {
    let tanh = 1.0 - 2.0 / (1.0 + exp(2.0 * GELU_SLOPE * (x + GELU_CUBIC * x * x * x)));
    let slope = GELU_SLOPE * (1.0 + 3.0 * GELU_CUBIC * x * x);
    (0.5 * x * (1.0 + tanh), 0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * slope)
}

/// Values worked on by one core at once in what goes value by value.
const PART: usize = 4096;

impl CustomOp2 for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        gate_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        if gate_layout.shape() != up_layout.shape() {
            candle_core::bail!("gate {:?} and up {:?} differ", gate_layout.shape(), up_layout.shape());
        }
        let (gate, up) = (values(gate, gate_layout)?, values(up, up_layout)?);
        let mut y = vec![0f32; gate.len()];
        y.par_chunks_mut(PART).zip(gate.par_chunks(PART)).zip(up.par_chunks(PART)).for_each(|((y, gate), up)| {
            for ((y, gate), up) in y.iter_mut().zip(gate).zip(up) {
                *y = gelu(*gate).0 * up;
            }
        });
        Ok((CpuStorage::F32(y), gate_layout.shape().clone()))
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _y: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (for_gate, for_up) = with_values([gate, up, gradient], |[gate, up, gradient]| {
            let (mut for_gate, mut for_up) = (vec![0f32; gate.len()], vec![0f32; gate.len()]);
            let results = for_gate.par_chunks_mut(PART).zip(for_up.par_chunks_mut(PART));
            let inputs = gate.par_chunks(PART).zip(up.par_chunks(PART)).zip(gradient.par_chunks(PART));
            results.zip(inputs).for_each(|((for_gate, for_up), ((gate, up), gradient))| {
                for at in 0..gate.len() {
                    let (value, slope) = gelu(gate[at]);
                    for_gate[at] = gradient[at] * up[at] * slope;
                    for_up[at] = gradient[at] * value;
                }
            });
            (for_gate, for_up)
        })?;
        let shaped = |values| Tensor::from_vec(values, gate.shape(), gate.device());
        Ok((Some(shaped(for_gate)?), Some(shaped(for_up)?)))
    }
}

/// The mask's values, if there is one.
struct MaskedSoftmax(Option<Vec<f32>>);

impl CustomOp1 for MaskedSoftmax {
    fn name(&self) -> &'static str {
        "masked-softmax"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(x, layout)?;
        let seen = layout.shape().dim(candle_core::D::Minus1)?;
        let masked = self.0.as_deref().unwrap_or_default();
        if !masked.len().is_multiple_of(seen) {
            candle_core::bail!("{:?} does not fit a mask of {}", layout.shape(), masked.len());
        }
        let tokens = masked.len() / seen;
        let mut y = vec![0f32; x.len()];
        y.par_chunks_mut(seen).zip(x.par_chunks(seen)).enumerate().for_each(|(row, (y, x))| {
            y.copy_from_slice(x);
            if tokens > 0 {
                let first = row % tokens * seen;
                y.iter_mut().zip(&masked[first..first + seen]).for_each(|(y, mask)| *y += mask);
            }
            let most = y.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for y in y.iter_mut() {
                *y = exp(*y - most);
                sum += *y;
            }
            y.iter_mut().for_each(|y| *y /= sum);
        });
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, _x: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let seen = y.dim(candle_core::D::Minus1)?;
        let result = with_values([y, gradient], |[y, gradient]| {
            let mut result = vec![0f32; y.len()];
            let rows = result.par_chunks_mut(seen).zip(y.par_chunks(seen)).zip(gradient.par_chunks(seen));
            rows.for_each(|((result, y), gradient)| {
                let mean: f32 = y.iter().zip(gradient).map(|(y, g)| y * g).sum();
                for ((result, y), g) in result.iter_mut().zip(y).zip(gradient) {
                    *result = y * (g - mean);
                }
            });
            result
        })?;
        Ok(Some(Tensor::from_vec(result, y.shape(), y.device())?))
    }
}

struct Rotate {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rotate {
    /// `direction` 1 turns, -1 turns back, which is the gradient.
    fn turn(&self, x: &[f32], direction: f32) -> Vec<f32> {
        let (half, tokens) = (self.half, self.cos.len() / self.half);
        let mut y = vec![0f32; x.len()];
        y.par_chunks_mut(2 * half).zip(x.par_chunks(2 * half)).enumerate().for_each(|(row, (y, x))| {
            let first = row % tokens * half;
            for at in 0..half {
                let (cos, sin) = (self.cos[first + at], direction * self.sin[first + at]);
                y[at] = x[at] * cos - x[half + at] * sin;
                y[half + at] = x[at] * sin + x[half + at] * cos;
            }
        });
        y
    }
}

impl CustomOp1 for Rotate {
    fn name(&self) -> &'static str {
        "rotate"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(self.turn(values(x, layout)?, 1.0)), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let result = with_values([gradient], |[gradient]| self.turn(gradient, -1.0))?;
        Ok(Some(Tensor::from_vec(result, x.shape(), x.device())?))
    }
}

/// The values of a contiguous tensor.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => candle_core::bail!("values must be contiguous"),
    }
}

/// Calls `work` with the values of `tensors`.
fn with_values<R, const N: usize>(tensors: [&Tensor; N], work: impl FnOnce([&[f32]; N]) -> R) -> Result<R> {
    let mut contiguous = Vec::with_capacity(N);
    for tensor in tensors {
        contiguous.push(tensor.contiguous()?);
    }
    let stored: Vec<_> = contiguous.iter().map(Tensor::storage_and_layout).collect();
    let mut slices = [[].as_slice(); N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&stored) {
        let Storage::Cpu(storage) = &**storage else { candle_core::bail!("values are not in main memory") };
        *slice = values(storage, layout)?;
    }
    Ok(work(slices))
}
