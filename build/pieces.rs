//! `tokenizer.json` -> the list of pieces that a GGUF file carries: text, score and type of each.
//!
//! Hugging Face keeps byte-pair merges in order of rank, llama.cpp scores: it joins the two neighbours whose joined piece
//! scores highest. So a piece's score is minus the rank of the first merge that makes it, and both cut text alike.
//! Does NOT know the model; token types are those of llama.cpp's `llama_token_type`.

use candle_core::quantized::gguf_file::Value;
use serde::Deserialize;
use std::{collections::HashMap, fs, path::Path};
use tomato_assistant::engine::vocabulary::Merge;

use super::{checkpoint::TOKENIZER, import::ImportError};

const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;
/// As in the files that llama.cpp's converter writes. Such pieces are cut out before merging, their score is not used.
const SPECIAL_SCORE: f32 = -1000.0;

/// What is read of a `tokenizer.json`; the rest describes steps that llama.cpp has built in.
#[derive(Deserialize)]
struct TokenizerFile {
    added_tokens: Vec<Added>,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: usize,
    content: String,
    special: bool,
}

#[derive(Deserialize)]
struct Model {
    unk_token: Option<String>,
    vocab: HashMap<String, usize>,
    merges: Vec<Merge>,
}

/// A tokenizer as GGUF metadata.
#[derive(Debug)]
pub struct Pieces {
    /// Text of each id.
    pub texts: Vec<String>,
    /// Score of each id: higher is merged earlier.
    pub scores: Vec<f32>,
    /// `llama_token_type` of each id.
    pub types: Vec<i32>,
    /// Id for what cannot be encoded.
    pub unknown: Option<u32>,
}

impl Pieces {
    /// The pieces of the tokenizer in `folder`, one for each of the `rows` rows of the token table. Added tokens beyond
    /// the table (`<image_soft_token>` in Gemma 3's own file) are left out.
    ///
    /// # Errors
    /// [`ImportError`]: not a byte-pair tokenizer, or it has more pieces than the table has rows.
    pub fn read(folder: &Path, rows: usize) -> Result<Pieces, ImportError> {
        let path = folder.join(TOKENIZER);
        let bytes = fs::read(&path).map_err(|error| ImportError::io(&path, error))?;
        let file =
            serde_json::from_slice(&bytes).map_err(|error| ImportError::Damaged { path, reason: error.to_string() })?;
        Pieces::new(file, rows).map_err(ImportError::Tokenizer)
    }

    fn new(file: TokenizerFile, rows: usize) -> Result<Pieces, String> {
        let mut ranks: HashMap<String, usize> = HashMap::with_capacity(file.model.merges.len());
        for (rank, merge) in file.model.merges.iter().enumerate() {
            let Merge(left, right) = merge;
            ranks.entry([left.as_str(), right].concat()).or_insert(rank);
        }
        // A row without a piece, and a piece that no merge makes, come last.
        let last = -(file.model.merges.len() as f32);
        let mut pieces = Pieces {
            texts: (0..rows).map(|row| format!("[PAD{row}]")).collect(),
            scores: vec![last; rows],
            types: vec![UNUSED; rows],
            unknown: file.model.unk_token.and_then(|text| file.model.vocab.get(&text)).map(|id| *id as u32),
        };
        for (text, id) in file.model.vocab {
            if id >= rows {
                return Err(format!("piece {text:?} has id {id}, the token table has {rows} rows only"));
            }
            (pieces.scores[id], pieces.types[id]) = match ranks.get(&text) {
                _ if is_byte(&text) => (0.0, BYTE),
                Some(rank) => (-(*rank as f32), NORMAL),
                None => (last, NORMAL),
            };
            pieces.texts[id] = text;
        }
        for added in file.added_tokens.into_iter().filter(|added| added.id < rows) {
            let control = added.special || looks_special(&added.content);
            pieces.types[added.id] = if control { CONTROL } else { USER_DEFINED };
            pieces.scores[added.id] = SPECIAL_SCORE;
            // llama.cpp finds these in the raw text, where a space is still a space.
            pieces.texts[added.id] = if control { added.content } else { added.content.replace('▁', " ") };
        }
        Ok(pieces)
    }

    /// The metadata entries `tokenizer.ggml.*` of the lists.
    pub fn metadata(self) -> Vec<(String, Value)> {
        let list = |name: &str, values: Vec<Value>| (format!("tokenizer.ggml.{name}"), Value::Array(values));
        let mut entries = vec![
            list("tokens", self.texts.into_iter().map(Value::String).collect()),
            list("scores", self.scores.into_iter().map(Value::F32).collect()),
            list("token_type", self.types.into_iter().map(Value::I32).collect()),
        ];
        entries.extend(self.unknown.map(|id| ("tokenizer.ggml.unknown_token_id".to_string(), Value::U32(id))));
        entries
    }
}

/// `<0x00>` … `<0xFF>`: pieces for the bytes of what has no piece of its own.
fn is_byte(text: &str) -> bool {
    let digits = text.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
}

/// Gemma's file calls these ordinary; llama.cpp's converter does not, lest a question smuggles them in.
pub fn looks_special(text: &str) -> bool {
    text == "<mask>" || (text.starts_with("<unused") && text.ends_with('>'))
}
