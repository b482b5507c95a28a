//! A checkpoint in memory as f32: what is calibrated, trained and measured on.
//!
//! Turns a Hugging Face folder into our network and its tokenizer, and a text into how well the network foretells it.
//! Does NOT know what the texts are for.

use candle_core::{D, Device, IndexOp, Tensor};
use candle_nn::ops::log_softmax;
use rayon::prelude::*;
use std::{fs, ops::Add, path::Path};
use tokenizers::Tokenizer;
use tomato_assistant::{
    bundle::MODEL,
    engine::vocabulary,
    model::{
        config,
        gemma3::Gemma3,
        ops::Pass,
        selector::Selector,
        weights::{Weights, WeightsError},
    },
    prompt::Part,
};

use super::{
    artifact::{ArtifactError, at},
    checkpoint::{CONFIG, TENSORS, TOKENIZER},
    merge,
};

/// Tokens of a text that are read at once, the one that begins it included.
pub const WINDOW: usize = 512;
/// Positions whose scores are in memory at once: a full vocabulary takes 1 MB each.
pub const SCORED: usize = 64;

/// Why a checkpoint cannot be worked with.
#[derive(Debug, thiserror::Error)]
pub enum DenseError {
    /// The disk refuses.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The description of the model, or its tokenizer.
    #[error("{file} cannot be used: {cause}")]
    File {
        /// Its name.
        file: &'static str,
        /// What is wrong.
        cause: String,
    },
    /// The weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The computation failed.
    #[error("the model failed: {0}")]
    Compute(#[from] candle_core::Error),
}

/// How well a text was foretold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loss {
    /// Tokens foretold.
    pub tokens: usize,
    /// Bytes of the text.
    pub bytes: usize,
    /// Sum of -ln p of the tokens.
    pub nats: f64,
}

impl Add for Loss {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { tokens: self.tokens + other.tokens, bytes: self.bytes + other.bytes, nats: self.nats + other.nats }
    }
}

impl Loss {
    /// e to the mean loss of a token. Compares models of one vocabulary only.
    pub fn perplexity(&self) -> f64 {
        (self.nats / self.tokens as f64).exp()
    }

    /// Compares any models.
    pub fn bits_per_byte(&self) -> f64 {
        self.nats / self.bytes as f64 / std::f64::consts::LN_2
    }
}

/// Whether control tokens, such as <pad>, stand in a text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// They do.
    Shown,
    /// They do not.
    Hidden,
}

fn tokenizer(error: tokenizers::Error) -> DenseError {
    DenseError::File { file: TOKENIZER, cause: error.to_string() }
}

/// A model and its tokenizer.
pub struct Dense {
    /// f32, unless opened from a quantized file.
    pub model: Gemma3,
    /// Typed control tokens are text to it.
    pub tokenizer: Tokenizer,
    /// Its selection head; None before it was trained.
    pub selector: Option<Selector>,
    begin: u32,
}

impl Dense {
    /// Loads the Hugging Face folder `checkpoint`, able to read `positions` tokens, to `device`; or, to be measured only, the
    /// quantized model in a folder of stage quantize, which stays on the processor.
    ///
    /// # Errors
    /// [`DenseError`].
    pub fn open(checkpoint: &Path, positions: usize, device: &Device) -> Result<Self, DenseError> {
        let quantized = checkpoint.join(MODEL);
        let (weights, config, selector) = if quantized.is_file() {
            let weights = Weights::gguf(&quantized)?;
            let config = weights.config()?;
            let selector = weights.selector(config.hidden)?;
            (weights, config, selector)
        } else {
            let path = checkpoint.join(CONFIG);
            let json = fs::read_to_string(&path).map_err(at(&path))?;
            let config = config::Config::from_json(&json).map_err(|cause| DenseError::File { file: CONFIG, cause })?;
            let head = merge::selector(checkpoint)?;
            let selector = head.map(|head| head.to_device(device)).transpose()?.map(|weight| Selector { weight });
            (Weights::safetensors(&checkpoint.join(TENSORS), device)?, config, selector)
        };
        let mut tokenizer = vocabulary::load(&checkpoint.join(TOKENIZER))
            .map_err(|cause| DenseError::File { file: TOKENIZER, cause })?;
        tokenizer.set_encode_special_tokens(true);
        let begin = tokenizer
            .token_to_id("<bos>")
            .ok_or_else(|| DenseError::File { file: TOKENIZER, cause: "it has no <bos>".into() })?;
        Ok(Self { model: weights.load(config, positions)?, tokenizer, selector, begin })
    }

    /// The tokens of `text`, without <bos>.
    ///
    /// # Errors
    /// [`DenseError::File`]: the tokenizer fails.
    pub fn ids(&self, text: &str) -> Result<Vec<u32>, DenseError> {
        Ok(self.tokenizer.encode_fast(text, false).map_err(tokenizer)?.get_ids().to_vec())
    }

    /// The same, <bos> in front.
    ///
    /// # Errors
    /// As [`ids`](Self::ids).
    pub fn begun(&self, text: &str) -> Result<Vec<u32>, DenseError> {
        Ok([&[self.begin], self.ids(text)?.as_slice()].concat())
    }

    /// The text of `ids`.
    ///
    /// # Errors
    /// As [`ids`](Self::ids).
    pub fn text(&self, ids: &[u32], special: Special) -> Result<String, DenseError> {
        self.tokenizer.decode(ids, special == Special::Hidden).map_err(tokenizer)
    }

    /// A prompt as ids, <bos> in front, and the places of the tokens at which judged sentences end.
    ///
    /// # Errors
    /// As [`ids`](Self::ids).
    pub fn read(&self, parts: &[Part]) -> Result<(Vec<u32>, Vec<u32>), DenseError> {
        let (mut ids, mut ends) = (vec![self.begin], Vec::new());
        for part in parts {
            ids.extend(self.ids(&part.text)?);
            if part.judged {
                ends.push(ids.len() as u32 - 1);
            }
        }
        Ok((ids, ends))
    }

    /// `text` cut into windows of [`WINDOW`] tokens, each beginning with <bos>.
    ///
    /// # Errors
    /// As [`ids`](Self::ids).
    pub fn windows(&self, text: &str) -> Result<Vec<Vec<u32>>, DenseError> {
        let ids = self.ids(text)?;
        Ok(ids.chunks(WINDOW - 1).map(|part| [&[self.begin], part].concat()).collect())
    }

    /// How well the model foretells `texts`, each by itself.
    ///
    /// # Errors
    /// [`DenseError`].
    pub fn losses(&self, texts: &[&str]) -> Result<Loss, DenseError> {
        texts.iter().try_fold(Loss::default(), |sum, text| Ok(sum + self.loss(text)?))
    }

    /// How well the model foretells `text`, window by window.
    ///
    /// # Errors
    /// [`DenseError`].
    pub fn loss(&self, text: &str) -> Result<Loss, DenseError> {
        Ok(Loss { bytes: text.len(), ..self.foretell(&self.windows(text)?)? })
    }

    /// How well the model foretells the tokens of `windows` after the first of each; of how many bytes is not known.
    ///
    /// # Errors
    /// [`DenseError::Compute`].
    pub fn foretell(&self, windows: &[Vec<u32>]) -> Result<Loss, DenseError> {
        let foretell = |ids: &Vec<u32>| {
            let (count, mut nats, device) = (ids.len() - 1, 0.0, self.model.device());
            let hidden = self.model.forward(&Tensor::new(&ids[..count], device)?.unsqueeze(0)?, Pass::Infer, None)?;
            let next = Tensor::new(&ids[1..], device)?;
            for first in (0..count).step_by(SCORED) {
                let scored = first..(first + SCORED).min(count);
                let logits = self.model.logits(&hidden.i((.., scored.clone()))?.contiguous()?)?.squeeze(0)?;
                let chosen = log_softmax(&logits, D::Minus1)?.gather(&next.i(scored)?.unsqueeze(1)?, 1)?;
                nats -= f64::from(chosen.sum_all()?.to_scalar::<f32>()?);
            }
            Ok(Loss { tokens: count, bytes: 0, nats })
        };
        // Each core reads windows of its own; the sum is made in a fixed order.
        let losses: Vec<Result<Loss, DenseError>> = windows.par_iter().with_max_len(1).map(foretell).collect();
        losses.into_iter().try_fold(Loss::default(), |sum, loss| Ok(sum + loss?))
    }
}
