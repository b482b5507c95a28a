//! What a model is held against when it has been made smaller: texts that nothing was calibrated with.
//!
//! Turns a model into figures: its loss on the answers of the held-out entries and on general English, and what it writes
//! by itself. Does NOT know how the model was made, nor what is good enough.

use serde::Serialize;

use super::{
    super::{
        calibration,
        dense::{Dense, DenseError, Loss},
        finetune::FinetuneError,
        sources::{HELD_OUT_ENGLISH, Sources, SourcesError},
        split,
    },
    continuation::{self, Continuation},
};

/// Why nothing can be measured.
#[derive(Debug, thiserror::Error)]
pub enum YardstickError {
    /// The model fails, or its tokenizer.
    #[error(transparent)]
    Dense(#[from] DenseError),
    /// A text cannot be read.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// There is no text to calibrate with.
    #[error("calibration: {0}")]
    Calibration(#[from] FinetuneError),
}

/// The texts.
pub struct Yardstick {
    tomato: String,
    general: String,
    /// Tokens of both.
    tokens: usize,
    /// Windows of token ids to calibrate with.
    pub calibration: Vec<Vec<u32>>,
}

/// How well a text is foretold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// e to the mean loss of a token: compares models of one vocabulary only.
    pub perplexity: f64,
    /// Compares any models.
    pub bits_per_byte: f64,
}

impl From<Loss> for Figure {
    fn from(loss: Loss) -> Self {
        Self { perplexity: loss.perplexity(), bits_per_byte: loss.bits_per_byte() }
    }
}

/// What a model was measured to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// On the answers of the held-out entries.
    pub tomato: Figure,
    /// On general English.
    pub general: Figure,
    /// What it writes by itself.
    pub texts: Vec<Continuation>,
}

impl Figures {
    /// Both perplexities as multiples of those of `unpruned`: tomato, general.
    pub fn ratios(&self, unpruned: &Figures) -> [f64; 2] {
        [self.tomato.perplexity / unpruned.tomato.perplexity, self.general.perplexity / unpruned.general.perplexity]
    }

    /// Share of repeated 4-grams, over all texts.
    pub fn repeated(&self) -> f64 {
        self.texts.iter().map(|text| text.repeated).sum::<f64>() / self.texts.len().max(1) as f64
    }
}

impl Yardstick {
    /// Reads the repository's texts; `dense` cuts them into tokens.
    ///
    /// # Errors
    /// [`YardstickError`].
    pub fn read(dense: &Dense, sources: &Sources) -> Result<Self, YardstickError> {
        let knowledge = sources.knowledge()?;
        let held_out = knowledge.entries().iter().filter(|entry| split::held_out(&entry.id));
        let tomato = held_out.map(|entry| entry.output.as_str()).collect::<Vec<_>>().join("\n");
        let general = sources.read(HELD_OUT_ENGLISH)?;
        let tokens = dense.ids(&tomato)?.len() + dense.ids(&general)?.len();
        Ok(Self { tomato, general, tokens, calibration: calibration::windows(dense, sources)? })
    }

    /// Loss on tomato text and on general text.
    ///
    /// # Errors
    /// [`DenseError`].
    pub fn losses(&self, dense: &Dense) -> Result<[Loss; 2], DenseError> {
        Ok([dense.loss(&self.tomato)?, dense.loss(&self.general)?])
    }

    /// Tokens of the calibration text.
    pub fn calibration_tokens(&self) -> usize {
        self.calibration.iter().map(Vec::len).sum()
    }

    /// What [`measure`](Self::measure) costs, in tokens read.
    pub fn work(&self) -> usize {
        self.tokens + continuation::PROMPTS.len() * continuation::WORK
    }

    /// All figures of `dense`. `each` gets the work done since the last call.
    ///
    /// # Errors
    /// [`DenseError`].
    pub fn measure(&self, dense: &Dense, each: &dyn Fn(usize)) -> Result<Figures, DenseError> {
        let [tomato, general] = self.losses(dense)?;
        each(self.tokens);
        let texts = continuation::write(dense, || each(continuation::WORK))?;
        Ok(Figures { tomato: tomato.into(), general: general.into(), texts })
    }
}
