//! `tokenizer.json` to a tokenizer, without the detour that the `tokenizers` library takes.
//!
//! The library reads the file's model into a tree of JSON values first: for Gemma's half a million merges that leaves
//! the process 100 MB larger for good, a quarter of what the appliance may take. Here the two large tables are read
//! straight into what the library's builder wants, and it reads the small rest itself. Does NOT know the model's weights.

use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    fs::File,
    io::{BufReader, Read},
    path::Path,
};
use tokenizers::{
    Tokenizer,
    models::bpe::{BPE, Vocab},
};

/// The parts of a `tokenizer.json` as Hugging Face writes it for Gemma: byte-level fallback, merges as pairs.
#[derive(Deserialize)]
struct Layout {
    version: Value,
    added_tokens: Vec<Value>,
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    decoder: Value,
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: String,
    unk_token: String,
    fuse_unk: bool,
    byte_fallback: bool,
    vocab: Vocab,
    merges: Vec<(String, String)>,
}

/// Reads the file at `path`.
///
/// # Errors
/// A sentence for the log: what cannot be read, and where.
pub fn load(path: &Path) -> Result<Tokenizer, String> {
    parse(BufReader::new(File::open(path).map_err(|error| error.to_string())?))
}

/// Reads a `tokenizer.json`. The pipeline holds what this gives against other tokenizers' ids at each import.
///
/// # Errors
/// As [`load`].
pub fn parse(file: impl Read) -> Result<Tokenizer, String> {
    let Layout { version, added_tokens, normalizer, pre_tokenizer, post_processor, decoder, model } =
        serde_json::from_reader(file).map_err(|error| error.to_string())?;
    if model.kind != "BPE" {
        return Err(format!("its model is {:?}, not \"BPE\"", model.kind));
    }
    // The library gives added tokens the ids that the model knows them by; these few are enough for it to know.
    let known: HashMap<&str, u32> = added_tokens
        .iter()
        .filter_map(|token| token["content"].as_str())
        .filter_map(|content| Some((content, *model.vocab.get(content)?)))
        .collect();
    let small = json!({
        "version": version, "truncation": null, "padding": null, "added_tokens": added_tokens,
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": post_processor, "decoder": decoder,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": known, "merges": [],
        },
    });
    let mut tokenizer: Tokenizer = serde_json::from_value(small).map_err(|error| error.to_string())?;
    let pieces = BPE::builder()
        .vocab_and_merges(model.vocab, model.merges)
        .unk_token(model.unk_token)
        .fuse_unk(model.fuse_unk)
        .byte_fallback(model.byte_fallback)
        .build()
        .map_err(|error| error.to_string())?;
    tokenizer.with_model(pieces);
    Ok(tokenizer)
}
