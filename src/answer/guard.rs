//! Checks the model's words, sentence by sentence, before anyone sees them.
//!
//! A sentence passes when every three words in a row, its beginning and its end included, stand so in one reference, its
//! numbers stand there too, and it was not said before. A softer rule is not safe: in a long sentence a lost "not" moves
//! the share of known triples by a few percent only. Does NOT know where the references come from; it reads text only.

use std::collections::HashSet;
use unicode_segmentation::UnicodeSegmentation;

/// Why a sentence is not shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A number that stands in no reference, reading or question.
    Number(String),
    /// Not all of it stands in one reference; the share that does.
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
        let numbers = texts.flat_map(numbers).collect();
        let references =
            references.into_iter().map(|text| sentences(text).flat_map(framed_triples).collect()).collect();
        Self { references, numbers, said: HashSet::new() }
    }

    /// Judges one whole sentence; one that passes counts as said.
    ///
    /// # Errors
    /// The first fault found.
    pub fn check(&mut self, sentence: &str) -> Result<(), Fault> {
        let words = words(sentence);
        if let Some(number) = numbers(sentence).into_iter().find(|number| !self.numbers.contains(number)) {
            return Err(Fault::Number(number));
        }
        let triples = framed_triples(sentence);
        let in_one =
            |reference: &HashSet<[String; 3]>| triples.iter().filter(|triple| reference.contains(*triple)).count();
        let best = self.references.iter().map(in_one).max().unwrap_or(0);
        if words.is_empty() || best < triples.len() {
            return Err(Fault::Unsupported(best as f32 / triples.len() as f32));
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

/// The sentences of `text`.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        let (sentence, tail) = rest.split_at(sentence_end(rest).unwrap_or(rest.len()));
        rest = tail.trim_start();
        (!sentence.is_empty()).then_some(sentence)
    })
}

/// Lower-case words and numbers; decimal commas become points, and a minus sign a word, which it would else not be.
fn words(text: &str) -> Vec<String> {
    let text = format!(" {text}").replace(" -", " minus ").replace(" \u{2212}", " minus ");
    text.unicode_words().map(|word| word.to_lowercase().replace(',', ".")).collect()
}

/// Every three words in a row of one sentence, with marks that are no words for its beginning and its end.
fn framed_triples(sentence: &str) -> Vec<[String; 3]> {
    let mark = |mark: &str| std::iter::once(mark.to_string());
    let framed: Vec<String> = mark("^").chain(words(sentence)).chain(mark("$")).collect();
    let padded = if framed.len() < 3 { [framed, vec!["$".into()]].concat() } else { framed };
    padded.windows(3).map(|three| [three[0].clone(), three[1].clone(), three[2].clone()]).collect()
}

/// The words of `text` that hold a digit, as "35", "2.5" and "co2" do, in their order.
pub fn numbers(text: &str) -> Vec<String> {
    words(text).into_iter().filter(|word| word.contains(char::is_numeric)).collect()
}
