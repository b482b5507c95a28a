//! From a question to a finished answer: retrieve, prompt, generate, guard, cite; or decline, or show the curated entry.
//!
//! [`Answerer`] is the one way in. Does NOT know threads, screens or the probes' wires.

mod answerer;
pub mod guard;
mod library;
pub mod readings;

pub use answerer::{AnswerError, Answerer, LONGEST_QUESTION};
pub use library::{Library, OpenError};

use crate::{climate::Snapshot, knowledge::Category, stats::Stats, text::Lang};

/// What the grower asks.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Any text, as typed.
    pub text: String,
    /// Category it was asked from; a boost for retrieval.
    pub category: Option<Category>,
    /// Language to answer in.
    pub lang: Lang,
    /// The greenhouse when it was asked.
    pub snapshot: Snapshot,
}

/// A curated entry that the answer rests on.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Reference {
    /// Id of the entry.
    pub id: String,
    /// Its question.
    pub title: String,
}

/// A finished answer. Its `text` is authoritative: what was streamed before may have been replaced.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The words to show.
    pub text: String,
    /// What the readings say, by code; empty when nothing is out of range or asked about.
    pub readings_note: String,
    /// Entries it rests on, best first.
    pub references: Vec<Reference>,
    /// The question is not about tomato growing.
    pub declined: bool,
    /// The model's text was unusable and `text` is the best curated entry.
    pub fallback: bool,
    /// The grower stopped it; `text` is what had come so far.
    pub stopped: bool,
    /// References left out because the prompt would not fit.
    pub dropped_references: usize,
    /// What it cost.
    pub stats: Stats,
}
