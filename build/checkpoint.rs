//! A Hugging Face folder as the import stage leaves it: `config.json`, one f32 `model.safetensors`, `tokenizer.json`.
//!
//! Gives tensors piece by piece, so that a model larger than memory can be read. Does NOT know what the tensors mean.

use safetensors::{Dtype, tensor::Metadata};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// The shape of the model and its special tokens.
pub const CONFIG: &str = "config.json";
/// All tensors.
pub const TENSORS: &str = "model.safetensors";
/// The tokenizer.
pub const TOKENIZER: &str = "tokenizer.json";

/// Headers are a few hundred kB at most; safetensors itself allows 100 MB. Bytes.
const HEADER_LIMIT: u64 = 100_000_000;

/// Why a checkpoint cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", path.display())]
pub struct CheckpointError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub cause: String,
}

/// An opened `model.safetensors`.
#[derive(Debug)]
pub struct Tensors {
    path: PathBuf,
    file: File,
    header: Metadata,
    /// Offset of the first tensor, bytes.
    start: u64,
}

impl Tensors {
    /// Opens `TENSORS` in `folder` and checks that the file is as long as its header says.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(folder: &Path) -> Result<Tensors, CheckpointError> {
        let path = folder.join(TENSORS);
        match Tensors::read_header(&path) {
            Ok((file, header, start)) => Ok(Tensors { path, file, header, start }),
            Err(error) => Err(CheckpointError { path, cause: error.to_string() }),
        }
    }

    fn read_header(path: &Path) -> io::Result<(File, Metadata, u64)> {
        let invalid = |cause: String| io::Error::new(io::ErrorKind::InvalidData, cause);
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        if length > HEADER_LIMIT.min(size) {
            return Err(invalid("not a safetensors file".into()));
        }
        let mut text = vec![0; length as usize];
        file.read_exact(&mut text)?;
        let header: Metadata = serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))?;
        let start = 8 + length;
        let expected = start + header.data_len() as u64;
        if expected != size {
            return Err(invalid(format!("has {size} bytes instead of {expected}: it was cut short or extended")));
        }
        Ok((file, header, start))
    }

    /// Names of all tensors.
    pub fn names(&self) -> Vec<String> {
        self.header.offset_keys()
    }

    /// Shape of tensor `name`, outermost dimension first.
    ///
    /// # Errors
    /// It is missing, or its values are not f32.
    pub fn shape(&self, name: &str) -> Result<&[usize], CheckpointError> {
        let info = self.header.info(name).ok_or_else(|| self.error(format!("tensor {name} is missing")))?;
        match info.dtype {
            Dtype::F32 => Ok(&info.shape),
            other => Err(self.error(format!("tensor {name} is {other:?} instead of F32"))),
        }
    }

    /// Calls `take` with the values of tensor `name`, in order, `length` at a time (fewer the last time).
    ///
    /// # Errors
    /// Those of [`Tensors::shape`], of reading, and of `take`.
    pub fn read<E: From<CheckpointError>>(
        &mut self,
        name: &str,
        length: usize,
        mut take: impl FnMut(Vec<f32>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut left: usize = self.shape(name)?.iter().product();
        let offset = self.header.info(name).map_or(0, |info| info.data_offsets.0);
        self.file.seek(SeekFrom::Start(self.start + offset as u64)).map_err(|error| self.error(error.to_string()))?;
        let mut bytes = vec![0; 4 * length.min(left)];
        while left > 0 {
            let count = length.min(left);
            self.file.read_exact(&mut bytes[..4 * count]).map_err(|error| self.error(error.to_string()))?;
            take(bytes[..4 * count].as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect())?;
            left -= count;
        }
        Ok(())
    }

    fn error(&self, cause: String) -> CheckpointError {
        CheckpointError { path: self.path.clone(), cause }
    }
}
