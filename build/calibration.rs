//! What a model is watched over while it is made smaller: text of the kind it will read, and general text.
//!
//! Turns the repository's entries and texts into windows of token ids; held-out entries are left out. Does NOT know what is
//! measured.

use std::{collections::BTreeMap, fs};

use super::{
    artifact::at,
    dense::{Dense, WINDOW},
    examples::{self, Files},
    finetune::FinetuneError,
    sources::{CALIBRATION_ENGLISH, CALIBRATION_KOREAN, Sources},
    split,
};

/// Text of everything but tomatoes, and how many windows of it are read.
const GENERAL: [(&str, usize); 2] = [(CALIBRATION_ENGLISH, 8), (CALIBRATION_KOREAN, 3)];
/// Windows of entries' answers.
const ANSWERS: usize = 8;
/// Examples as the appliance's model reads them.
const PROMPTS: usize = 16;
/// Of the examples that are taken.
const SEED: u64 = 1;

/// What the windows are made from, as inputs of a stage.
pub fn inputs(sources: &Sources) -> BTreeMap<String, String> {
    let mut inputs = examples::inputs(sources);
    inputs.extend(sources.inputs(&[CALIBRATION_ENGLISH, CALIBRATION_KOREAN]));
    inputs
}

/// The windows, some 15,000 tokens.
///
/// # Errors
/// A file of the repository cannot be used.
pub fn windows(dense: &Dense, sources: &Sources) -> Result<Vec<Vec<u32>>, FinetuneError> {
    let files = Files::read(sources)?;
    let entries = files.knowledge.entries();
    // Every eighth answer, lest all windows speak of the first category.
    let learnt = entries.iter().filter(|entry| !split::held_out(&entry.id)).map(|entry| entry.output.as_str());
    let answers: Vec<&str> = learnt.step_by(8).collect();
    let mut windows: Vec<Vec<u32>> = dense.windows(&answers.join("\n"))?.into_iter().take(ANSWERS).collect();
    for (name, count) in GENERAL {
        let path = sources.path(name);
        windows.extend(dense.windows(&fs::read_to_string(&path).map_err(at(&path))?)?.into_iter().take(count));
    }
    let material = files.material();
    for example in material.examples(SEED)?.training.iter().take(PROMPTS) {
        let (mut ids, _) = dense.read(&material.render(example))?;
        ids.truncate(WINDOW);
        windows.push(ids);
    }
    Ok(windows)
}
