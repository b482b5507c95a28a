//! `config.json` of a Gemma 3 text model: what transformers writes, typed and checked once.
//!
//! Turns JSON into a [`Config`] that fits our network, or says what in it does not. Also lists every tensor such a
//! model has, with its Hugging Face name and shape. Does NOT read weights.

use super::import::ImportError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::path::Path;

/// The fields our network needs, under the names transformers gives them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Width of the residual stream.
    pub hidden_size: u32,
    /// Width of the feed-forward part.
    pub intermediate_size: Widths,
    /// Number of layers.
    pub num_hidden_layers: u32,
    /// Query heads.
    pub num_attention_heads: u32,
    /// Key and value heads.
    pub num_key_value_heads: u32,
    /// Width of one head.
    pub head_dim: u32,
    /// Rows of the embedding table.
    pub vocab_size: u32,
    /// Longest context the base was trained for, in tokens.
    #[serde(default = "default_positions")]
    pub max_position_embeddings: u32,
    /// Added under the root of every RMS norm.
    #[serde(default = "default_epsilon")]
    pub rms_norm_eps: f64,
    /// Rope base of the global layers.
    #[serde(default = "default_theta")]
    pub rope_theta: f64,
    /// Rope base of the sliding layers.
    #[serde(default = "default_local_theta")]
    pub rope_local_base_freq: f64,
    /// Window of the sliding layers, in tokens.
    pub sliding_window: u32,
    /// One layer in so many is global.
    #[serde(default = "default_pattern", alias = "_sliding_window_pattern")]
    pub sliding_window_pattern: u32,
    /// `sliding_attention` or `full_attention`, one per layer.
    #[serde(default)]
    pub layer_types: Vec<LayerType>,
    /// Queries are divided by the root of this.
    #[serde(default = "default_query_scalar")]
    pub query_pre_attn_scalar: f64,
    /// Whether the head is the embedding table. Import leaves no other models through.
    #[serde(default = "default_tied")]
    pub tie_word_embeddings: bool,
    /// First token of every text.
    #[serde(default = "default_bos")]
    pub bos_token_id: u32,
    /// One or several tokens that end a text.
    #[serde(default = "default_eos")]
    pub eos_token_id: TokenIds,
    /// Filler.
    #[serde(default)]
    pub pad_token_id: u32,
}

/// transformers writes one width for all layers; where layers are pruned to different ones, there is one for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Widths {
    /// The same in all layers.
    All(u32),
    /// From the first layer to the last.
    Each(Vec<u32>),
}

impl Widths {
    /// That of `layer`, which the model has.
    pub fn of(&self, layer: usize) -> u32 {
        match self {
            Widths::All(width) => *width,
            Widths::Each(widths) => widths[layer],
        }
    }
}

/// What a layer attends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerType {
    /// The last `sliding_window` tokens.
    SlidingAttention,
    /// Everything before.
    FullAttention,
}

/// transformers writes one id as a number and several as a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TokenIds {
    /// One id.
    One(u32),
    /// Several ids.
    Many(Vec<u32>),
}

// Defaults of transformers' Gemma3TextConfig, for files that leave the field out.
fn default_positions() -> u32 {
    32768
}
fn default_epsilon() -> f64 {
    1e-6
}
fn default_theta() -> f64 {
    1e6
}
fn default_local_theta() -> f64 {
    1e4
}
fn default_pattern() -> u32 {
    6
}
fn default_query_scalar() -> f64 {
    256.0
}
fn default_tied() -> bool {
    true
}
fn default_bos() -> u32 {
    2
}
fn default_eos() -> TokenIds {
    TokenIds::One(1)
}

/// Every sixth layer is global, counted from one.
pub fn layer_types(layers: u32, pattern: u32) -> Vec<LayerType> {
    (1..=layers)
        .map(|layer| if layer % pattern == 0 { LayerType::FullAttention } else { LayerType::SlidingAttention })
        .collect()
}

impl Config {
    /// Reads `config.json`. Errors: not JSON, a field is missing, or the model is not one our network can compute.
    pub fn read(path: &Path) -> Result<Self, ImportError> {
        let bytes = std::fs::read(path).map_err(|source| ImportError::io(path, source))?;
        let damaged = |error: serde_json::Error| ImportError::Damaged { path: path.into(), reason: error.to_string() };
        let mut fields: Map<String, Value> = serde_json::from_slice(&bytes).map_err(damaged)?;
        refuse(&fields)?;
        lift_rope_parameters(&mut fields);
        let mut config: Config = serde_json::from_value(Value::Object(fields)).map_err(damaged)?;
        if config.layer_types.is_empty() {
            config.check()?;
            config.layer_types = layer_types(config.num_hidden_layers, config.sliding_window_pattern);
        }
        config.check()?;
        Ok(config)
    }

    /// Errors when a size is zero, absurd, or contradicts another.
    pub fn check(&self) -> Result<(), ImportError> {
        let sizes = [
            ("hidden_size", self.hidden_size, 1 << 16),
            ("num_hidden_layers", self.num_hidden_layers, 1 << 10),
            ("num_attention_heads", self.num_attention_heads, 1 << 10),
            ("num_key_value_heads", self.num_key_value_heads, 1 << 10),
            ("head_dim", self.head_dim, 1 << 12),
            ("vocab_size", self.vocab_size, 1 << 24),
            ("sliding_window", self.sliding_window, 1 << 30),
            ("sliding_window_pattern", self.sliding_window_pattern, 1 << 10),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 30),
        ];
        for (name, value, limit) in sizes {
            if value == 0 || value > limit {
                return Err(ImportError::Unsupported(format!("{name} is {value}")));
            }
        }
        let widths = match &self.intermediate_size {
            Widths::All(width) => std::slice::from_ref(width),
            Widths::Each(widths) if widths.len() == self.num_hidden_layers as usize => widths,
            Widths::Each(widths) => {
                let (count, layers) = (widths.len(), self.num_hidden_layers);
                return Err(ImportError::Unsupported(format!(
                    "intermediate_size has {count} entries, {layers} layers"
                )));
            }
        };
        if let Some(width) = widths.iter().find(|width| **width == 0 || **width > 1 << 20) {
            return Err(ImportError::Unsupported(format!("intermediate_size is {width}")));
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            let (heads, groups) = (self.num_attention_heads, self.num_key_value_heads);
            return Err(ImportError::Unsupported(format!("{heads} heads cannot share {groups} key-value heads")));
        }
        if !self.layer_types.is_empty() && self.layer_types.len() != self.num_hidden_layers as usize {
            let (types, layers) = (self.layer_types.len(), self.num_hidden_layers);
            return Err(ImportError::Unsupported(format!("layer_types has {types} entries for {layers} layers")));
        }
        let positive = [self.rms_norm_eps, self.rope_theta, self.rope_local_base_freq, self.query_pre_attn_scalar];
        if positive.iter().any(|value| !value.is_finite() || *value <= 0.0) {
            return Err(ImportError::Unsupported("a norm, rope or query constant is not positive".into()));
        }
        Ok(())
    }

    /// All tensors of this model: Hugging Face name and shape (rows, columns), in file order.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let hidden = self.hidden_size as usize;
        let head = self.head_dim as usize;
        let queries = self.num_attention_heads as usize * head;
        let keys = self.num_key_value_heads as usize * head;
        let mut tensors = vec![("model.embed_tokens.weight".to_string(), vec![self.vocab_size as usize, hidden])];
        for layer in 0..self.num_hidden_layers {
            let wide = self.intermediate_size.of(layer as usize) as usize;
            for (part, shape) in [
                ("input_layernorm", vec![hidden]),
                ("self_attn.q_proj", vec![queries, hidden]),
                ("self_attn.k_proj", vec![keys, hidden]),
                ("self_attn.v_proj", vec![keys, hidden]),
                ("self_attn.q_norm", vec![head]),
                ("self_attn.k_norm", vec![head]),
                ("self_attn.o_proj", vec![hidden, queries]),
                ("post_attention_layernorm", vec![hidden]),
                ("pre_feedforward_layernorm", vec![hidden]),
                ("mlp.gate_proj", vec![wide, hidden]),
                ("mlp.up_proj", vec![wide, hidden]),
                ("mlp.down_proj", vec![hidden, wide]),
                ("post_feedforward_layernorm", vec![hidden]),
            ] {
                tensors.push((format!("model.layers.{layer}.{part}.weight"), shape));
            }
        }
        tensors.push(("model.norm.weight".into(), vec![hidden]));
        tensors
    }

    /// The whole `config.json`, with the constant fields transformers also writes.
    pub fn to_json(&self) -> Value {
        let mut fields = json!({
            "architectures": ["Gemma3ForCausalLM"],
            "model_type": "gemma3_text",
            "attention_bias": false,
            "attention_dropout": 0.0,
            "attn_logit_softcapping": null,
            "final_logit_softcapping": null,
            "hidden_activation": "gelu_pytorch_tanh",
            "initializer_range": 0.02,
            "rope_scaling": null,
            "torch_dtype": "float32",
            "use_cache": true,
        });
        let own = serde_json::to_value(self).expect("plain numbers and names always serialize");
        if let (Value::Object(all), Value::Object(own)) = (&mut fields, own) {
            all.extend(own);
        }
        fields
    }
}

/// Anything that would need other mathematics than ours. Absent and null mean the default, which is ours.
fn refuse(fields: &Map<String, Value>) -> Result<(), ImportError> {
    let is = |name: &str, ours: Value| fields.get(name).is_none_or(|found| found.is_null() || *found == ours);
    let found = |name: &str| format!("{name} {}", fields.get(name).unwrap_or(&Value::Null));
    if fields.get("model_type") != Some(&json!("gemma3_text")) {
        return Err(ImportError::Unsupported(found("model_type")));
    }
    for (name, ours) in [
        ("architectures", json!(["Gemma3ForCausalLM"])),
        ("attention_bias", json!(false)),
        ("attn_logit_softcapping", Value::Null),
        ("final_logit_softcapping", Value::Null),
        ("hidden_activation", json!("gelu_pytorch_tanh")),
        ("rope_scaling", Value::Null),
        ("use_bidirectional_attention", json!(false)),
    ] {
        if !is(name, ours) {
            return Err(ImportError::Unsupported(found(name)));
        }
    }
    let ropes = fields.get("rope_parameters").and_then(Value::as_object);
    for rope in ropes.into_iter().flat_map(Map::values).filter_map(Value::as_object) {
        if rope.get("rope_type").is_some_and(|kind| *kind != json!("default")) {
            return Err(ImportError::Unsupported(found("rope_parameters")));
        }
    }
    Ok(())
}

/// transformers 5 writes `rope_parameters.{full,sliding}_attention.rope_theta` in place of the two flat fields.
fn lift_rope_parameters(fields: &mut Map<String, Value>) {
    let Some(ropes) = fields.get("rope_parameters").cloned() else { return };
    for (kind, flat) in [("full_attention", "rope_theta"), ("sliding_attention", "rope_local_base_freq")] {
        if let Some(theta) = ropes.get(kind).and_then(|rope| rope.get("rope_theta")) {
            fields.insert(flat.into(), theta.clone());
        }
    }
}
