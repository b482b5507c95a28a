//! f32 numbers -> ggml blocks -> a GGUF file.
//!
//! A tensor is quantized a piece at a time, so that memory holds the quantized form only. Does NOT know which tensor gets
//! which format, nor what the metadata say.

use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QStorage, QTensor, gguf_file},
};
use std::{
    borrow::Cow,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{
    artifact::{ArtifactError, at},
    import::ImportError,
    recipe::BlockFormat,
    rounding,
};

/// Values quantized at a time: a multiple of the block, 4 MB of f32.
const PIECE: usize = 1 << 20;

/// Why there is no quantized file.
#[derive(Debug, thiserror::Error)]
pub enum BlocksError {
    /// The numbers cannot be read.
    #[error(transparent)]
    Values(#[from] ImportError),
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
    /// candle could not quantize a tensor.
    #[error("tensor {name}: {source}")]
    Quantize {
        /// Hugging Face name.
        name: String,
        /// What candle said.
        source: candle_core::Error,
    },
    /// The disk refuses, or is full.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Writing failed otherwise.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file being written.
        path: PathBuf,
        /// What candle said.
        source: candle_core::Error,
    },
}

/// Tensor `name` of `shape` in blocks of `format`, in f32 where that is None. `piece` gives `count` of its numbers from
/// element `first` on.
///
/// # Errors
/// [`BlocksError`], but those of writing.
pub fn tensor(
    name: &str,
    shape: &[usize],
    format: Option<BlockFormat>,
    mut piece: impl FnMut(usize, usize) -> Result<Vec<f32>, ImportError>,
) -> Result<QTensor, BlocksError> {
    let width = *shape.last().unwrap_or(&0);
    let dtype = match format {
        None => GgmlDType::F32,
        Some(format) if !width.is_multiple_of(32) => {
            return Err(BlocksError::Width { name: name.into(), width, format });
        }
        Some(BlockFormat::Q8_0) => GgmlDType::Q8_0,
        Some(BlockFormat::Q4_0) => GgmlDType::Q4_0,
    };
    let fail = |source| BlocksError::Quantize { name: name.into(), source };
    let total: usize = shape.iter().product();
    let mut bytes = Vec::with_capacity(total / dtype.block_size() * dtype.type_size());
    for first in (0..total).step_by(PIECE) {
        let count = PIECE.min(total - first);
        let values = piece(first, count)?;
        if dtype == GgmlDType::Q4_0 {
            bytes.extend(rounding::q4_0(&values));
            continue;
        }
        let blocks = Tensor::from_vec(values, count, &Device::Cpu).and_then(|values| QTensor::quantize(&values, dtype));
        bytes.extend_from_slice(&blocks.and_then(|blocks| Ok(blocks.data()?.into_owned())).map_err(fail)?);
    }
    let storage = QStorage::from_data(Cow::Owned(bytes), &Device::Cpu, dtype).map_err(fail)?;
    QTensor::new(storage, shape).map_err(fail)
}

/// What `values`, in rows of `width`, are in blocks of `format`.
///
/// # Errors
/// [`BlocksError::Width`], [`BlocksError::Quantize`].
pub fn rounded(name: &str, width: usize, format: BlockFormat, values: &[f32]) -> Result<Vec<f32>, BlocksError> {
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let piece = |first, count| Ok(values[first..first + count].to_vec());
    let blocks = tensor(name, &[values.len() / width, width], Some(format), piece)?;
    let numbers = blocks.dequantize(&Device::Cpu).and_then(|numbers| numbers.flatten_all()?.to_vec1());
    numbers.map_err(|source| BlocksError::Quantize { name: name.into(), source })
}

/// Tensor `name` of `shape` from Q4_0 blocks that were made elsewhere.
///
/// # Errors
/// [`BlocksError::Quantize`]: blocks that do not fill the shape.
pub fn from_bytes(name: &str, shape: &[usize], bytes: Vec<u8>) -> Result<QTensor, BlocksError> {
    let fail = |source| BlocksError::Quantize { name: name.into(), source };
    let storage = QStorage::from_data(Cow::Owned(bytes), &Device::Cpu, GgmlDType::Q4_0).map_err(fail)?;
    QTensor::new(storage, shape).map_err(fail)
}

/// Writes the GGUF file `path`: `metadata`, then `tensors` by their ggml names, both in this order.
///
/// # Errors
/// [`BlocksError::Artifact`], [`BlocksError::Write`].
pub fn write(
    path: &Path,
    metadata: &[(String, gguf_file::Value)],
    tensors: &[(String, QTensor)],
) -> Result<(), BlocksError> {
    let mut file = BufWriter::new(File::create(path).map_err(at(path))?);
    let metadata: Vec<_> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    gguf_file::write(&mut file, &metadata, &tensors).map_err(|source| match source {
        candle_core::Error::Io(source) => BlocksError::Artifact(at(path)(source)),
        source => BlocksError::Write { path: path.into(), source },
    })?;
    Ok(file.flush().map_err(at(path))?)
}
