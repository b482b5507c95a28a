//! The shape of a Gemma 3 text model, read from `config.json` or from GGUF metadata.
//!
//! Does NOT know the weights; FFN widths are read from the tensors, since pruned layers differ.

use candle_core::quantized::gguf_file::{Content, Value};
use serde::Deserialize;

/// Shape of a Gemma 3 text model. FFN widths are read from the tensors: pruned layers differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; each serves `heads / kv_heads` query heads.
    pub kv_heads: usize,
    /// Values per head.
    pub head: usize,
    /// Added under the root of every norm.
    pub norm_epsilon: f64,
    /// Queries are scaled by this to the power -1/2.
    pub query_scalar: f64,
    /// Base of the rotary embedding in global layers.
    pub rope_theta: f64,
    /// The same in sliding layers.
    pub rope_local_theta: f64,
    /// For each layer: the number of tokens it sees, itself included, or None when it sees all. Stored per layer, not
    /// derived from the index, because layers may be removed.
    pub windows: Vec<Option<usize>>,
}

/// What is read of a Hugging Face `config.json`; unknown fields are other people's business.
#[derive(Deserialize)]
struct HuggingFace {
    model_type: String,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
    rms_norm_eps: f64,
    query_pre_attn_scalar: f64,
    rope_theta: f64,
    rope_local_base_freq: f64,
    sliding_window: usize,
    layer_types: Vec<String>,
}

impl Config {
    /// From the text of a `config.json`.
    ///
    /// # Errors
    /// A sentence naming what is missing or not Gemma 3.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let json: HuggingFace = serde_json::from_str(text).map_err(|error| format!("config.json: {error}"))?;
        if json.model_type != "gemma3_text" {
            return Err(format!("config.json describes a {:?} model, not a Gemma 3 text model", json.model_type));
        }
        let window = |kind: &String| match kind.as_str() {
            "sliding_attention" => Ok(Some(json.sliding_window)),
            "full_attention" => Ok(None),
            other => Err(format!("config.json: unknown layer type {other:?}")),
        };
        let windows = json.layer_types.iter().map(window).collect::<Result<Vec<_>, _>>()?;
        if windows.len() != json.num_hidden_layers {
            return Err(format!("config.json: {} layers, {} layer types", json.num_hidden_layers, windows.len()));
        }
        Self {
            hidden: json.hidden_size,
            heads: json.num_attention_heads,
            kv_heads: json.num_key_value_heads,
            head: json.head_dim,
            norm_epsilon: json.rms_norm_eps,
            query_scalar: json.query_pre_attn_scalar,
            rope_theta: json.rope_theta,
            rope_local_theta: json.rope_local_base_freq,
            windows,
        }
        .checked()
    }

    /// From the metadata of a GGUF file. What llama.cpp fixes in its code for "gemma3" is fixed here too: the local
    /// rope base of 10,000, one global layer in six, and the query scale of the head's width (true up to 12B).
    ///
    /// # Errors
    /// A sentence naming what is missing or not Gemma 3.
    pub fn from_gguf(content: &Content) -> Result<Self, String> {
        let metadata = &content.metadata;
        let architecture = metadata.get("general.architecture").and_then(|value| value.to_string().ok());
        if architecture.is_none_or(|architecture| architecture != "gemma3") {
            let found = architecture.map_or("unknown", String::as_str);
            return Err(format!("the file holds a model of architecture {found:?}, not \"gemma3\""));
        }
        let number = |key: &str| {
            let key = format!("gemma3.{key}");
            let value = metadata.get(&key).and_then(|value| value.to_u64().ok());
            value.map(|value| value as usize).ok_or(format!("{key} is missing or no whole number"))
        };
        let float = |key: &str| {
            let key = format!("gemma3.{key}");
            let value = metadata.get(&key).and_then(|value| value.to_f32().ok());
            value.map(f64::from).ok_or(format!("{key} is missing or no number"))
        };
        let (layers, window) = (number("block_count")?, number("attention.sliding_window")?);
        let windows = match metadata.get("gemma3.attention.sliding_window_pattern") {
            Some(Value::Array(sliding)) if sliding.len() == layers => {
                sliding.iter().map(|sliding| sliding.to_bool().unwrap_or(true).then_some(window)).collect()
            }
            _ => (1..=layers).map(|layer| (layer % 6 != 0).then_some(window)).collect(),
        };
        let head = number("attention.key_length")?;
        Self {
            hidden: number("embedding_length")?,
            heads: number("attention.head_count")?,
            kv_heads: number("attention.head_count_kv")?,
            head,
            norm_epsilon: float("attention.layer_norm_rms_epsilon")?,
            query_scalar: head as f64,
            rope_theta: float("rope.freq_base")?,
            rope_local_theta: 10_000.0,
            windows,
        }
        .checked()
    }

    /// Refuses what would divide by zero or not fit together.
    fn checked(self) -> Result<Self, String> {
        let sizes = [self.hidden, self.heads, self.kv_heads, self.head, self.windows.len()];
        if sizes.contains(&0) || !self.heads.is_multiple_of(self.kv_heads) || self.windows.contains(&Some(0)) {
            return Err(format!("the model's shape cannot be: {self:?}"));
        }
        Ok(self)
    }
}
