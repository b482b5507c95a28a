//! `pipeline vocabulary`: the base's tokenizer, this project's texts and lists of common words -> the list of pieces that
//! `data/model/vocabulary.txt` holds, the most needed first.
//!
//! First what must stay (special pieces, bytes, runs of spaces, characters, all Korean, whatever the curated entries, the
//! program's wording, the garden words and punctuation need), then pieces by how often common words need them, at last the lowest ids
//! of Latin letters, which the base's makers merged first. Whatever a piece is made of comes before it, so every beginning
//! of the list is closed. Does NOT know the weights, nor how many pieces a recipe takes.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};
use tomato_assistant::engine::vocabulary;

use super::{
    artifact::{ArtifactError, at},
    byte_pairs::BytePairs,
    checkpoint::TOKENIZER,
    prune::vocabulary::{BASE, SPECIAL},
    sources::{CLIMATE, ENTRIES, Sources, SourcesError},
};

/// Words growers use and the entries do not.
pub const GARDEN: &str = "data/model/garden-words.txt";
/// What the program says to growers, and to the model.
const WORDING: [&str; 2] = ["src/text/en.rs", "src/prompt.rs"];
/// Characters kept whatever the texts hold: Latin with accents, combining accents, Greek (µ, Δ), punctuation, superscripts,
/// currencies, ℃ and other units, fractions, arrows, mathematics, common shapes, Korean and its punctuation.
const CHARACTERS: [(char, char); 14] = [
    ('\t', '~'),
    ('\u{a0}', '\u{17f}'),
    ('\u{300}', '\u{30c}'),
    ('\u{37e}', '\u{3ce}'),
    ('\u{2010}', '\u{205e}'),
    ('\u{2070}', '\u{209c}'),
    ('\u{20a0}', '\u{20bf}'),
    ('\u{2100}', '\u{218b}'),
    ('\u{2190}', '\u{21d5}'),
    ('\u{2200}', '\u{22ff}'),
    ('\u{2581}', '\u{2581}'),
    ('\u{25a0}', '\u{2605}'),
    ('\u{3000}', '\u{3011}'),
    ('\u{3130}', '\u{318e}'),
];
/// Signs that often stand together, `."` or `--`, have lower ids than this.
const PUNCTUATION: usize = 10_000;
/// How often a word stands in each form: after a space or not (a line break, quote or bracket), in small letters, with a
/// capital, in capitals; shares estimated, not counted.
const FORMS: [(&str, Case, f64); 5] = [
    ("▁", Case::AsIs, 0.83),
    ("▁", Case::Capital, 0.10),
    ("", Case::Capital, 0.04),
    ("", Case::AsIs, 0.02),
    ("▁", Case::Capitals, 0.01),
];
/// Of the garden words those after a space are kept in any case.
const GARDEN_FORMS: usize = 2;

/// How a word is written.
#[derive(Clone, Copy)]
enum Case {
    AsIs,
    Capital,
    Capitals,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum RankingError {
    /// A file of the repository.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// A file cannot be read.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The base's tokenizer is of another kind.
    #[error("the tokenizer cannot be ranked: {0}")]
    Tokenizer(String),
}

/// The pieces chosen so far, in order.
struct Chosen<'a> {
    base: &'a BytePairs,
    order: Vec<u32>,
    known: HashSet<u32>,
}

impl Chosen<'_> {
    /// Adds a piece and, before it, what it is made of. What no text becomes is left out, unless it `always` counts.
    fn add(&mut self, id: u32, always: bool) {
        let path = self.base.path(id);
        if path.is_some() || always {
            for id in path.into_iter().flatten().chain([id]) {
                if self.known.insert(id) {
                    self.order.push(id);
                }
            }
        }
    }
}

/// The text of a list of at most `most` pieces. `checkpoint` is what the import stage left, `words` are files of words, a
/// line each, the most common first.
///
/// # Errors
/// [`RankingError`].
pub fn run(checkpoint: &Path, root: &Path, words: &[PathBuf], most: usize) -> Result<String, RankingError> {
    let path = checkpoint.join(TOKENIZER);
    let file = fs::read(&path).map_err(at(&path))?;
    let base = BytePairs::parse(&file).map_err(RankingError::Tokenizer)?;
    let sources = Sources::find(root)?;
    let mut texts = quoted(&sources.read(CLIMATE)?);
    for name in WORDING {
        let path = root.join(name);
        texts.extend(quoted(&fs::read_to_string(&path).map_err(at(&path))?));
    }
    for entry in sources.knowledge()?.entries() {
        // At the beginning of a line too; all else follows a space, as in a prompt.
        texts.extend([&entry.instruction, &entry.input, &entry.output].map(String::clone));
        let all = [&entry.instruction, &entry.output].into_iter().chain(&entry.paraphrases).chain(&entry.keywords);
        texts.extend(all.map(|text| format!(" {text}")));
    }
    let mut chosen = Chosen { base: &base, order: Vec::new(), known: HashSet::new() };
    keep_always(&mut chosen);

    let mut tokenizer = vocabulary::parse(&*file).map_err(RankingError::Tokenizer)?;
    tokenizer.set_encode_special_tokens(true);
    for text in &texts {
        let encoding =
            tokenizer.encode_fast(&**text, false).map_err(|error| RankingError::Tokenizer(error.to_string()))?;
        encoding.get_ids().iter().for_each(|id| chosen.add(*id, false));
    }
    let garden = read_words(&root.join(GARDEN))?;
    for (form, _) in garden.iter().flat_map(|word| forms(word).take(GARDEN_FORMS)) {
        base.merge(&form).pieces.iter().for_each(|id| chosen.add(*id, false));
    }
    let signs = base.texts.iter().take(PUNCTUATION).filter(|text| text.chars().all(is_sign));
    signs.for_each(|text| chosen.add(base.ids[text], false));
    let needed = chosen.order.len();

    let weights = weights(&base, words)?;
    let mut by_weight: Vec<(u32, f64)> = weights.into_iter().collect();
    // Stable: equal weights stay in the order of ids.
    by_weight.sort_by(|a, b| b.1.total_cmp(&a.1));
    let common = by_weight.len();
    let latin = (0..base.texts.len() as u32).filter(|id| base.texts[*id as usize].chars().all(is_latin));
    for id in by_weight.into_iter().map(|(id, _)| id).chain(latin) {
        if chosen.order.len() >= most {
            break;
        }
        chosen.add(id, false);
    }
    chosen.order.truncate(most);

    let files: Vec<String> =
        words.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
    let mut list = format!(
        "# Pieces of the base model's vocabulary, the most needed first: [prune] vocabulary = N in the recipe keeps the first N.\n\
         # Made by `pipeline vocabulary`; do not edit. First {needed} that special uses, characters, Korean, {ENTRIES},\n\
         # {CLIMATE}, {}, {GARDEN} and punctuation need, then by\n\
         # use in the words of these lists ({common} pieces), then by id: {}\n\
         {BASE}{}\n",
        WORDING.join(", "),
        files.join(" "),
        base.fingerprint()
    );
    for id in &chosen.order {
        let piece = serde_json::to_string(&base.texts[*id as usize]).expect("a string");
        writeln!(list, "{piece}").expect("a string takes any text");
    }
    Ok(list)
}

/// Specials, bytes, runs of line breaks and spaces, characters, Korean.
fn keep_always(chosen: &mut Chosen) {
    let base = chosen.base;
    let bytes = (0..=255u8).map(|byte| format!("<0x{byte:02X}>"));
    let characters = CHARACTERS.into_iter().flat_map(|(first, last)| (first..=last).map(String::from));
    let runs = base.texts.iter().filter(|text| {
        !text.is_empty() && (text.chars().all(|letter| letter == '\n') || text.chars().all(|letter| letter == '▁'))
    });
    let korean = base.texts.iter().filter(|text| text.chars().any(is_hangul));
    let all = SPECIAL.map(String::from).into_iter().chain(bytes).chain(runs.cloned()).chain(characters);
    for id in all.chain(korean.cloned()).filter_map(|piece| base.ids.get(&piece)) {
        chosen.add(*id, true);
    }
}

/// How much each piece is needed by the words of `files`: the most common word has weight 1, the hundredth 1/100 (Zipf).
///
/// A word counts as common when the rarest of its pieces has a low id (frequent pieces were merged first), it has few
/// pieces, and its file is of a low tier: the number that SCOWL's files end in, such as `english-words.35`.
fn weights(base: &BytePairs, files: &[PathBuf]) -> Result<BTreeMap<u32, f64>, RankingError> {
    let (mut ranked, mut known) = (Vec::new(), HashSet::new());
    for file in files {
        let tier = file.extension().and_then(|tier| tier.to_str()?.parse().ok()).unwrap_or(10);
        for word in read_words(file)?.into_iter().filter(|word| known.insert(word.clone())) {
            let pieces = base.merge(&format!("▁{word}")).pieces;
            let rarest = pieces.iter().max().map_or(0, |id| u64::from(*id));
            ranked.push((rarest * (pieces.len() as u64).pow(2) * tier, word));
        }
    }
    ranked.sort();
    let mut weights = BTreeMap::new();
    for (rank, (_, word)) in ranked.iter().enumerate() {
        for (form, share) in forms(word) {
            for id in base.merge(&form).pieces {
                *weights.entry(id).or_insert(0.0) += share / (rank + 1) as f64;
            }
        }
    }
    Ok(weights)
}

/// A word as it stands in text, with the share of each form.
fn forms(word: &str) -> impl Iterator<Item = (String, f64)> {
    FORMS.into_iter().map(move |(before, case, share)| {
        let mut letters = word.chars();
        let word = match (case, letters.next()) {
            (Case::Capital, Some(first)) => first.to_uppercase().chain(letters).collect(),
            (Case::Capitals, _) => word.to_uppercase(),
            _ => word.to_string(),
        };
        (format!("{before}{word}"), share)
    })
}

/// What stands between quotes in a source file, nearly: an escaped quote ends it too.
fn quoted(source: &str) -> Vec<String> {
    source.split('"').skip(1).step_by(2).map(|text| format!(" {text}")).collect()
}

/// One word a line; `#` begins a remark, anything that is no UTF-8 is left out (old lists are in Latin-1).
fn read_words(path: &Path) -> Result<Vec<String>, RankingError> {
    let bytes = fs::read(path).map_err(at(path))?;
    let lines = bytes.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    Ok(lines.filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).map(String::from).collect())
}

fn is_hangul(letter: char) -> bool {
    matches!(letter, '\u{ac00}'..='\u{d7a3}' | '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}')
}

fn is_sign(letter: char) -> bool {
    letter.is_ascii_punctuation() || "▁’“”‘–—…".contains(letter)
}

fn is_latin(letter: char) -> bool {
    matches!(letter, '▁' | ' '..='~' | '\u{a1}'..='\u{ff}')
}
