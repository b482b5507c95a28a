//! A tiny BERT with random weights as a Hugging Face folder, whole or spoilt, and the pipeline's stages run on it.

use crate::stages::{
    artifact::{Artifact, Artifacts},
    embed,
    encoder::{self, EncoderError, Made, Reference},
    encoder_base::{self, EncoderBase},
    recipe::{self, BlockFormat},
    sources::Sources,
};
use candle_core::{DType, Device, Tensor, safetensors::save};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::{collections::HashMap, fs, path::Path};
use tempfile::TempDir;

pub const HIDDEN: usize = 32;
pub const POSITIONS: usize = 64;
const WIDTH: usize = 64;
const LAYERS: usize = 2;
const WORDS: [&str; 12] =
    ["tomato", "##es", "the", "black", "##ing", "water", "wat", "##er", "leaf", "##tom", "rare", "root"];

/// All pieces, an id each: as in BERT, special tokens amid places that were never used, then characters, then words.
pub fn pieces() -> Vec<String> {
    let mut pieces: Vec<String> =
        ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused1]"].map(Into::into).into();
    let characters = || (' '..='~').skip(1).filter(|c| !c.is_uppercase()).chain("°각水ж".chars());
    pieces.extend(characters().map(String::from));
    pieces.extend(WORDS.map(String::from));
    pieces.extend(characters().map(|c| format!("##{c}")));
    pieces
}

pub fn tokenizer() -> Value {
    let vocabulary: HashMap<String, usize> = pieces().into_iter().zip(0..).collect();
    let added = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(|token| {
        json!({
            "id": vocabulary[token], "content": token, "special": true, "normalized": false, "single_word": false,
            "lstrip": false, "rstrip": false,
        })
    });
    let special = |token: &str| json!({"id": token, "ids": [vocabulary[token]], "tokens": [token]});
    json!({
        "version": "1.0", "added_tokens": added, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "truncation": {"max_length": 8, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}, "padding": null,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
            "lowercase": true
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing", "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
            "single": [
                {"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 0}}
            ],
            "special_tokens": {"[CLS]": special("[CLS]"), "[SEP]": special("[SEP]")},
        },
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary,
        },
    })
}

fn config() -> Value {
    json!({
        "model_type": "bert", "hidden_act": "gelu", "hidden_size": HIDDEN, "intermediate_size": WIDTH,
        "layer_norm_eps": 1e-12, "max_position_embeddings": POSITIONS, "num_attention_heads": 2,
        "num_hidden_layers": LAYERS, "type_vocab_size": 2, "vocab_size": pieces().len(), "architectures": ["BertModel"],
    })
}

/// The same small numbers every time; norms near 1. All but the token table is smaller still, so that a text's vector is
/// about the mean of its pieces' and unlike texts lie apart.
pub fn weights() -> HashMap<String, Tensor> {
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("embeddings.word_embeddings.weight".into(), vec![pieces().len(), HIDDEN]),
        ("embeddings.position_embeddings.weight".into(), vec![POSITIONS, HIDDEN]),
        ("embeddings.token_type_embeddings.weight".into(), vec![2, HIDDEN]),
    ];
    let mut both = |name: String, rows: usize, columns: Option<usize>| {
        shapes.push((format!("{name}.bias"), vec![rows]));
        shapes.push((format!("{name}.weight"), [Some(rows), columns].into_iter().flatten().collect()));
    };
    both("embeddings.LayerNorm".into(), HIDDEN, None);
    for layer in 0..LAYERS {
        for part in ["self.query", "self.key", "self.value", "output.dense"] {
            both(format!("encoder.layer.{layer}.attention.{part}"), HIDDEN, Some(HIDDEN));
        }
        both(format!("encoder.layer.{layer}.intermediate.dense"), WIDTH, Some(HIDDEN));
        both(format!("encoder.layer.{layer}.output.dense"), HIDDEN, Some(WIDTH));
        both(format!("encoder.layer.{layer}.attention.output.LayerNorm"), HIDDEN, None);
        both(format!("encoder.layer.{layer}.output.LayerNorm"), HIDDEN, None);
    }
    let mut seed = 1u32;
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let spread = if name.contains("word_embeddings") { 1.0 } else { 0.1 };
        let middle = if name.ends_with("LayerNorm.weight") { 1.0 } else { 0.0 };
        let numbers: Vec<f32> = (0..shape.iter().product())
            .map(|_| {
                seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
                middle + spread * ((seed >> 16) as f32 / 65536.0 - 0.5)
            })
            .collect();
        (name, Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap())
    };
    shapes.into_iter().map(tensor).collect()
}

/// The folder, changed by `change` (config, tokenizer, weights). Its weights file holds what real ones hold besides.
pub fn folder(change: impl FnOnce(&mut Value, &mut Value, &mut HashMap<String, Tensor>)) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (mut config, mut tokenizer, mut weights) = (config(), tokenizer(), weights());
    let ids = Tensor::arange(0i64, POSITIONS as i64, &Device::Cpu).unwrap();
    weights.insert("embeddings.position_ids".into(), ids.unsqueeze(0).unwrap());
    weights.insert("pooler.dense.bias".into(), Tensor::zeros(HIDDEN, DType::F32, &Device::Cpu).unwrap());
    change(&mut config, &mut tokenizer, &mut weights);
    fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    fs::write(dir.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    save(&weights, dir.path().join("model.safetensors")).unwrap();
    dir
}

pub fn base(folder: &Path) -> EncoderBase {
    encoder_base::locate(Some(folder), &ProgressBar::hidden()).unwrap()
}

pub fn table(vocabulary: usize) -> recipe::Encoder {
    recipe::Encoder {
        name: "tiny".into(),
        vocabulary,
        positions: 48,
        embedding: BlockFormat::Q8_0,
        format: BlockFormat::Q8_0,
        adapter: None,
    }
}

/// What is recorded of no encoder.
pub fn nothing_recorded() -> Reference {
    Reference { model_sha256: String::new(), sentences: Vec::new() }
}

/// The encoder stage on `base`, with the entries of the repository at `root`.
pub fn encode(
    table: &recipe::Encoder,
    base: &EncoderBase,
    root: &Path,
    reference: &Reference,
    out: &Path,
) -> Result<Made, EncoderError> {
    encoder::run(table, base, &Sources::find(root).unwrap(), reference, out, &ProgressBar::hidden())
}

/// The stages `encoder` and `embed` with the tiny encoder.
pub fn stages(artifacts: &Artifacts, tables: &recipe::Tables, sources: &Sources) -> (Artifact, Artifact) {
    // The repository's adapter is another encoder's.
    let table = &recipe::Encoder { adapter: None, ..tables.encoder.clone() };
    let folder = folder(|_, _, _| ());
    let base = base(folder.path());
    let encoder = artifacts.produce(&encoder::STAGE, encoder::origin(table, &base, sources), |out| {
        encoder::run(table, &base, sources, &nothing_recorded(), out, &ProgressBar::hidden()).map(drop)
    });
    let encoder = encoder.unwrap();
    let vectors = artifacts.produce(&embed::STAGE, embed::origin(&tables.embed, &encoder, sources), |out| {
        embed::run(&tables.embed, &encoder, sources, out, &ProgressBar::hidden())
    });
    (encoder, vectors.unwrap())
}
