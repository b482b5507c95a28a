//! Why a question is refused, and the learnt planes in the encoder's space that tell: what is to be refused for one reason lies
//! on the one side, what can be answered on the other. One more tells what only the readings answer.
//!
//! Turns a vector of the sentence encoder into log odds. Does NOT know how they were learnt, nor when odds are enough.

use super::vectors::VectorsError;
use serde::{Deserialize, Serialize};

/// Why a question is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It is not about tomatoes under cover.
    OffTopic,
    /// An answer could do harm.
    Unsafe,
    /// Nobody could know it from here.
    Unanswerable,
}

impl Why {
    /// All reasons, in the order of [`Planes`].
    pub const ALL: [Why; 3] = [Why::OffTopic, Why::Unsafe, Why::Unanswerable];
}

/// How many planes there are: for the reasons, and for the questions for how the greenhouse stands.
pub const COUNT: usize = Why::ALL.len() + 1;

/// For each plane a weight for each value of a vector, and one more that is added.
#[derive(Clone, Debug, PartialEq)]
pub struct Planes {
    width: usize,
    values: Vec<f32>,
}

impl Planes {
    /// Of four times `width` + 1 finite values: the planes in the order of [`Why::ALL`], then that of questions for how the
    /// greenhouse stands; what is added last in each.
    ///
    /// # Errors
    /// [`VectorsError::Shape`], [`VectorsError::NotFinite`].
    pub fn new(width: usize, values: Vec<f32>) -> Result<Self, VectorsError> {
        match () {
            () if values.len() != COUNT * (width + 1) => Err(VectorsError::Shape("planes")),
            () if values.iter().any(|value| !value.is_finite()) => Err(VectorsError::NotFinite("planes")),
            () => Ok(Self { width, values }),
        }
    }

    /// Those that cannot tell: even odds for all.
    pub fn even(width: usize) -> Self {
        Self { width, values: vec![0.0; COUNT * (width + 1)] }
    }

    /// The values, as [`Planes::new`] takes them.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Natural logarithm of the odds that `vector` is of a question to be refused for the reason `why`.
    pub fn refusal_odds(&self, why: Why, vector: &[f32]) -> f32 {
        self.log_odds(why as usize, vector)
    }

    /// The same that it is of a question for how the greenhouse stands now.
    pub fn state_odds(&self, vector: &[f32]) -> f32 {
        self.log_odds(Why::ALL.len(), vector)
    }

    fn log_odds(&self, plane: usize, vector: &[f32]) -> f32 {
        let plane = &self.values[plane * (self.width + 1)..][..=self.width];
        let sum: f32 = plane.iter().zip(vector).map(|(weight, value)| weight * value).sum();
        sum + plane[self.width]
    }
}
