//! Learns the plane between questions about growing tomatoes and everything else: logistic regression on vectors.
//!
//! Newton's method with a ridge; both sides weigh the same, however many they are. Does NOT know the encoder, nor any question
//! that something is measured with.

use candle_core::{Device, Result, Tensor};
use tomato_assistant::knowledge::subject::Subject;

use super::cholesky;

/// Steps of Newton's method: the sixth changes nothing that an f32 can hold.
const STEPS: usize = 8;
/// What keeps the constant's row of the matrix positive.
const TINY: f64 = 1e-9;

/// The plane between the vectors `about` and `others`, all of one width. `ridge` is the cost of a weight's square.
///
/// # Errors
/// A side without vectors, or numbers that are none.
pub fn learn(ridge: f64, about: &[Vec<f32>], others: &[Vec<f32>]) -> Result<Subject> {
    let width = about.first().map_or(0, Vec::len);
    if about.is_empty() || others.is_empty() {
        candle_core::bail!("there is nothing to tell the subject by: {} texts, {} others", about.len(), others.len());
    }
    let rows: Vec<f64> =
        about.iter().chain(others).flat_map(|row| row.iter().map(|&value| f64::from(value)).chain([1.0])).collect();
    let (count, columns) = (about.len() + others.len(), width + 1);
    let table = Tensor::from_slice(&rows, (count, columns), &Device::Cpu)?;
    // Both sides weigh one half.
    let weight = |row: usize| 0.5 / if row < about.len() { about.len() } else { others.len() } as f64;
    let mut values = vec![0f64; columns];
    for _ in 0..STEPS {
        let (mut slopes, mut bends) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for (row, vector) in rows.chunks_exact(columns).enumerate() {
            let sum: f64 = vector.iter().zip(&values).map(|(value, weight)| value * weight).sum();
            let share = 1.0 / (1.0 + (-sum).exp());
            slopes.push(weight(row) * (share - if row < about.len() { 1.0 } else { 0.0 }));
            bends.push(weight(row) * share * (1.0 - share));
        }
        let column = |values: Vec<f64>| Tensor::from_vec(values, (count, 1), &Device::Cpu);
        let slope = table.t()?.matmul(&column(slopes)?)?;
        let bend = table.t()?.matmul(&table.broadcast_mul(&column(bends)?)?)?;
        let (mut step, mut matrix) = (slope.flatten_all()?.to_vec1::<f64>()?, bend.flatten_all()?.to_vec1::<f64>()?);
        for place in 0..columns {
            let own = if place < width { 2.0 * ridge } else { TINY };
            matrix[place * columns + place] += own;
            step[place] += own * values[place];
        }
        cholesky::factor(&mut matrix, columns)?;
        cholesky::solve(&matrix, columns, &mut step);
        values.iter_mut().zip(&step).for_each(|(value, step)| *value -= step);
    }
    Subject::new(width, values.iter().map(|&value| value as f32).collect()).map_err(candle_core::Error::wrap)
}
