//! Cholesky's factor and what is solved with it, on random positive matrices.

use crate::stages::{
    cholesky::{factor, inverse_transposed, solve},
    draw::Draw,
};

/// Random, symmetric, positive: M M^T with a little on the diagonal.
fn positive(n: usize) -> Vec<f64> {
    let mut draw = Draw::new(n as u64);
    let m: Vec<f64> = (0..n * n).map(|_| draw.share() - 0.5).collect();
    let at = |row: usize, column: usize| -> f64 {
        let sum: f64 = (0..n).map(|k| m[row * n + k] * m[column * n + k]).sum();
        sum + if row == column { 0.1 } else { 0.0 }
    };
    (0..n * n).map(|place| at(place / n, place % n)).collect()
}

/// The factor without what stands above its diagonal.
fn lower(matrix: &[f64], n: usize) -> Vec<f64> {
    let mut factored = matrix.to_vec();
    factor(&mut factored, n).unwrap();
    (0..n * n).map(|place| if place % n <= place / n { factored[place] } else { 0.0 }).collect()
}

fn product(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    (0..n * n).map(|place| (0..n).map(|k| a[place / n * n + k] * b[k * n + place % n]).sum()).collect()
}

fn transposed(a: &[f64], n: usize) -> Vec<f64> {
    (0..n * n).map(|place| a[place % n * n + place / n]).collect()
}

fn close(a: &[f64], b: &[f64]) {
    let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(a.len() == b.len() && worst < 1e-9, "{worst}");
}

/// Sizes below, at and above the eight sums that are made at once.
const SIZES: [usize; 5] = [1, 2, 8, 9, 37];

#[test]
fn the_factor_times_its_transpose_is_the_matrix() {
    for n in SIZES {
        let matrix = positive(n);
        let l = lower(&matrix, n);
        close(&product(&l, &transposed(&l, n), n), &matrix);
        assert!((0..n).all(|at| l[at * n + at] > 0.0));
        // What is above the diagonal stays as it was.
        let mut factored = matrix.clone();
        factor(&mut factored, n).unwrap();
        assert!((0..n * n).filter(|place| place % n > place / n).all(|place| factored[place] == matrix[place]));
    }
}

#[test]
fn what_is_solved_gives_the_right_side_back() {
    for n in SIZES {
        let matrix = positive(n);
        let wanted: Vec<f64> = (0..n).map(|at| at as f64 * 0.7 - 3.0).collect();
        let mut b: Vec<f64> = (0..n).map(|row| (0..n).map(|k| matrix[row * n + k] * wanted[k]).sum()).collect();
        // Above the diagonal stands the old matrix, which must not be used.
        let mut factored = matrix.clone();
        factor(&mut factored, n).unwrap();
        solve(&factored, n, &mut b);
        close(&b, &wanted);
    }
}

#[test]
fn the_inverse_of_the_factor_is_one() {
    for n in SIZES {
        let mut factored = positive(n);
        let l = lower(&factored, n);
        factor(&mut factored, n).unwrap();
        let inverse = inverse_transposed(&factored, n);
        let identity: Vec<f64> = (0..n * n).map(|place| f64::from(u8::from(place % n == place / n))).collect();
        close(&product(&l, &transposed(&inverse, n), n), &identity);
        // Row j holds column j: zero before place j.
        assert!((0..n * n).filter(|place| place % n < place / n).all(|place| inverse[place] == 0.0));
    }
}

#[test]
fn a_matrix_that_is_not_positive_is_an_error() {
    for broken in [[0.0, 0.0, 0.0, 1.0], [1.0, 2.0, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0], [1.0, f64::NAN, f64::NAN, 1.0]] {
        let words = factor(&mut broken.to_vec(), 2).unwrap_err().to_string();
        assert!(words.contains("too little was measured for 2 columns"), "{words}");
    }
}
