//! The folders that stages leave behind: `target/pipeline/<number>-<stage>/`, each with a `record.json`.
//!
//! Turns a stage's work into a finished folder, or finds that a finished one was made from the same things. A stage
//! writes into `<number>-<stage>.partial`; the record is written there last, then the folder is renamed. So a folder
//! without `.partial` is whole, whatever was killed when. Does NOT know what any stage does.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};
use tomato_assistant::bundle::{sha256, sha256_file};

const RECORD: &str = "record.json";
/// How often, and after which pauses, a lock that is held is tried again: a program that was just started holds the locks of the one
/// that starts it for some milliseconds.
const PATIENCE: usize = 10;
const BREATH: Duration = Duration::from_millis(20);

/// Why a stage's folder cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The disk refuses, or is full.
    #[error("{}: {source}{}", path.display(), if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        "; free some space and run again, finished stages are kept" } else { "" })]
    Io {
        /// The file or folder in question.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Two pipelines would write the same folders.
    #[error("another pipeline is working in {}; wait until it is done", .0.display())]
    Busy(PathBuf),
}

/// Puts the path into an I/O error.
pub fn at(path: &Path) -> impl FnOnce(io::Error) -> ArtifactError + '_ {
    move |source| ArtifactError::Io { path: path.to_owned(), source }
}

/// Writes `tensors` as a safetensors file, whose errors say what to do when the disk is full.
///
/// # Errors
/// [`ArtifactError::Io`].
pub fn save(path: &Path, tensors: &HashMap<String, Tensor>) -> Result<(), ArtifactError> {
    let bytes = safetensors::serialize(tensors, None).map_err(io::Error::other).map_err(at(path))?;
    fs::write(path, bytes).map_err(at(path))
}

/// A stage's place in the order.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// Position, from 1.
    pub number: u8,
    /// One word, as in the recipe.
    pub name: &'static str,
    /// Raised whenever the stage's code makes something else of the same inputs: old folders are then made again.
    pub revision: u32,
}

impl Stage {
    /// Name of its folder, such as `6-quantize`.
    pub fn folder(&self) -> String {
        format!("{}-{}", self.number, self.name)
    }
}

/// What a folder is made from. Equal origins make equal folders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// SHA-256 of the stage's table of the recipe, as JSON.
    pub config_sha256: String,
    /// Name -> SHA-256 of everything it reads.
    pub inputs: BTreeMap<String, String>,
    /// Version of this program and revision of the stage.
    pub tool_version: String,
}

impl Origin {
    /// The origin of `stage` with its recipe table `config`.
    pub fn new(stage: &Stage, config: &impl Serialize, inputs: BTreeMap<String, String>) -> Origin {
        let config = serde_json::to_vec(config).expect("recipe tables hold strings, numbers and lists only");
        let tool_version = format!("{} r{}", env!("CARGO_PKG_VERSION"), stage.revision);
        Origin { config_sha256: sha256(&config), inputs, tool_version }
    }
}

/// `record.json`: written last, so its presence says that all the rest is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What the folder was made from.
    pub origin: Origin,
    /// How long that took, seconds.
    pub seconds: f64,
    /// File name -> hash and size. Later stages take the hashes from here: each file is hashed once.
    pub files: BTreeMap<String, Output>,
}

/// One file of a finished stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// A finished stage.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// Its folder.
    pub dir: PathBuf,
    /// What `record.json` says.
    pub record: Record,
    /// Whether it was found finished.
    pub reused: bool,
}

impl Artifact {
    /// Size of all its files, bytes.
    pub fn bytes(&self) -> u64 {
        self.record.files.values().map(|output| output.bytes).sum()
    }

    /// The files as inputs of a later stage.
    pub fn inputs(&self) -> BTreeMap<String, String> {
        self.record.files.iter().map(|(name, output)| (name.clone(), output.sha256.clone())).collect()
    }
}

/// All stage folders of one working place.
#[derive(Debug)]
pub struct Artifacts {
    root: PathBuf,
    /// Numbers of the stages that are made again, whatever they left.
    again: Vec<u8>,
    /// Held for as long as this program may write. Released by the system, however the program ends.
    _lock: File,
}

impl Artifacts {
    /// Opens `root`, creating it, for this program alone.
    ///
    /// # Errors
    /// [`ArtifactError`].
    pub fn open(root: &Path) -> Result<Artifacts, ArtifactError> {
        fs::create_dir_all(root).map_err(at(root))?;
        let path = root.join("lock");
        let lock = File::create(&path).map_err(at(&path))?;
        for _ in 0..PATIENCE {
            match lock.try_lock() {
                Ok(()) => return Ok(Artifacts { root: root.to_owned(), again: Vec::new(), _lock: lock }),
                Err(fs::TryLockError::WouldBlock) => thread::sleep(BREATH),
                Err(fs::TryLockError::Error(error)) => return Err(at(&path)(error)),
            }
        }
        Err(ArtifactError::Busy(root.to_owned()))
    }

    /// From now on `stages` are made again, even from the same things. What they left stays until that is done.
    pub fn make_again(&mut self, stages: &[Stage]) {
        self.again.extend(stages.iter().map(|stage| stage.number));
    }

    /// The finished folder of `stage` made from `origin`: found, or made by `work`, which fills the folder it is given.
    ///
    /// # Errors
    /// Those of `work`, and [`ArtifactError`]. What `work` left behind is then removed; an older folder stays.
    pub fn produce<E: From<ArtifactError>>(
        &self,
        stage: &Stage,
        origin: Origin,
        work: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<Artifact, E> {
        let usable = |artifact: &Artifact| artifact.record.origin == origin && !self.again.contains(&stage.number);
        if let Some(artifact) = finished(&self.root, stage).filter(usable) {
            log::info!("{}: up to date", stage.folder());
            return Ok(artifact);
        }
        let dir = self.root.join(stage.folder());
        let partial = self.root.join(format!("{}.partial", stage.folder()));
        remove(&partial)?;
        fs::create_dir_all(&partial).map_err(at(&partial))?;
        let started = Instant::now();
        let made = work(&partial).and_then(|()| Ok(write_record(&partial, origin, started)?));
        let record = match made {
            Ok(record) => record,
            Err(error) => {
                // A full disk should not stay full. What resists is removed by the next run.
                let _ = fs::remove_dir_all(&partial);
                return Err(error);
            }
        };
        remove(&dir)?;
        fs::rename(&partial, &dir).map_err(at(&dir))?;
        log::info!("{}: made in {:.1} s", stage.folder(), record.seconds);
        Ok(Artifact { dir, record, reused: false })
    }
}

/// What `stage` left in `root`, if it is whole: a readable record, and every file with its size.
pub fn finished(root: &Path, stage: &Stage) -> Option<Artifact> {
    let dir = root.join(stage.folder());
    let record: Record = serde_json::from_slice(&fs::read(dir.join(RECORD)).ok()?).ok()?;
    let whole = record.files.iter().all(|(name, output)| {
        fs::metadata(dir.join(name)).is_ok_and(|metadata| metadata.is_file() && metadata.len() == output.bytes)
    });
    whole.then_some(Artifact { dir, record, reused: true })
}

/// Hashes and syncs everything in `partial`, then writes the record.
fn write_record(partial: &Path, origin: Origin, started: Instant) -> Result<Record, ArtifactError> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(partial).map_err(at(partial))? {
        let path = entry.map_err(at(partial))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = File::open(&path).map_err(at(&path))?;
        file.sync_all().map_err(at(&path))?;
        let bytes = file.metadata().map_err(at(&path))?.len();
        files.insert(name, Output { sha256: sha256_file(&path).map_err(at(&path))?, bytes });
    }
    let record = Record { origin, seconds: started.elapsed().as_secs_f64(), files };
    let path = partial.join(RECORD);
    let json = serde_json::to_vec_pretty(&record).expect("strings and numbers always serialize");
    fs::write(&path, json).map_err(at(&path))?;
    File::open(&path).and_then(|file| file.sync_all()).map_err(at(&path))?;
    Ok(record)
}

fn remove(dir: &Path) -> Result<(), ArtifactError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(at(dir)),
    }
}
