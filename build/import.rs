//! Stage 1, import: any base model in, an ordinary Hugging Face folder out.
//!
//! Turns a GGUF or a Hugging Face folder of a Gemma 3 text model into `config.json`, `model.safetensors` (f32) and
//! `tokenizer.json`. Streams: a few rows are in memory at a time. Does NOT know where the base came from.

use super::{
    artifact::{ArtifactError, Origin, Stage, at},
    checkpoint::{CONFIG, TENSORS, TOKENIZER},
    config_json::Config,
    gguf_base::GgufBase,
    hf_folder::HfFolder,
    safetensors_file::Writer,
    size, tokenizer_json,
};
use indicatif::ProgressBar;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};
use tomato_assistant::bundle::sha256_file;

/// This stage.
pub const STAGE: Stage = Stage { number: 1, name: "import", revision: 1 };

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
            Err(_) => Err(ImportError::NoBase(path.into())),
        }
    }

    /// What a later run compares to know that the folder is still good: name and SHA-256 of every file that is read.
    pub fn origin(&self) -> Result<Origin, ImportError> {
        let mut inputs = BTreeMap::new();
        let mut add = |name: String, path: &Path| -> Result<(), ImportError> {
            let hash = sha256_file(path).map_err(|source| ImportError::io(path, source))?;
            inputs.insert(name, hash);
            Ok(())
        };
        match self {
            // The same file under another name is the same base.
            Self::Gguf(path) => add("gguf".into(), path)?,
            Self::Folder(folder) => {
                for name in HfFolder::files(folder)? {
                    add(name.clone(), &folder.join(name))?;
                }
            }
        }
        Ok(Origin::new(&STAGE, &(), inputs))
    }
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The `config.json`.
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
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Nothing is at the path given.
    #[error("there is no base model at {}. Give a .gguf file, or a folder with config.json, *.safetensors and tokenizer.json", .0.display())]
    NoBase(PathBuf),
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
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Artifact(at(path)(source))
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
            Self::Folder(base) => tokenizer_json::fit(&base.tokenizer()?, base.config.vocab_size),
        }
    }
}

/// Imports `base` into the existing, empty folder `out`. `progress` counts bytes of the weights written.
///
/// # Errors
/// [`ImportError`]; what is in `out` is then of no use (`Artifacts::produce` removes it).
pub fn run(base: &Base, out: &Path, progress: &ProgressBar) -> Result<Imported, ImportError> {
    let mut source = Source::open(base)?;
    let layout = source.layout();
    check_layout(source.config(), &layout)?;
    check_head(&mut source, &layout)?;
    let config = Config { tie_word_embeddings: true, ..source.config().clone() };
    let write = |name: &str, bytes: &[u8]| {
        let path = out.join(name);
        fs::write(&path, bytes).map_err(|source| ImportError::io(&path, source))
    };
    let tokenizer = source.tokenizer()?;
    let golden_texts = tokenizer_json::check(&tokenizer, config.vocab_size as usize)?;
    write(TOKENIZER, &tokenizer)?;
    write(CONFIG, format!("{:#}\n", config.to_json()).as_bytes())?;
    let tensors = config.tensors();
    let mut writer = Writer::create(&out.join(TENSORS), &tensors)?;
    progress.set_length(4 * size::parameters(&config));
    progress.set_position(0);
    progress.set_message("importing");
    for (name, shape) in &tensors {
        for_each_piece(&mut source, name, shape, |numbers| {
            writer.append(&numbers)?;
            progress.inc(4 * numbers.len() as u64);
            Ok(())
        })?;
    }
    progress.finish();
    let bytes = writer.finish()?;
    Ok(Imported { parameters: size::parameters(&config), config, bytes, golden_texts })
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
    let known: HashSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    match layout.keys().filter(|name| !known.contains(name.as_str()) && *name != HEAD).min() {
        Some(foreign) => Err(ImportError::Unsupported(format!("a tensor {foreign}"))),
        None => Ok(()),
    }
}

/// The name an output matrix of its own would have.
pub const HEAD: &str = "lm_head.weight";

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
