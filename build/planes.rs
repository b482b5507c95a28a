//! Learns a plane between questions of one kind, such as those to be refused for one reason, and others: logistic regression on
//! vectors.
//!
//! Newton's method with a ridge; both sides weigh the same, however many they are. Does NOT know the encoder, nor any question
//! that something is measured with.

use candle_core::{Device, Result, Tensor};

use super::cholesky;

/// Steps of Newton's method: the tenth changes nothing that an f32 can hold.
const STEPS: usize = 12;
/// What keeps the constant's row of the matrix positive.
const TINY: f64 = 1e-9;

/// The plane between the vectors `own`, of questions of one kind, and those of `others`, kinds that weigh alike, all of one width: a
/// weight for each value, then what is added. `ridge` is the cost of a weight's square.
///
/// # Errors
/// A kind without vectors, or numbers that are none.
pub fn learn(ridge: f64, own: &[Vec<f32>], others: &[&[Vec<f32>]]) -> Result<Vec<f32>> {
    let width = own.first().map_or(0, Vec::len);
    if own.is_empty() || others.is_empty() || others.iter().any(|kind| kind.is_empty()) {
        let others: Vec<usize> = others.iter().map(|kind| kind.len()).collect();
        candle_core::bail!("there is nothing to tell {} texts from others by: {others:?}", own.len());
    }
    let kinds = || std::iter::once(own).chain(others.iter().copied());
    let rows: Vec<f64> =
        kinds().flatten().flat_map(|row| row.iter().map(|&value| f64::from(value)).chain([1.0])).collect();
    let weights: Vec<f64> = kinds()
        .enumerate()
        .flat_map(|(place, kind)| {
            let share = if place == 0 { 0.5 } else { 0.5 / others.len() as f64 };
            std::iter::repeat_n(share / kind.len() as f64, kind.len())
        })
        .collect();
    let (count, columns) = (weights.len(), width + 1);
    let table = Tensor::from_slice(&rows, (count, columns), &Device::Cpu)?;
    let mut values = vec![0f64; columns];
    for _ in 0..STEPS {
        let (mut slopes, mut bends) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (row, vector) in rows.chunks_exact(columns).enumerate() {
            let sum: f64 = vector.iter().zip(&values).map(|(value, weight)| value * weight).sum();
            let share = 1.0 / (1.0 + (-sum).exp());
            slopes.push(weights[row] * (share - if row < own.len() { 1.0 } else { 0.0 }));
            bends.push(weights[row] * share * (1.0 - share));
        }
        let column = |values: Vec<f64>| Tensor::from_vec(values, (count, 1), &Device::Cpu);
        let slope = table.t()?.matmul(&column(slopes)?)?;
        let bend = table.t()?.matmul(&table.broadcast_mul(&column(bends)?)?)?;
        let (mut step, mut matrix) = (slope.flatten_all()?.to_vec1::<f64>()?, bend.flatten_all()?.to_vec1::<f64>()?);
        for place in 0..columns {
            let bend = if place < width { 2.0 * ridge } else { TINY };
            matrix[place * columns + place] += bend;
            step[place] += bend * values[place];
        }
        cholesky::factor(&mut matrix, columns)?;
        cholesky::solve(&matrix, columns, &mut step);
        values.iter_mut().zip(&step).for_each(|(value, step)| *value -= step);
    }
    Ok(values.iter().map(|&value| value as f32).collect())
}
