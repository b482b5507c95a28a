//! One answer's score: facts told, words used, numbers nobody gave, loops.
//!
//! Turns a question's facts and shown words into numbers. Does NOT know who wrote the words.

use serde::Serialize;
use std::collections::HashSet;
use unicode_segmentation::UnicodeSegmentation;

use super::super::questions::{Question, compile};
use regex::Regex;

/// Share of four words in a row that were there before, above which a text counts as a loop.
const LOOPING: f64 = 0.2;

/// Words in which a question about a detail should be answered.
pub const SHORT: usize = 45;

/// A fact that cannot be looked for.
#[derive(Debug, thiserror::Error)]
#[error("question {id}, pattern {pattern:?}: {cause}")]
pub struct ScoreError {
    /// Of the question.
    id: String,
    /// The regular expression.
    pattern: String,
    /// What is wrong with it.
    cause: regex::Error,
}

/// What an answer is worth.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Facts told, the readings' line included.
    pub told: usize,
    /// Facts that a right answer tells.
    pub facts: usize,
    /// Words of the answer, without the readings' line.
    pub words: usize,
    /// All facts stand in its first [`SHORT`] words, or in the readings' line.
    pub early: bool,
    /// Numbers that stand in no cited entry, reading or question.
    pub unsupported: Vec<String>,
    /// It is empty or says the same again and again.
    pub degenerate: bool,
}

/// A question's facts, ready to be looked for.
pub struct Scorer {
    facts: Vec<(String, Vec<Regex>)>,
}

impl Scorer {
    /// # Errors
    /// [`ScoreError`].
    pub fn new(question: &Question) -> Result<Self, ScoreError> {
        let look_for = |pattern: &String| {
            compile(pattern).map_err(|cause| ScoreError { id: question.id.clone(), pattern: pattern.clone(), cause })
        };
        let facts = question.facts.iter().map(|fact| {
            Ok((fact.sentence.clone(), fact.patterns.iter().map(look_for).collect::<Result<Vec<_>, _>>()?))
        });
        Ok(Self { facts: facts.collect::<Result<_, _>>()? })
    }

    /// The facts that `shown` does not tell.
    pub fn missing(&self, shown: &str) -> Vec<String> {
        let told = |patterns: &[Regex]| patterns.iter().any(|pattern| pattern.is_match(shown));
        self.facts.iter().filter(|(_, patterns)| !told(patterns)).map(|(sentence, _)| sentence.clone()).collect()
    }

    /// Scores `text`, shown below the readings' line `note`; `given` is all that its numbers may come from.
    pub fn score(&self, note: &str, text: &str, given: &[&str]) -> Score {
        let known: HashSet<String> = given.iter().flat_map(|text| numbers(text)).collect();
        let mut unsupported: Vec<String> = numbers(text).into_iter().filter(|number| !known.contains(number)).collect();
        unsupported.sort();
        Score {
            told: self.facts.len() - self.missing(&[note, text].join(" ")).len(),
            facts: self.facts.len(),
            words: text.unicode_words().count(),
            early: self.missing(&[note, beginning(text)].join(" ")).is_empty(),
            unsupported,
            degenerate: degenerate(text),
        }
    }
}

/// The first [`SHORT`] words of `text`.
fn beginning(text: &str) -> &str {
    text.unicode_word_indices().nth(SHORT).map_or(text, |(end, _)| &text[..end])
}

/// Whether `text` is empty or loops.
fn degenerate(text: &str) -> bool {
    let words: Vec<String> = text.unicode_words().map(str::to_lowercase).collect();
    let fours: Vec<&[String]> = words.windows(4).collect();
    let distinct: HashSet<&[String]> = fours.iter().copied().collect();
    words.is_empty() || (fours.len() - distinct.len()) as f64 > LOOPING * fours.len() as f64
}

/// The words of `text` that hold a digit, as "35", "2.5" and "co2" do, in their order. Decimal commas become points.
fn numbers(text: &str) -> Vec<String> {
    let words = text.unicode_words().map(|word| word.to_lowercase().replace(',', "."));
    words.filter(|word| word.contains(char::is_numeric)).collect()
}
