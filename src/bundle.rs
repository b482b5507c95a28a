//! The bundle: the contract between the pipeline (`build/`), which writes it, and the appliance, which opens it.
//!
//! A folder of ordinary files, each listed with its SHA-256 and size in `manifest.json`. [`Bundle::open`] turns it into
//! paths that hold what was built, byte for byte; [`install`] and [`rollback`] leave a whole bundle in place whatever
//! happens. Does NOT know what the files mean: no tensors, no tokens, no entries. No network.

mod install;
mod manifest;

pub use install::{install, rollback};
pub use manifest::{FileEntry, Manifest, Provenance};

use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The layout this program writes and reads. Raised whenever an older program could misread a newer bundle.
pub const FORMAT_VERSION: u32 = 9;
/// The list of all other files.
pub const MANIFEST: &str = "manifest.json";
/// The network: GGUF with ggml tensor names.
pub const MODEL: &str = "model.gguf";
/// The tokenizer, Hugging Face `tokenizer.json`.
pub const TOKENIZER: &str = "tokenizer.json";
/// The sentence encoder: GGUF of llama.cpp's kind "bert".
pub const ENCODER: &str = "encoder.gguf";
/// The encoder's tokenizer, Hugging Face `tokenizer.json` too.
pub const ENCODER_TOKENIZER: &str = "encoder-tokenizer.json";
/// Words that are spelt right, a line each, the most common first.
pub const WORDS: &str = "words.txt";
/// What the encoder makes of the entries, in their order: [`crate::knowledge::vectors::Vectors`].
pub const VECTORS: &str = "vectors.safetensors";
/// The curated entries, a JSON array of [`crate::knowledge::Entry`].
pub const KNOWLEDGE: &str = "knowledge.json";
/// Climate targets by growth stage.
pub const TARGETS: &str = "targets.toml";
/// Licence notices that must travel with the weights.
pub const NOTICE: &str = "NOTICE";
/// What every bundle holds besides its manifest.
pub const REQUIRED: [&str; 9] =
    [MODEL, TOKENIZER, ENCODER, ENCODER_TOKENIZER, WORDS, VECTORS, KNOWLEDGE, TARGETS, NOTICE];

/// Why there is no usable bundle, sorted by what to do about it. The grower's words are in [`crate::text`].
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Nothing is there: install one.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// Something else is there: point to another folder. It is never touched.
    #[error("{} is not a bundle: {why}", dir.display())]
    NotABundle {
        /// The folder.
        dir: PathBuf,
        /// What gives it away.
        why: String,
    },
    /// Written by another version: update the program, or rebuild the bundle.
    #[error("{}: bundle format {found}, this program reads {FORMAT_VERSION}", dir.display())]
    Version {
        /// The folder.
        dir: PathBuf,
        /// Its `format_version`.
        found: u32,
    },
    /// Its bytes are not those that were built: install it again, or roll back.
    #[error("{}: {file}: {why}", dir.display())]
    Damaged {
        /// The folder.
        dir: PathBuf,
        /// Name of the file, or what stands in its place.
        file: String,
        /// Missing, wrong size, wrong hash, bad name.
        why: String,
    },
    /// The disk is full: make room.
    #[error("no space left for {} ({needed} bytes needed)", dir.display())]
    NoSpace {
        /// Where the bundle was to go.
        dir: PathBuf,
        /// Size of the whole bundle, bytes.
        needed: u64,
    },
    /// The disk refuses: permissions, a read-only mount, a failing card.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder in question.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no earlier bundle beside this one.
    #[error("{} has no earlier bundle beside it", .0.display())]
    NothingEarlier(PathBuf),
    /// Another program is replacing it: wait.
    #[error("{} is being replaced by another program", .0.display())]
    Busy(PathBuf),
    /// The system names no home folder, so the default place is unknown: name one.
    #[error("no home folder, so no default place for the bundle")]
    NoHome,
}

impl BundleError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> BundleError + '_ {
        move |source| BundleError::Io { path: path.to_owned(), source }
    }

    fn damaged(dir: &Path, file: &str, why: impl Into<String>) -> BundleError {
        BundleError::Damaged { dir: dir.to_owned(), file: file.to_owned(), why: why.into() }
    }
}

/// A folder whose every listed byte has been checked.
#[derive(Clone, Debug)]
pub struct Bundle {
    dir: PathBuf,
    manifest: Manifest,
}

impl Bundle {
    /// Checks version, seal, names, sizes and hashes of the bundle in `dir`. Reads every byte, which a Pi 4 feels.
    ///
    /// What a power cut left of an [`install`] or a [`rollback`] is mended first, so that a whole bundle is there if one can be.
    ///
    /// # Errors
    /// Every [`BundleError`] but `NoSpace`, `NothingEarlier` and `Busy`.
    pub fn open(dir: &Path) -> Result<Bundle, BundleError> {
        install::recover(dir)?;
        Bundle::verify(dir)
    }

    /// [`Bundle::open`] without touching the disk.
    fn verify(dir: &Path) -> Result<Bundle, BundleError> {
        let manifest = Manifest::of(dir)?;
        // All sizes first: the cheap check, and the one that finds a copy that was cut short.
        manifest.files.iter().try_for_each(|entry| entry.check_size(dir))?;
        manifest.files.iter().try_for_each(|entry| entry.check_content(dir))?;
        Ok(Bundle { dir: dir.to_owned(), manifest })
    }

    /// The text of the file `name` of the bundle in `dir`, checked as [`Bundle::open`] does, but no other file: for what must be
    /// there at once, and though the model is damaged.
    ///
    /// # Errors
    /// As [`Bundle::open`].
    pub fn text(dir: &Path, name: &str) -> Result<String, BundleError> {
        install::recover(dir)?;
        let manifest = Manifest::of(dir)?;
        let entry = manifest.files.iter().find(|entry| entry.name == name);
        let entry = entry.ok_or_else(|| BundleError::damaged(dir, name, "is not in the manifest"))?;
        entry.check_size(dir)?;
        entry.check_content(dir)?;
        let path = dir.join(name);
        fs::read_to_string(&path).map_err(BundleError::io(&path))
    }

    /// What the bundle says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Path of the network, GGUF.
    pub fn model(&self) -> PathBuf {
        self.dir.join(MODEL)
    }

    /// Path of `tokenizer.json`.
    pub fn tokenizer(&self) -> PathBuf {
        self.dir.join(TOKENIZER)
    }

    /// Path of the sentence encoder, GGUF.
    pub fn encoder(&self) -> PathBuf {
        self.dir.join(ENCODER)
    }

    /// Path of the sentence encoder's `tokenizer.json`.
    pub fn encoder_tokenizer(&self) -> PathBuf {
        self.dir.join(ENCODER_TOKENIZER)
    }

    /// Path of the list of words that are spelt right.
    pub fn words(&self) -> PathBuf {
        self.dir.join(WORDS)
    }

    /// Path of the entries' vectors, safetensors.
    pub fn vectors(&self) -> PathBuf {
        self.dir.join(VECTORS)
    }

    /// Path of the curated entries, JSON.
    pub fn knowledge(&self) -> PathBuf {
        self.dir.join(KNOWLEDGE)
    }

    /// Path of the climate targets, TOML.
    pub fn targets(&self) -> PathBuf {
        self.dir.join(TARGETS)
    }

    /// Path of the licence notices.
    pub fn notice(&self) -> PathBuf {
        self.dir.join(NOTICE)
    }
}

/// Where the bundle is when neither the configuration nor a flag says otherwise: `bundle` in the user's data folder
/// (`~/.local/share/tomato-assistant` on Linux).
///
/// # Errors
/// [`BundleError::NoHome`].
pub fn default_dir() -> Result<PathBuf, BundleError> {
    let folders = directories::ProjectDirs::from("", "", "tomato-assistant").ok_or(BundleError::NoHome)?;
    Ok(folders.data_dir().join("bundle"))
}

/// SHA-256 of `bytes`, 64 lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// SHA-256 of a file, read in pieces of 64 KiB.
///
/// # Errors
/// Those of opening and reading it.
pub fn sha256_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            count => hash.update(&piece[..count]),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
