//! A learnt change of coordinates: one square matrix that moves texts which ask for the same entry closer together.
//!
//! Turns a vector of the sentence encoder into another one of length 1. Does NOT know how it was learnt.

use super::vectors::VectorsError;
use half::bf16;

/// A square matrix, by rows; a vector stands to its left.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    width: usize,
    values: Vec<f32>,
}

impl Projection {
    /// Of `width` times `width` finite values.
    ///
    /// # Errors
    /// [`VectorsError::Shape`], [`VectorsError::NotFinite`].
    pub fn new(width: usize, values: Vec<f32>) -> Result<Self, VectorsError> {
        match () {
            () if width == 0 || values.len() != width * width => Err(VectorsError::Shape("projection")),
            () if values.iter().any(|value| !value.is_finite()) => Err(VectorsError::NotFinite("projection")),
            () => Ok(Self { width, values }),
        }
    }

    /// The one that changes nothing.
    pub fn identity(width: usize) -> Self {
        let value = |place| if place / width == place % width { 1.0 } else { 0.0 };
        Self { width, values: (0..width * width).map(value).collect() }
    }

    /// With each value rounded to bf16, as it is stored.
    pub fn rounded(&self) -> Self {
        let values = self.values.iter().map(|value| bf16::from_f32(*value).to_f32()).collect();
        Self { width: self.width, values }
    }

    /// Values in a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The matrix, row after row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// `vector`, of this width, times the matrix, then brought to length 1. Zeros stay zeros.
    pub fn apply(&self, vector: &[f32]) -> Vec<f32> {
        let mut product = vec![0f32; self.width];
        for (value, row) in vector.iter().zip(self.values.chunks_exact(self.width)) {
            product.iter_mut().zip(row).for_each(|(sum, weight)| *sum += value * weight);
        }
        let length = product.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            product.iter_mut().for_each(|value| *value /= length);
        }
        product
    }
}
