//! Which base model a run starts from: the default one, a GGUF file or a Hugging Face folder.
//!
//! Turns what the user gave into a path, a name and a hash. Does NOT open the model.

use indicatif::ProgressBar;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tomato_assistant::bundle::{sha256, sha256_file};

use super::{
    artifact::{ArtifactError, at},
    fetch::{self, FetchError},
    import::{Base, ImportError},
};

/// Why there is no base model.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The default one could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// There is nothing at the given path.
    #[error(transparent)]
    Path(#[from] ImportError),
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ArtifactError),
}

/// A base model and what the manifest will say of it.
#[derive(Clone, Debug)]
pub struct KnownBase {
    /// Where it is.
    pub base: Base,
    /// Name of the file or folder, without `.gguf`.
    pub name: String,
    /// SHA-256 of the file; of a folder, that of the list of its files' hashes.
    pub sha256: String,
}

/// The base model at `given`, or the default one, fetched into the user's cache if it is not there.
///
/// # Errors
/// [`BaseError`].
pub fn locate(given: Option<&Path>, progress: &ProgressBar) -> Result<KnownBase, BaseError> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => fetch::base_model(&fetch::default_cache()?, progress)?,
    };
    let base = Base::from_path(&path)?;
    let sha256 = match &base {
        Base::Gguf(file) => sha256_file(file).map_err(at(file))?,
        Base::Folder(folder) => sha256(list(folder)?.as_bytes()),
    };
    // `--base .` has no name of its own.
    let named = path.canonicalize().unwrap_or(path);
    let name = match base {
        Base::Gguf(_) => named.file_stem(),
        Base::Folder(_) => named.file_name(),
    };
    Ok(KnownBase { base, name: name.unwrap_or_default().to_string_lossy().into_owned(), sha256 })
}

/// `hash  name` of every file that a model can be made of, one a line, by name.
fn list(folder: &Path) -> Result<String, ArtifactError> {
    let mut hashes = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path: PathBuf = entry.map_err(at(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() && (name.ends_with(".json") || name.ends_with(".safetensors")) {
            hashes.insert(name, sha256_file(&path).map_err(at(&path))?);
        }
    }
    Ok(hashes.iter().map(|(name, hash)| format!("{hash}  {name}\n")).collect())
}
