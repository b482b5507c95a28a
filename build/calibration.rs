//! What a model is watched over while it is made smaller, and learns back from: text of the kind it will read, and general
//! text.
//!
//! Turns the repository's entries and texts into windows of token ids; held-out entries are left out. Does NOT know what is
//! measured.

use std::{collections::BTreeMap, fs};
use tomato_assistant::knowledge::Entry;

use super::{
    artifact::at,
    dense::{Dense, WINDOW},
    draw::Draw,
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
    let answers: Vec<&str> = learnt(entries).map(|entry| entry.output.as_str()).step_by(8).collect();
    let mut windows: Vec<Vec<u32>> = dense.windows(&answers.join("\n"))?.into_iter().take(ANSWERS).collect();
    for (name, count) in GENERAL {
        windows.extend(general(dense, sources, name)?.into_iter().take(count));
    }
    let material = files.material();
    for example in material.examples(SEED)?.training.iter().take(PROMPTS) {
        let (mut ids, _) = dense.read(&material.render(example))?;
        ids.truncate(WINDOW);
        windows.push(ids);
    }
    Ok(windows)
}

/// What a model learns back from: all answers and all general text, mixed; some 76,000 tokens.
///
/// # Errors
/// As [`windows`].
pub fn lessons(dense: &Dense, sources: &Sources) -> Result<Vec<Vec<u32>>, FinetuneError> {
    let files = Files::read(sources)?;
    let answers: Vec<&str> = learnt(files.knowledge.entries()).map(|entry| entry.output.as_str()).collect();
    let mut windows = dense.windows(&answers.join("\n"))?;
    for (name, _) in GENERAL {
        windows.extend(general(dense, sources, name)?);
    }
    Draw::new(SEED).shuffle(&mut windows);
    Ok(windows)
}

/// The project document's: each question with its answer, filled up or cut to `length` tokens. The filling is learnt too.
///
/// # Errors
/// As [`windows`].
pub fn padded_lessons(dense: &Dense, sources: &Sources, length: usize) -> Result<Vec<Vec<u32>>, FinetuneError> {
    let padding = dense.tokenizer.token_to_id("<pad>").unwrap_or(0);
    let files = Files::read(sources)?;
    let window = |entry: &Entry| {
        let text = format!("{} {}", asked(&entry.instruction, ""), entry.output);
        let mut ids = dense.windows(&text)?.into_iter().next().unwrap_or_default();
        ids.resize(length, padding);
        Ok(ids)
    };
    learnt(files.knowledge.entries()).map(window).collect()
}

/// A question as the project document puts it; the answer follows.
pub fn asked(question: &str, context: &str) -> String {
    format!("Question: {question}\nContext: {context}\nAnswer:")
}

fn learnt(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    entries.iter().filter(|entry| !split::held_out(&entry.id))
}

fn general(dense: &Dense, sources: &Sources, name: &str) -> Result<Vec<Vec<u32>>, FinetuneError> {
    let path = sources.path(name);
    Ok(dense.windows(&fs::read_to_string(&path).map_err(at(&path))?)?)
}
