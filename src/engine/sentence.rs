//! A text to a vector of length 1: the sentence encoder with its tokenizer. Texts that mean the same lie close.
//!
//! Does NOT know entries or questions.

use super::EngineError;
use crate::model::{encoder::Encoder, ops::Pass, weights::Weights};
use candle_core::Tensor;
use rayon::prelude::*;
use std::path::Path;
use tokenizers::{Tokenizer, TruncationParams};

/// Texts read at once: enough to keep the matrices busy, and few enough for a bar that moves.
const TOGETHER: usize = 16;

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
        Ok(self.forward(&[self.ids(text)?], Pass::Infer)?.to_vec2()?.remove(0))
    }

    /// The vectors of many texts, in their order. Texts of as many tokens are read together, and such groups side by side.
    /// `done` gets how many more are made.
    ///
    /// # Errors
    /// [`EngineError::Compute`].
    pub fn encode_all(&self, texts: &[String], done: &(dyn Fn(usize) + Sync)) -> Result<Vec<Vec<f32>>, EngineError> {
        let ids = texts.par_iter().map(|text| self.ids(text)).collect::<Result<Vec<_>, _>>()?;
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|&place| ids[place].len());
        let groups: Vec<&[usize]> = order
            .chunk_by(|&one, &other| ids[one].len() == ids[other].len())
            .flat_map(|equal| equal.chunks(TOGETHER))
            .collect();
        let read = |group: &&[usize]| {
            let group_ids: Vec<&[u32]> = group.iter().map(|&place| &*ids[place]).collect();
            let vectors = self.forward(&group_ids, Pass::Infer)?.to_vec2::<f32>()?;
            done(group.len());
            Ok::<_, EngineError>(vectors)
        };
        let vectors = groups.par_iter().with_max_len(1).map(read).collect::<Result<Vec<_>, _>>()?;
        let mut placed: Vec<_> = order.into_iter().zip(vectors.into_iter().flatten()).collect();
        placed.sort_by_key(|(place, _)| *place);
        Ok(placed.into_iter().map(|(_, vector)| vector).collect())
    }

    /// The ids of `text`, with those that begin and end one; no more than the encoder has positions.
    ///
    /// # Errors
    /// None for UTF-8 text with a tokenizer that knows all characters.
    pub fn ids(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        let fail = |error: tokenizers::Error| candle_core::Error::Msg(format!("cannot tokenize: {error}"));
        Ok(self.tokenizer.encode_fast(text, true).map_err(fail)?.get_ids().to_vec())
    }

    /// The encoder itself, to be trained.
    pub fn encoder_mut(&mut self) -> &mut Encoder {
        &mut self.encoder
    }

    /// The vectors of texts of equally many tokens: (texts, width), each of length 1.
    ///
    /// # Errors
    /// [`EngineError::Compute`].
    pub fn forward(&self, ids: &[impl AsRef<[u32]>], pass: Pass) -> Result<Tensor, EngineError> {
        let flat: Vec<u32> = ids.iter().flat_map(|ids| ids.as_ref()).copied().collect();
        let shape = (ids.len(), flat.len() / ids.len());
        Ok(self.encoder.forward(&Tensor::from_vec(flat, shape, self.encoder.device())?, pass)?)
    }
}
