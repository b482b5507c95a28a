//! How alike two texts are: answers by the weight of the words they share, questions by their words.
//!
//! Turns texts into pairs with a likeness of 0 to 1, highest first. Does NOT know what words mean: two questions for the
//! same thing in other words are not found here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use tomato_assistant::knowledge::Entry;

/// Cosine from which two entries count as one. Measured on this data: the closest pair of different entries has 0.46;
/// an entry with a third of its sentences replaced by another's and its question reworded has 0.62 to 0.74 (quartiles).
pub const SAME_ENTRY: f64 = 0.55;
/// Share of common words (Jaccard) from which a question counts as known.
pub const SAME_QUESTION: f64 = 0.8;
/// A wording of this many words in a row counts as known wherever it stands; shorter ones ("what should I do") are
/// found in anything.
const SHORTEST_WORDING: usize = 5;

/// Two texts and how alike they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// 0 nothing in common, 1 the same.
    pub likeness: f64,
    /// Whose text the first is, and the text.
    pub one: String,
    /// The second.
    pub other: String,
}

/// Lower case, without apostrophes and all other signs: "Don't spray!" -> `dont`, `spray`.
pub fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace(['\'', '’'], "");
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The same, each word once and sorted.
pub fn word_set(text: &str) -> BTreeSet<String> {
    words(text).into_iter().collect()
}

/// Numbers of words with their weights, by number.
type Weighted = Vec<(u32, f64)>;

/// Sum over the words in both of the products of their weights; with weights of 1, the number of such words.
fn overlap(one: &[(u32, f64)], other: &[(u32, f64)]) -> f64 {
    let (mut a, mut b, mut sum) = (0, 0, 0.0);
    while let (Some(x), Some(y)) = (one.get(a), other.get(b)) {
        if x.0 == y.0 {
            sum += x.1 * y.1;
        }
        a += usize::from(x.0 <= y.0);
        b += usize::from(y.0 <= x.0);
    }
    sum
}

/// Gives each word a number, so that texts are quickly compared.
#[derive(Default)]
pub struct Vocabulary(HashMap<String, u32>);

impl Vocabulary {
    /// The numbers of `words` and how often each is among them.
    fn counted(&mut self, words: &[String]) -> Weighted {
        let mut counts = BTreeMap::new();
        for word in words {
            let next = self.0.len() as u32;
            *counts.entry(*self.0.entry(word.clone()).or_insert(next)).or_insert(0.0) += 1.0;
        }
        counts.into_iter().collect()
    }

    /// `text`, ready for comparison with others from this vocabulary.
    pub fn asked<'a>(&mut self, owner: &'a str, text: &'a str) -> Asked<'a> {
        let words = words(text);
        let mut set = self.counted(&words);
        set.iter_mut().for_each(|(_, count)| *count = 1.0);
        Asked { owner, text, words, set }
    }

    /// All questions and paraphrases of `entries`.
    pub fn known<'a>(&mut self, entries: &'a [Entry]) -> Vec<Asked<'a>> {
        let all = entries.iter().flat_map(|entry| {
            [&entry.instruction].into_iter().chain(&entry.paraphrases).map(move |text| (entry.id.as_str(), text))
        });
        all.map(|(id, text)| self.asked(id, text)).collect()
    }
}

/// Pairs of entries, closest first, as many as there are entries: cosine of question and answer with TF-IDF weights.
pub fn closest_entries(entries: &[Entry]) -> Vec<Pair> {
    let mut vocabulary = Vocabulary::default();
    let mut vectors: Vec<Weighted> = entries
        .iter()
        .map(|entry| vocabulary.counted(&words(&format!("{} {}", entry.instruction, entry.output))))
        .collect();
    let mut holders = vec![0.0; vocabulary.0.len()];
    vectors.iter().flatten().for_each(|(word, _)| holders[*word as usize] += 1.0);
    for vector in &mut vectors {
        for (word, weight) in vector.iter_mut() {
            // One more entry than there is, or words that all share would weigh nothing and twins have no angle.
            *weight = (1.0 + weight.ln()) * ((1.0 + entries.len() as f64) / holders[*word as usize]).ln();
        }
        let length = overlap(vector, vector).sqrt();
        vector.iter_mut().for_each(|(_, weight)| *weight /= length);
    }
    let pairs = (0..entries.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
    let pairs = pairs.map(|(a, b)| (overlap(&vectors[a], &vectors[b]), a, b)).collect();
    best(pairs, entries.len(), |a, b| (entries[a].id.clone(), entries[b].id.clone()))
}

/// A question and whose it is.
pub struct Asked<'a> {
    /// Id of the entry or of the question.
    pub owner: &'a str,
    /// The question.
    pub text: &'a str,
    words: Vec<String>,
    /// Each word once, with weight 1.
    set: Weighted,
}

impl Asked<'_> {
    /// Words in common out of all words of both.
    pub fn jaccard(&self, other: &Self) -> f64 {
        let (small, large) = if self.set.len() < other.set.len() { (self, other) } else { (other, self) };
        // Too different in length to be alike: saves most of the work among thousands of questions.
        if small.set.len() * 3 < large.set.len() {
            return 0.0;
        }
        let common = overlap(&small.set, &large.set);
        common / ((small.set.len() + large.set.len()) as f64 - common).max(1.0)
    }

    /// Whether one stands word for word in the other.
    pub fn contains_or_is_in(&self, other: &Self) -> bool {
        let (short, long) = if self.words.len() < other.words.len() { (self, other) } else { (other, self) };
        short.words.len() >= SHORTEST_WORDING
            && long.words.windows(short.words.len()).any(|window| window == short.words)
    }

    /// Whether both ask the same in nearly the same words.
    pub fn is_known(&self, other: &Self) -> bool {
        self.jaccard(other) >= SAME_QUESTION || self.contains_or_is_in(other)
    }

    /// How it stands in a report.
    fn label(&self) -> String {
        format!("{} {:?}", self.owner, self.text)
    }
}

/// Likeness below which a pair is of no interest, even as the closest of all; keeps millions of pairs out of memory.
const STRANGERS: f64 = 0.3;

/// The `most` closest pairs within `asked` that belong to different owners.
pub fn closest_within(asked: &[Asked], most: usize) -> Vec<Pair> {
    let pairs = (0..asked.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
    let pairs = pairs.filter(|&(a, b)| asked[a].owner != asked[b].owner);
    let pairs = pairs.map(|(a, b)| (asked[a].jaccard(&asked[b]), a, b)).filter(|pair| pair.0 > STRANGERS).collect();
    best(pairs, most, |a, b| (asked[a].label(), asked[b].label()))
}

/// The `most` closest pairs of one of `some` and one of `others`.
pub fn closest_between(some: &[Asked], others: &[Asked], most: usize) -> Vec<Pair> {
    let pairs = (0..some.len()).flat_map(|a| (0..others.len()).map(move |b| (a, b)));
    let pairs = pairs.map(|(a, b)| (some[a].jaccard(&others[b]), a, b)).filter(|pair| pair.0 > STRANGERS).collect();
    best(pairs, most, |a, b| (some[a].label(), others[b].label()))
}

/// The `most` highest of `pairs`, named by `labels`; equals in the order of the texts.
fn best(
    mut pairs: Vec<(f64, usize, usize)>,
    most: usize,
    labels: impl Fn(usize, usize) -> (String, String),
) -> Vec<Pair> {
    pairs.sort_by(|x, y| y.0.total_cmp(&x.0).then((x.1, x.2).cmp(&(y.1, y.2))));
    let named = pairs.into_iter().take(most).map(|(likeness, a, b)| (likeness, labels(a, b)));
    named.map(|(likeness, (one, other))| Pair { likeness, one, other }).collect()
}

/// No two entries are nearly the same; `pairs` as from [`closest_entries`].
pub fn near_duplicates(pairs: &[Pair]) -> Vec<String> {
    let same = pairs.iter().take_while(|pair| pair.likeness >= SAME_ENTRY);
    same.map(|Pair { likeness, one, other }| {
        format!("{one} and {other} are nearly the same entry: cosine {likeness:.2}, must be below {SAME_ENTRY}")
    })
    .collect()
}

/// No question or paraphrase has the same words as one of another entry: retrieval could not tell them apart.
pub fn shared_paraphrases(entries: &[Entry]) -> Vec<String> {
    let mut first: HashMap<BTreeSet<String>, &str> = HashMap::new();
    let mut complaints = Vec::new();
    for entry in entries {
        for text in [&entry.instruction].into_iter().chain(&entry.paraphrases) {
            let owner = *first.entry(word_set(text)).or_insert(&entry.id);
            if owner != entry.id {
                complaints.push(format!("{owner} and {}: the same words, {text:?}", entry.id));
            }
        }
    }
    complaints
}
