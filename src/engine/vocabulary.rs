//! `tokenizer.json` to a tokenizer, without the detour that the `tokenizers` library takes.
//!
//! The library reads the file's model into a tree of JSON values first: for Gemma's half a million merges that leaves
//! the process 100 MB larger for good, a quarter of what the appliance may take. Here the two large tables are read
//! straight into what the library's builder wants, and it reads the small rest itself. Does NOT know the model's weights.

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io::{BufReader, Read},
    path::Path,
};
use tokenizers::{
    Tokenizer,
    models::bpe::{BPE, Vocab},
};

/// The parts of a `tokenizer.json` as Hugging Face writes it for Gemma: byte-level fallback.
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
    merges: Vec<Merge>,
}

/// Two pieces that are joined. Written as a pair or, which is shorter, as one text with a space between them: pieces hold none, a
/// space is written ▁ in them.
pub struct Merge(pub String, pub String);

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(Either)
    }
}

struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = Merge;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("two pieces")
    }

    fn visit_str<E: Error>(self, line: &str) -> Result<Merge, E> {
        let (left, right) = line.split_once(' ').ok_or_else(|| E::custom("a merge of one piece"))?;
        Ok(Merge(left.into(), right.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Merge, A::Error> {
        let mut next = || pair.next_element::<String>()?.ok_or_else(|| A::Error::custom("a merge of one piece"));
        Ok(Merge(next()?, next()?))
    }
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
        .vocab_and_merges(
            model.vocab,
            model.merges.into_iter().map(|Merge(left, right)| (left, right)).collect::<Vec<_>>(),
        )
        .unk_token(model.unk_token)
        .fuse_unk(model.fuse_unk)
        .byte_fallback(model.byte_fallback)
        .build()
        .map_err(|error| error.to_string())?;
    tokenizer.with_model(pieces);
    Ok(tokenizer)
}
