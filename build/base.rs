//! Which base model a run starts from: the default one, a GGUF file or a Hugging Face folder.
//!
//! Turns what the user gave into a path, its content's hashes and what the manifest says of it. Does NOT open the model.

use indicatif::ProgressBar;
use std::path::Path;
use tomato_assistant::bundle::sha256;

use super::{
    artifact::Origin,
    fetch::{self, FetchError},
    import::{Base, ImportError},
};

/// Why there is no base model.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The default one could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// There is none at the given path.
    #[error(transparent)]
    Path(#[from] ImportError),
}

/// A base model that is there.
#[derive(Clone, Debug)]
pub struct KnownBase {
    /// Where it is.
    pub base: Base,
    /// What the import stage's folder is made from.
    pub origin: Origin,
    /// Name of the file or folder, without `.gguf`.
    pub name: String,
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
    let origin = base.origin()?;
    // `--base .` has no name of its own.
    let named = path.canonicalize().unwrap_or(path);
    let name = match base {
        Base::Gguf(_) => named.file_stem(),
        Base::Folder(_) => named.file_name(),
    };
    Ok(KnownBase { base, origin, name: name.unwrap_or_default().to_string_lossy().into_owned() })
}

/// One hash for the manifest: that of the GGUF file, or of a folder's list `hash  name`, one file a line.
pub fn content_sha256(origin: &Origin) -> String {
    match origin.inputs.get("gguf") {
        Some(hash) => hash.clone(),
        None => {
            let list: String = origin.inputs.iter().map(|(name, hash)| format!("{hash}  {name}\n")).collect();
            sha256(list.as_bytes())
        }
    }
}
