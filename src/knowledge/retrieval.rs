//! Finds the entries that a question is about: words, fragments of words and meaning, added up.
//!
//! Turns a question, with its vector where there is a sentence encoder, into ranked entries whose score also tells a
//! question about tomatoes from one about anything else. Does NOT know the model, the encoder or the prompt.

use std::ops::Range;

use super::{
    Category, Detail, Entry,
    bm25::Bm25,
    refusal::COUNT,
    terms,
    vectors::{self, Vectors, asked},
    verdict::Evidence,
};

/// What an entry of the asked category gains; a question is rarely asked from the wrong list.
const CATEGORY_BOOST: f32 = 1.15;

/// What an entry gains when it lists the most serious of the signals that the readings show; half of that for the second,
/// a third for the third, so that readings decide between entries that the words leave open, and find some when the words
/// say nothing ("what should I do now?"). Of the development questions with readings 0.3 to 0.5 find most.
const SIGNAL_BONUS: f32 = 0.35;

/// What the parts by words count beside those by meaning; set on the development questions, in all their wordings.
const LEXICAL_WEIGHT: f32 = 0.67;

/// So many of the cosines with an entry's questions count, the largest ones: one alone may be chance. Set as the weight above.
const NEAREST: usize = 4;

/// What a question about a detail that is unlikely to be asked must be nearer than another: what growers ask about sentences is not
/// spread evenly. Set as the weights of `answer::choose`.
const UNLIKELY: f32 = 0.17;

/// The question counts double, since it says in few words what the entry is about.
const INSTRUCTION_WEIGHT: f32 = 2.0;

/// What the log odds of a kind of question gain where an example of it is nearer than any question of an entry, and lose where
/// it is farther: so much for each unit of their cosines' difference.
const NEARER: f32 = 25.0;

/// Weight of the largest share of fragments in common.
const KNOWN_WEIGHT: f32 = 0.6;

/// A long question covers less of itself with one entry; each doubling of its words counts this times ln 2.
const LENGTH_WEIGHT: f32 = 0.25;

/// A question of no more content words, all known, asks about the readings when these are out of range.
const VAGUE: usize = 2;

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

/// What a search gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The entries that have anything to do with the question, best first; ties in list order.
    pub hits: Vec<Hit>,
    /// What tells whether it is to be refused. Only of use where the query had a vector.
    pub evidence: Evidence,
}

/// One entry found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Its place in the list of entries.
    pub index: usize,
    /// The sum of its parts, with what category and signals add: what it is ranked by.
    pub score: f32,
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
    /// Mean of the [`NEAREST`] largest cosines with the entry's question, paraphrases and what else it is asked by.
    pub asked: f32,
    /// Mean of the cosine with question and answer, and of the largest with question and one sentence.
    pub answered: f32,
}

impl Parts {
    fn sum(&self) -> f32 {
        LEXICAL_WEIGHT * (self.words + self.fragments) + self.asked + self.answered
    }
}

/// How near a question is to each sentence of an entry's answer: cosines, all 0 without vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Near {
    /// To the nearest question that it is known to answer, less [`UNLIKELY`] for one that is; 0 where none is known.
    pub asked: Vec<f32>,
    /// To itself, behind its entry's question.
    pub said: Vec<f32>,
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
    /// Where its vectors stand.
    texts: Range<usize>,
    /// How many of them are questions; they come first.
    asked: usize,
    /// For each of the last of these, which are about details, the places of the sentences that answer it, and what it lacks.
    details: Vec<(Vec<usize>, f32)>,
}

impl Index {
    /// Indexes `entries`; a hit's `index` counts in this order. `vectors` are those of the entries' [`vectors::texts`]; without
    /// them the search is by words alone.
    pub fn new(entries: &[Entry], vectors: Option<Vectors>) -> Self {
        let fields: Vec<_> = entries.iter().map(fields).collect();
        let [words, fragments] = terms::count(&fields);
        let detail = |detail: &Detail| (detail.sentences.clone(), if detail.unlikely { UNLIKELY } else { 0.0 });
        let mut first = 0;
        let indexed = |entry: &Entry| {
            let texts = first..first + vectors::count(entry);
            first = texts.end;
            Indexed {
                category: entry.category,
                signals: entry.signals.clone(),
                texts,
                asked: asked(entry),
                details: entry.details.iter().map(detail).collect(),
            }
        };
        let (words, fragments) = rayon::join(|| Bm25::new(words), || Bm25::new(fragments));
        Self { words, fragments, vectors, entries: entries.iter().map(indexed).collect() }
    }

    /// Ranks the entries for a question.
    pub fn search(&self, query: &Query) -> Found {
        let words = terms::words(query.text);
        let mut hits = Vec::with_capacity(self.entries.len());
        let (mut known, mut meant) = (0f32, 0f32);
        let (parts, odds) = self.parts(query, &words);
        for (index, (entry, parts)) in self.entries.iter().zip(parts).enumerate() {
            let plain = parts.sum();
            (known, meant) = (known.max(parts.fragments), meant.max(parts.asked));
            let category = if query.category == Some(entry.category) { CATEGORY_BOOST } else { 1.0 };
            let shown = query.signals.iter().enumerate().filter(|(_, signal)| entry.signals.contains(signal));
            let bonus: f32 = shown.map(|(place, _)| SIGNAL_BONUS / (place + 1) as f32).sum();
            if plain > 0.0 || bonus > 0.0 {
                hits.push(Hit { index, score: plain * category + bonus, parts });
            }
        }
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.index.cmp(&b.index)));
        let topic = KNOWN_WEIGHT * known + meant + LENGTH_WEIGHT * (1.0 + words.len() as f32).ln();
        let steered = !query.signals.is_empty() && self.words.knows_all(&words);
        let evidence = Evidence { topic, odds, steered, short: words.len() <= VAGUE };
        Found { hits, evidence }
    }

    /// How near `vector` is to each of the `sentences` of the answer of the entry at `index`.
    pub fn near(&self, index: usize, sentences: usize, vector: &[f32]) -> Near {
        let mut near = Near { asked: vec![0.0; sentences], said: vec![0.0; sentences] };
        let entry = &self.entries[index];
        if let Some(vectors) = &self.vectors {
            // The questions about details are the last of all questions; the sentences follow.
            let details = entry.details.len();
            let cosines = vectors.cosines(vector, entry.texts.start + entry.asked - details..entry.texts.end);
            let (asked, said) = cosines.split_at(details);
            for ((places, less), cosine) in entry.details.iter().zip(asked) {
                places.iter().for_each(|&place| near.asked[place] = near.asked[place].max(cosine - less));
            }
            near.said.iter_mut().zip(said).for_each(|(near, cosine)| *near = *cosine);
        }
        near
    }

    /// How well each entry matches, and the log odds that the question is of each of the kinds that none answers; all 0 without a
    /// vector.
    fn parts(&self, query: &Query, words: &[String]) -> (Vec<Parts>, [f32; COUNT]) {
        let words = self.words.scores(words);
        let fragments = self.fragments.scores(&terms::fragments(query.text));
        let both = words.into_iter().zip(fragments);
        let mut parts: Vec<Parts> =
            both.map(|(words, fragments)| Parts { words, fragments, ..Parts::default() }).collect();
        let (Some(vectors), Some(vector)) = (&self.vectors, query.vector) else { return (parts, [0.0; COUNT]) };
        let examples = vectors.examples();
        let cosines = vectors.cosines(vector, 0..examples[COUNT - 1].end);
        let mut nearest = f32::MIN;
        for (entry, parts) in self.entries.iter().zip(&mut parts) {
            let (asked, passages) = cosines[entry.texts.clone()].split_at(entry.asked);
            (parts.asked, nearest) = (mean_of_largest(asked), nearest.max(largest(asked)));
            if let Some((whole, sentences)) = passages.split_last() {
                parts.answered = (largest(sentences) + whole) / 2.0;
            }
        }
        let mut odds = vectors.planes().log_odds(vector);
        for (odds, examples) in odds.iter_mut().zip(examples) {
            // A plane alone does not tell enough.
            *odds = if examples.is_empty() { 0.0 } else { *odds + NEARER * (largest(&cosines[examples]) - nearest) };
        }
        (parts, odds)
    }
}

fn largest(cosines: &[f32]) -> f32 {
    cosines.iter().copied().fold(f32::MIN, f32::max)
}

fn mean_of_largest(cosines: &[f32]) -> f32 {
    let mut largest = [f32::MIN; NEAREST];
    for &cosine in cosines {
        // The smallest of them stands last.
        if cosine > largest[NEAREST - 1] {
            let place = largest.iter().position(|other| cosine > *other).unwrap_or(NEAREST - 1);
            largest[place..].rotate_right(1);
            largest[place] = cosine;
        }
    }
    let count = cosines.len().min(NEAREST);
    largest[..count].iter().sum::<f32>() / count.max(1) as f32
}

/// What is searched of an entry, with weights.
fn fields(entry: &Entry) -> Vec<(f32, &str)> {
    let mut fields = vec![(INSTRUCTION_WEIGHT, entry.instruction.as_str())];
    let others = [&entry.input, &entry.output].into_iter().chain(entry.asked().skip(1)).chain(&entry.keywords);
    fields.extend(others.map(|text| (1.0, text.as_str())));
    fields
}
