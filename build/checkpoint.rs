//! A Hugging Face folder with one file of weights, opened: what the import stage leaves behind, and how the sentence
//! encoder comes.
//!
//! Turns a tensor's name and the shape it must have into its numbers, a piece at a time or all. Does NOT know the models.

use std::path::Path;

use super::{import::ImportError, safetensors_file::Reader};

/// The shape of the model and its special tokens.
pub const CONFIG: &str = "config.json";
/// All tensors.
pub const TENSORS: &str = "model.safetensors";
/// The tokenizer.
pub const TOKENIZER: &str = "tokenizer.json";

/// The opened weights.
pub struct Checkpoint {
    tensors: Reader,
}

impl Checkpoint {
    /// Opens the weights in `folder`.
    ///
    /// # Errors
    /// [`ImportError`]: not there, or no safetensors file.
    pub fn open(folder: &Path) -> Result<Self, ImportError> {
        Ok(Self { tensors: Reader::open(&folder.join(TENSORS))? })
    }

    /// Whether tensor `name` is there in the shape that the config demands.
    ///
    /// # Errors
    /// [`ImportError::Missing`], [`ImportError::Shape`].
    pub fn check(&self, name: &str, expected: &[usize]) -> Result<(), ImportError> {
        match self.tensors.tensors().find(|(found, _)| *found == name) {
            None => Err(ImportError::Missing { count: 1, names: name.into() }),
            Some((_, found)) if found != expected => {
                Err(ImportError::Shape { name: name.into(), found: found.into(), expected: expected.into() })
            }
            Some(_) => Ok(()),
        }
    }

    /// `count` numbers of tensor `name` from element `first` on, as f32. The caller has checked the shape.
    ///
    /// # Errors
    /// [`ImportError`]: the file cannot be read.
    pub fn piece(&mut self, name: &str, first: usize, count: usize) -> Result<Vec<f32>, ImportError> {
        self.tensors.piece(name, first, count)
    }

    /// All numbers of tensor `name`, which must have `shape`, as f32.
    ///
    /// # Errors
    /// As [`check`](Self::check) and [`piece`](Self::piece); [`ImportError::NotFinite`].
    pub fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ImportError> {
        self.check(name, shape)?;
        let values = self.piece(name, 0, shape.iter().product())?;
        match values.iter().all(|value| value.is_finite()) {
            true => Ok(values),
            false => Err(ImportError::NotFinite(name.into())),
        }
    }
}
