//! Files to weights: GGUF (dense or quantized) and safetensors (dense), one naming of tensors.
//!
//! Tensors are called by their Hugging Face names everywhere; [`ggml_name`] is the only translation. Gemma's norm
//! weights are stored as w in safetensors and as 1 + w in GGUF; [`Weights::norm`] gives 1 + w from both. Does NOT know
//! the forward pass.

use super::{
    config::Config,
    gemma3::{Gemma3, Layer},
    kernels::{Format, QMatrix},
    linear::{Embedding, Linear},
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

/// The ggml name of a Gemma 3 tensor, from its Hugging Face name; None for a tensor that Gemma 3 does not have.
pub fn ggml_name(name: &str) -> Option<String> {
    match name {
        "model.embed_tokens.weight" => return Some("token_embd.weight".into()),
        "model.norm.weight" => return Some("output_norm.weight".into()),
        _ => {}
    }
    let (layer, part) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let part = match part.strip_suffix(".weight")? {
        "input_layernorm" => "attn_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" => "attn_output",
        "self_attn.q_norm" => "attn_q_norm",
        "self_attn.k_norm" => "attn_k_norm",
        "post_attention_layernorm" => "post_attention_norm",
        "pre_feedforward_layernorm" => "ffn_norm",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        "post_feedforward_layernorm" => "post_ffw_norm",
        _ => return None,
    };
    Some(format!("blk.{layer}.{part}.weight"))
}

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
        let content = gguf_file::Content::read(&mut reader).map_err(|error| read(error.to_string()))?;
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
        let embedding = match self.linear("model.embed_tokens.weight", None, hidden)? {
            Linear::Quantized(table) => Embedding::Quantized(table),
            Linear::Dense(table) => Embedding::Dense(table),
            Linear::Lora(_) => return Err(WeightsError::Unsupported("an adapter on the token table".into())),
        };
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

    /// A norm's effective weight, 1 + w, of `length` values.
    fn norm(&mut self, name: &str, length: usize) -> Result<Tensor, WeightsError> {
        let fail = |cause: String| WeightsError::Tensor { name: name.into(), cause };
        let weight = match self {
            Weights::Safetensors(tensors) => {
                let weight = tensors.get(name).ok_or_else(|| fail("missing".into()))?;
                (weight + 1.0).map_err(|error| fail(error.to_string()))?
            }
            Weights::Gguf { content, reader } => {
                let name = ggml_name(name).ok_or_else(|| fail("not a Gemma 3 tensor".into()))?;
                let tensor = content.tensor(reader, &name, &Device::Cpu).map_err(|error| fail(error.to_string()))?;
                tensor.dequantize(&Device::Cpu).map_err(|error| fail(error.to_string()))?
            }
        };
        match weight.dims() {
            [found] if *found == length => Ok(weight),
            found => Err(fail(format!("has shape {found:?}, expected [{length}]"))),
        }
    }

    /// A matrix of shape (`rows`, `columns`); any number of rows where `rows` is None.
    fn linear(&mut self, name: &str, rows: Option<usize>, columns: usize) -> Result<Linear, WeightsError> {
        let fail = |cause: String| WeightsError::Tensor { name: name.into(), cause };
        let check = |dims: &[usize]| match dims {
            [r, c] if rows.is_none_or(|rows| rows == *r) && *c == columns => Ok((*r, *c)),
            _ => {
                let rows = rows.map_or("any".to_string(), |rows| rows.to_string());
                Err(fail(format!("has shape {dims:?}, expected [{rows}, {columns}]")))
            }
        };
        match self {
            Weights::Safetensors(tensors) => {
                let weight = tensors.get(name).ok_or_else(|| fail("missing".into()))?;
                check(weight.dims())?;
                Ok(Linear::Dense(weight.clone()))
            }
            Weights::Gguf { content, reader } => {
                let ggml = ggml_name(name).ok_or_else(|| fail("not a Gemma 3 tensor".into()))?;
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
