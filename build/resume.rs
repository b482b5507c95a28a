//! What a training that was killed needs to go on to the same result: values, optimizer, and where it is.
//!
//! Turns these into files and back. Does NOT know what is trained.

use candle_core::Device;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{fs, io::ErrorKind, path::Path};

use super::{
    adam::Adam,
    artifact::{ArtifactError, Origin, at, save},
};

/// TOML: its numbers are read back as they were, to the last bit. JSON's may differ in the last digit, and it has no NaN.
const PROGRESS: &str = "progress.toml";

/// The values at `step`, the best so far.
pub fn best(step: usize) -> String {
    format!("best-{step}.safetensors")
}

fn state(step: usize) -> String {
    format!("state-{step}.safetensors")
}

/// Where a run is; `P` is what its kind of training must know besides.
#[derive(Serialize, Deserialize)]
pub struct Progress<P> {
    /// What is trained from what; another one begins anew.
    pub origin: Origin,
    /// Steps done.
    pub steps: usize,
    /// The step whose values were the best so far, if it is not always the last: they are kept too.
    pub best: Option<usize>,
    /// The rest.
    pub own: P,
}

impl<P> Progress<P> {
    /// The beginning.
    pub fn new(origin: Origin, own: P) -> Self {
        Self { origin, steps: 0, best: None, own }
    }
}

/// Writes into `folder` what is needed to go on. Files are named by their step and `progress.toml`, written last, says which
/// count: a run that is killed in between goes on from what was kept before. Then those that no longer count are removed.
///
/// # Errors
/// The disk refuses.
pub fn keep<P: Serialize, E: From<ArtifactError> + From<candle_core::Error>>(
    folder: &Path,
    progress: &Progress<P>,
    adam: &Adam,
) -> Result<(), E> {
    fs::create_dir_all(folder).map_err(at(folder))?;
    let mut counts = vec![state(progress.steps), PROGRESS.to_string()];
    save(&folder.join(&counts[0]), &adam.state()?)?;
    sync(&folder.join(&counts[0]))?;
    if let Some(step) = progress.best {
        counts.push(best(step));
        if step == progress.steps {
            save(&folder.join(best(step)), &adam.values())?;
            sync(&folder.join(best(step)))?;
        }
    }
    let (fresh, path) = (folder.join(format!("{PROGRESS}.new")), folder.join(PROGRESS));
    let text = toml::to_string(progress).expect("strings and numbers always serialize");
    fs::write(&fresh, text).map_err(at(&fresh))?;
    sync(&fresh)?;
    fs::rename(&fresh, &path).map_err(at(&path))?;
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        if !counts.iter().any(|name| entry.file_name() == name.as_str()) {
            fs::remove_file(entry.path()).map_err(at(folder))?;
        }
    }
    Ok(())
}

/// Where an earlier run of the same origin was, its state in `adam`; None when there is none that can be gone on from. Then what
/// another one left is removed: its files have the same names.
///
/// # Errors
/// A state that is not one of this training; the disk refuses.
pub fn restore<P: DeserializeOwned, E: From<ArtifactError> + From<candle_core::Error>>(
    folder: &Path,
    origin: &Origin,
    adam: &mut Adam,
) -> Result<Option<Progress<P>>, E> {
    let found =
        fs::read_to_string(folder.join(PROGRESS)).ok().and_then(|text| toml::from_str::<Progress<P>>(&text).ok());
    let ours = found.filter(|progress| progress.origin == *origin);
    let load = |name: String| candle_core::safetensors::load(folder.join(name), &Device::Cpu).ok();
    let whole = ours.and_then(|progress| {
        let state = load(state(progress.steps))?;
        progress.best.is_none_or(|step| load(best(step)).is_some()).then_some((progress, state))
    });
    let Some((progress, state)) = whole else {
        forget(folder)?;
        return Ok(None);
    };
    adam.restore(&state, progress.steps)?;
    log::info!("going on after step {}", progress.steps);
    Ok(Some(progress))
}

/// Removes what was kept, first what says that it counts.
///
/// # Errors
/// The disk refuses.
pub fn forget(folder: &Path) -> Result<(), ArtifactError> {
    for (path, removed) in [
        (folder.join(PROGRESS), fs::remove_file(folder.join(PROGRESS))),
        (folder.to_path_buf(), fs::remove_dir_all(folder)),
    ] {
        if let Err(error) =
            removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
        {
            return Err(at(&path)(error));
        }
    }
    Ok(())
}

/// Makes `file` survive a power cut.
fn sync(file: &Path) -> Result<(), ArtifactError> {
    fs::File::open(file).and_then(|file| file.sync_all()).map_err(at(file))
}
