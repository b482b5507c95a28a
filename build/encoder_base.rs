//! Which sentence encoder a run starts from, and its shape: a Hugging Face folder of a BERT.
//!
//! Turns what the user gave into a folder with its files' hashes, and `config.json` into names and shapes of tensors and
//! the metadata of a GGUF file of llama.cpp's kind "bert". The vector of a text is taken to be the mean of its tokens',
//! as in all-MiniLM-L6-v2; `config.json` does not say. Does NOT open weights or tokenizer.

use candle_core::quantized::gguf_file::Value;
use indicatif::ProgressBar;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tomato_assistant::bundle::sha256_file;

use super::{
    artifact::{ArtifactError, at},
    checkpoint::{CONFIG, TENSORS, TOKENIZER},
    fetch::{self, FetchError},
};

/// Why there is no sentence encoder to start from.
#[derive(Debug, thiserror::Error)]
pub enum EncoderBaseError {
    /// The default one could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Something is missing at the given path.
    #[error("there is no {}. Give a Hugging Face folder of a BERT sentence encoder, or leave out --encoder", .0.display())]
    Missing(PathBuf),
    /// A file cannot be read.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A config that is none, or of a model we cannot compute.
    #[error("the sentence encoder's {CONFIG}: {0}; only BERT with absolute positions and exact GELU can be used")]
    Config(String),
}

/// A sentence encoder that is there.
#[derive(Clone, Debug)]
pub struct EncoderBase {
    /// Its folder.
    pub folder: PathBuf,
    /// Name and SHA-256 of every file that is read.
    pub inputs: BTreeMap<String, String>,
}

/// The sentence encoder in the folder `given`, or the default one, fetched into the user's cache if it is not there.
///
/// # Errors
/// [`EncoderBaseError`].
pub fn locate(given: Option<&Path>, progress: &ProgressBar) -> Result<EncoderBase, EncoderBaseError> {
    let folder = match given {
        Some(folder) => folder.to_owned(),
        None => fetch::encoder(&fetch::default_cache()?, progress)?,
    };
    let mut inputs = BTreeMap::new();
    for name in [CONFIG, TENSORS, TOKENIZER] {
        let path = folder.join(name);
        if !path.is_file() {
            return Err(EncoderBaseError::Missing(path));
        }
        inputs.insert(name.to_string(), sha256_file(&path).map_err(at(&path))?);
    }
    Ok(EncoderBase { folder, inputs })
}

/// `config.json` of a BERT; what is not listed has no effect on the vector.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    model_type: String,
    hidden_act: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
    hidden_size: u32,
    intermediate_size: u32,
    layer_norm_eps: f32,
    max_position_embeddings: u32,
    num_attention_heads: u32,
    num_hidden_layers: u32,
    type_vocab_size: u32,
    vocab_size: u32,
}

fn absolute() -> String {
    "absolute".into()
}

/// The token table.
pub const WORDS: &str = "embeddings.word_embeddings.weight";
/// The table of positions.
pub const POSITIONS: &str = "embeddings.position_embeddings.weight";

impl Config {
    /// Reads and checks the one in `folder`.
    ///
    /// # Errors
    /// [`EncoderBaseError`].
    pub fn read(folder: &Path) -> Result<Self, EncoderBaseError> {
        let path = folder.join(CONFIG);
        let bytes = fs::read(&path).map_err(at(&path))?;
        let config: Config =
            serde_json::from_slice(&bytes).map_err(|error| EncoderBaseError::Config(error.to_string()))?;
        for (key, found, expected) in [
            ("model_type", &config.model_type, "bert"),
            ("hidden_act", &config.hidden_act, "gelu"),
            ("position_embedding_type", &config.position_embedding_type, "absolute"),
        ] {
            if found != expected {
                return Err(EncoderBaseError::Config(format!("{key} is {found:?}")));
            }
        }
        Ok(config)
    }

    /// Rows of the token table.
    pub fn pieces(&self) -> usize {
        self.vocab_size as usize
    }

    /// Most tokens a text may have, where `most` are asked for.
    pub fn positions(&self, most: u32) -> u32 {
        most.min(self.max_position_embeddings)
    }

    /// Hugging Face name and shape of every tensor that is needed.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (hidden, width) = (self.hidden_size as usize, self.intermediate_size as usize);
        let table = |name: &str, rows: u32| (name.to_string(), vec![rows as usize, hidden]);
        let mut tensors = vec![
            table(WORDS, self.vocab_size),
            table(POSITIONS, self.max_position_embeddings),
            table("embeddings.token_type_embeddings.weight", self.type_vocab_size),
        ];
        let norm = |tensors: &mut Vec<_>, name: String| {
            tensors.push((format!("{name}.weight"), vec![hidden]));
            tensors.push((format!("{name}.bias"), vec![hidden]));
        };
        norm(&mut tensors, "embeddings.LayerNorm".into());
        for layer in 0..self.num_hidden_layers {
            for (part, rows, columns) in [
                ("attention.self.query", hidden, hidden),
                ("attention.self.key", hidden, hidden),
                ("attention.self.value", hidden, hidden),
                ("attention.output.dense", hidden, hidden),
                ("intermediate.dense", width, hidden),
                ("output.dense", hidden, width),
            ] {
                tensors.push((format!("encoder.layer.{layer}.{part}.weight"), vec![rows, columns]));
                tensors.push((format!("encoder.layer.{layer}.{part}.bias"), vec![rows]));
            }
            norm(&mut tensors, format!("encoder.layer.{layer}.attention.output.LayerNorm"));
            norm(&mut tensors, format!("encoder.layer.{layer}.output.LayerNorm"));
        }
        tensors
    }

    /// All metadata entries of the GGUF file, for texts of at most `positions` tokens.
    pub fn metadata(&self, name: &str, positions: u32) -> Vec<(String, Value)> {
        [
            ("general.architecture", Value::String("bert".into())),
            ("general.type", Value::String("model".into())),
            ("general.name", Value::String(name.into())),
            ("general.quantization_version", Value::U32(2)),
            ("bert.block_count", Value::U32(self.num_hidden_layers)),
            ("bert.context_length", Value::U32(positions)),
            ("bert.embedding_length", Value::U32(self.hidden_size)),
            ("bert.feed_forward_length", Value::U32(self.intermediate_size)),
            ("bert.attention.head_count", Value::U32(self.num_attention_heads)),
            ("bert.attention.layer_norm_epsilon", Value::F32(self.layer_norm_eps)),
            ("bert.attention.causal", Value::Bool(false)),
            // LLAMA_POOLING_TYPE_MEAN.
            ("bert.pooling_type", Value::U32(1)),
        ]
        .map(|(key, value)| (key.to_string(), value))
        .into()
    }
}
