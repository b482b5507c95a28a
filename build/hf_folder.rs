//! A base model in Hugging Face layout: `config.json`, one or several safetensors files, `tokenizer.json`.
//!
//! Turns the folder into a config and rows of f32 by Hugging Face name. Does NOT check that the tensors are complete
//! (`import` does, the same way for every kind of base).

use super::{
    checkpoint::{CONFIG, TOKENIZER},
    config_json::Config,
    import::{ImportError, Layout},
    safetensors_file::Reader,
};
use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

/// Some exports wrap the text model; its tensors are the same.
const WRAPPER: &str = "language_model.";
/// Parts of a multimodal model that a text model does without.
const NOT_TEXT: [&str; 2] = ["vision_tower.", "multi_modal_projector."];

/// An opened folder.
pub struct HfFolder {
    /// What `config.json` says.
    pub config: Config,
    folder: PathBuf,
    files: Vec<Reader>,
    /// Plain name to file, name in that file, shape.
    tensors: HashMap<String, (usize, String, Vec<usize>)>,
}

impl HfFolder {
    /// Opens every weights file. Errors when one is missing or damaged, or a tensor is there twice.
    pub fn open(folder: &Path) -> Result<Self, ImportError> {
        let config = Config::read(&folder.join(CONFIG))?;
        if !folder.join(TOKENIZER).is_file() {
            return Err(ImportError::NotABase { path: folder.into(), missing: TOKENIZER });
        }
        let (mut files, mut tensors) = (Vec::new(), HashMap::new());
        for name in weight_files(folder)? {
            let path = folder.join(name);
            let reader = Reader::open(&path)?;
            for (full, shape) in reader.tensors() {
                let plain = full.strip_prefix(WRAPPER).unwrap_or(full);
                // `model.language_model.layers…` is how transformers 5 writes the same wrapper.
                let plain = match plain.strip_prefix("model.language_model.") {
                    Some(rest) => format!("model.{rest}"),
                    None => plain.to_string(),
                };
                if NOT_TEXT.iter().any(|part| plain.trim_start_matches("model.").starts_with(part)) {
                    continue;
                }
                let entry = (files.len(), full.to_string(), shape.to_vec());
                if tensors.insert(plain, entry).is_some() {
                    return Err(ImportError::Damaged { path, reason: format!("{full} is there twice") });
                }
            }
            files.push(reader);
        }
        Ok(Self { config, folder: folder.into(), files, tensors })
    }

    /// Names of the files that are read, for telling whether they have changed.
    pub fn files(folder: &Path) -> Result<BTreeSet<String>, ImportError> {
        let mut names = weight_files(folder)?;
        names.extend([CONFIG.to_string(), TOKENIZER.to_string()]);
        Ok(names)
    }

    /// Names and shapes of what is there.
    pub fn layout(&self) -> Layout {
        self.tensors.iter().map(|(name, (_, _, shape))| (name.clone(), shape.clone())).collect()
    }

    /// `rows` rows from `first` on; a vector is one row of `columns`.
    pub fn rows(&mut self, name: &str, columns: usize, first: usize, rows: usize) -> Result<Vec<f32>, ImportError> {
        let (file, full, _) = &self.tensors[name];
        self.files[*file].piece(full, first * columns, rows * columns)
    }

    /// The folder's own tokenizer.
    pub fn tokenizer(&self) -> Result<Vec<u8>, ImportError> {
        let path = self.folder.join(TOKENIZER);
        std::fs::read(&path).map_err(|source| ImportError::io(&path, source))
    }
}

/// The files named by the index, else every `*.safetensors` in the folder.
fn weight_files(folder: &Path) -> Result<BTreeSet<String>, ImportError> {
    let index = folder.join("model.safetensors.index.json");
    let mut names = BTreeSet::new();
    if index.is_file() {
        let damaged = |reason: String| ImportError::Damaged { path: index.clone(), reason };
        let bytes = std::fs::read(&index).map_err(|source| ImportError::io(&index, source))?;
        let json: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        let map = json["weight_map"].as_object().ok_or_else(|| damaged("it has no weight_map".into()))?;
        for file in map.values() {
            let name = file.as_str().unwrap_or_default();
            // A file name only: an index must not point out of its folder.
            if name.is_empty() || Path::new(name).file_name().is_none_or(|last| last != name) {
                return Err(damaged(format!("{file} is not a file name")));
            }
            names.insert(name.to_string());
        }
    } else {
        for entry in std::fs::read_dir(folder).map_err(|source| ImportError::io(folder, source))? {
            let name = entry.map_err(|source| ImportError::io(folder, source))?.file_name();
            if let Some(name) = name.to_str().filter(|name| name.ends_with(".safetensors")) {
                names.insert(name.to_string());
            }
        }
    }
    match names.is_empty() {
        true => Err(ImportError::NotABase { path: folder.into(), missing: "*.safetensors" }),
        false => Ok(names),
    }
}
