//! The selection head: one vector, held against the hidden state at the end of each sentence, says how well the sentence
//! answers the question that was read before it.
//!
//! Does NOT know sentences or tokens.

use candle_core::{Result, Tensor};

/// One score from one hidden state: their product with a vector, plus a bias.
#[derive(Clone, Debug)]
pub struct Selector {
    /// (hidden + 1): the vector, then the bias.
    pub weight: Tensor,
}

impl Selector {
    /// Scores of `hidden` states (positions, hidden) after the last norm: (positions). A score is the log of the odds that
    /// the sentence belongs into the answer.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn scores(&self, hidden: &Tensor) -> Result<Tensor> {
        let (_, width) = hidden.dims2()?;
        let (vector, bias) = (self.weight.narrow(0, 0, width)?, self.weight.narrow(0, width, 1)?);
        hidden.matmul(&vector.unsqueeze(1)?)?.squeeze(1)?.broadcast_add(&bias)
    }
}
