//! Why a question is refused, and what tells: learnt planes in the encoder's space, where what is to be refused for one reason
//! lies on the one side, what can be answered on the other, and examples of each kind. One more kind is what only the readings
//! answer.
//!
//! Turns a vector of the sentence encoder into the planes' log odds. Does NOT know how they were learnt, what the examples add to
//! them (`retrieval`), what the model says, nor when odds are enough (`verdict`).

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

/// How many kinds of questions there are that no entry answers: those to be refused for each reason, and those for how the
/// greenhouse stands.
pub const COUNT: usize = Why::ALL.len() + 1;

/// The place of the last kind, after those in the order of [`Why::ALL`].
pub const STATE: usize = Why::ALL.len();

/// What tells questions of these kinds from those that entries answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Kinds {
    /// A plane for each.
    pub planes: Planes,
    /// Vectors of examples of each, all as wide as the planes. A kind that has none is never told.
    pub examples: [Vec<Vec<f32>>; COUNT],
}

impl Kinds {
    /// Those that tell nothing.
    pub fn none(width: usize) -> Self {
        Self { planes: Planes::even(width), examples: Default::default() }
    }
}

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

    /// Natural logarithm of the odds that `vector` is of a question of each kind.
    pub fn log_odds(&self, vector: &[f32]) -> [f32; COUNT] {
        std::array::from_fn(|kind| {
            let plane = &self.values[kind * (self.width + 1)..][..=self.width];
            let sum: f32 = plane.iter().zip(vector).map(|(weight, value)| weight * value).sum();
            sum + plane[self.width]
        })
    }
}
