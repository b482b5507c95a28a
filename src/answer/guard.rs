//! Checks the model's words, sentence by sentence, before anyone sees them.
//!
//! A sentence passes when the references support it, its numbers stand there too, and it was not said before. Does NOT
//! know where the references come from; it reads text only.

use std::collections::HashSet;
use unicode_segmentation::UnicodeSegmentation;

/// Share of a sentence's word triples that must stand in one reference. Clean copies measure 1.0, sentences with an
/// invented half 0.6 to 0.72, garbled ones 0.03 to 0.66 (prototype study of this model).
const SUPPORT: f32 = 0.8;

/// Why a sentence is not shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A number that stands in no reference, reading or question.
    Number(String),
    /// Too little of it stands in any one reference; the share that does.
    Unsupported(f32),
    /// It was said before.
    Repeated,
}

/// What one answer may say.
pub struct Guard {
    references: Vec<HashSet<[String; 3]>>,
    numbers: HashSet<String>,
    said: HashSet<Vec<String>>,
}

impl Guard {
    /// `references` are the passages in the prompt; `given` is what else numbers may come from (readings, question).
    pub fn new<'a>(references: impl IntoIterator<Item = &'a str> + Clone, given: &'a str) -> Self {
        let texts = references.clone().into_iter().chain([given]);
        let numbers = texts.flat_map(words).filter(|word| is_number(word)).collect();
        let references = references.into_iter().map(|text| triples(&words(text)).collect()).collect();
        Self { references, numbers, said: HashSet::new() }
    }

    /// Judges one whole sentence; one that passes counts as said.
    ///
    /// # Errors
    /// The first fault found.
    pub fn check(&mut self, sentence: &str) -> Result<(), Fault> {
        let words = words(sentence);
        if let Some(number) = words.iter().find(|word| is_number(word) && !self.numbers.contains(*word)) {
            return Err(Fault::Number(number.clone()));
        }
        let triples: Vec<_> = triples(&words).collect();
        let in_one =
            |reference: &HashSet<[String; 3]>| triples.iter().filter(|triple| reference.contains(*triple)).count();
        let best = self.references.iter().map(in_one).max().unwrap_or(0);
        // Fewer than three words are no sentence that anything could support.
        let share = if triples.is_empty() { 0.0 } else { best as f32 / triples.len() as f32 };
        if share < SUPPORT {
            return Err(Fault::Unsupported(share));
        }
        if self.said.insert(words) { Ok(()) } else { Err(Fault::Repeated) }
    }
}

/// Where the first whole sentence of `text` ends, if it does: after `.`, `!` or `?` (or their wide forms) followed by
/// white space. A point inside a number is followed by a digit. None while more may come.
pub fn sentence_end(text: &str) -> Option<usize> {
    let mut previous = ' ';
    for (at, letter) in text.char_indices() {
        if letter.is_whitespace() && matches!(previous, '.' | '!' | '?' | '。' | '！' | '？') {
            return Some(at);
        }
        previous = letter;
    }
    None
}

/// Lower-case words and numbers; decimal commas become points.
fn words(text: &str) -> Vec<String> {
    text.unicode_words().map(|word| word.to_lowercase().replace(',', ".")).collect()
}

fn triples(words: &[String]) -> impl Iterator<Item = [String; 3]> {
    words.windows(3).map(|three| [three[0].clone(), three[1].clone(), three[2].clone()])
}

/// Whether a word holds a digit, as "35", "2.5" and "co2" do.
fn is_number(word: &str) -> bool {
    word.contains(char::is_numeric)
}
