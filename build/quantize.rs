//! Stage `quantize`: an f32 checkpoint -> `model.gguf` with quantized matrices, and the tokenizer beside it.
//!
//! The GGUF has ggml's tensor names and all metadata of llama.cpp's "gemma3", so both llama.cpp and the appliance open
//! it. Reads the checkpoint in pieces: memory holds the quantized model only. Does NOT know where the checkpoint is from.

use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QStorage, QTensor, gguf_file},
};
use indicatif::ProgressBar;
use std::{
    borrow::Cow,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};
use tomato_assistant::{
    bundle::{MODEL, TOKENIZER},
    model::weights::{Weights, WeightsError, ggml_name},
};

use super::{
    artifact::{Artifact, ArtifactError, Origin, Stage, at},
    checkpoint::{CONFIG, TENSORS},
    config_json::Config,
    import::ImportError,
    metadata,
    recipe::{self, BlockFormat},
    safetensors_file::Reader,
    size,
};

/// This stage.
pub const STAGE: Stage = Stage { number: 2, name: "quantize", revision: 1 };

/// Values quantized at a time: a multiple of the block, 4 MB of f32.
const PIECE: usize = 1 << 20;

/// Why there is no quantized model.
#[derive(Debug, thiserror::Error)]
pub enum QuantizeError {
    /// The checkpoint is not what the import stage leaves behind.
    #[error(transparent)]
    Checkpoint(#[from] ImportError),
    /// A matrix does not fit the block format.
    #[error("tensor {name} has rows of {width} values, {format:?} needs a multiple of 32")]
    Width {
        /// Hugging Face name.
        name: String,
        /// Values in a row.
        width: usize,
        /// As the recipe asks.
        format: BlockFormat,
    },
    /// The disk refuses, or is full.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Building or writing a tensor failed.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file being written.
        path: PathBuf,
        /// What candle or the system said.
        source: candle_core::Error,
    },
    /// The appliance's own loader refuses the result.
    #[error("the quantized model does not open: {0}")]
    Unusable(#[from] WeightsError),
}

/// What this stage's folder is made from.
pub fn origin(table: &recipe::Quantize, checkpoint: &Artifact) -> Origin {
    Origin::new(&STAGE, table, checkpoint.inputs())
}

/// Reads the Hugging Face folder `checkpoint`, writes `model.gguf` and `tokenizer.json` into `out`. `bar` counts bytes of
/// f32 weights.
///
/// # Errors
/// [`QuantizeError`].
pub fn run(table: &recipe::Quantize, checkpoint: &Path, out: &Path, bar: &ProgressBar) -> Result<(), QuantizeError> {
    let config = Config::read(&checkpoint.join(CONFIG))?;
    let mut tensors = Reader::open(&checkpoint.join(TENSORS))?;
    let metadata = metadata::gguf(&config, table.ffn, checkpoint)?;
    let path = out.join(MODEL);
    let write_error = |source| match source {
        candle_core::Error::Io(source) => QuantizeError::Artifact(at(&path)(source)),
        source => QuantizeError::Write { path: path.clone(), source },
    };

    let shapes = config.tensors();
    bar.set_length(4 * size::parameters(&config));
    let mut quantized = Vec::with_capacity(shapes.len());
    for (name, shape) in shapes {
        check_shape(&tensors, &name, &shape)?;
        let ggml = ggml_name(&name).ok_or_else(|| ImportError::Unsupported(format!("a tensor {name}")))?;
        let tensor = quantize(&mut tensors, &name, shape, format_of(&ggml, table), bar, write_error)?;
        quantized.push((ggml, tensor));
    }
    bar.finish();

    let mut file = BufWriter::new(File::create(&path).map_err(at(&path))?);
    let metadata: Vec<_> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let by_name: Vec<_> = quantized.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    gguf_file::write(&mut file, &metadata, &by_name).map_err(write_error)?;
    file.flush().map_err(at(&path))?;
    drop(quantized);

    // One position is enough: this is about names, shapes and formats.
    let weights = Weights::gguf(&path)?;
    let config = weights.config()?;
    weights.load(config, 1)?;
    let tokenizer = out.join(TOKENIZER);
    fs::copy(checkpoint.join(TOKENIZER), &tokenizer).map_err(at(&tokenizer))?;
    Ok(())
}

/// The recipe's format for a matrix; None for a norm, which stays f32.
fn format_of(ggml: &str, table: &recipe::Quantize) -> Option<BlockFormat> {
    let part = ggml.rsplit('.').nth(1).unwrap_or_default();
    match part {
        "token_embd" => Some(table.embedding),
        "attn_q" | "attn_k" | "attn_v" | "attn_output" => Some(table.attention),
        "ffn_gate" | "ffn_up" | "ffn_down" => Some(table.ffn),
        _ => None,
    }
}

fn check_shape(tensors: &Reader, name: &str, expected: &[usize]) -> Result<(), ImportError> {
    match tensors.tensors().find(|(found, _)| *found == name) {
        None => Err(ImportError::Missing { count: 1, names: name.into() }),
        Some((_, found)) if found != expected => {
            Err(ImportError::Shape { name: name.into(), found: found.into(), expected: expected.into() })
        }
        Some(_) => Ok(()),
    }
}

/// Tensor `name` in blocks of `format`, or, as a norm, in f32 with the 1 + w that GGUF files hold.
fn quantize(
    tensors: &mut Reader,
    name: &str,
    shape: Vec<usize>,
    format: Option<BlockFormat>,
    bar: &ProgressBar,
    write_error: impl Fn(candle_core::Error) -> QuantizeError,
) -> Result<QTensor, QuantizeError> {
    let width = *shape.last().unwrap_or(&0);
    let dtype = match format {
        None => GgmlDType::F32,
        Some(format) if !width.is_multiple_of(32) => {
            return Err(QuantizeError::Width { name: name.into(), width, format });
        }
        Some(BlockFormat::Q8_0) => GgmlDType::Q8_0,
        Some(BlockFormat::Q4_0) => GgmlDType::Q4_0,
    };
    let total: usize = shape.iter().product();
    let mut bytes = Vec::with_capacity(total / dtype.block_size() * dtype.type_size());
    for first in (0..total).step_by(PIECE) {
        let count = PIECE.min(total - first);
        let mut values = tensors.piece(name, first, count)?;
        if format.is_none() {
            values.iter_mut().for_each(|value| *value += 1.0);
        }
        let piece = Tensor::from_vec(values, count, &Device::Cpu).and_then(|piece| QTensor::quantize(&piece, dtype));
        bytes.extend_from_slice(&piece.and_then(|piece| Ok(piece.data()?.into_owned())).map_err(&write_error)?);
        bar.inc(4 * count as u64);
    }
    let storage = QStorage::from_data(Cow::Owned(bytes), &Device::Cpu, dtype).map_err(&write_error)?;
    QTensor::new(storage, shape).map_err(&write_error)
}
