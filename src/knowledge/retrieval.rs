//! Finds the entries that a question is about: words, fragments of words and meaning, added up.
//!
//! Turns a question, with its vector where there is a sentence encoder, into ranked entries whose score also tells a
//! question about tomatoes from one about anything else. Does NOT know the model, the encoder or the prompt.

use super::{
    Category, Entry,
    bm25::Bm25,
    terms,
    vectors::{Vectors, texts},
};

/// What an entry of the asked category gains; a question is rarely asked from the wrong list.
const CATEGORY_BOOST: f32 = 1.15;

/// What an entry gains for each of its signals that the readings show.
const SIGNAL_BOOST: f32 = 1.1;

/// The question counts double, since it says in few words what the entry is about.
const INSTRUCTION_WEIGHT: f32 = 2.0;

/// Below this a question is not about tomato growing. Set on the development questions and their refusals with
/// `pipeline retrieval`: see data/README.md.
pub const ON_TOPIC: f32 = 1.60;

/// The same where there is no vector: words and fragments alone.
pub const ON_TOPIC_WORDS: f32 = 0.65;

/// What a question is held against the entries with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<'a> {
    /// As typed.
    pub text: &'a str,
    /// Its vector by the sentence encoder that made the index's; None to search by words alone.
    pub vector: Option<&'a [f32]>,
    /// The list it was asked from.
    pub category: Option<Category>,
    /// What the assessed readings show, such as `ec_high`.
    pub signals: &'a [String],
}

/// One entry found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Its place in the list of entries.
    pub index: usize,
    /// The sum of its parts, with boosts: what it is ranked by.
    pub score: f32,
    /// The sum without boosts: comparable between searches, for [`Hit::is_on_topic`].
    pub plain: f32,
    /// What it is the sum of.
    pub parts: Parts,
}

/// How an entry matches, each 0 to 1 (cosines may be below 0).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parts {
    /// BM25 of words.
    pub words: f32,
    /// BM25 of fragments of words.
    pub fragments: f32,
    /// Largest cosine with the entry's question or a paraphrase.
    pub asked: f32,
    /// Cosine with question and answer.
    pub answered: f32,
}

impl Parts {
    fn sum(&self) -> f32 {
        self.words + self.fragments + self.asked + self.answered
    }
}

/// The index over all entries.
pub struct Index {
    words: Bm25,
    fragments: Bm25,
    vectors: Option<Vectors>,
    entries: Vec<Indexed>,
}

/// What is kept of an entry.
struct Indexed {
    category: Category,
    signals: Vec<String>,
    /// Number of its vectors, which stand one after the other in the order of the entries.
    texts: usize,
}

impl Index {
    /// Indexes `entries`; a hit's `index` counts in this order. `vectors` are those of the entries' [`texts`]; without
    /// them the search is by words alone.
    pub fn new(entries: &[Entry], vectors: Option<Vectors>) -> Self {
        let counted: Vec<_> = entries.iter().map(|entry| terms::count(&fields(entry))).collect();
        let (words, fragments): (Vec<_>, Vec<_>) = counted.into_iter().unzip();
        let indexed = |entry: &Entry| Indexed {
            category: entry.category,
            signals: entry.signals.clone(),
            texts: texts(entry).len(),
        };
        Self {
            words: Bm25::new(&words),
            fragments: Bm25::new(&fragments),
            vectors,
            entries: entries.iter().map(indexed).collect(),
        }
    }

    /// The entries that have anything to do with the question, best first; ties in list order.
    pub fn search(&self, query: &Query) -> Vec<Hit> {
        let mut hits: Vec<Hit> = Vec::with_capacity(self.entries.len());
        for (index, (entry, parts)) in self.entries.iter().zip(self.parts(query)).enumerate() {
            let plain = parts.sum();
            if plain <= 0.0 {
                continue;
            }
            let shown = entry.signals.iter().filter(|signal| query.signals.contains(signal)).count();
            let boost = if query.category == Some(entry.category) { CATEGORY_BOOST } else { 1.0 };
            hits.push(Hit { index, score: plain * boost * SIGNAL_BOOST.powi(shown as i32), plain, parts });
        }
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.index.cmp(&b.index)));
        hits
    }

    /// How well each entry matches.
    fn parts(&self, query: &Query) -> Vec<Parts> {
        let words = self.words.scores(&terms::words(query.text));
        let fragments = self.fragments.scores(&terms::fragments(query.text));
        let both = words.into_iter().zip(fragments);
        let mut parts: Vec<Parts> =
            both.map(|(words, fragments)| Parts { words, fragments, ..Parts::default() }).collect();
        if let (Some(vectors), Some(vector)) = (&self.vectors, query.vector) {
            let cosines = vectors.cosines(vector);
            let mut rest = cosines.as_slice();
            for (entry, parts) in self.entries.iter().zip(&mut parts) {
                let (own, others) = rest.split_at(entry.texts);
                rest = others;
                if let Some((answered, asked)) = own.split_last() {
                    parts.asked = asked.iter().copied().fold(f32::MIN, f32::max);
                    parts.answered = *answered;
                }
            }
        }
        parts
    }
}

impl Hit {
    /// Whether a question whose best hit this is is about tomato growing. `by_meaning`: it was searched with a vector.
    pub fn is_on_topic(&self, by_meaning: bool) -> bool {
        self.plain >= if by_meaning { ON_TOPIC } else { ON_TOPIC_WORDS }
    }
}

/// What is searched of an entry, with weights.
fn fields(entry: &Entry) -> Vec<(f32, &str)> {
    let mut fields = vec![
        (INSTRUCTION_WEIGHT, entry.instruction.as_str()),
        (1.0, entry.input.as_str()),
        (1.0, entry.output.as_str()),
    ];
    fields.extend(entry.paraphrases.iter().chain(&entry.keywords).map(|text| (1.0, text.as_str())));
    fields
}
