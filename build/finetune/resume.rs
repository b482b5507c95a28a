//! What a training that was killed needs to go on to the same result: values, optimizer, place in the examples.
//!
//! Turns these into files and back. Does NOT know what is trained.

use candle_core::Device;
use serde::{Deserialize, Serialize};
use std::{fs, io::ErrorKind, path::Path};

use super::{
    super::{
        adam::Adam,
        artifact::{Origin, at, save},
    },
    Check, FinetuneError, lowest,
};

/// The folder, beside those of the stages.
pub const FOLDER: &str = "finetune-resume";
/// TOML: its numbers are read back as they were, to the last bit. JSON's may differ in the last digit, and it has no NaN.
const PROGRESS: &str = "progress.toml";

/// The values that had the lowest held-out loss, at `step`.
pub fn best(step: usize) -> String {
    format!("best-{step}.safetensors")
}

fn state(step: usize) -> String {
    format!("state-{step}.safetensors")
}

/// Where a run is.
#[derive(Serialize, Deserialize)]
pub struct Progress {
    /// What is trained from what; another one begins anew.
    pub origin: Origin,
    /// Examples seen.
    pub seen: usize,
    /// Steps done.
    pub steps: usize,
    /// The checks so far.
    pub curve: Vec<Check>,
    /// Loss and examples since the last check.
    pub pending: (f64, usize),
}

/// Writes what is needed to go on. Files are named by their step and `progress.toml`, written last, says which count: a run
/// that is killed in between goes on from the check before. Then those that no longer count are removed.
///
/// # Errors
/// The disk refuses.
pub fn keep(folder: &Path, progress: &Progress, adam: &Adam) -> Result<(), FinetuneError> {
    fs::create_dir_all(folder).map_err(at(folder))?;
    let mut counts = vec![state(progress.steps), PROGRESS.to_string()];
    save(&folder.join(&counts[0]), &adam.state()?)?;
    sync(&folder.join(&counts[0]))?;
    if let Some(lowest) = lowest(&progress.curve) {
        counts.push(best(lowest));
        if lowest == progress.steps {
            save(&folder.join(best(lowest)), &adam.values())?;
            sync(&folder.join(best(lowest)))?;
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

/// Where an earlier run of the same origin was; None when there is none that can be gone on from. Then what another one left
/// is removed: its files have the same names.
///
/// # Errors
/// A state that is not one of this training; the disk refuses.
pub fn restore(folder: &Path, origin: &Origin, adam: &mut Adam) -> Result<Option<Progress>, FinetuneError> {
    let found = fs::read_to_string(folder.join(PROGRESS)).ok().and_then(|text| toml::from_str::<Progress>(&text).ok());
    let ours = found.filter(|progress| progress.origin == *origin);
    let load = |name: String| candle_core::safetensors::load(folder.join(name), &Device::Cpu).ok();
    let whole = ours.and_then(|progress| {
        let state = load(state(progress.steps))?;
        lowest(&progress.curve).is_none_or(|lowest| load(best(lowest)).is_some()).then_some((progress, state))
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
pub fn forget(folder: &Path) -> Result<(), FinetuneError> {
    for (path, removed) in [
        (folder.join(PROGRESS), fs::remove_file(folder.join(PROGRESS))),
        (folder.to_path_buf(), fs::remove_dir_all(folder)),
    ] {
        if let Err(error) =
            removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
        {
            return Err(at(&path)(error).into());
        }
    }
    Ok(())
}

/// Makes `file` survive a power cut.
fn sync(file: &Path) -> Result<(), FinetuneError> {
    Ok(fs::File::open(file).and_then(|file| file.sync_all()).map_err(at(file))?)
}
