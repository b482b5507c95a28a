//! Text to the units of search: stemmed words, and fragments of words that survive a typing error.
//!
//! Any script: what is not Latin is cut into pairs of characters. Does NOT rank.

use std::collections::HashMap;
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// English words that say nothing about the subject, in alphabetical order. Only for ranking; nothing is shown.
pub const STOP_WORDS: &[&str] = &[
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
    STOP_WORDS.binary_search(&word).is_ok()
}

/// `text` in lower case, each character in its usual form.
fn folded(text: &str) -> String {
    match text.is_ascii() {
        true => text.to_ascii_lowercase(),
        false => text.nfkc().flat_map(char::to_lowercase).collect(),
    }
}

/// The words of `folded` text that say something.
fn content_words(folded: &str) -> impl Iterator<Item = &str> {
    folded.unicode_words().filter(|word| !says_nothing(word))
}

/// Words without their endings.
pub fn words(text: &str) -> Vec<String> {
    content_words(&folded(text)).flat_map(words_of).collect()
}

/// Fragments of words, which survive a typing error.
pub fn fragments(text: &str) -> Vec<String> {
    content_words(&folded(text)).flat_map(fragments_of).collect()
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

/// Counts the words and the fragments of documents; each is its fields with their weights. A word is cut up once, however
/// often it stands somewhere, and added up before that: this is most of the time it takes to load the entries.
pub fn count(documents: &[Vec<(f32, &str)>]) -> [Counted; 2] {
    // By their numbers; none for one that says nothing, which is looked up once too.
    let mut known: HashMap<String, Option<u32>> = HashMap::new();
    let (mut sums, mut next) = (Sums::default(), 0);
    let counted: Vec<Vec<(u32, f32)>> = documents
        .iter()
        .map(|fields| {
            for (weight, text) in fields {
                for word in folded(text).unicode_words() {
                    let number = known.get(word).copied().unwrap_or_else(|| {
                        let number = (!says_nothing(word)).then_some(next);
                        next += u32::from(number.is_some());
                        known.insert(word.into(), number);
                        number
                    });
                    if let Some(number) = number {
                        sums.add(number, *weight);
                    }
                }
            }
            sums.take()
        })
        .collect();
    let mut words = vec![""; next as usize];
    for (word, number) in &known {
        if let Some(number) = number {
            words[*number as usize] = word;
        }
    }
    let (whole, fragments) =
        rayon::join(|| Counted::new(&words, &counted, words_of), || Counted::new(&words, &counted, fragments_of));
    [whole, fragments]
}

impl Counted {
    /// `documents` counted as `words` by their numbers; `cut` turns a word into its terms.
    fn new(words: &[&str], documents: &[Vec<(u32, f32)>], cut: fn(&str) -> Vec<String>) -> Self {
        let mut numbers = HashMap::new();
        let mut number = |term| {
            let next = numbers.len() as u32;
            *numbers.entry(term).or_insert(next)
        };
        let terms: Vec<Vec<u32>> = words.iter().map(|word| cut(word).into_iter().map(&mut number).collect()).collect();
        let mut sums = Sums::default();
        let documents = documents.iter().map(|counts| {
            for &(word, count) in counts {
                terms[word as usize].iter().for_each(|&term| sums.add(term, count));
            }
            sums.take()
        });
        Self { documents: documents.collect(), numbers }
    }
}

/// Numbers with what was added up for each.
#[derive(Default)]
struct Sums {
    sums: Vec<f32>,
    touched: Vec<u32>,
}

impl Sums {
    fn add(&mut self, number: u32, weight: f32) {
        let place = number as usize;
        if place >= self.sums.len() {
            self.sums.resize(place + 1, 0.0);
        }
        if self.sums[place] == 0.0 {
            self.touched.push(number);
        }
        self.sums[place] += weight;
    }

    /// What was added since the last time.
    fn take(&mut self) -> Vec<(u32, f32)> {
        let Self { sums, touched } = self;
        touched.drain(..).map(|number| (number, std::mem::take(&mut sums[number as usize]))).collect()
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
