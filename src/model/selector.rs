//! The selection head: vectors, held against hidden states. The first, at the end of each sentence, says how well the sentence
//! answers the question that was read before it; the others, at the question's end, of which kind the question is.
//!
//! Does NOT know sentences, tokens, or what the kinds mean.

use candle_core::{Result, Tensor};

/// Each output is the product of a hidden state with a vector, plus a bias.
#[derive(Clone, Debug)]
pub struct Selector {
    /// (1 + kinds, hidden + 1): a vector a row, its bias last.
    pub weight: Tensor,
}

impl Selector {
    /// Scores of `hidden` states (positions, hidden) after the last norm: (positions). A score is the log of the odds that
    /// the sentence belongs into the answer.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn scores(&self, hidden: &Tensor) -> Result<Tensor> {
        self.outputs(hidden, 0, 1)?.squeeze(1)
    }

    /// Whether it was trained to tell kinds.
    pub fn tells_kinds(&self) -> bool {
        self.weight.dim(0).is_ok_and(|rows| rows > 1)
    }

    /// What `hidden` states (positions, hidden) at the ends of questions say of their kind: (positions, kinds). A softmax makes
    /// shares of it.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn kinds(&self, hidden: &Tensor) -> Result<Tensor> {
        self.outputs(hidden, 1, self.weight.dim(0)? - 1)
    }

    fn outputs(&self, hidden: &Tensor, first: usize, count: usize) -> Result<Tensor> {
        let (_, width) = hidden.dims2()?;
        let rows = self.weight.narrow(0, first, count)?;
        // CUDA's products take no matrix with gaps.
        let (vectors, biases) = (rows.narrow(1, 0, width)?.contiguous()?, rows.narrow(1, width, 1)?);
        hidden.matmul(&vectors.t()?)?.broadcast_add(&biases.t()?)
    }
}
