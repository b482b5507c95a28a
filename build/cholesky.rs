//! Cholesky's factor of a symmetric positive matrix, and what is solved with it.
//!
//! Plain f64 on square matrices in rows. Does NOT know what the matrices mean.

use candle_core::Result;
use rayon::prelude::*;

/// The factor L of a symmetric matrix in place, rows of `n`; what is above the diagonal stays as it was.
///
/// # Errors
/// A matrix that is not positive: too little was measured, or a number is none.
pub fn factor(matrix: &mut [f64], n: usize) -> Result<()> {
    for row in 0..n {
        let (above, rest) = matrix.split_at_mut(row * n);
        let own = &mut rest[..=row];
        for column in 0..row {
            let other = &above[column * n..=column * n + column];
            own[column] = (own[column] - dot(&own[..column], &other[..column])) / other[column];
        }
        let square = own[row] - dot(&own[..row], &own[..row]);
        if square.is_nan() || square <= 0.0 {
            candle_core::bail!("too little was measured for {n} columns, or a number is none");
        }
        own[row] = square.sqrt();
    }
    Ok(())
}

/// Solves L L^T x = b in place.
pub fn solve(factor: &[f64], n: usize, b: &mut [f64]) {
    for row in 0..n {
        let own = &factor[row * n..=row * n + row];
        b[row] = (b[row] - dot(&own[..row], &b[..row])) / own[row];
    }
    for row in (0..n).rev() {
        let own = &factor[row * n..=row * n + row];
        b[row] /= own[row];
        let value = b[row];
        b[..row].iter_mut().zip(own).for_each(|(b, weight)| *b -= value * weight);
    }
}

/// The inverse of L, transposed: row j holds column j of the inverse, zero before place j.
pub fn inverse_transposed(factor: &[f64], n: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; n * n];
    inverse.par_chunks_mut(n).enumerate().for_each(|(first, column)| {
        column[first] = 1.0 / factor[first * n + first];
        for row in first + 1..n {
            let own = &factor[row * n..=row * n + row];
            column[row] = -dot(&own[first..row], &column[first..row]) / own[row];
        }
    });
    inverse
}

/// In eight sums, which the compiler can keep in one register each.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0f64; 8];
    let (a_parts, b_parts) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_parts.remainder().iter().zip(b_parts.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_parts.zip(b_parts) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + rest
}
