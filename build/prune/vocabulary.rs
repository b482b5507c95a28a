//! The vocabulary group of pruning: a list of pieces and a tokenizer -> a smaller tokenizer, and which rows it keeps.
//!
//! Kept pieces stay in their order, so the smaller tokenizer's ids are their ranks. Merges stay whose two parts and
//! result are kept. A text all of whose pieces are kept is cut as before: every join that it needs is there, and no
//! other comes before it. What lost its piece falls into smaller ones, at worst into bytes, so any UTF-8 text still
//! encodes. Does NOT know how the list was chosen, nor the weights.

use serde_json::{Map, Value};
use std::collections::HashSet;
use tomato_assistant::engine::vocabulary;

use super::super::byte_pairs::{BytePairs, pair};

/// Pieces that the base's special tokens, prompts and stop rules need, where the base has them.
pub const SPECIAL: [&str; 6] = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"];
/// What the line that names the base begins with.
pub const BASE: &str = "# base: ";
/// Encoded before and after, to see that nothing is lost: scripts, joined emoji, marks, control and private characters.
const TORTURE: [&str; 8] = [
    "토마토 25℃ café ½ 日本語 🙂",
    "  two  spaces\n\n\n\tand a tab\r\n",
    "Ελληνικά русский עברית العربية हिन्दी ไทย ꦗꦮ 𒀀𓂀 ᚠᛇᚻ",
    "👩🏽‍🌾🍅🏳️‍🌈 e\u{301}\u{323} \u{200b}\u{202e}\u{feff}",
    "\u{0}\u{1}\u{7f}\u{80}\u{ad}\u{e000}\u{fffd}\u{10ffff}",
    "<bos><unused7><table></b> <0x41> [PAD9] <start_of_turn>user",
    "뷁힣ㄱㅏᄀ한 tomato토마토TOMATO 1234567890.5 µmol/m²/s −3–5 °C ≥ 80 %",
    "Donaudampfschifffahrtsgesellschaftskapitän pneumonoultramicroscopicsilicovolcanoconiosis",
];

/// Why a vocabulary cannot be cut.
#[derive(Debug, thiserror::Error)]
pub enum VocabularyError {
    /// A line is wrong.
    #[error("vocabulary list, line {line}: {reason}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The list was made for another model.
    #[error(
        "the vocabulary list is for another base model (its pieces have hash {listed:.12}, the base's {found:.12}); \
         remove `vocabulary` from the recipe's [prune], or make a list with `pipeline vocabulary`"
    )]
    OtherBase {
        /// In the list.
        listed: String,
        /// Of the base.
        found: String,
    },
    /// The recipe asks for more rows than the list has lines.
    #[error("the recipe's [prune] vocabulary is {asked}, but the vocabulary list holds {listed} pieces; lower it")]
    TooFew {
        /// By the recipe.
        asked: usize,
        /// Pieces in the list.
        listed: usize,
    },
    /// A piece that every text or prompt may need.
    #[error(
        "the first {rows} pieces of the vocabulary list lack {piece}, which must be kept; raise [prune] vocabulary"
    )]
    Needed {
        /// As the recipe asks.
        rows: usize,
        /// The piece.
        piece: String,
    },
    /// A piece that could never be made.
    #[error(
        "the first {rows} pieces of the vocabulary list hold {piece:?} but not {missing:?}, out of which it is made; make \
         the list again with `pipeline vocabulary`"
    )]
    Open {
        /// As the recipe asks.
        rows: usize,
        /// The piece.
        piece: String,
        /// What is missing.
        missing: String,
    },
    /// The base's tokenizer, or the cut one.
    #[error("the tokenizer cannot be cut: {0}")]
    Tokenizer(String),
    /// The cut tokenizer does not do what it must.
    #[error("the cut tokenizer is wrong: {text:?} {fault}")]
    Wrong {
        /// The text.
        text: String,
        /// What it does with it.
        fault: String,
    },
}

/// The list: pieces, the most needed first.
#[derive(Debug)]
pub struct List {
    base: String,
    /// Piece and its line.
    pieces: Vec<(String, usize)>,
}

impl List {
    /// Reads the list: lines beginning with `#` are remarks, one of them names the base; each other line is a piece as a
    /// JSON string.
    ///
    /// # Errors
    /// [`VocabularyError::Line`]: no such line, a piece twice, or no base named.
    pub fn parse(text: &str) -> Result<Self, VocabularyError> {
        let (mut base, mut pieces, mut known) = (None, Vec::new(), HashSet::new());
        for (number, line) in text.lines().enumerate() {
            let wrong = |reason| VocabularyError::Line { line: number + 1, reason };
            if line.starts_with('#') {
                base = base.or(line.strip_prefix(BASE));
                continue;
            }
            let piece: String =
                serde_json::from_str(line).map_err(|_| wrong(format!("{line:?} is no piece in quotes")))?;
            if !known.insert(piece.clone()) {
                return Err(wrong(format!("{piece:?} is there twice")));
            }
            pieces.push((piece, number + 1));
        }
        let base = base.ok_or_else(|| VocabularyError::Line { line: 1, reason: format!("no line {BASE:?}") })?;
        Ok(Self { base: base.trim().into(), pieces })
    }

    /// The ids of the first `rows` pieces in `base`, in order of ids.
    fn ids(&self, base: &BytePairs, rows: usize) -> Result<Vec<u32>, VocabularyError> {
        let found = base.fingerprint();
        if found != self.base {
            return Err(VocabularyError::OtherBase { listed: self.base.clone(), found });
        }
        let chosen =
            self.pieces.get(..rows).ok_or(VocabularyError::TooFew { asked: rows, listed: self.pieces.len() })?;
        let id = |(piece, line): &(String, usize)| {
            base.ids.get(piece).copied().ok_or_else(|| VocabularyError::Line {
                line: *line,
                reason: format!("{piece:?} is no piece of the base's vocabulary"),
            })
        };
        let mut ids = chosen.iter().map(id).collect::<Result<Vec<_>, _>>()?;
        ids.sort_unstable();
        Ok(ids)
    }
}

/// A smaller tokenizer.
#[derive(Debug)]
pub struct Cut {
    /// Its `tokenizer.json`.
    pub json: Vec<u8>,
    /// Id of each of its pieces in the original, ascending.
    pub rows: Vec<u32>,
}

impl Cut {
    /// What the original's piece `id` is called now.
    pub fn id(&self, id: u32) -> Option<u32> {
        self.rows.binary_search(&id).ok().map(|row| row as u32)
    }
}

/// Cuts the tokenizer in `file` to the first `rows` pieces of `list`.
///
/// # Errors
/// [`VocabularyError`].
pub fn cut(file: &[u8], list: &List, rows: usize) -> Result<Cut, VocabularyError> {
    let mut base = BytePairs::parse(file).map_err(VocabularyError::Tokenizer)?;
    let kept = list.ids(&base, rows)?;
    check_needed(&base, &kept)?;
    let mut json = base.json.take();
    let mut cut = Cut { json: Vec::new(), rows: kept };
    let new = |id: &Value| id.as_u64().and_then(|id| cut.id(id as u32));

    let vocabulary: Map<String, Value> =
        cut.rows.iter().enumerate().map(|(row, &id)| (base.texts[id as usize].clone(), row.into())).collect();
    if let Some(merges) = json["model"]["merges"].as_array() {
        let is_kept = |piece: &str| vocabulary.contains_key(piece);
        let kept = merges
            .iter()
            .filter_map(pair)
            .filter(|(left, right)| is_kept(left) && is_kept(right) && is_kept(&[*left, *right].concat()));
        // As one text each, which is shorter than a pair: Gemma's pieces hold no space.
        let lines: Vec<Value> = kept.map(|(left, right)| format!("{left} {right}").into()).collect();
        json["model"]["merges"] = lines.into();
    }
    json["model"]["vocab"] = vocabulary.into();
    if let Some(added) = json["added_tokens"].as_array_mut() {
        added.retain_mut(|token| match new(&token["id"]) {
            Some(id) => {
                token["id"] = id.into();
                true
            }
            None => false,
        });
    }
    let templates = json["post_processor"]["special_tokens"].as_object_mut();
    for id in templates.into_iter().flat_map(Map::values_mut).filter_map(|token| token["ids"].as_array_mut()).flatten()
    {
        let missing = || VocabularyError::Tokenizer(format!("its texts begin with {id}, which is not kept"));
        *id = new(id).ok_or_else(missing)?.into();
    }
    cut.json = json.to_string().into_bytes();
    Ok(cut)
}

/// Specials and bytes are kept, and whatever a kept piece is made of.
fn check_needed(base: &BytePairs, kept: &[u32]) -> Result<(), VocabularyError> {
    let rows = kept.len();
    let has = |id: &u32| kept.binary_search(id).is_ok();
    let bytes = (0..=255u8).map(|byte| format!("<0x{byte:02X}>"));
    for piece in SPECIAL.map(String::from).into_iter().chain(bytes) {
        if base.ids.get(&piece).is_some_and(|id| !has(id)) {
            return Err(VocabularyError::Needed { rows, piece });
        }
    }
    for &id in kept {
        if let Some(missing) = base.path(id).and_then(|path| path.into_iter().find(|id| !has(id))) {
            let text = |id: u32| base.texts[id as usize].clone();
            return Err(VocabularyError::Open { rows, piece: text(id), missing: text(missing) });
        }
    }
    Ok(())
}

/// Loads both tokenizers as the appliance does and encodes `texts` and some torture with each: the cut one gives the
/// text back as the original does, and the original's ids wherever it has all of them. How many of `texts` had all.
///
/// # Errors
/// [`VocabularyError::Wrong`], or a tokenizer does not load.
pub fn prove(original: &[u8], cut: &Cut, texts: &[&str]) -> Result<usize, VocabularyError> {
    let load = |file: &[u8]| {
        let mut tokenizer = vocabulary::parse(file).map_err(VocabularyError::Tokenizer)?;
        tokenizer.set_encode_special_tokens(true);
        Ok::<_, VocabularyError>(tokenizer)
    };
    let (before, after) = (load(original)?, load(&cut.json)?);
    let failed = |error: tokenizers::Error| VocabularyError::Tokenizer(error.to_string());
    let mut same = 0;
    for (number, &text) in texts.iter().chain(&TORTURE).enumerate() {
        let wrong = |fault: String| VocabularyError::Wrong { text: text.chars().take(200).collect(), fault };
        let old = before.encode_fast(text, true).map_err(failed)?;
        let new = after.encode_fast(text, true).map_err(failed)?;
        let (was, is) =
            (before.decode(old.get_ids(), true).map_err(failed)?, after.decode(new.get_ids(), true).map_err(failed)?);
        if was != is {
            return Err(wrong(format!("decodes to {is:?}, before to {was:?}")));
        }
        let expected: Option<Vec<u32>> = old.get_ids().iter().map(|id| cut.id(*id)).collect();
        if let Some(expected) = expected {
            if expected != new.get_ids() {
                return Err(wrong(format!("encodes to {:?}, must be {expected:?}", new.get_ids())));
            }
            same += usize::from(number < texts.len());
        }
    }
    Ok(same)
}

/// Changes ids in a config: `name` is for the message.
///
/// # Errors
/// [`VocabularyError::Needed`]: it is not kept.
pub fn renamed(cut: &Cut, name: &str, id: u32) -> Result<u32, VocabularyError> {
    cut.id(id).ok_or_else(|| VocabularyError::Needed { rows: cut.rows.len(), piece: format!("{name} {id}") })
}
