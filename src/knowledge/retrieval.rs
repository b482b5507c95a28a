//! Finds the entries that a question is about: BM25 over question, paraphrases, keywords and answer.
//!
//! Turns a question into ranked entries with a measure of how much of the question they cover, which tells a question
//! about tomatoes from one about anything else. Does NOT know the model or the prompt.

use super::{Category, Entry};
use bm25::{Embedder, EmbedderBuilder, Scorer, Tokenizer};
use std::collections::{HashMap, HashSet};
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// What an entry of the asked category gains; a question is rarely asked from the wrong list.
const CATEGORY_BOOST: f32 = 1.15;

/// What an entry gains for each of its signals that the readings show.
const SIGNAL_BOOST: f32 = 1.1;

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

/// One entry found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Its place in the list of entries.
    pub index: usize,
    /// BM25 score with boosts; comparable within one search only.
    pub score: f32,
    /// Share of the question's words, weighted by rarity, that the entry contains: 0 to 1. A word that stands nowhere in
    /// the data weighs as much as the rarest.
    pub coverage: f32,
}

/// The index over all entries.
pub struct Index {
    embedder: Embedder<u32, Words>,
    scorer: Scorer<usize>,
    /// For each entry its category, signals and words.
    entries: Vec<(Category, Vec<String>, HashSet<String>)>,
    /// Number of entries that contain a word.
    frequencies: HashMap<String, usize>,
}

impl Index {
    /// Indexes `entries`; a hit's `index` counts in this order.
    pub fn new(entries: &[Entry]) -> Self {
        let texts: Vec<String> = entries.iter().map(indexed_text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let embedder = EmbedderBuilder::with_tokenizer_and_fit_to_corpus(Words, &texts).build();
        let mut scorer = Scorer::new();
        let mut frequencies = HashMap::new();
        let mut kept = Vec::with_capacity(entries.len());
        for (index, (entry, text)) in entries.iter().zip(&texts).enumerate() {
            scorer.upsert(&index, embedder.embed(text));
            let words: HashSet<String> = Words.tokenize(text).into_iter().collect();
            for word in &words {
                *frequencies.entry(word.clone()).or_insert(0) += 1;
            }
            kept.push((entry.category, entry.signals.clone(), words));
        }
        Self { embedder, scorer, entries: kept, frequencies }
    }

    /// The entries that share a word with `question`, best first; ties in list order. `signals` are what the assessed
    /// readings show, such as `ec_high`.
    pub fn search(&self, question: &str, category: Option<Category>, signals: &[String]) -> Vec<Hit> {
        let words: HashSet<String> = Words.tokenize(question).into_iter().collect();
        let total: f32 = words.iter().map(|word| self.rarity(word)).sum();
        let query = self.embedder.embed(question);
        let mut hits: Vec<Hit> = Vec::new();
        for (index, (own_category, own_signals, own_words)) in self.entries.iter().enumerate() {
            let score = self.scorer.score(&index, &query).unwrap_or(0.0);
            if score <= 0.0 {
                continue;
            }
            let shown = own_signals.iter().filter(|signal| signals.contains(signal)).count();
            let boost = if category == Some(*own_category) { CATEGORY_BOOST } else { 1.0 };
            let shared: f32 = words.intersection(own_words).map(|word| self.rarity(word)).sum();
            hits.push(Hit { index, score: score * boost * SIGNAL_BOOST.powi(shown as i32), coverage: shared / total });
        }
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.index.cmp(&b.index)));
        hits
    }

    /// Inverse document frequency, as in BM25.
    fn rarity(&self, word: &str) -> f32 {
        let (entries, with_word) = (self.entries.len() as f32, *self.frequencies.get(word).unwrap_or(&0) as f32);
        (1.0 + (entries - with_word + 0.5) / (with_word + 0.5)).ln()
    }
}

/// What is searched: the question counts double, since it says in few words what the entry is about.
fn indexed_text(entry: &Entry) -> String {
    let mut text = format!("{0}\n{0}\n{1}\n", entry.instruction, entry.input);
    for part in entry.paraphrases.iter().chain(&entry.keywords) {
        text.push_str(part);
        text.push('\n');
    }
    text + &entry.output
}

/// Splits text into the units of search. Scripts without Latin letters and without spaces inside words (Hangul with its
/// particles, above all) are cut into pairs of characters, so that a word is found with any ending.
struct Words;

impl Tokenizer for Words {
    fn tokenize(&self, text: &str) -> Vec<String> {
        let text: String = text.nfkc().flat_map(char::to_lowercase).collect();
        let mut words = Vec::new();
        for word in text.unicode_words() {
            if word.is_ascii() {
                if !STOP_WORDS.contains(&word) {
                    words.push(stem(word).into());
                }
                continue;
            }
            let letters: Vec<char> = word.chars().collect();
            if letters.len() == 1 {
                words.push(word.into());
            }
            words.extend(letters.windows(2).map(|pair| pair.iter().collect::<String>()));
        }
        words
    }
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
