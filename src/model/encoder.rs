//! The sentence encoder: token ids of one text in, one vector of length 1 out. Texts that mean the same lie close.
//!
//! A BERT (Devlin et al. 2018, arXiv 1810.04805) with the mean of its last hidden states as in Sentence-BERT (Reimers
//! and Gurevych 2019, arXiv 1908.10084), as all-MiniLM-L6-v2 is. Does NOT know files of text, tokenizers or entries.

use super::{
    linear::{Embedding, Linear},
    ops::{Pass, gelu_erf, layer_norm, softmax},
    weights::{Weights, WeightsError},
};
use candle_core::{D, Device, Result, Tensor, quantized::gguf_file::Content};

/// Shape of an encoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Width of a hidden state, and of the vector.
    pub hidden: usize,
    /// Attention heads; they share `hidden` evenly.
    pub heads: usize,
    /// Layers.
    pub layers: usize,
    /// Width between the two matrices of a layer's MLP.
    pub width: usize,
    /// Most tokens a text may have.
    pub positions: usize,
    /// Added to the variance in every norm.
    pub norm_epsilon: f64,
}

impl Config {
    /// From the metadata of a GGUF file of llama.cpp's kind "bert" with mean pooling.
    ///
    /// # Errors
    /// A sentence naming what is missing or different.
    pub fn from_gguf(content: &Content) -> std::result::Result<Self, String> {
        let metadata = &content.metadata;
        let architecture = metadata.get("general.architecture").and_then(|value| value.to_string().ok());
        if architecture.is_none_or(|architecture| architecture != "bert") {
            let found = architecture.map_or("unknown", String::as_str);
            return Err(format!("the file holds a model of architecture {found:?}, not \"bert\""));
        }
        let number = |key: &str| {
            let value = metadata.get(&format!("bert.{key}")).and_then(|value| value.to_u64().ok());
            value.map(|value| value as usize).ok_or(format!("bert.{key} is missing or no whole number"))
        };
        let epsilon = metadata.get("bert.attention.layer_norm_epsilon").and_then(|value| value.to_f32().ok());
        let config = Self {
            hidden: number("embedding_length")?,
            heads: number("attention.head_count")?,
            layers: number("block_count")?,
            width: number("feed_forward_length")?,
            positions: number("context_length")?,
            norm_epsilon: f64::from(epsilon.ok_or("bert.attention.layer_norm_epsilon is missing or no number")?),
        };
        // llama.cpp's LLAMA_POOLING_TYPE_MEAN.
        if number("pooling_type")? != 1 {
            return Err("the encoder does not pool by the mean".into());
        }
        let sizes = [config.hidden, config.heads, config.layers, config.width, config.positions];
        if sizes.contains(&0) || !config.hidden.is_multiple_of(config.heads) {
            return Err(format!("the encoder's shape cannot be: {config:?}"));
        }
        Ok(config)
    }
}

/// A matrix with its bias, (out).
#[derive(Clone, Debug)]
struct Affine {
    weight: Linear,
    bias: Tensor,
}

/// Scale and shift of a layer norm, (hidden) each.
#[derive(Clone, Debug)]
struct Norm {
    weight: Tensor,
    bias: Tensor,
}

#[derive(Clone, Debug)]
struct Layer {
    query: Affine,
    key: Affine,
    value: Affine,
    output: Affine,
    attention_norm: Norm,
    up: Affine,
    down: Affine,
    mlp_norm: Norm,
}

/// An encoder with its weights. Immutable.
#[derive(Clone, Debug)]
pub struct Encoder {
    config: Config,
    words: Embedding,
    /// (positions, hidden): position and the one sentence type that is used.
    positions: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
}

impl Encoder {
    /// Takes the encoder out of an opened GGUF file of llama.cpp's kind "bert".
    ///
    /// # Errors
    /// All of [`WeightsError`].
    pub fn load(mut weights: Weights) -> std::result::Result<Self, WeightsError> {
        let config = weights.encoder_config()?;
        let Config { hidden, width, .. } = config;
        let unsupported = |error: candle_core::Error| WeightsError::Unsupported(error.to_string());
        let mut layers = Vec::with_capacity(config.layers);
        for index in 0..config.layers {
            let name = |part: &str| format!("encoder.layer.{index}.{part}");
            let mut affine = |part: &str, rows: usize, columns: usize| -> std::result::Result<_, WeightsError> {
                let weight = weights.linear(&format!("{}.weight", name(part)), Some(rows), columns)?;
                Ok(Affine { weight, bias: weights.vector(&format!("{}.bias", name(part)), rows)? })
            };
            let query = affine("attention.self.query", hidden, hidden)?;
            let key = affine("attention.self.key", hidden, hidden)?;
            let value = affine("attention.self.value", hidden, hidden)?;
            let output = affine("attention.output.dense", hidden, hidden)?;
            let up = affine("intermediate.dense", width, hidden)?;
            let down = affine("output.dense", hidden, width)?;
            let attention_norm = Norm::load(&mut weights, &name("attention.output.LayerNorm"), hidden)?;
            let mlp_norm = Norm::load(&mut weights, &name("output.LayerNorm"), hidden)?;
            layers.push(Layer { query, key, value, output, attention_norm, up, down, mlp_norm });
        }
        let words = weights.embedding("embeddings.word_embeddings.weight", hidden)?;
        let types = weights.vectors("embeddings.token_type_embeddings.weight", hidden)?;
        let positions = weights.vectors("embeddings.position_embeddings.weight", hidden)?;
        let positions = types.narrow(0, 0, 1).and_then(|first| positions.broadcast_add(&first)).map_err(unsupported)?;
        let norm = Norm::load(&mut weights, "embeddings.LayerNorm", hidden)?;
        if positions.dims() != [config.positions, hidden] {
            return Err(WeightsError::Unsupported(format!("{:?} positions for {config:?}", positions.dims())));
        }
        Ok(Self { config, words, positions, norm, layers })
    }

    /// Its matrices under their modules' Hugging Face names, layer by layer: what an adapter may change.
    pub fn matrices(&mut self) -> Vec<(String, &mut Linear)> {
        let mut all = Vec::new();
        for (index, layer) in self.layers.iter_mut().enumerate() {
            for (part, affine) in [
                ("attention.self.query", &mut layer.query),
                ("attention.self.key", &mut layer.key),
                ("attention.self.value", &mut layer.value),
                ("attention.output.dense", &mut layer.output),
                ("intermediate.dense", &mut layer.up),
                ("output.dense", &mut layer.down),
            ] {
                all.push((format!("encoder.layer.{index}.{part}"), &mut affine.weight));
            }
        }
        all
    }

    /// Moves its weights, f32 ones, to `device`.
    ///
    /// # Errors
    /// A quantized weight; a device without room.
    pub fn move_to(&mut self, device: &Device) -> Result<()> {
        let Embedding::Dense(words) = &mut self.words else { candle_core::bail!("only f32 encoders can be moved") };
        let mut tensors = vec![words, &mut self.positions, &mut self.norm.weight, &mut self.norm.bias];
        for layer in &mut self.layers {
            let Layer { query, key, value, output, attention_norm, up, down, mlp_norm } = layer;
            for affine in [query, key, value, output, up, down] {
                let Linear::Dense(weight) = &mut affine.weight else {
                    candle_core::bail!("only f32 encoders can be moved")
                };
                tensors.extend([weight, &mut affine.bias]);
            }
            for norm in [attention_norm, mlp_norm] {
                tensors.extend([&mut norm.weight, &mut norm.bias]);
            }
        }
        for tensor in tensors {
            *tensor = tensor.to_device(device)?;
        }
        Ok(())
    }

    /// Where its weights are.
    pub fn device(&self) -> &Device {
        self.positions.device()
    }

    /// Its shape.
    pub fn config(&self) -> Config {
        self.config
    }

    /// Number of tokens it knows.
    ///
    /// # Errors
    /// A token table that is no matrix.
    pub fn vocabulary(&self) -> Result<usize> {
        self.words.vocabulary()
    }

    /// The vectors of texts of one length: `ids` (batch, tokens; u32) to (batch, hidden), each of length 1.
    ///
    /// # Errors
    /// An id outside the vocabulary; no token, or more than the positions.
    pub fn forward(&self, ids: &Tensor, pass: Pass) -> Result<Tensor> {
        let tokens = ids.dim(1)?;
        let x = self.words.rows(ids)?.broadcast_add(&self.positions.narrow(0, 0, tokens)?)?;
        let mut x = self.normed(&self.norm, &x, pass)?;
        for layer in &self.layers {
            let h = self.attention(layer, &x, pass)?;
            x = self.normed(&layer.attention_norm, &(x + h)?, pass)?;
            let h = layer.down.forward(&gelu_erf(&layer.up.forward(&x)?, pass)?)?;
            x = self.normed(&layer.mlp_norm, &(x + h)?, pass)?;
        }
        let mean = x.mean(1)?;
        mean.broadcast_div(&mean.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?)
    }

    fn normed(&self, norm: &Norm, x: &Tensor, pass: Pass) -> Result<Tensor> {
        layer_norm(x, &norm.weight, &norm.bias, self.config.norm_epsilon, pass)
    }

    /// Every token sees every token.
    fn attention(&self, layer: &Layer, x: &Tensor, pass: Pass) -> Result<Tensor> {
        let (batch, tokens, hidden) = x.dims3()?;
        let heads = self.config.heads;
        let head = hidden / heads;
        let split = |x: Tensor| x.reshape((batch, tokens, heads, head))?.transpose(1, 2)?.contiguous();
        let queries = (split(layer.query.forward(x)?)? * (head as f64).powf(-0.5))?;
        let keys = split(layer.key.forward(x)?)?;
        let values = split(layer.value.forward(x)?)?;
        let scores = queries.matmul(&keys.transpose(2, 3)?)?;
        let mixed = softmax(&scores, pass)?.matmul(&values)?;
        layer.output.forward(&mixed.transpose(1, 2)?.reshape((batch, tokens, hidden))?)
    }
}

impl Affine {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.weight.forward(x)?.broadcast_add(&self.bias)
    }
}

impl Norm {
    fn load(weights: &mut Weights, name: &str, length: usize) -> std::result::Result<Self, WeightsError> {
        Ok(Self {
            weight: weights.vector(&format!("{name}.weight"), length)?,
            bias: weights.vector(&format!("{name}.bias"), length)?,
        })
    }
}
