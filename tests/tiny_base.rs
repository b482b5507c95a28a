//! The tiny Gemma 3 that the import tests start from, as a GGUF and as a Hugging Face folder, whole or spoilt.

use crate::stages::{
    config_json::{Config, TokenIds, Widths, layer_types},
    import::{self, Base, ImportError, Imported},
};
use candle_core::{
    DType, Device, Tensor,
    quantized::{GgmlDType, QTensor, gguf_file, gguf_file::Value},
    safetensors::save,
};
use indicatif::ProgressBar;
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use tomato_assistant::model::weights::ggml_name;

pub fn config() -> Config {
    Config {
        hidden_size: 32,
        intermediate_size: Widths::All(64),
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 16,
        vocab_size: vocabulary().len() as u32,
        max_position_embeddings: 128,
        rms_norm_eps: 1e-6,
        rope_theta: 1e6,
        rope_local_base_freq: 1e4,
        sliding_window: 8,
        sliding_window_pattern: 6,
        layer_types: layer_types(2, 6),
        query_pre_attn_scalar: 16.0,
        tie_word_embeddings: true,
        bos_token_id: 2,
        eos_token_id: TokenIds::One(1),
        pad_token_id: 0,
    }
}

/// Piece, score, type (llama.cpp's numbers).
pub fn vocabulary() -> Vec<(String, f32, i32)> {
    let mut pieces: Vec<(String, f32, i32)> =
        ["<pad>", "<eos>", "<bos>", "<unk>"].map(|piece| (piece.to_string(), -1000.0, 3)).into();
    pieces.extend(["\n", "\n\n", "  ", "<b>"].map(|piece| (piece.to_string(), -1000.0, 4)));
    pieces.extend((0..=255).map(|byte| (format!("<0x{byte:02X}>"), 0.0, 6)));
    // Ids from 264 on.
    let normal =
        [("ab", -0.0), ("bc", -1.0), ("abc", -2.0), ("▁a", -3.0), ("▁", -4.0), ("a", -5.0), ("b", -6.0), ("c", -7.0)];
    pieces.extend(normal.map(|(piece, score)| (piece.to_string(), score, 1)));
    pieces
}

/// The same small numbers every time, with mean 0.
pub fn weights() -> HashMap<String, Tensor> {
    let mut seed = 1u32;
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let numbers: Vec<f32> = (0..shape.iter().product())
            .map(|_| {
                seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
                (seed >> 16) as f32 / 65536.0 - 0.5
            })
            .collect();
        (name, Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap())
    };
    config().tensors().into_iter().map(tensor).collect()
}

pub fn metadata() -> Vec<(String, Value)> {
    let config = config();
    let strings = |values: Vec<String>| Value::Array(values.into_iter().map(Value::String).collect());
    let pieces = vocabulary();
    [
        ("general.architecture", Value::String("gemma3".into())),
        ("general.alignment", Value::U32(32)),
        ("gemma3.embedding_length", Value::U32(config.hidden_size)),
        ("gemma3.feed_forward_length", Value::U32(config.intermediate_size.of(0))),
        ("gemma3.block_count", Value::U32(config.num_hidden_layers)),
        ("gemma3.attention.head_count", Value::U32(config.num_attention_heads)),
        ("gemma3.attention.head_count_kv", Value::U32(config.num_key_value_heads)),
        ("gemma3.attention.key_length", Value::U32(config.head_dim)),
        ("gemma3.context_length", Value::U32(config.max_position_embeddings)),
        ("gemma3.attention.layer_norm_rms_epsilon", Value::F32(1e-6)),
        ("gemma3.rope.freq_base", Value::F32(1e6)),
        ("gemma3.attention.sliding_window", Value::U32(config.sliding_window)),
        ("tokenizer.ggml.model", Value::String("llama".into())),
        ("tokenizer.ggml.bos_token_id", Value::U32(2)),
        ("tokenizer.ggml.eos_token_id", Value::U32(1)),
        ("tokenizer.ggml.tokens", strings(pieces.iter().map(|piece| piece.0.clone()).collect())),
        ("tokenizer.ggml.scores", Value::Array(pieces.iter().map(|piece| Value::F32(piece.1)).collect())),
        ("tokenizer.ggml.token_type", Value::Array(pieces.iter().map(|piece| Value::I32(piece.2)).collect())),
    ]
    .map(|(key, value)| (key.to_string(), value))
    .into()
}

pub fn write_gguf(path: &Path, metadata: &[(String, Value)], weights: &HashMap<String, Tensor>, matrices: GgmlDType) {
    let quantize = |(name, tensor): (&String, &Tensor)| {
        let (tensor, dtype) = match tensor.rank() {
            1 => ((tensor + 1.0).unwrap(), GgmlDType::F32),
            _ => (tensor.clone(), matrices),
        };
        (ggml_name(name).unwrap_or_else(|| name.clone()), QTensor::quantize(&tensor, dtype).unwrap())
    };
    let mut tensors: Vec<(String, QTensor)> = weights.iter().map(quantize).collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let metadata: Vec<_> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    gguf_file::write(&mut fs::File::create(path).unwrap(), &metadata, &tensors).unwrap();
}

/// A GGUF of the tiny model, changed by `change`, and where it lies.
pub fn gguf(change: impl FnOnce(&mut Vec<(String, Value)>, &mut HashMap<String, Tensor>)) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (mut metadata, mut weights) = (metadata(), weights());
    change(&mut metadata, &mut weights);
    let path = dir.path().join("base.gguf");
    write_gguf(&path, &metadata, &weights, GgmlDType::F32);
    (dir, path)
}

/// A Hugging Face folder of the tiny model in two shards of type `dtype`, changed by `change`.
pub fn folder(dtype: DType, change: impl FnOnce(&mut serde_json::Value, &mut HashMap<String, Tensor>)) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (mut json, mut weights) = (config().to_json(), weights());
    change(&mut json, &mut weights);
    fs::write(dir.path().join("config.json"), json.to_string()).unwrap();
    let (source, path) = gguf(|_, _| ());
    import_to(&path, source.path()).unwrap();
    fs::copy(source.path().join("tokenizer.json"), dir.path().join("tokenizer.json")).unwrap();
    let mut names: Vec<&String> = weights.keys().collect();
    names.sort();
    for (number, names) in names.chunks(names.len().div_ceil(2)).enumerate() {
        let shard = names.iter().map(|name| (name.as_str(), weights[*name].to_dtype(dtype).unwrap()));
        let shard: HashMap<&str, Tensor> = shard.collect();
        save(&shard, dir.path().join(format!("model-{number}.safetensors"))).unwrap();
    }
    dir
}

pub fn import_to(base: &Path, out: &Path) -> Result<Imported, ImportError> {
    import::run(&Base::from_path(base)?, out, &ProgressBar::hidden())
}

pub fn import(base: &Path) -> Result<Imported, ImportError> {
    import_to(base, tempfile::tempdir().unwrap().path())
}
