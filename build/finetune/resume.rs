//! What a training that was killed needs to go on to the same result: values, optimizer, place in the examples.
//!
//! Turns these into files and back. Does NOT know what is trained.

use candle_core::Device;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    super::{
        adam::Adam,
        artifact::{Origin, at},
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
    candle_core::safetensors::save(&adam.state()?, folder.join(&counts[0]))?;
    if let Some(lowest) = lowest(&progress.curve) {
        counts.push(best(lowest));
        if lowest == progress.steps {
            candle_core::safetensors::save(&adam.values(), folder.join(best(lowest)))?;
        }
    }
    let (fresh, path) = (folder.join(format!("{PROGRESS}.new")), folder.join(PROGRESS));
    let text = toml::to_string(progress).expect("strings and numbers always serialize");
    fs::write(&fresh, text).map_err(at(&fresh))?;
    fs::rename(&fresh, &path).map_err(at(&path))?;
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        if !counts.iter().any(|name| entry.file_name() == name.as_str()) {
            fs::remove_file(entry.path()).map_err(at(folder))?;
        }
    }
    Ok(())
}

/// Where an earlier run of the same origin was; None when there is none.
///
/// # Errors
/// A state that is not one of this training.
pub fn restore(folder: &Path, origin: &Origin, adam: &mut Adam) -> Result<Option<Progress>, FinetuneError> {
    let stored = |name: &str| -> PathBuf { folder.join(name) };
    let Ok(text) = fs::read_to_string(stored(PROGRESS)) else { return Ok(None) };
    let Some(progress) = toml::from_str::<Progress>(&text).ok().filter(|found| found.origin == *origin) else {
        return Ok(None);
    };
    adam.restore(&candle_core::safetensors::load(stored(&state(progress.steps)), &Device::Cpu)?, progress.steps)?;
    log::info!("going on after step {}", progress.steps);
    Ok(Some(progress))
}
