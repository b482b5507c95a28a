//! Files to weights: GGUF (dense or quantized) and safetensors (dense), one naming of tensors.
//!
//! Tensors are called by their Hugging Face names everywhere; [`ggml_name`] is the only translation. Gemma's norm
//! weights are stored as w in safetensors and as 1 + w in GGUF; [`Weights::norm`] gives 1 + w from both. Does NOT know
//! the forward passes.

use super::{
    config::Config,
    encoder,
    gemma3::{Gemma3, Layer},
    kernels::{Format, QMatrix},
    linear::{Embedding, Linear},
    selector::Selector,
};
use candle_core::{
    DType, Device, Tensor,
    quantized::{GgmlDType, gguf_file},
};
use std::{
    collections::HashMap, fs::File, io::BufReader, io::Seek, io::SeekFrom, path::Path, path::PathBuf, sync::Arc,
};

/// Why weights cannot be used. The words are for the log and the build host; the appliance shows its own.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system or the parser says.
        cause: String,
    },
    /// It is a model, but not one that can run here.
    #[error("this model cannot be used: {0}")]
    Unsupported(String),
    /// A tensor is missing or has the wrong shape or type.
    #[error("tensor {name}: {cause}")]
    Tensor {
        /// Its Hugging Face name.
        name: String,
        /// What is wrong with it.
        cause: String,
    },
}

/// The ggml name of a tensor of Gemma 3 or of the sentence encoder, from its Hugging Face name; None for a tensor that
/// neither has. Their names have nothing in common, so one table serves both.
pub fn ggml_name(name: &str) -> Option<String> {
    match name {
        "model.embed_tokens.weight" | "embeddings.word_embeddings.weight" => return Some("token_embd.weight".into()),
        "model.norm.weight" => return Some("output_norm.weight".into()),
        "embeddings.position_embeddings.weight" => return Some("position_embd.weight".into()),
        "embeddings.token_type_embeddings.weight" => return Some("token_types.weight".into()),
        "embeddings.LayerNorm.weight" => return Some("token_embd_norm.weight".into()),
        "embeddings.LayerNorm.bias" => return Some("token_embd_norm.bias".into()),
        _ => {}
    }
    let gemma = name.strip_prefix("model.layers.");
    let (layer, part) = gemma.or_else(|| name.strip_prefix("encoder.layer."))?.split_once('.')?;
    let (part, kind) = part.rsplit_once('.')?;
    let part = match (gemma.is_some(), part, kind) {
        (true, "input_layernorm", "weight") => "attn_norm",
        (true, "self_attn.q_proj", "weight") => "attn_q",
        (true, "self_attn.k_proj", "weight") => "attn_k",
        (true, "self_attn.v_proj", "weight") => "attn_v",
        (true, "self_attn.o_proj", "weight") => "attn_output",
        (true, "self_attn.q_norm", "weight") => "attn_q_norm",
        (true, "self_attn.k_norm", "weight") => "attn_k_norm",
        (true, "post_attention_layernorm", "weight") => "post_attention_norm",
        (true, "pre_feedforward_layernorm", "weight") => "ffn_norm",
        (true, "mlp.gate_proj", "weight") => "ffn_gate",
        (true, "mlp.up_proj", "weight") => "ffn_up",
        (true, "mlp.down_proj", "weight") => "ffn_down",
        (true, "post_feedforward_layernorm", "weight") => "post_ffw_norm",
        (false, "attention.self.query", "weight" | "bias") => "attn_q",
        (false, "attention.self.key", "weight" | "bias") => "attn_k",
        (false, "attention.self.value", "weight" | "bias") => "attn_v",
        (false, "attention.output.dense", "weight" | "bias") => "attn_output",
        (false, "attention.output.LayerNorm", "weight" | "bias") => "attn_output_norm",
        (false, "intermediate.dense", "weight" | "bias") => "ffn_up",
        (false, "output.dense", "weight" | "bias") => "ffn_down",
        (false, "output.LayerNorm", "weight" | "bias") => "layer_output_norm",
        _ => return None,
    };
    Some(format!("blk.{layer}.{part}.{kind}"))
}

/// Where a GGUF file keeps the selection head: its rows one after the other, as an array of f32.
pub const SELECTOR_KEY: &str = "tomato.selector";

/// An opened file of weights.
pub enum Weights {
    /// A GGUF file, read tensor by tensor.
    Gguf {
        /// Its header.
        content: gguf_file::Content,
        /// The file, for the tensors' bytes.
        reader: BufReader<File>,
    },
    /// A safetensors file, in memory.
    Safetensors(HashMap<String, Tensor>),
}

impl Weights {
    /// Opens a `.gguf` file.
    ///
    /// # Errors
    /// [`WeightsError::Read`].
    pub fn gguf(path: &Path) -> Result<Self, WeightsError> {
        let read = |cause: String| WeightsError::Read { path: path.into(), cause };
        let mut reader = BufReader::new(File::open(path).map_err(|error| read(error.to_string()))?);
        let mut content = gguf_file::Content::read(&mut reader).map_err(|error| read(error.to_string()))?;
        // A quarter of a million token strings, of no use here: freed before the matrices come, which then take their
        // place in memory.
        content.metadata.retain(|key, _| !key.starts_with("tokenizer."));
        Ok(Self::Gguf { content, reader })
    }

    /// The model's shape as a GGUF file describes it; safetensors keep it in `config.json` beside them.
    ///
    /// # Errors
    /// [`WeightsError::Unsupported`].
    pub fn config(&self) -> Result<Config, WeightsError> {
        match self {
            Weights::Gguf { content, .. } => Config::from_gguf(content).map_err(WeightsError::Unsupported),
            Weights::Safetensors(_) => Err(WeightsError::Unsupported("safetensors carry no shape".into())),
        }
    }

    /// The selection head for `hidden` values; None where the model was not trained to choose.
    ///
    /// # Errors
    /// [`WeightsError::Unsupported`]: a head that is none.
    pub fn selector(&self, hidden: usize) -> Result<Option<Selector>, WeightsError> {
        let Weights::Gguf { content, .. } = self else { return Ok(None) };
        let Some(value) = content.metadata.get(SELECTOR_KEY) else { return Ok(None) };
        let numbers = value.to_vec().ok().map(|values| values.iter().filter_map(|value| value.to_f32().ok()).collect());
        match numbers {
            Some(weight)
                if Vec::len(&weight) > hidden
                    && weight.len().is_multiple_of(hidden + 1)
                    && weight.iter().all(|number| number.is_finite()) =>
            {
                let rows = weight.len() / (hidden + 1);
                let weight = Tensor::from_vec(weight, (rows, hidden + 1), &Device::Cpu);
                Ok(Some(Selector { weight: weight.map_err(|error| WeightsError::Unsupported(error.to_string()))? }))
            }
            _ => Err(WeightsError::Unsupported(format!("its selection head is not rows of {} numbers", hidden + 1))),
        }
    }

    /// The sentence encoder's shape as a GGUF file of the kind "bert" describes it.
    ///
    /// # Errors
    /// [`WeightsError::Unsupported`].
    pub fn encoder_config(&self) -> Result<encoder::Config, WeightsError> {
        match self {
            Weights::Gguf { content, .. } => encoder::Config::from_gguf(content).map_err(WeightsError::Unsupported),
            Weights::Safetensors(_) => Err(WeightsError::Unsupported("safetensors carry no shape".into())),
        }
    }

    /// Loads a `.safetensors` file as f32.
    ///
    /// # Errors
    /// [`WeightsError::Read`].
    pub fn safetensors(path: &Path, device: &Device) -> Result<Self, WeightsError> {
        let read = |error: candle_core::Error| WeightsError::Read { path: path.into(), cause: error.to_string() };
        let mut tensors = candle_core::safetensors::load(path, device).map_err(read)?;
        for tensor in tensors.values_mut() {
            *tensor = tensor.to_dtype(DType::F32).map_err(read)?;
        }
        Ok(Self::Safetensors(tensors))
    }

    /// Loads the whole model, able to read `positions` tokens. Quantized tensors stay quantized.
    ///
    /// # Errors
    /// All of [`WeightsError`].
    pub fn load(mut self, config: Config, positions: usize) -> Result<Gemma3, WeightsError> {
        let Config { hidden, heads, kv_heads, head, .. } = config;
        let embedding = self.embedding("model.embed_tokens.weight", hidden)?;
        let mut layers = Vec::with_capacity(config.windows.len());
        for index in 0..config.windows.len() {
            let name = |part: &str| format!("model.layers.{index}.{part}.weight");
            let gate = self.linear(&name("mlp.gate_proj"), None, hidden)?;
            let width = gate
                .rows()
                .map_err(|error| WeightsError::Tensor { name: name("mlp.gate_proj"), cause: error.to_string() })?;
            layers.push(Layer {
                attention_norm: self.norm(&name("input_layernorm"), hidden)?,
                query: self.linear(&name("self_attn.q_proj"), Some(heads * head), hidden)?,
                key: self.linear(&name("self_attn.k_proj"), Some(kv_heads * head), hidden)?,
                value: self.linear(&name("self_attn.v_proj"), Some(kv_heads * head), hidden)?,
                output: self.linear(&name("self_attn.o_proj"), Some(hidden), heads * head)?,
                query_norm: self.norm(&name("self_attn.q_norm"), head)?,
                key_norm: self.norm(&name("self_attn.k_norm"), head)?,
                post_attention_norm: self.norm(&name("post_attention_layernorm"), hidden)?,
                mlp_norm: self.norm(&name("pre_feedforward_layernorm"), hidden)?,
                gate,
                up: self.linear(&name("mlp.up_proj"), Some(width), hidden)?,
                down: self.linear(&name("mlp.down_proj"), Some(hidden), width)?,
                post_mlp_norm: self.norm(&name("post_feedforward_layernorm"), hidden)?,
            });
        }
        let norm = self.norm("model.norm.weight", hidden)?;
        Gemma3::new(config, embedding, layers, norm, positions)
            .map_err(|error| WeightsError::Unsupported(error.to_string()))
    }

    /// A Gemma norm's effective weight, 1 + w, of `length` values.
    fn norm(&mut self, name: &str, length: usize) -> Result<Tensor, WeightsError> {
        let weight = self.vector(name, length)?;
        match self {
            Weights::Gguf { .. } => Ok(weight),
            Weights::Safetensors(_) => {
                (weight + 1.0).map_err(|error| WeightsError::Tensor { name: name.into(), cause: error.to_string() })
            }
        }
    }

    /// `length` values as f32.
    pub(super) fn vector(&mut self, name: &str, length: usize) -> Result<Tensor, WeightsError> {
        let values = self.dense(name)?;
        match values.dims() {
            [found] if *found == length => Ok(values),
            found => Err(wrong_shape(name, found, &format!("[{length}]"))),
        }
    }

    /// Any number of rows of `columns` values, as f32.
    pub(super) fn vectors(&mut self, name: &str, columns: usize) -> Result<Tensor, WeightsError> {
        let values = self.dense(name)?;
        match values.dims() {
            [_, found] if *found == columns => Ok(values),
            found => Err(wrong_shape(name, found, &format!("[any, {columns}]"))),
        }
    }

    /// A table of tokens, `columns` values each.
    pub(super) fn embedding(&mut self, name: &str, columns: usize) -> Result<Embedding, WeightsError> {
        match self.linear(name, None, columns)? {
            Linear::Quantized(table) => Ok(Embedding::Quantized(table)),
            Linear::Dense(table) => Ok(Embedding::Dense(table)),
            Linear::Lora(_) => Err(WeightsError::Unsupported("an adapter on the token table".into())),
        }
    }

    /// A tensor of any shape as f32.
    fn dense(&mut self, name: &str) -> Result<Tensor, WeightsError> {
        let fail = |cause: String| WeightsError::Tensor { name: name.into(), cause };
        match self {
            Weights::Safetensors(tensors) => tensors.get(name).cloned().ok_or_else(|| fail("missing".into())),
            Weights::Gguf { content, reader } => {
                let name = ggml_name(name).ok_or_else(|| fail("not a tensor of a known model".into()))?;
                let tensor = content.tensor(reader, &name, &Device::Cpu).map_err(|error| fail(error.to_string()))?;
                tensor.dequantize(&Device::Cpu).map_err(|error| fail(error.to_string()))
            }
        }
    }

    /// A matrix of shape (`rows`, `columns`); any number of rows where `rows` is None.
    pub(super) fn linear(&mut self, name: &str, rows: Option<usize>, columns: usize) -> Result<Linear, WeightsError> {
        let fail = |cause: String| WeightsError::Tensor { name: name.into(), cause };
        let check = |dims: &[usize]| match dims {
            [r, c] if rows.is_none_or(|rows| rows == *r) && *c == columns => Ok((*r, *c)),
            _ => {
                let rows = rows.map_or("any".to_string(), |rows| rows.to_string());
                Err(wrong_shape(name, dims, &format!("[{rows}, {columns}]")))
            }
        };
        match self {
            Weights::Safetensors(tensors) => {
                let weight = tensors.get(name).ok_or_else(|| fail("missing".into()))?;
                check(weight.dims())?;
                Ok(Linear::Dense(weight.clone()))
            }
            Weights::Gguf { content, reader } => {
                let ggml = ggml_name(name).ok_or_else(|| fail("not a tensor of a known model".into()))?;
                let info = content.tensor_infos.get(&ggml).ok_or_else(|| fail("missing".into()))?;
                let (rows, columns) = check(info.shape.dims())?;
                let format = match info.ggml_dtype {
                    GgmlDType::Q8_0 => Some(Format::Q8_0),
                    GgmlDType::Q4_0 => Some(Format::Q4_0),
                    _ => None,
                };
                match format {
                    Some(format) => {
                        let start = content.tensor_data_offset.saturating_add(info.offset);
                        reader.seek(SeekFrom::Start(start)).map_err(|error| fail(error.to_string()))?;
                        let matrix = QMatrix::read(rows, columns, format, reader).map_err(fail)?;
                        Ok(Linear::Quantized(Arc::new(matrix)))
                    }
                    None => {
                        let tensor = info.read(reader, content.tensor_data_offset, &Device::Cpu);
                        let dense = tensor
                            .and_then(|tensor| tensor.dequantize(&Device::Cpu))
                            .map_err(|error| fail(error.to_string()))?;
                        Ok(Linear::Dense(dense))
                    }
                }
            }
        }
    }
}

fn wrong_shape(name: &str, found: &[usize], expected: &str) -> WeightsError {
    WeightsError::Tensor { name: name.into(), cause: format!("has shape {found:?}, expected {expected}") }
}
