//! Stage 1, import: any base model in, an ordinary Hugging Face folder out.
//!
//! Turns a GGUF or a Hugging Face folder of a Gemma 3 text model into `config.json`, `model.safetensors` (f32) and
//! `tokenizer.json`. Streams: a few rows are in memory at a time. Does NOT know where the base came from.

use super::artifact::{Origin, Stage};
use super::base::KnownBase;
use super::config_json::Config;
use super::gguf_base::GgufBase;
use super::hf_folder::HfFolder;
use super::safetensors_file::Writer;
use super::{size, tokenizer_json};
use indicatif::ProgressBar;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// This stage.
pub const STAGE: Stage = Stage { number: 1, name: "import", revision: 1 };

/// What this stage's folder is made from.
pub fn origin(base: &KnownBase) -> Origin {
    Origin::new(&STAGE, &(), BTreeMap::from([(base.name.clone(), base.sha256.clone())]))
}

/// Numbers held in memory at a time: 16 MiB as f32.
const PIECE: usize = 1 << 22;

/// Tensor names and shapes (rows, columns).
pub type Layout = HashMap<String, Vec<usize>>;

/// A base model on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// One GGUF file.
    Gguf(PathBuf),
    /// A folder in Hugging Face layout.
    Folder(PathBuf),
}

impl Base {
    /// A folder is Hugging Face layout, a file is GGUF. Errors when there is nothing at `path`.
    pub fn from_path(path: &Path) -> Result<Self, ImportError> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Ok(Self::Folder(path.into())),
            Ok(_) => Ok(Self::Gguf(path.into())),
            Err(source) => Err(ImportError::io(path, source)),
        }
    }
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The folder.
    pub folder: PathBuf,
    /// Its `config.json`.
    pub config: Config,
    /// Numbers in the model.
    pub parameters: u64,
    /// Size of `model.safetensors`, bytes.
    pub bytes: u64,
    /// Texts whose token ids were compared with outside tokenizers; 0 for an unknown vocabulary.
    pub golden_texts: usize,
}

/// Why a base model cannot be imported. All are for the person at the build host.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Reading or writing failed.
    #[error("{path}: {source}{}", advice(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file the layout needs is not there.
    #[error(
        "{path} is not a base model: it has no {missing}. Give a .gguf file, or a folder with config.json, *.safetensors and tokenizer.json"
    )]
    NotABase {
        /// The folder.
        path: PathBuf,
        /// The file.
        missing: &'static str,
    },
    /// The file contradicts itself or ends early.
    #[error("{path} is damaged or incomplete: {reason}. Fetch it again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A sound file of a model we cannot compute.
    #[error("this base model has {0}; only Gemma 3 text models (270M, 1B) with tied embeddings can be imported")]
    Unsupported(String),
    /// Tensors are missing.
    #[error("{count} of the model's tensors are missing: {names}. Is one of the weight files absent?")]
    Missing {
        /// How many.
        count: usize,
        /// The first of them.
        names: String,
    },
    /// A tensor has another shape than the config demands.
    #[error("{name} has shape {found:?}, but the config demands {expected:?}")]
    Shape {
        /// Hugging Face name.
        name: String,
        /// In the file.
        found: Vec<usize>,
        /// By the config.
        expected: Vec<usize>,
    },
    /// A weight is infinite or not a number.
    #[error("{0} holds a number that is not finite; the base model is damaged. Fetch it again")]
    NotFinite(String),
    /// The vocabulary is no Gemma 3 vocabulary.
    #[error("the tokenizer is not the one this model needs: {0}")]
    Tokenizer(String),
    /// candle could not read or convert a tensor.
    #[error("a tensor cannot be read: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl ImportError {
    /// An I/O error with its file.
    pub fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
}

/// What to do about an I/O error, where that is known.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull => ". The disk is full: free some space and run this again",
        io::ErrorKind::NotFound => ". Check the path given as the base model",
        _ => "",
    }
}

/// The two kinds of base behind one face.
enum Source {
    Gguf(GgufBase),
    Folder(HfFolder),
}

impl Source {
    fn open(base: &Base) -> Result<Self, ImportError> {
        match base {
            Base::Gguf(path) => GgufBase::open(path).map(Self::Gguf),
            Base::Folder(path) => HfFolder::open(path).map(Self::Folder),
        }
    }

    fn config(&self) -> &Config {
        match self {
            Self::Gguf(base) => &base.config,
            Self::Folder(base) => &base.config,
        }
    }

    fn layout(&self) -> Layout {
        match self {
            Self::Gguf(base) => base.layout(),
            Self::Folder(base) => base.layout(),
        }
    }

    fn rows(&mut self, name: &str, columns: usize, first: usize, rows: usize) -> Result<Vec<f32>, ImportError> {
        match self {
            Self::Gguf(base) => base.rows(name, columns, first, rows),
            Self::Folder(base) => base.rows(name, columns, first, rows),
        }
    }

    fn tokenizer(&self) -> Result<Vec<u8>, ImportError> {
        match self {
            Self::Gguf(base) => Ok(base.vocabulary()?.to_json()),
            Self::Folder(base) => base.tokenizer(),
        }
    }
}

/// Imports `base` into the folder `out`, which appears (or is replaced) only when everything is in it.
/// `progress` counts bytes of the weights written. Errors leave `out` as it was.
pub fn run(base: &Base, out: &Path, progress: &ProgressBar) -> Result<Imported, ImportError> {
    let mut source = Source::open(base)?;
    let layout = source.layout();
    check_layout(source.config(), &layout)?;
    check_head(&mut source, &layout)?;
    let staging = beside(out, "partial");
    remove(&staging)?;
    fs::create_dir_all(&staging).map_err(|error| ImportError::io(&staging, error))?;
    let written = write(&mut source, &staging, progress).and_then(|written| {
        replace(&staging, out)?;
        Ok(written)
    });
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_dir_all(&staging);
    }
    let (bytes, golden_texts) = written?;
    let config = Config { tie_word_embeddings: true, ..source.config().clone() };
    Ok(Imported { folder: out.into(), parameters: size::parameters(&config), config, bytes, golden_texts })
}

/// The three files. Returns the size of the weights in bytes and the number of golden texts compared.
fn write(source: &mut Source, folder: &Path, progress: &ProgressBar) -> Result<(u64, usize), ImportError> {
    let tokenizer = source.tokenizer()?;
    let golden_texts = tokenizer_json::check(&tokenizer, source.config().vocab_size as usize)?;
    write_durably(&folder.join("tokenizer.json"), &tokenizer)?;
    let config = Config { tie_word_embeddings: true, ..source.config().clone() };
    write_durably(&folder.join("config.json"), format!("{:#}\n", config.to_json()).as_bytes())?;
    let tensors = config.tensors();
    let mut writer = Writer::create(&folder.join("model.safetensors"), &tensors)?;
    progress.set_length(4 * size::parameters(&config));
    progress.set_position(0);
    for (name, shape) in &tensors {
        for_each_piece(source, name, shape, |numbers| {
            writer.append(&numbers)?;
            progress.inc(4 * numbers.len() as u64);
            Ok(())
        })?;
    }
    Ok((writer.finish()?, golden_texts))
}

/// Every tensor the config demands, in its shape, and none that our network would silently leave out.
fn check_layout(config: &Config, layout: &Layout) -> Result<(), ImportError> {
    let expected = config.tensors();
    let missing: Vec<&str> =
        expected.iter().filter(|(name, _)| !layout.contains_key(name)).map(|(name, _)| name.as_str()).collect();
    if !missing.is_empty() {
        let dots = if missing.len() > 8 { ", …" } else { "" };
        let names = format!("{}{dots}", missing[..missing.len().min(8)].join(", "));
        return Err(ImportError::Missing { count: missing.len(), names });
    }
    for (name, shape) in &expected {
        if layout[name] != *shape {
            let (found, expected) = (layout[name].clone(), shape.clone());
            return Err(ImportError::Shape { name: name.clone(), found, expected });
        }
    }
    let known: std::collections::HashSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    match layout.keys().filter(|name| !known.contains(name.as_str()) && *name != HEAD).min() {
        Some(foreign) => Err(ImportError::Unsupported(format!("a tensor {foreign}"))),
        None => Ok(()),
    }
}

/// The name an output matrix of its own would have.
const HEAD: &str = "lm_head.weight";

/// A head is welcome as long as it is the embedding table once more.
fn check_head(source: &mut Source, layout: &Layout) -> Result<(), ImportError> {
    let untied = || ImportError::Unsupported(format!("a head of its own ({HEAD} differs from the embeddings)"));
    let (embedding, shape) = source.config().tensors().swap_remove(0);
    match layout.get(HEAD) {
        None if source.config().tie_word_embeddings => return Ok(()),
        None => return Err(ImportError::Missing { count: 1, names: HEAD.into() }),
        Some(found) if *found != shape => return Err(untied()),
        Some(_) => {}
    }
    let (rows, columns) = (shape[0], shape[1]);
    let step = (PIECE / columns).max(1);
    for first in (0..rows).step_by(step) {
        let count = step.min(rows - first);
        if source.rows(HEAD, columns, first, count)? != source.rows(&embedding, columns, first, count)? {
            return Err(untied());
        }
    }
    Ok(())
}

/// Hands a tensor's numbers on in order, all finite.
fn for_each_piece(
    source: &mut Source,
    name: &str,
    shape: &[usize],
    mut consume: impl FnMut(Vec<f32>) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let columns = shape.last().copied().unwrap_or(1);
    let rows: usize = shape[..shape.len() - 1].iter().product();
    let step = (PIECE / columns).max(1);
    for first in (0..rows).step_by(step) {
        let numbers = source.rows(name, columns, first, step.min(rows - first))?;
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(ImportError::NotFinite(name.into()));
        }
        consume(numbers)?;
    }
    Ok(())
}

/// `out` with an ending, in the same folder, so that renaming stays on one disk.
fn beside(out: &Path, ending: &str) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{ending}"));
    out.with_file_name(name)
}

/// Puts the finished folder in place of the old one. A kill between the renames leaves no `out`: the next run makes it.
fn replace(staging: &Path, out: &Path) -> Result<(), ImportError> {
    let old = beside(out, "old");
    remove(&old)?;
    if out.exists() {
        fs::rename(out, &old).map_err(|source| ImportError::io(out, source))?;
    }
    fs::rename(staging, out).map_err(|source| ImportError::io(out, source))?;
    remove(&old)
}

fn remove(folder: &Path) -> Result<(), ImportError> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(ImportError::io(folder, source)),
        _ => Ok(()),
    }
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), ImportError> {
    let write = || -> io::Result<()> {
        let mut file = fs::File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| ImportError::io(path, source))
}
