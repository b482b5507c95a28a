//! `tokenizer.json` from a GGUF's vocabulary.
//!
//! Turns pieces, scores and types into the file the `tokenizers` library reads, equal in vocabulary, merges and
//! behaviour to the one Google publishes for Gemma 3. Merges are not in a GGUF; they follow from pieces and scores
//! (transformers, convert_slow_tokenizer.py, generate_merges). Does NOT encode text, except to check golden ids.

use super::import::ImportError;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use tomato_assistant::engine::vocabulary;

/// SentencePiece's stand-in for a space.
const SPACE: &str = "▁";
/// Texts with the ids of two outside tokenizers; made by `make.py` beside it.
const GOLDEN: &str = include_str!("../tests/fixtures/tokenizer/golden.jsonl");
/// The vocabulary the golden ids belong to.
const GOLDEN_VOCABULARY: usize = 262_144;
/// Control tokens that llama.cpp's converter marks as ordinary user-defined ones.
const CONTROL_BY_NAME: [&str; 2] = ["<start_of_image>", "<end_of_image>"];

/// What a piece is for: llama.cpp's `llama_token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

/// A SentencePiece vocabulary: one piece an id.
pub struct Vocabulary {
    pieces: Vec<String>,
    scores: Vec<f32>,
    kinds: Vec<Kind>,
}

impl Vocabulary {
    /// Errors when the lists differ in length, a piece is there twice, or `<bos>`, `<unk>` or a byte piece is missing.
    pub fn new(pieces: Vec<String>, scores: Vec<f32>, kinds: Vec<i32>, size: usize) -> Result<Self, ImportError> {
        let wrong = |reason: String| Err(ImportError::Tokenizer(reason));
        if [pieces.len(), scores.len(), kinds.len()] != [size; 3] {
            let (pieces, scores, kinds) = (pieces.len(), scores.len(), kinds.len());
            return wrong(format!("{pieces} pieces, {scores} scores and {kinds} types for {size} embeddings"));
        }
        let kind = |number: i32| match number {
            1 => Ok(Kind::Normal),
            2 => Ok(Kind::Unknown),
            3 => Ok(Kind::Control),
            4 => Ok(Kind::UserDefined),
            5 => Ok(Kind::Unused),
            6 => Ok(Kind::Byte),
            _ => Err(ImportError::Tokenizer(format!("piece type {number}"))),
        };
        let kinds = kinds.into_iter().map(kind).collect::<Result<Vec<_>, _>>()?;
        // The converter wrote user-defined runs of spaces as spaces; the model's own file has the stand-in.
        let restore = |(piece, kind): (String, &Kind)| match kind {
            Kind::UserDefined => piece.replace(' ', SPACE),
            _ => piece,
        };
        let pieces: Vec<String> = pieces.into_iter().zip(&kinds).map(restore).collect();
        let ids: HashMap<&str, usize> = pieces.iter().enumerate().map(|(id, piece)| (piece.as_str(), id)).collect();
        if ids.len() != pieces.len() {
            return wrong("a piece is there twice".into());
        }
        let needed = (0..=255u8).map(|byte| format!("<0x{byte:02X}>")).chain(["<bos>".into(), "<unk>".into()]);
        if let Some(missing) = needed.into_iter().find(|piece| !ids.contains_key(piece.as_str())) {
            return wrong(format!("the piece {missing} is missing"));
        }
        if scores.iter().any(|score| !score.is_finite()) {
            return wrong("a score is not a number".into());
        }
        Ok(Self { pieces, scores, kinds })
    }

    /// Every way to make a piece out of two others, in the order in which text is merged: best score first, then the
    /// longer left and the longer right part (in characters), then the order of ids.
    fn merges(&self) -> Vec<(&str, &str)> {
        let ids: HashMap<&str, usize> =
            self.pieces.iter().enumerate().map(|(id, piece)| (piece.as_str(), id)).collect();
        let mut merges = Vec::new();
        for (id, piece) in self.pieces.iter().enumerate() {
            // Control and user-defined pieces have score 0 in SentencePiece; llama.cpp's converter wrote -1000.
            let score = match self.kinds[id] {
                Kind::Control | Kind::UserDefined | Kind::Unknown => 0.0,
                // The best piece's score may be -0: plus 0 makes it equal to 0 for `total_cmp` too.
                _ => self.scores[id] + 0.0,
            };
            let first = merges.len();
            let length = piece.chars().count();
            for (left_length, (cut, _)) in piece.char_indices().enumerate().skip(1) {
                let (left, right) = piece.split_at(cut);
                if let (Some(&left_id), Some(&right_id)) = (ids.get(left), ids.get(right)) {
                    merges.push((score, left_length, length - left_length, left_id, right_id));
                }
            }
            merges[first..].sort_by_key(|merge| (merge.3, merge.4));
        }
        // Stable, as Python's: equal keys stay in the order of ids.
        merges.sort_by(|a, b| b.0.total_cmp(&a.0).then((b.1, b.2).cmp(&(a.1, a.2))));
        merges.iter().map(|merge| (self.pieces[merge.3].as_str(), self.pieces[merge.4].as_str())).collect()
    }

    /// The file's text.
    ///
    /// Control tokens are "special": a typed `<eos>` stays text for a tokenizer with `set_encode_special_tokens(true)`,
    /// which the file cannot say itself. User-defined ones (`\n\n`, `<table>`) are found in text in any case.
    pub fn to_json(&self) -> Vec<u8> {
        let added = self.pieces.iter().zip(&self.kinds).enumerate().filter_map(|(id, (piece, kind))| {
            let special = match kind {
                Kind::Control | Kind::Unknown => true,
                Kind::UserDefined => CONTROL_BY_NAME.contains(&piece.as_str()),
                Kind::Normal | Kind::Unused | Kind::Byte => return None,
            };
            Some(json!({
                "id": id, "content": piece, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": special,
            }))
        });
        let bos = self.pieces.iter().position(|piece| piece == "<bos>");
        let special = |part: u8| json!({"SpecialToken": {"id": "<bos>", "type_id": part}});
        let text = |name: &str, part: u8| json!({"Sequence": {"id": name, "type_id": part}});
        let space = json!({"String": " "});
        let ids: serde_json::Map<String, Value> =
            self.pieces.iter().enumerate().map(|(id, piece)| (piece.clone(), id.into())).collect();
        let file = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added.collect::<Vec<_>>(),
            "normalizer": {"type": "Replace", "pattern": space, "content": SPACE},
            "pre_tokenizer": {"type": "Split", "pattern": space, "behavior": "MergedWithPrevious", "invert": false},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [special(0), text("A", 0)],
                "pair": [special(0), text("A", 0), special(1), text("B", 1)],
                "special_tokens": {"<bos>": {"id": "<bos>", "ids": [bos], "tokens": ["<bos>"]}},
            },
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ]},
            "model": {
                "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
                "vocab": ids, "merges": self.merges(),
            },
        });
        file.to_string().into_bytes()
    }
}

/// A published `tokenizer.json` made to behave as the one from a GGUF: without the added tokens that a text model has no
/// embedding for (Gemma 3's own names `<image_soft_token>`, the id after the last), and with `<mask>` and `<unusedN>` as
/// the control tokens they are in a GGUF, so that they stay text when typed. Errors when it is not JSON.
pub fn fit(file: &[u8], vocabulary: u32) -> Result<Vec<u8>, ImportError> {
    let mut json: Value = serde_json::from_slice(file).map_err(|error| ImportError::Tokenizer(error.to_string()))?;
    if let Some(added) = json["added_tokens"].as_array_mut() {
        added.retain(|token| token["id"].as_u64().is_none_or(|id| id < u64::from(vocabulary)));
        for token in added {
            let name = token["content"].as_str().unwrap_or_default();
            if name == "<mask>" || name.starts_with("<unused") {
                token["special"] = true.into();
            }
        }
    }
    Ok(json.to_string().into_bytes())
}

/// One line of the golden file: text, ids of the outside tokenizers (with `<bos>`).
#[derive(Deserialize)]
struct Golden(String, Vec<u32>);

/// Loads the file as the appliance does and, for the vocabulary Google publishes, holds it against the golden ids.
/// Errors when it does not load or one text encodes otherwise. Returns how many texts were compared.
pub fn check(file: &[u8], vocabulary: usize) -> Result<usize, ImportError> {
    let mut tokenizer = vocabulary::parse(file).map_err(ImportError::Tokenizer)?;
    tokenizer.set_encode_special_tokens(true);
    if tokenizer.token_to_id("<bos>").is_none() {
        return Err(ImportError::Tokenizer("the piece <bos> is missing".into()));
    }
    if vocabulary != GOLDEN_VOCABULARY {
        return Ok(0);
    }
    for (number, line) in GOLDEN.lines().enumerate() {
        let Golden(text, expected) = serde_json::from_str(line)
            .map_err(|error| ImportError::Tokenizer(format!("golden line {number}: {error}")))?;
        let encoding =
            tokenizer.encode(text.as_str(), true).map_err(|error| ImportError::Tokenizer(error.to_string()))?;
        if encoding.get_ids() != expected {
            let found = encoding.get_ids().to_vec();
            return Err(ImportError::Tokenizer(format!("{text:?} encodes to {found:?}, must be {expected:?}")));
        }
    }
    Ok(GOLDEN.lines().count())
}
