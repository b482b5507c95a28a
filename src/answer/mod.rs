//! From a question to a finished answer: retrieve, read, choose, cite; or refuse, let the readings answer, or show the whole curated entry.
//!
//! [`Answerer`] is the one way in. Does NOT know threads, screens or the probes' wires.

mod answerer;
pub mod choose;
mod library;
pub mod readings;

pub use answerer::{AnswerError, Answerer, LONGEST_QUESTION, hear};
pub use library::{Library, OpenError, Understood};

use crate::{
    climate::Snapshot,
    knowledge::{Category, refusal::Why},
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

/// What another entry adds. Shown apart from the answer, under that entry's question (advice under what it is about): its
/// sentences were written for that case and may say the opposite of what is right in the grower's.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Further {
    /// The entry.
    #[serde(flatten)]
    pub reference: Reference,
    /// Its number among the answer's references, from 1.
    pub citation: usize,
    /// Its chosen sentences, in its order; at least one.
    pub sentences: Vec<String>,
}

/// What to do about a reading far out of range, whatever was asked.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Advice {
    /// Which reading, and how it stands to its range, in words.
    pub on: String,
    /// What an entry says to that.
    #[serde(flatten)]
    pub says: Further,
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
    /// How near the nearest question is that it is known to answer, as a cosine; 0 where none is known.
    pub asked: f32,
    /// How near the question is to it, behind its entry's question: a cosine.
    pub said: f32,
    /// It is shown.
    pub chosen: bool,
}

/// A finished answer. Its `text` is authoritative: what was streamed before may have been replaced.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The sentences that answer, all from the first of the references: those that answer most directly, then, in a paragraph of
    /// their own, the others.
    pub text: String,
    /// How many bytes of `text` are the former; none where the model did not choose.
    pub lead: usize,
    /// The question with its misspelt words mended, as search and model read it; empty when nothing was.
    pub read_as: String,
    /// What the other references add.
    pub further: Vec<Further>,
    /// The rest of the first reference, but for what is advice; shown below, so that nothing is lost.
    pub more: String,
    /// What the readings say, by code; empty when nothing is out of range or asked about.
    pub readings_note: String,
    /// What to do about readings that are far out of range, in the order of the alarms, unless it is said already.
    pub advice: Vec<Advice>,
    /// It asks how the greenhouse stands, or is too vague for any entry while something is out of range: `text` sums up the readings, by
    /// code, and the entries of the advice are all it rests on.
    pub by_readings: bool,
    /// It asks how the greenhouse stands, and for something else; or its few words do not tell what it is about: what is said to the
    /// readings comes first.
    pub readings_first: bool,
    /// Entries it rests on, best first, then those of the advice.
    pub references: Vec<Reference>,
    /// What the model read, best found first.
    pub considered: Vec<Considered>,
    /// Why the question gets no answer, if it gets none; `text` says so. Search and model decide it together.
    pub refused: Option<Why>,
    /// To read instead of an answer that was refused or given by the readings: the entries that the search found nearest.
    pub nearest: Vec<Reference>,
    /// No sentence clearly answers the question; `text` is the nearest.
    pub nearest_only: bool,
    /// The model cannot choose (it was not trained to, or its scores are no numbers), and `text` is the whole best entry.
    pub fallback: bool,
    /// The grower stopped it; `text` is what had come so far.
    pub stopped: bool,
    /// References left out because the prompt would not fit.
    pub dropped_references: usize,
    /// What it cost.
    pub stats: Stats,
}

/// Between the paragraphs of [`Answer::text`].
pub const PARAGRAPH: &str = "\n\n";

impl Answer {
    /// What answers most directly, and the others, as they are shown; either may be empty.
    pub fn paragraphs(&self) -> (&str, &str) {
        let (lead, rest) = self.text.split_at(self.lead);
        (lead, rest.strip_prefix(PARAGRAPH).unwrap_or(rest))
    }

    /// What stands behind `text`: the number of its reference, as in "Ventilate early. [1]".
    pub fn mark(&self) -> &'static str {
        let by_code = self.refused.is_some() || self.by_readings;
        if by_code || self.references.is_empty() { "" } else { " [1]" }
    }
}

impl Further {
    /// Its sentences with the number of their reference behind them.
    pub fn marked(&self) -> String {
        format!("{} [{}]", self.sentences.join(" "), self.citation)
    }
}
