//! A learnt plane in the encoder's space: questions about growing tomatoes lie on its one side, everything else that people
//! ask on the other.
//!
//! Turns a vector of the sentence encoder into log odds. Does NOT know how it was learnt.

use super::vectors::VectorsError;

/// A weight for each value of a vector, and one more that is added.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    values: Vec<f32>,
}

impl Subject {
    /// Of `width` + 1 finite values, what is added last.
    ///
    /// # Errors
    /// [`VectorsError::Shape`], [`VectorsError::NotFinite`].
    pub fn new(width: usize, values: Vec<f32>) -> Result<Self, VectorsError> {
        match () {
            () if values.len() != width + 1 => Err(VectorsError::Shape("subject")),
            () if values.iter().any(|value| !value.is_finite()) => Err(VectorsError::NotFinite("subject")),
            () => Ok(Self { values }),
        }
    }

    /// The one that cannot tell: even odds for all.
    pub fn even(width: usize) -> Self {
        Self { values: vec![0.0; width + 1] }
    }

    /// The values, what is added last.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Natural logarithm of the odds that `vector` is of a question about growing tomatoes.
    pub fn log_odds(&self, vector: &[f32]) -> f32 {
        let sum: f32 = self.values.iter().zip(vector).map(|(weight, value)| weight * value).sum();
        sum + self.values.last().copied().unwrap_or(0.0)
    }
}
