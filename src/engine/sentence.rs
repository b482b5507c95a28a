//! A text to a vector of length 1: the sentence encoder with its tokenizer. Texts that mean the same lie close.
//!
//! Does NOT know entries or questions.

use super::EngineError;
use crate::model::{encoder::Encoder, ops::Pass, weights::Weights};
use candle_core::{Device, Tensor};
use std::path::Path;
use tokenizers::{Tokenizer, TruncationParams};

/// A loaded sentence encoder.
pub struct SentenceEncoder {
    tokenizer: Tokenizer,
    encoder: Encoder,
}

impl SentenceEncoder {
    /// Loads `encoder.gguf` and its `tokenizer.json`.
    ///
    /// # Errors
    /// All of [`EngineError`] but those of a prompt.
    pub fn open(model: &Path, tokenizer: &Path) -> Result<Self, EngineError> {
        let fail =
            |error: tokenizers::Error| EngineError::Tokenizer { path: tokenizer.into(), cause: error.to_string() };
        let encoder = Encoder::load(Weights::gguf(model)?)?;
        let mut pieces = Tokenizer::from_file(tokenizer).map_err(fail)?;
        // The end of a long text says little that its beginning does not.
        let truncation = TruncationParams { max_length: encoder.config().positions, ..TruncationParams::default() };
        pieces.with_padding(None).with_truncation(Some(truncation)).map_err(fail)?;
        let (tokens, rows) = (pieces.get_vocab_size(true), encoder.vocabulary()?);
        if tokens != rows {
            return Err(EngineError::Mismatch { tokens, rows });
        }
        Ok(Self { tokenizer: pieces, encoder })
    }

    /// The vector of `text`; of an empty text too.
    ///
    /// # Errors
    /// [`EngineError::Compute`].
    pub fn encode(&self, text: &str) -> Result<Vec<f32>, EngineError> {
        let fail = |error: tokenizers::Error| candle_core::Error::Msg(format!("cannot tokenize: {error}"));
        let encoding = self.tokenizer.encode_fast(text, true).map_err(fail)?;
        let ids = Tensor::new(encoding.get_ids(), &Device::Cpu)?.unsqueeze(0)?;
        Ok(self.encoder.forward(&ids, Pass::Infer)?.squeeze(0)?.to_vec1()?)
    }
}
