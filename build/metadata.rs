//! `config.json` and `tokenizer.json` -> the metadata of a GGUF file, as llama.cpp's "gemma3" reads it.
//!
//! Does NOT know the weights. Refuses what llama.cpp fixes in its code and a config could say otherwise.

use candle_core::quantized::gguf_file::Value;
use std::path::Path;

use super::{
    config_json::{Config, LayerType, TokenIds, Widths},
    import::ImportError,
    pieces::Pieces,
    recipe::BlockFormat,
};

/// All metadata entries, in the order in which they are written. `body` is the format of most matrices; the tokenizer
/// is read from `folder`.
///
/// # Errors
/// [`ImportError`]: a model that a GGUF "gemma3" cannot describe, or a tokenizer that does not fit it.
pub fn gguf(config: &Config, body: BlockFormat, folder: &Path) -> Result<Vec<(String, Value)>, ImportError> {
    if config.rope_local_base_freq != 10_000.0 || config.query_pre_attn_scalar != f64::from(config.head_dim) {
        let what = "a local rope base other than 10000 or a query scale other than the head's width";
        return Err(ImportError::Unsupported(what.into()));
    }
    let text = |value: &str| Value::String(value.into());
    let sliding = config.layer_types.iter().map(|kind| Value::Bool(*kind == LayerType::SlidingAttention)).collect();
    // llama.cpp takes one width for all layers: a model pruned to different ones opens here only.
    let widths = match &config.intermediate_size {
        Widths::All(width) => Value::U32(*width),
        Widths::Each(widths) => Value::Array(widths.iter().map(|width| Value::U32(*width)).collect()),
    };
    // A GGUF file names one stop token; instruction-tuned models list several, the first ends a text.
    let eos = match &config.eos_token_id {
        TokenIds::One(id) => *id,
        TokenIds::Many(ids) => ids.first().copied().unwrap_or(1),
    };
    // llama_ftype: the format of most matrices.
    let file_type = match body {
        BlockFormat::Q8_0 => 7,
        BlockFormat::Q4_0 => 2,
    };
    let mut entries: Vec<(String, Value)> = [
        ("general.architecture", text("gemma3")),
        ("general.type", text("model")),
        ("general.license", text("gemma")),
        ("general.quantization_version", Value::U32(2)),
        ("general.file_type", Value::U32(file_type)),
        ("gemma3.context_length", Value::U32(config.max_position_embeddings)),
        ("gemma3.embedding_length", Value::U32(config.hidden_size)),
        ("gemma3.block_count", Value::U32(config.num_hidden_layers)),
        ("gemma3.feed_forward_length", widths),
        ("gemma3.attention.head_count", Value::U32(config.num_attention_heads)),
        ("gemma3.attention.head_count_kv", Value::U32(config.num_key_value_heads)),
        ("gemma3.attention.key_length", Value::U32(config.head_dim)),
        ("gemma3.attention.value_length", Value::U32(config.head_dim)),
        ("gemma3.attention.layer_norm_rms_epsilon", Value::F32(config.rms_norm_eps as f32)),
        ("gemma3.attention.sliding_window", Value::U32(config.sliding_window)),
        // Per layer, true where it slides: layers may be removed. llama.cpp ignores it and takes one global in six.
        ("gemma3.attention.sliding_window_pattern", Value::Array(sliding)),
        ("gemma3.rope.freq_base", Value::F32(config.rope_theta as f32)),
        ("tokenizer.ggml.model", text("llama")),
        ("tokenizer.ggml.pre", text("default")),
        ("tokenizer.ggml.bos_token_id", Value::U32(config.bos_token_id)),
        ("tokenizer.ggml.eos_token_id", Value::U32(eos)),
        ("tokenizer.ggml.padding_token_id", Value::U32(config.pad_token_id)),
        ("tokenizer.ggml.add_bos_token", Value::Bool(true)),
        ("tokenizer.ggml.add_eos_token", Value::Bool(false)),
        ("tokenizer.ggml.add_space_prefix", Value::Bool(false)),
    ]
    .map(|(key, value)| (key.to_string(), value))
    .into();
    entries.extend(Pieces::read(folder, config.vocab_size as usize)?.metadata());
    Ok(entries)
}
