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

/// Whether `word`, in lower case, says nothing about the subject.
pub fn says_nothing(word: &str) -> bool {
    STOP_WORDS.contains(&word)
}

/// The words of `text` that say something, lower case.
fn content_words(text: &str) -> Vec<String> {
    let text: String = text.nfkc().flat_map(char::to_lowercase).collect();
    text.unicode_words().filter(|word| !says_nothing(word)).map(str::to_owned).collect()
}

/// Words without their endings.
pub fn words(text: &str) -> Vec<String> {
    content_words(text).iter().flat_map(|word| words_of(word)).collect()
}

/// Fragments of words, which survive a typing error.
pub fn fragments(text: &str) -> Vec<String> {
    content_words(text).iter().flat_map(|word| fragments_of(word)).collect()
}

/// Scripts without Latin letters and without spaces inside words (Hangul with its particles, above all) are cut into
/// pairs of characters, so that a word is found with any ending.
fn words_of(word: &str) -> Vec<String> {
    match word.is_ascii() {
        true => vec![stem(word).into()],
        false => pieces(word, 2),
    }
}

/// Fragments of 3 and 4 letters, word ends marked: "mildue" still shares most of them with "mildew". Of other scripts
/// pairs with the word ends, so that a noun of one syllable is found under any particle.
fn fragments_of(word: &str) -> Vec<String> {
    let marked = format!("_{word}_");
    match word.is_ascii() {
        true => [pieces(&marked, 3), pieces(&marked, 4)].concat(),
        false => pieces(&marked, 2),
    }
}

/// Documents as counted terms, each term by a number.
#[derive(Debug, Default)]
pub struct Counted {
    /// Term -> number, from 0.
    pub numbers: HashMap<String, u32>,
    /// For each document its terms with their counts, which the fields' weights multiplied.
    pub documents: Vec<Vec<(u32, f32)>>,
}

/// Counts the words and the fragments of documents; each is its fields with their weights. A word is cut up once,
/// however often it stands somewhere: that is most of the time it takes to load the entries.
pub fn count(documents: &[Vec<(f32, &str)>]) -> [Counted; 2] {
    let mut kinds = [Counted::default(), Counted::default()];
    let mut sums: [Vec<f32>; 2] = Default::default();
    let mut known: HashMap<String, [Vec<u32>; 2]> = HashMap::new();
    for fields in documents {
        let mut touched: [Vec<u32>; 2] = Default::default();
        for (weight, text) in fields {
            for word in content_words(text) {
                let terms = known.entry(word).or_insert_with_key(|word| {
                    [kinds[0].numbers_of(words_of(word)), kinds[1].numbers_of(fragments_of(word))]
                });
                for ((terms, sums), touched) in terms.iter().zip(&mut sums).zip(&mut touched) {
                    for &term in terms {
                        let place = term as usize;
                        if place >= sums.len() {
                            sums.resize(place + 1, 0.0);
                        }
                        if sums[place] == 0.0 {
                            touched.push(term);
                        }
                        sums[place] += weight;
                    }
                }
            }
        }
        for ((kind, sums), touched) in kinds.iter_mut().zip(&mut sums).zip(touched) {
            let counts = touched.into_iter().map(|term| (term, std::mem::take(&mut sums[term as usize])));
            kind.documents.push(counts.collect());
        }
    }
    kinds
}

impl Counted {
    fn numbers_of(&mut self, terms: Vec<String>) -> Vec<u32> {
        let mut number = |term| {
            let next = self.numbers.len() as u32;
            *self.numbers.entry(term).or_insert(next)
        };
        terms.into_iter().map(&mut number).collect()
    }
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
