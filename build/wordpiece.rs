//! A WordPiece `tokenizer.json` cut to the pieces that are needed, and which rows of the token table they have.
//!
//! WordPiece takes the longest piece it has, again and again (Devlin et al. 2018; Schuster and Nakajima 2012). So a text
//! whose pieces are all kept is cut as before, and a word that lost its piece falls into shorter ones, at worst into
//! letters. Does NOT know the weights.

use serde_json::{Map, Value};
use std::collections::BTreeSet;
use tokenizers::Tokenizer;

/// Marks a piece inside a word.
const INSIDE: &str = "##";

/// Why a tokenizer cannot be cut.
#[derive(Debug, thiserror::Error)]
pub enum CutError {
    /// Not what a BERT has.
    #[error("the sentence encoder's tokenizer cannot be used: {0}")]
    Tokenizer(String),
    /// The recipe allows too little.
    #[error(
        "the texts and single characters need {needed} pieces, but the recipe's [encoder] vocabulary is {most}; raise it"
    )]
    TooFew {
        /// Pieces that must stay.
        needed: usize,
        /// As the recipe asks.
        most: usize,
    },
}

/// A smaller tokenizer.
#[derive(Debug)]
pub struct Cut {
    /// Its `tokenizer.json`.
    pub json: Vec<u8>,
    /// Id of each of its pieces in the original.
    pub rows: Vec<usize>,
}

/// The tokenizer in `json`, without padding and truncation.
///
/// # Errors
/// [`CutError::Tokenizer`].
pub fn load(json: &[u8]) -> Result<Tokenizer, CutError> {
    let fail = |error: tokenizers::Error| CutError::Tokenizer(error.to_string());
    let mut tokenizer = Tokenizer::from_bytes(json).map_err(fail)?;
    tokenizer.with_padding(None).with_truncation(None).map_err(fail)?;
    Ok(tokenizer)
}

/// Text of the pieces of `text`.
///
/// # Errors
/// [`CutError::Tokenizer`].
pub fn pieces(tokenizer: &Tokenizer, text: &str) -> Result<Vec<String>, CutError> {
    let encoding = tokenizer.encode(text, true).map_err(|error| CutError::Tokenizer(error.to_string()))?;
    Ok(encoding.get_tokens().to_vec())
}

/// Cuts the tokenizer in `json` to at most `most` pieces: special tokens, what `texts` need, the characters of the
/// languages spoken here, and as many of the rest as there is room for, the most frequent first.
///
/// # Errors
/// [`CutError`].
pub fn cut(json: &[u8], texts: &[String], most: usize) -> Result<Cut, CutError> {
    let fail = |cause: &str| CutError::Tokenizer(cause.into());
    let original = load(json)?;
    let mut file: Value = serde_json::from_slice(json).map_err(|error| CutError::Tokenizer(error.to_string()))?;
    if file["model"]["type"] != "WordPiece" || file["model"]["continuing_subword_prefix"] != INSIDE {
        return Err(fail("it is not WordPiece with \"##\""));
    }
    let names = by_id(&file["model"]["vocab"]).ok_or_else(|| fail("its ids have gaps"))?;

    let mut kept = BTreeSet::new();
    for token in file["added_tokens"].as_array().into_iter().flatten() {
        kept.insert(token["id"].as_u64().ok_or_else(|| fail("an added token has no id"))? as usize);
    }
    for text in texts {
        let encoding =
            original.encode_fast(text.as_str(), true).map_err(|error| CutError::Tokenizer(error.to_string()))?;
        kept.extend(encoding.get_ids().iter().map(|id| *id as usize));
    }
    kept.extend((0..names.len()).filter(|id| single(&names[*id]).is_some_and(spoken)));
    if kept.len() > most {
        return Err(CutError::TooFew { needed: kept.len(), most });
    }
    // BERT's pieces are in order of frequency; before them come places that were never used.
    let useful = |name: &String| single(name).is_none() && !(name.starts_with("[unused") && name.ends_with(']'));
    let rest: Vec<usize> = (0..names.len()).filter(|id| !kept.contains(id) && useful(&names[*id])).collect();
    let room = most - kept.len();
    kept.extend(rest.into_iter().take(room));

    let rows: Vec<usize> = kept.into_iter().collect();
    let new_id = |old: u64| rows.binary_search(&(old as usize)).ok();
    let vocabulary: Map<String, Value> =
        rows.iter().enumerate().map(|(id, old)| (names[*old].clone(), id.into())).collect();
    file["model"]["vocab"] = vocabulary.into();
    for token in file["added_tokens"].as_array_mut().into_iter().flatten() {
        renumber(&mut token["id"], new_id).ok_or_else(|| fail("an added token has an id beyond the vocabulary"))?;
    }
    renumber_template(&mut file["post_processor"], new_id)
        .ok_or_else(|| fail("its post-processor is no template of known tokens"))?;
    file["truncation"] = Value::Null;
    file["padding"] = Value::Null;
    let json = serde_json::to_vec(&file).expect("it was JSON before");
    Ok(Cut { json, rows })
}

/// The whole words among the pieces of the tokenizer in `json`, the most common first.
///
/// # Errors
/// [`CutError::Tokenizer`].
pub fn words(json: &[u8]) -> Result<Vec<String>, CutError> {
    let file: Value = serde_json::from_slice(json).map_err(|error| CutError::Tokenizer(error.to_string()))?;
    let names = by_id(&file["model"]["vocab"]).ok_or_else(|| CutError::Tokenizer("its ids have gaps".into()))?;
    Ok(names.into_iter().filter(|name| name.chars().all(char::is_alphabetic)).collect())
}

/// Pieces in order of their ids; None where an id is missing or there twice.
fn by_id(vocabulary: &Value) -> Option<Vec<String>> {
    let vocabulary = vocabulary.as_object()?;
    let mut names = vec![None; vocabulary.len()];
    for (name, id) in vocabulary {
        *names.get_mut(id.as_u64()? as usize)? = Some(name.clone());
    }
    names.into_iter().collect()
}

fn renumber(id: &mut Value, new_id: impl Fn(u64) -> Option<usize>) -> Option<()> {
    *id = new_id(id.as_u64()?)?.into();
    Some(())
}

/// The `[CLS]` and `[SEP]` that a template puts around a text.
fn renumber_template(processor: &mut Value, new_id: impl Fn(u64) -> Option<usize>) -> Option<()> {
    if processor["type"] != "TemplateProcessing" {
        return None;
    }
    for token in processor["special_tokens"].as_object_mut()?.values_mut() {
        for id in token["ids"].as_array_mut()? {
            renumber(id, &new_id)?;
        }
    }
    Some(())
}

/// The character of a piece that is one character, and whether it stands inside a word.
fn single(piece: &str) -> Option<(char, bool)> {
    let text = piece.strip_prefix(INSIDE).unwrap_or(piece);
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(character), None) => Some((character, text.len() < piece.len())),
        // The piece "##" itself, as a text.
        _ => None,
    }
}

/// Whether a character is kept for words that no text here has: Latin letters, digits, punctuation and Hangul, which the
/// tokenizer takes apart into jamo. Inside a word there is no punctuation: BERT makes a word of each such sign.
fn spoken((character, inside): (char, bool)) -> bool {
    let punctuation = matches!(character, '\u{2010}'..='\u{205e}') || character.is_ascii_punctuation();
    match character {
        _ if punctuation => !inside,
        '\u{0}'..'\u{250}' | '\u{1100}'..'\u{1200}' | '\u{3130}'..'\u{3190}' | '\u{ac00}'..'\u{d7b0}' => true,
        // The other mu, of µmol.
        'μ' => true,
        _ => character.is_numeric(),
    }
}
