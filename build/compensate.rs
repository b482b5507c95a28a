//! Rounding that makes up for its own errors: f32 matrix and what it reads -> Q4_0 blocks whose product is near the original's.
//!
//! "GPTQ" (Frantar et al. 2022, arXiv 2210.17323): the columns are rounded one after the other, and each error is taken off
//! the columns that are still to come, as the correlations of their inputs say. Does NOT know which matrix it is.

use candle_core::{Device, Result, Tensor};
use half::f16;
use rayon::prelude::*;
use std::collections::HashMap;
use tomato_assistant::model::{
    gemma3::{Gemma3, Site},
    ops::Pass,
};

use super::{
    cholesky,
    rounding::{BLOCK, BYTES, fit, pack},
};

/// Added to the diagonal, as a share of its mean: the paper's.
const DAMPING: f64 = 0.01;

/// For each layer and site the sum over tokens of x x^T, x being what is read there: (width, width).
pub type Correlations = HashMap<(usize, Site), Tensor>;

/// Runs `model` over `windows` of token ids. `each` is called after each window.
///
/// # Errors
/// The computation fails.
pub fn observe(model: &Gemma3, windows: &[Vec<u32>], each: impl Fn(usize)) -> Result<Correlations> {
    let mut sums = Correlations::new();
    for window in windows {
        let ids = Tensor::new(window.as_slice(), &Device::Cpu)?.unsqueeze(0)?;
        model.forward_observed(&ids, Pass::Infer, None, &mut |layer, site, read| {
            let read = read.squeeze(0)?;
            let products = read.t()?.matmul(&read)?;
            let sum = match sums.remove(&(layer, site)) {
                Some(sum) => (sum + products)?,
                None => products,
            };
            sums.insert((layer, site), sum);
            Ok(())
        })?;
        each(window.len());
    }
    Ok(sums)
}

/// How an error in one column is made up for by the later ones.
pub struct Compensation {
    width: usize,
    /// Upper triangle in rows: the factor U of the correlations' inverse, U^T U.
    factor: Vec<f32>,
}

impl Compensation {
    /// From the correlations (width, width) of what is read.
    ///
    /// # Errors
    /// Correlations that are none.
    pub fn new(correlations: &Tensor) -> Result<Self> {
        let width = correlations.dim(0)?;
        let values: Vec<f32> = correlations.flatten_all()?.to_vec1()?;
        // U of H^-1 = U^T U is, both orders reversed, the transposed inverse of the factor of H in reversed order.
        let mut reversed: Vec<f64> = values.iter().rev().map(|&value| f64::from(value)).collect();
        let mean = (0..width).map(|at| reversed[at * width + at]).sum::<f64>() / width as f64;
        // What is never read must not divide by zero.
        (0..width).for_each(|at| reversed[at * width + at] += DAMPING * mean + f64::MIN_POSITIVE);
        cholesky::factor(&mut reversed, width)?;
        let inverse = cholesky::inverse_transposed(&reversed, width);
        let mut factor = vec![0f32; width * width];
        factor.par_chunks_mut(width).enumerate().for_each(|(row, out)| {
            for (column, out) in out.iter_mut().enumerate().skip(row) {
                *out = inverse[(width - 1 - column) * width + width - 1 - row] as f32;
            }
        });
        Ok(Self { width, factor })
    }

    /// The Q4_0 blocks of `weights`, in rows of the width.
    pub fn q4_0(&self, weights: &[f32]) -> Vec<u8> {
        let mut bytes = vec![0; weights.len() / BLOCK * BYTES];
        let rows = bytes.par_chunks_mut(self.width / BLOCK * BYTES).zip(weights.par_chunks(self.width));
        rows.for_each(|(out, row)| self.row(&mut row.to_vec(), out));
        bytes
    }

    fn row(&self, row: &mut [f32], out: &mut [u8]) {
        for (number, out) in out.chunks_mut(BYTES).enumerate() {
            let first = number * BLOCK;
            // An error there costs its square by this much, after the others have made up for it.
            let weights: [f32; BLOCK] = std::array::from_fn(|place| self.at(first + place).powi(-2));
            let (scale, _) = fit(&row[first..first + BLOCK], &weights);
            let scale = f16::from_f32(scale).to_f32();
            let mut numbers = [0i8; BLOCK];
            for (place, number) in numbers.iter_mut().enumerate() {
                let column = first + place;
                if scale != 0.0 {
                    *number = (row[column] / scale).round().clamp(-8.0, 7.0) as i8;
                }
                let error = (row[column] - f32::from(*number) * scale) / self.at(column);
                let later = &self.factor[column * self.width..(column + 1) * self.width];
                row[column + 1..]
                    .iter_mut()
                    .zip(&later[column + 1..])
                    .for_each(|(value, weight)| *value -= error * weight);
            }
            pack(scale, &numbers, out);
        }
    }

    fn at(&self, column: usize) -> f32 {
        self.factor[column * self.width + column]
    }
}
