//! The recipe's tables of what the search is made from: the sentence encoder, its adapter, the vectors.
//!
//! Does NOT know how they are made.

use serde::{Deserialize, Serialize};

use super::{BlockFormat, COUNT, NOT_NEGATIVE, POSITIVE, hold, not_negative, positive};

/// The sentence encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// What its file calls it.
    pub name: String,
    /// Most pieces of text that are kept.
    pub vocabulary: usize,
    /// Most tokens of a text; what is longer is cut off.
    pub positions: u32,
    /// The token table.
    pub embedding: BlockFormat,
    /// All other matrices.
    pub format: BlockFormat,
    /// How its adapter is trained; left out, the encoder stays as it is.
    pub adapter: Option<EncoderAdapter>,
}

/// How the sentence encoder's adapter is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderAdapter {
    /// Columns of B, rows of A.
    pub rank: usize,
    /// The change is multiplied by alpha / rank.
    pub alpha: f64,
    /// Steps of training.
    pub steps: usize,
    /// Entries in a step, with two texts each.
    pub entries: usize,
    /// After the warm-up; it falls to 0 along a cosine.
    pub learning_rate: f64,
    /// Steps in which it rises.
    pub warmup: usize,
    /// What cosines are multiplied by before the softmax.
    pub sharpness: f64,
    /// Largest norm of a step's gradients.
    pub clip: f64,
    /// Seed of everything that is drawn.
    pub seed: u64,
}

impl EncoderAdapter {
    /// # Errors
    /// What would spoil the encoder.
    pub(super) fn check(&self) -> Result<(), String> {
        hold(
            "encoder.adapter",
            &[
                ("rank", &self.rank, self.rank > 0, COUNT),
                ("alpha", &self.alpha, positive(self.alpha), POSITIVE),
                ("steps", &self.steps, self.steps > 0, COUNT),
                (
                    "entries",
                    &self.entries,
                    self.entries > 1,
                    "a whole number from 2: texts are told apart from others'",
                ),
                ("learning_rate", &self.learning_rate, positive(self.learning_rate), POSITIVE),
                ("sharpness", &self.sharpness, positive(self.sharpness), POSITIVE),
                ("clip", &self.clip, positive(self.clip), POSITIVE),
            ],
        )
    }
}

/// How the vectors' projection is learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embed {
    /// Steps of training; 0 leaves the vectors as the encoder gives them.
    pub steps: usize,
    /// Entries in a step, with all their texts.
    pub entries: usize,
    /// Of Adam at the first step; it falls to 0 in a straight line.
    pub learning_rate: f64,
    /// What cosines are multiplied by before the softmax.
    pub sharpness: f64,
    /// What leaving the encoder's own space costs.
    pub keep: f64,
    /// Seed of the order of the entries.
    pub seed: u64,
    /// Cost of a weight's square in the planes that tell what is to be refused.
    pub ridge: f64,
    /// Examples of what is to be refused are kept, but for those that come nearer than this (a cosine) to another of their kind.
    pub apart: f64,
}

impl Embed {
    /// # Errors
    /// What would spoil the vectors.
    pub(super) fn check(&self) -> Result<(), String> {
        // e^80 for each of some thousand texts is what an f32 can still hold the sum of.
        let sharp = positive(self.sharpness) && self.sharpness <= 80.0;
        hold(
            "embed",
            &[
                (
                    "entries",
                    &self.entries,
                    self.entries > 1,
                    "a whole number from 2: texts are told apart from others'",
                ),
                ("learning_rate", &self.learning_rate, positive(self.learning_rate), POSITIVE),
                ("sharpness", &self.sharpness, sharp, "a number above 0, at most 80"),
                ("keep", &self.keep, not_negative(self.keep), NOT_NEGATIVE),
                ("ridge", &self.ridge, positive(self.ridge), POSITIVE),
                ("apart", &self.apart, positive(self.apart), POSITIVE),
            ],
        )
    }
}
