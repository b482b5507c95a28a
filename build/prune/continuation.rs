//! What a model writes by itself after five prompts: the project document's own check of a pruned model.
//!
//! Turns a model into five texts, and each text into numbers: special tokens, Latin letters, repetition. Does NOT judge.

use serde::Serialize;
use std::collections::HashSet;

use super::super::{
    dense::{Dense, DenseError, Special},
    greedy,
    pieces::looks_special,
};

/// The document's prompts, and whether English is asked for.
pub const PROMPTS: [(&str, bool); 5] = [
    ("Tomatoes are", true),
    ("The most important thing when growing tomatoes in a greenhouse is", true),
    ("The capital of France is", true),
    ("토마토는", false),
    ("한국에서 토마토를 재배할 때 가장 중요한 것은", false),
];
/// Tokens of a text, at most.
const LENGTH: usize = 60;
/// What a text costs, in tokens read: one that is written reads all weights for itself.
pub const WORK: usize = 30 * LENGTH;

/// One text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Continuation {
    /// What it goes on from.
    pub prompt: &'static str,
    /// Whether it should be English.
    pub english: bool,
    /// As decoded, special tokens and all.
    pub text: String,
    /// Special tokens in it; the one that ends it does not count.
    pub special: usize,
    /// Share of its characters that are Latin letters, white space left out.
    pub latin: f64,
    /// Share of its 4-grams of tokens that were there before.
    pub repeated: f64,
}

/// Goes on from each prompt, always with the likeliest token. `each` is called after each text.
///
/// # Errors
/// [`DenseError`].
pub fn write(dense: &Dense, each: impl Fn()) -> Result<Vec<Continuation>, DenseError> {
    let added = dense.tokenizer.get_added_tokens_decoder();
    let special = |id: &&u32| added.get(id).is_some_and(|token| token.special || looks_special(&token.content));
    PROMPTS
        .into_iter()
        .map(|(prompt, english)| {
            let ids = greedy::decode(dense, dense.begun(prompt)?, LENGTH)?.ids;
            let text = dense.text(&ids, Special::Shown)?;
            each();
            let (special, latin, repeated) = (ids.iter().filter(special).count(), latin(&text), repeated(&ids));
            Ok(Continuation { prompt, english, text, special, latin, repeated })
        })
        .collect()
}

/// Nothing but numbers and signs is as little English as another script is.
fn latin(text: &str) -> f64 {
    let shown: Vec<char> = text.chars().filter(|character| !character.is_whitespace()).collect();
    let letters = shown.iter().filter(|character| character.is_alphabetic() && **character < '\u{250}').count();
    letters as f64 / shown.len().max(1) as f64
}

/// Share of the 4-grams that were there before.
fn repeated(ids: &[u32]) -> f64 {
    let (count, distinct) = (ids.windows(4).count(), ids.windows(4).collect::<HashSet<_>>().len());
    (count - distinct) as f64 / count.max(1) as f64
}
