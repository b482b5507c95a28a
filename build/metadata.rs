//! `config.json` and the tensors' shapes -> the metadata of a GGUF file, as llama.cpp's "gemma3" reads it.
//!
//! Does NOT know the weights' values. Refuses what llama.cpp fixes in its code and a config could say otherwise.

use candle_core::quantized::gguf_file::Value;
use serde::Deserialize;
use std::{fs, path::Path};
use tomato_assistant::model::config::Config;

use super::{
    checkpoint::{CONFIG, CheckpointError, Tensors},
    pieces::Pieces,
    recipe::BlockFormat,
};

/// What `config.json` says beyond the shape that the appliance's [`Config`] holds.
#[derive(Debug, Deserialize)]
struct Rest {
    vocab_size: usize,
    max_position_embeddings: u32,
    bos_token_id: u32,
    eos_token_id: OneOrMore,
    pad_token_id: Option<u32>,
    rope_scaling: Option<serde_json::Value>,
}

/// Instruction-tuned models list several stop tokens; a GGUF file names the first.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(u32),
    More(Vec<u32>),
}

/// Everything about a checkpoint but its weights.
#[derive(Debug)]
pub struct Shape {
    config: Config,
    rest: Rest,
    /// FFN width of each layer: pruned layers differ.
    widths: Vec<usize>,
}

impl Shape {
    /// Reads `config.json` in `folder`; the FFN widths come from `tensors`.
    ///
    /// # Errors
    /// [`CheckpointError`]: not a Gemma 3 text model, or one that a GGUF "gemma3" cannot describe.
    pub fn read(folder: &Path, tensors: &Tensors) -> Result<Shape, CheckpointError> {
        let path = folder.join(CONFIG);
        let error = |cause: String| CheckpointError { path: path.clone(), cause };
        let text = fs::read_to_string(&path).map_err(|e| error(e.to_string()))?;
        let config = Config::from_json(&text).map_err(error)?;
        let rest: Rest = serde_json::from_str(&text).map_err(|e| error(e.to_string()))?;
        if rest.rope_scaling.is_some()
            || config.rope_local_theta != 10_000.0
            || config.query_scalar != config.head as f64
        {
            let cause = "scaled rope, a local rope base other than 10000 or a query scale other than the head's width \
                         (models above 1B) cannot be quantized here";
            return Err(error(cause.into()));
        }
        let rows = tensors.shape("model.embed_tokens.weight")?[0];
        if rows != rest.vocab_size {
            return Err(error(format!("vocab_size is {}, the token table has {rows} rows", rest.vocab_size)));
        }
        let gate = |layer| Ok(tensors.shape(&format!("model.layers.{layer}.mlp.gate_proj.weight"))?[0]);
        let widths = (0..config.windows.len()).map(gate).collect::<Result<_, CheckpointError>>()?;
        Ok(Shape { config, rest, widths })
    }
}

/// All metadata entries, in the order in which they are written.
///
/// # Errors
/// [`CheckpointError`] when the tokenizer in `folder` does not fit.
pub fn gguf(shape: &Shape, body: BlockFormat, folder: &Path) -> Result<Vec<(String, Value)>, CheckpointError> {
    let Shape { config, rest, widths } = shape;
    let number = |value: usize| Value::U32(value as u32);
    let text = |value: &str| Value::String(value.into());
    let ffn = match widths.as_slice() {
        [first, others @ ..] if others.iter().all(|width| width == first) => number(*first),
        // llama.cpp's gemma3 wants one width; such a file opens in the appliance only.
        _ => Value::Array(widths.iter().map(|width| number(*width)).collect()),
    };
    let window = config.windows.iter().flatten().next().copied().unwrap_or(rest.max_position_embeddings as usize);
    let sliding = config.windows.iter().map(|window| Value::Bool(window.is_some())).collect();
    let eos = match &rest.eos_token_id {
        OneOrMore::One(id) => *id,
        OneOrMore::More(ids) => ids.first().copied().unwrap_or(1),
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
        ("gemma3.context_length", Value::U32(rest.max_position_embeddings)),
        ("gemma3.embedding_length", number(config.hidden)),
        ("gemma3.block_count", number(config.windows.len())),
        ("gemma3.feed_forward_length", ffn),
        ("gemma3.attention.head_count", number(config.heads)),
        ("gemma3.attention.head_count_kv", number(config.kv_heads)),
        ("gemma3.attention.key_length", number(config.head)),
        ("gemma3.attention.value_length", number(config.head)),
        ("gemma3.attention.layer_norm_rms_epsilon", Value::F32(config.norm_epsilon as f32)),
        ("gemma3.attention.sliding_window", number(window)),
        ("gemma3.attention.sliding_window_pattern", Value::Array(sliding)),
        ("gemma3.rope.freq_base", Value::F32(config.rope_theta as f32)),
        ("tokenizer.ggml.model", text("llama")),
        ("tokenizer.ggml.pre", text("default")),
        ("tokenizer.ggml.bos_token_id", Value::U32(rest.bos_token_id)),
        ("tokenizer.ggml.eos_token_id", Value::U32(eos)),
        ("tokenizer.ggml.padding_token_id", Value::U32(rest.pad_token_id.unwrap_or(0))),
        ("tokenizer.ggml.add_bos_token", Value::Bool(true)),
        ("tokenizer.ggml.add_eos_token", Value::Bool(false)),
        ("tokenizer.ggml.add_space_prefix", Value::Bool(false)),
    ]
    .map(|(key, value)| (key.to_string(), value))
    .into();
    entries.extend(Pieces::read(folder, rest.vocab_size)?.metadata());
    Ok(entries)
}
