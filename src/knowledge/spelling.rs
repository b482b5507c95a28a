//! Misspelt words of a question -> the words that were meant, so that search, encoder and model know them.
//!
//! Of the known words the one that is common and needs the fewest and likeliest slips of finger or ear. What is known is
//! left alone, and so is what is not English letters. Does NOT know what a question is about.

use super::{Entry, terms};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};
use unicode_segmentation::UnicodeSegmentation;

/// Shortest word that is mended: two letters may stand for anything.
const SHORTEST: usize = 3;

/// How many times a general word of rank r counts as if it stood in the entries: this over (r + [`GENERAL_RANK`]), Zipf's law.
const GENERAL: f32 = 3000.0;
const GENERAL_RANK: f32 = 20.0;

/// General words of a higher rank are known, but nothing becomes one of them.
const COMMONEST: usize = 20_000;

/// How much less likely a slip of cost 1 makes a word, as a natural logarithm. Set, with the costs, on the development questions
/// with typing errors.
const SLIP: f32 = 5.0;

/// A word that growers wrote, but no reviewer, is mended for no more than this: "leavs", but not the name of a virus.
const WRITTEN: f32 = 0.8;

/// A wrong first letter is a rarer slip than others.
const FIRST: f32 = 0.5;

/// Weight of a word above which it may be a part of another: it stands once among the entries, or is a common one.
const COMMON: f32 = 0.4;

/// A forgotten space.
const SPACE: f32 = 0.6;

/// Letters that are taken for each other by ear. Vowels are, too.
const ALIKE: [[u8; 2]; 5] = [*b"ck", *b"cs", *b"sz", *b"fv", *b"gj"];
const VOWELS: &[u8] = b"aeiouy";

/// The rows of a keyboard; each begins half a key to the right of the one above.
const KEYS: [&[u8]; 3] = [b"qwertyuiop", b"asdfghjkl", b"zxcvbnm"];

/// The words that are known.
pub struct Spelling {
    /// With their weights.
    known: HashMap<String, f32>,
    /// Words that may be names or misspelt.
    written: HashSet<String>,
    /// What a misspelt word may become.
    words: Vec<Known>,
    /// Logarithm of how often words stand in the entries and the general list together.
    total: f32,
}

/// A word of English letters.
struct Known {
    word: Box<[u8]>,
    /// Which letters it has, a bit each.
    letters: u32,
    /// Logarithm of how often it stands there.
    weight: f32,
}

impl Spelling {
    /// Knows the words of `entries` and the `general` ones, the most common first. Paraphrases, questions and keywords are
    /// misspelt on purpose here and there: nothing becomes one of their words.
    pub fn new<'a>(entries: &[Entry], general: impl Iterator<Item = &'a str>) -> Self {
        let (mut known, mut written) = (HashMap::<String, f32>::new(), HashSet::new());
        for entry in entries {
            let texts = [&entry.instruction, &entry.input, &entry.output];
            for text in texts {
                for word in lower(text).unicode_words() {
                    match known.get_mut(word) {
                        Some(count) => *count += 1.0,
                        None => drop(known.insert(word.into(), 1.0)),
                    }
                }
            }
            for text in entry.keywords.iter().chain(entry.asked().skip(1)) {
                for word in lower(text).unicode_words() {
                    if !written.contains(word) {
                        written.insert(word.into());
                    }
                }
            }
        }
        let mut rare = HashSet::new();
        for (rank, word) in general.enumerate() {
            let count = known.entry(word.into()).or_default();
            if rank >= COMMONEST && *count == 0.0 {
                rare.insert(word);
            }
            *count += GENERAL / (rank as f32 + GENERAL_RANK);
        }
        let total = known.values().sum::<f32>().max(1.0).ln();
        known.values_mut().for_each(|count| *count = (*count + 0.5).ln());
        let english = known.iter().filter(|(word, _)| is_english(word) && !rare.contains(word.as_str()));
        let mut words: Vec<Known> = english
            .map(|(word, &weight)| Known { word: word.as_bytes().into(), letters: letters(word.as_bytes()), weight })
            .collect();
        // So that equally good ones are always chosen alike.
        words.sort_by(|a, b| a.word.cmp(&b.word));
        Self { known, written, words, total }
    }

    /// `text` with its misspelt words mended. Words in capitals among others are names and stay.
    pub fn mend<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let shouted = !text.chars().any(char::is_lowercase);
        let (mut mended, mut copied) = (String::new(), 0);
        for (start, word) in text.unicode_word_indices() {
            if word.chars().count() < SHORTEST || !shouted && !word.chars().any(char::is_lowercase) {
                continue;
            }
            if let Some(meant) = self.meant(&lower(word)) {
                mended.push_str(&text[copied..start]);
                mended.push_str(&meant);
                copied = start + word.len();
            }
        }
        match copied {
            0 => Cow::Borrowed(text),
            _ => Cow::Owned(mended + &text[copied..]),
        }
    }

    /// Whether `word` is a known one with an ending: "spiders", "dusting", "clipped", "crusty".
    fn is_form(&self, word: &str) -> bool {
        let known = |base: &str| self.known.contains_key(base);
        let plain = ["s", "es", "less"].iter().any(|ending| word.strip_suffix(ending).is_some_and(known));
        let of_verb = |base: &str| {
            let double = base.bytes().rev().nth(1) == base.bytes().last();
            known(base) || known(&format!("{base}e")) || double && base.get(..base.len() - 1).is_some_and(known)
        };
        let of_long = |base: &str| base.len() > SHORTEST && of_verb(base);
        plain
            || ["ed", "ing"].iter().any(|ending| word.strip_suffix(ending).is_some_and(of_verb))
            || ["y", "ly", "er", "est"].iter().any(|ending| word.strip_suffix(ending).is_some_and(of_long))
    }

    /// Whether `word` is two known ones, neither of them rare: "daybreak".
    fn is_compound(&self, word: &str) -> bool {
        let common = |part: &str| {
            let weight = self.known.get(part).filter(|_| part.len() >= SHORTEST && !terms::says_nothing(part));
            weight.is_some_and(|weight| *weight > COMMON)
        };
        let parts = (1..word.len()).filter_map(|at| word.split_at_checked(at));
        parts.into_iter().any(|(left, right)| common(left) && common(right))
    }

    /// What is most likely meant by `word`; None when it is known, or nothing known is near.
    fn meant(&self, word: &str) -> Option<String> {
        if !is_english(word) || self.known.contains_key(word) || self.is_form(word) || self.is_compound(word) {
            return None;
        }
        let typed = word.as_bytes();
        let (most, own) = (most_slips(typed.len()), letters(typed));
        let near = self.words.iter().filter(|known| {
            known.word.len().abs_diff(typed.len()) <= 2 && (known.letters ^ own).count_ones() <= 2 * most.ceil() as u32
        });
        let weighed = near.filter_map(|known| {
            let first = if known.word[0] == typed[0] { 0.0 } else { FIRST };
            let slips = slips(typed, &known.word, most - first)? + first;
            Some((known.weight - SLIP * slips, slips, String::from_utf8_lossy(&known.word).into_owned()))
        });
        let apart = (1..word.len()).filter_map(|at| {
            let (left, right) = word.split_at_checked(at)?;
            // Two words that say something are as good in one.
            if !terms::says_nothing(left) && !terms::says_nothing(right) {
                return None;
            }
            // Nor may it become a rare word: "confidor" is no "confid or".
            let weight = |part: &str| {
                let place = self.words.binary_search_by(|known| (*known.word).cmp(part.as_bytes())).ok()?;
                (part.len() >= SHORTEST || terms::says_nothing(part)).then_some(self.words[place].weight)
            };
            Some((weight(left)? + weight(right)? - self.total - SLIP * SPACE, SPACE, format!("{left} {right}")))
        });
        let (_, slips, meant) = weighed.chain(apart).max_by(|a, b| a.0.total_cmp(&b.0))?;
        (slips <= WRITTEN || !self.written.contains(word)).then_some(meant)
    }
}

/// Lower case, with the typewriter's apostrophe.
fn lower(word: &str) -> String {
    word.to_lowercase().replace('’', "'")
}

/// An apostrophe shows that somebody knew what they typed.
fn is_english(word: &str) -> bool {
    word.bytes().all(|letter| letter.is_ascii_lowercase())
}

/// A bit for each letter that `word` has.
fn letters(word: &[u8]) -> u32 {
    word.iter().fold(0, |letters, letter| letters | 1 << (letter % 32))
}

/// Cost of the slips that a word of this length may have.
fn most_slips(length: usize) -> f32 {
    match length {
        0..=4 => 1.0,
        5..=7 => 1.5,
        _ => 2.2,
    }
}

/// The cost of the slips that make `meant` into `typed`: letters dropped, added, changed, or two side by side swapped (optimal
/// string alignment). None above `most`.
fn slips(typed: &[u8], meant: &[u8], most: f32) -> Option<f32> {
    let mut before: Vec<f32> = Vec::new();
    let mut above = vec![0.0; meant.len() + 1];
    for column in 0..meant.len() {
        above[column + 1] = above[column] + extra(meant, column);
    }
    for (row, &letter) in typed.iter().enumerate() {
        let mut costs = Vec::with_capacity(meant.len() + 1);
        costs.push(above[0] + extra(typed, row));
        for (column, &wanted) in meant.iter().enumerate() {
            let changed = above[column] + changed(letter, wanted);
            let mut cost = changed.min(above[column + 1] + extra(typed, row)).min(costs[column] + extra(meant, column));
            if row > 0 && column > 0 && letter != wanted && typed[row - 1] == wanted && letter == meant[column - 1] {
                cost = cost.min(before[column - 1] + 0.6);
            }
            costs.push(cost);
        }
        if costs.iter().all(|&cost| cost > most) {
            return None;
        }
        before = std::mem::replace(&mut above, costs);
    }
    above.last().copied().filter(|&cost| cost <= most)
}

/// What it costs that the letter at `place` of `word` is too much, or was left out.
fn extra(word: &[u8], place: usize) -> f32 {
    let letter = word[place];
    let doubled = place > 0 && word[place - 1] == letter || word.get(place + 1) == Some(&letter);
    match letter {
        _ if doubled => 0.5,
        b'a' | b'e' | b'i' | b'o' | b'u' | b'h' => 0.8,
        _ => 1.0,
    }
}

/// What it costs that `typed` stands for `meant`.
fn changed(typed: u8, meant: u8) -> f32 {
    let vowels = VOWELS.contains(&typed) && VOWELS.contains(&meant);
    match () {
        () if typed == meant => 0.0,
        () if vowels || ALIKE.contains(&[typed.min(meant), typed.max(meant)]) => 0.7,
        () if neighbours(typed, meant) => 0.8,
        () => 1.1,
    }
}

/// Whether two keys lie side by side.
fn neighbours(one: u8, other: u8) -> bool {
    let place = |key: u8| {
        let row = KEYS.iter().position(|row| row.contains(&key))?;
        let column = KEYS[row].iter().position(|&at| at == key)?;
        Some((row, 2 * column + row))
    };
    match (place(one), place(other)) {
        (Some(one), Some(other)) => one.0.abs_diff(other.0) <= 1 && one.1.abs_diff(other.1) <= 2,
        _ => false,
    }
}
