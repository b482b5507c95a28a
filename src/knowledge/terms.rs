//! Text to the units of search: stemmed words, and fragments of words that survive a typing error.
//!
//! Any script: what is not Latin is cut into pairs of characters. Does NOT rank.

use std::collections::HashMap;
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// English words that say nothing about the subject. Only for ranking; nothing is shown.
const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by",
    "can", "could", "did", "do", "does", "for", "from", "get", "give", "go", "had", "has", "have", "he", "help", "her",
    "here", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just", "know", "like", "make", "may",
    "me", "mean", "much", "must", "my", "need", "no", "not", "now", "of", "on", "or", "our", "out", "please", "say",
    "see", "she", "should", "so", "some", "tell", "than", "that", "the", "their", "them", "then", "there", "these",
    "they", "thing", "this", "to", "too", "up", "us", "use", "very", "want", "was", "we", "were", "what", "when",
    "where", "which", "who", "why", "will", "with", "would", "you", "your",
];

/// The words of `text` that say something, lower case.
fn content_words(text: &str) -> Vec<String> {
    let text: String = text.nfkc().flat_map(char::to_lowercase).collect();
    text.unicode_words().filter(|word| !STOP_WORDS.contains(word)).map(str::to_owned).collect()
}

/// Words without their endings. Scripts without Latin letters and without spaces inside words (Hangul with its
/// particles, above all) are cut into pairs of characters, so that a word is found with any ending.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in content_words(text) {
        match word.is_ascii() {
            true => words.push(stem(&word).into()),
            false => words.extend(pieces(&word, 2)),
        }
    }
    words
}

/// Fragments of 3 and 4 letters, word ends marked: "mildue" still shares most of them with "mildew". Of other scripts
/// pairs with the word ends, so that a noun of one syllable is found under any particle.
pub fn fragments(text: &str) -> Vec<String> {
    content_words(text).iter().flat_map(|word| fragments_of(word)).collect()
}

fn fragments_of(word: &str) -> Vec<String> {
    let marked = format!("_{word}_");
    match word.is_ascii() {
        true => [pieces(&marked, 3), pieces(&marked, 4)].concat(),
        false => pieces(&marked, 2),
    }
}

/// Counted terms of a document's fields, each weighted; words and fragments. A word is cut into fragments only once.
pub fn count(fields: &[(f32, &str)]) -> (HashMap<String, f32>, HashMap<String, f32>) {
    let (mut by_word, mut stems) = (HashMap::new(), HashMap::new());
    for (weight, text) in fields {
        for word in words(text) {
            *stems.entry(word).or_insert(0.0) += weight;
        }
        for word in content_words(text) {
            *by_word.entry(word).or_insert(0.0) += weight;
        }
    }
    let mut fragments = HashMap::new();
    for (word, weight) in &by_word {
        for fragment in fragments_of(word) {
            *fragments.entry(fragment).or_insert(0.0) += weight;
        }
    }
    (stems, fragments)
}

/// All stretches of `length` characters; the whole word where it is shorter.
fn pieces(word: &str, length: usize) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    if letters.len() < length {
        return vec![word.into()];
    }
    letters.windows(length).map(|piece| piece.iter().collect()).collect()
}

/// Takes the commonest English endings off, so that "leaves" finds "leaf" and "pruning" finds "prune". Deliberately
/// small: a wrong merge costs more than a missed one.
fn stem(word: &str) -> &str {
    const ENDINGS: &[(&str, usize)] = &[
        ("ings", 3),
        ("ing", 3),
        ("ies", 3),
        ("ves", 3),
        ("ed", 3),
        ("es", 3),
        ("s", 3),
        ("y", 3),
        ("e", 3),
        ("f", 3),
    ];
    let ending = ENDINGS.iter().find(|(ending, kept)| word.len() >= ending.len() + kept && word.ends_with(ending));
    match ending {
        Some(("s", _)) if word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") => word,
        Some((ending, _)) => &word[..word.len() - ending.len()],
        None => word,
    }
}
