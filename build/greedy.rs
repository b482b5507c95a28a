//! Greedy decoding with a dense model: it always goes on with the likeliest token.
//!
//! Turns token ids into those that follow, and into how fast they came. The appliance writes nothing; this is how models that
//! were made smaller are measured.

use candle_core::{D, IndexOp, Tensor};
use std::time::{Duration, Instant};
use tomato_assistant::model::ops::Pass;

use super::dense::{Dense, DenseError};

/// What was written.
#[derive(Default)]
pub struct Written {
    /// Without the token that ends the text.
    pub ids: Vec<u32>,
    /// Time for all tokens but the first, the one that ends the text included.
    time: Duration,
    /// Number of these tokens.
    timed: usize,
}

impl Written {
    /// Tokens a second; the first is left out, for it takes the reading of the prompt. None where there is no other.
    pub fn speed(&self) -> Option<f64> {
        (self.timed > 0).then(|| self.timed as f64 / self.time.as_secs_f64())
    }
}

/// Up to `length` tokens after the ids `prompt`, <bos> included. The positions that `dense` was opened with hold both.
///
/// # Errors
/// [`DenseError`]: more tokens than positions, among others.
pub fn decode(dense: &Dense, prompt: Vec<u32>, length: usize) -> Result<Written, DenseError> {
    let end = dense.tokenizer.token_to_id("<eos>");
    let (mut cache, mut written, mut next) = (dense.model.cache(), Written::default(), prompt);
    while written.ids.len() < length {
        let start = Instant::now();
        let ids = Tensor::new(next.as_slice(), dense.model.device())?.unsqueeze(0)?;
        let hidden = dense.model.forward(&ids, Pass::Infer, Some(&mut cache))?;
        let last = hidden.i((.., next.len() - 1.., ..))?.contiguous()?;
        let best = dense.model.logits(&last)?.argmax(D::Minus1)?.flatten_all()?.to_vec1::<u32>()?[0];
        if !written.ids.is_empty() {
            written.time += start.elapsed();
            written.timed += 1;
        }
        if Some(best) == end {
            break;
        }
        written.ids.push(best);
        next = vec![best];
    }
    Ok(written)
}
