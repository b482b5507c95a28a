//! From a question to a finished answer: retrieve, read, choose, cite; or decline, or show the whole curated entry.
//!
//! [`Answerer`] is the one way in. Does NOT know threads, screens or the probes' wires.

mod answerer;
pub mod choose;
mod library;
pub mod readings;

pub use answerer::{AnswerError, Answerer, LONGEST_QUESTION};
pub use library::{Library, OpenError};

use crate::{
    climate::Snapshot,
    knowledge::{Category, sentences::sentences},
    stats::Stats,
    text::Lang,
};

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

/// A reference that the model read, for whoever wants to know how an answer came about.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Considered {
    /// Id of the entry.
    pub id: String,
    /// What the search gave it.
    pub found: f32,
    /// Its sentences, in order.
    pub sentences: Vec<Judged>,
}

/// A sentence that the model judged.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Judged {
    /// Word for word.
    pub text: String,
    /// The model's log of the odds that it belongs into the answer; none when the model was not trained to judge.
    pub score: Option<f32>,
    /// It is shown.
    pub chosen: bool,
}

/// A finished answer. Its `text` is authoritative: what was streamed before may have been replaced.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The sentences that answer.
    pub text: String,
    /// The rest of the entry that the first of them are from; shown below, so that nothing is lost.
    pub more: String,
    /// What the readings say, by code; empty when nothing is out of range or asked about.
    pub readings_note: String,
    /// Entries it rests on, best first.
    pub references: Vec<Reference>,
    /// How many sentences of `text` are from each of the references, which follow each other as in `references`.
    pub cited: Vec<usize>,
    /// What the model read, best found first.
    pub considered: Vec<Considered>,
    /// The question is not about tomato growing, or no reference answers it.
    pub declined: bool,
    /// The model was not trained to choose, and `text` is the whole best entry.
    pub fallback: bool,
    /// The grower stopped it; `text` is what had come so far.
    pub stopped: bool,
    /// References left out because the prompt would not fit.
    pub dropped_references: usize,
    /// What it cost.
    pub stats: Stats,
}

impl Answer {
    /// The text with the number of its reference behind the sentences of each, as in "Ventilate early. [1]".
    pub fn marked(&self) -> String {
        let mut sentences = sentences(&self.text);
        let part = |(number, &count): (usize, &usize)| {
            let own: Vec<&str> = sentences.by_ref().take(count).collect();
            format!("{} [{}]", own.join(" "), number + 1)
        };
        match self.cited.is_empty() {
            true => self.text.clone(),
            false => self.cited.iter().enumerate().map(part).collect::<Vec<_>>().join(" "),
        }
    }
}
