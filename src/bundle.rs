//! The bundle: the contract between the pipeline (`build/`), which writes it, and the appliance, which opens it.
//!
//! A folder of ordinary files, each listed with its SHA-256 and size in `manifest.json`. [`Bundle::open`] turns it into
//! paths that hold what was built, byte for byte; [`install`] and [`rollback`] leave a whole bundle in place whatever
//! happens. Does NOT know what the files mean: no tensors, no tokens, no entries. No network.

mod install;

pub use install::{install, rollback};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The layout this program writes and reads. Raised whenever an older program could misread a newer bundle.
pub const FORMAT_VERSION: u32 = 7;
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

/// No real manifest comes near this; reading stops here when the folder turns out to be something else. Bytes.
const MANIFEST_LIMIT: u64 = 1 << 20;

/// `manifest.json`. Holds no date, so the same inputs make the same bundle, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT_VERSION`] of the program that wrote it.
    pub format_version: u32,
    /// What people call this bundle, such as `tomato-270m`.
    pub name: String,
    /// Every other file of the bundle.
    pub files: Vec<FileEntry>,
    /// What it was made from.
    pub provenance: Provenance,
    /// One line for each part that has its own terms.
    pub licences: Vec<String>,
    /// SHA-256 of this manifest written with an empty seal: a damaged manifest is noticed too.
    seal: String,
}

/// One file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Plain file name, no folders.
    pub name: String,
    /// SHA-256 of the content, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
}

impl FileEntry {
    fn check_size(&self, dir: &Path) -> Result<(), BundleError> {
        let path = dir.join(&self.name);
        let metadata = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(damaged(dir, &self.name, "is missing"));
            }
            metadata => metadata.map_err(BundleError::io(&path))?,
        };
        if !metadata.is_file() {
            return Err(damaged(dir, &self.name, "is not an ordinary file"));
        }
        if metadata.len() != self.bytes {
            let why = format!("has {} bytes instead of {}", metadata.len(), self.bytes);
            return Err(damaged(dir, &self.name, why));
        }
        Ok(())
    }

    fn check_content(&self, dir: &Path) -> Result<(), BundleError> {
        let path = dir.join(&self.name);
        if sha256_file(&path).map_err(BundleError::io(&path))? != self.sha256 {
            return Err(damaged(dir, &self.name, "is not as it was written (its SHA-256 differs)"));
        }
        Ok(())
    }
}

/// What a bundle was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// SHA-256 of the base model, as fetched.
    pub base_model_sha256: String,
    /// Its name, such as `gemma-3-270m`.
    pub base_model_name: String,
    /// SHA-256 of the sentence encoder's weights, as fetched.
    pub encoder_sha256: String,
    /// SHA-256 of the recipe file.
    pub recipe_sha256: String,
    /// Version of the pipeline.
    pub tool_version: String,
}

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
    /// The system names no home folder, so the default place is unknown: name one.
    #[error("no home folder, so no default place for the bundle")]
    NoHome,
}

impl BundleError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> BundleError + '_ {
        move |source| BundleError::Io { path: path.to_owned(), source }
    }
}

impl Manifest {
    /// A sealed manifest of [`FORMAT_VERSION`].
    pub fn new(name: String, files: Vec<FileEntry>, provenance: Provenance, licences: Vec<String>) -> Manifest {
        let mut manifest =
            Manifest { format_version: FORMAT_VERSION, name, files, provenance, licences, seal: String::new() };
        manifest.seal = manifest.expected_seal();
        manifest
    }

    /// The only byte sequence that is this manifest: indented JSON and a line feed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("strings and integers always serialize");
        bytes.push(b'\n');
        bytes
    }

    fn expected_seal(&self) -> String {
        sha256(&Manifest { seal: String::new(), ..self.clone() }.to_bytes())
    }

    /// That of the bundle in `dir`, with names that can be trusted.
    fn of(dir: &Path) -> Result<Manifest, BundleError> {
        match fs::metadata(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BundleError::Missing(dir.to_owned())),
            metadata => metadata.map_err(BundleError::io(dir))?,
        };
        let manifest = Manifest::read(dir)?;
        manifest.check_names(dir)?;
        Ok(manifest)
    }

    fn read(dir: &Path) -> Result<Manifest, BundleError> {
        /// The part every version has had and will have.
        #[derive(Deserialize)]
        struct AnyVersion {
            format_version: u32,
        }
        let not_a_bundle = |why: String| BundleError::NotABundle { dir: dir.to_owned(), why };
        let path = dir.join(MANIFEST);
        let mut bytes = Vec::new();
        match File::open(&path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(not_a_bundle(format!("it has no {MANIFEST}")));
            }
            file => file.and_then(|file| file.take(MANIFEST_LIMIT + 1).read_to_end(&mut bytes)),
        }
        .map_err(BundleError::io(&path))?;
        let version: AnyVersion =
            serde_json::from_slice(&bytes).map_err(|e| not_a_bundle(format!("{MANIFEST}: {e}")))?;
        if version.format_version != FORMAT_VERSION {
            return Err(BundleError::Version { dir: dir.to_owned(), found: version.format_version });
        }
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|e| not_a_bundle(format!("{MANIFEST}: {e}")))?;
        if manifest.seal != manifest.expected_seal() || manifest.to_bytes() != bytes {
            return Err(damaged(dir, MANIFEST, "is not as it was written"));
        }
        Ok(manifest)
    }

    /// Whether the names can be trusted as file names, and all that is needed is listed.
    fn check_names(&self, dir: &Path) -> Result<(), BundleError> {
        let mut seen = HashSet::new();
        for FileEntry { name, .. } in &self.files {
            if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\', ':', '\0']) {
                return Err(damaged(dir, name, "is not a plain file name"));
            }
            if name == MANIFEST || !seen.insert(name.as_str()) {
                return Err(damaged(dir, name, "is listed where it may not be"));
            }
        }
        match REQUIRED.iter().find(|name| !seen.contains(*name)) {
            Some(name) => Err(damaged(dir, name, "is not in the manifest")),
            None => Ok(()),
        }
    }
}

fn damaged(dir: &Path, file: &str, why: impl Into<String>) -> BundleError {
    BundleError::Damaged { dir: dir.to_owned(), file: file.to_owned(), why: why.into() }
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
    /// An [`install`] that died between its two renames is undone first: the earlier bundle is put back.
    ///
    /// # Errors
    /// Every [`BundleError`] but `NoSpace` and `NothingEarlier`.
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
        let entry = entry.ok_or_else(|| damaged(dir, name, "is not in the manifest"))?;
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
