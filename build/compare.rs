//! `pipeline compare`: what each way of making the model smaller costs, side by side on the same texts.
//!
//! Turns an f32 checkpoint into a table: the project document's recipe to the letter, ours at the same point, and
//! deeper points until it breaks. Nothing it makes is kept. Does NOT train.

use indicatif::ProgressBar;
use std::{fs, io::Write, path::Path};
use tomato_assistant::model::gemma3::Gemma3;

use super::{
    artifact::{ArtifactError, at},
    calibration,
    dense::{Dense, DenseError, Loss, WINDOW},
    ffn::{self, Activity, Fit, Score},
    finetune::FinetuneError,
    sources::{Sources, SourcesError},
    split,
};

/// General text, to measure on.
const GENERAL: &str = "data/text/held-out-english.txt";

/// Layers at either end that the document's recipe leaves alone.
const PROTECTED_ENDS: usize = 4;

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The checkpoint cannot be used.
    #[error(transparent)]
    Dense(#[from] DenseError),
    /// The curated entries cannot be read.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// There is no text to calibrate with.
    #[error("calibration: {0}")]
    Calibration(#[from] FinetuneError),
    /// A text cannot be read, or the table not written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The computation failed.
    #[error("the model failed: {0}")]
    Compute(#[from] candle_core::Error),
}

/// One line of the table.
struct Way {
    name: &'static str,
    /// Share of the neurons kept in the layers that are narrowed.
    keep: f64,
    layers: Layers,
    score: Score,
    fit: Fit,
    /// By sensitivity, or the same width in all.
    shared: bool,
}

/// Which layers are narrowed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layers {
    /// All but the first and last [`PROTECTED_ENDS`].
    Middle,
    /// All but those that the model cannot do without: the most sensitive ones.
    ButSensitive,
    /// All.
    All,
}

const fn way(name: &'static str, keep: f64, layers: Layers, score: Score, fit: Fit, shared: bool) -> Way {
    Way { name, keep, layers, score, fit, shared }
}

/// Layers that [`Layers::ButSensitive`] leaves alone.
const SENSITIVE: usize = 5;

const WAYS: [Way; 13] = [
    way("document's recipe", 0.90, Layers::Middle, Score::Weights, Fit::None, false),
    way("document's recipe", 0.75, Layers::Middle, Score::Weights, Fit::None, false),
    way("by activity", 0.75, Layers::Middle, Score::Activity, Fit::None, false),
    way("by activity, refit", 0.90, Layers::Middle, Score::Activity, Fit::LeastSquares, false),
    way("by activity, refit", 0.85, Layers::Middle, Score::Activity, Fit::LeastSquares, false),
    way("by activity, refit", 0.80, Layers::Middle, Score::Activity, Fit::LeastSquares, false),
    way("by activity, refit", 0.75, Layers::Middle, Score::Activity, Fit::LeastSquares, false),
    way("by activity, refit, shared", 0.75, Layers::Middle, Score::Activity, Fit::LeastSquares, true),
    way("by activity, refit, shared", 0.80, Layers::ButSensitive, Score::Activity, Fit::LeastSquares, true),
    way("by activity, refit, shared", 0.75, Layers::ButSensitive, Score::Activity, Fit::LeastSquares, true),
    way("by activity, refit, shared", 0.60, Layers::ButSensitive, Score::Activity, Fit::LeastSquares, true),
    way("by activity, refit, shared", 0.50, Layers::ButSensitive, Score::Activity, Fit::LeastSquares, true),
    way("by activity, refit", 0.75, Layers::All, Score::Activity, Fit::LeastSquares, false),
];

/// What is measured on, and what is calibrated on.
struct Texts {
    tomato: String,
    general: String,
    calibration: Vec<Vec<u32>>,
}

/// Writes the table for the Hugging Face folder `checkpoint`, with the texts of the repository at `root`. `bar` counts
/// models measured.
///
/// # Errors
/// [`CompareError`].
pub fn run(checkpoint: &Path, root: &Path, out: &mut impl Write, bar: &ProgressBar) -> Result<(), CompareError> {
    let mut dense = Dense::open(checkpoint, WINDOW)?;
    let texts = texts(&dense, root)?;
    let whole = dense.model.clone();
    let layers = whole.layers.len();
    bar.set_length((2 + layers + WAYS.len()) as u64);
    let write = |out: &mut dyn Write, line: String| -> Result<(), CompareError> {
        Ok(writeln!(out, "{line}").and_then(|()| out.flush()).map_err(at(Path::new("standard output")))?)
    };

    let base = measure(&mut dense, &whole, &texts, bar)?;
    let head =
        format!("{:<30} {:>5} {:>8} {:>11} {:>18} {:>18}", "way", "kept", "layers", "FFN kept", "tomato", "general");
    write(out, head)?;
    write(out, format!("{:<57} {:>9.2} {:>7} {:>10.2}", "whole model, perplexity", base.0, "", base.1))?;

    let activities = ffn::observe(&whole, &texts.calibration, || {})?;
    let sensitivity = sensitivity(&mut dense, &whole, &texts.calibration, bar)?;
    let shown: Vec<String> = sensitivity.iter().map(|added| format!("{added:.3}")).collect();
    write(out, format!("loss added without the FFN of each layer: {}", shown.join(" ")))?;

    for way in &WAYS {
        let chosen = chosen(way.layers, &sensitivity);
        let (model, kept) = narrowed(&whole, &activities, &sensitivity, &chosen, way)?;
        let (tomato, general) = measure(&mut dense, &model, &texts, bar)?;
        let line = format!(
            "{:<30} {:>3.0} % {:>8} {:>9.1} % {tomato:>10.2} ({:>5.2}) {general:>10.2} ({:>5.2})",
            way.name,
            100.0 * way.keep,
            chosen.len(),
            100.0 * kept,
            tomato / base.0,
            general / base.1
        );
        write(out, line)?;
    }
    bar.finish();
    Ok(())
}

/// Perplexity of `model` on tomato text and on general text.
fn measure(dense: &mut Dense, model: &Gemma3, texts: &Texts, bar: &ProgressBar) -> Result<(f64, f64), CompareError> {
    dense.model = model.clone();
    let perplexities = (dense.loss(&texts.tomato)?.perplexity(), dense.loss(&texts.general)?.perplexity());
    bar.inc(1);
    Ok(perplexities)
}

/// Texts to calibrate with (as windows) and to measure on: the held-out entries' answers, and general English.
fn texts(dense: &Dense, root: &Path) -> Result<Texts, CompareError> {
    let sources = Sources::find(root)?;
    let knowledge = sources.knowledge()?;
    let held_out = knowledge.entries().iter().filter(|entry| split::held_out(&entry.id));
    let tomato = held_out.map(|entry| entry.output.as_str()).collect::<Vec<_>>().join("\n");
    let path = root.join(GENERAL);
    let general = fs::read_to_string(&path).map_err(at(&path))?;
    Ok(Texts { tomato, general, calibration: calibration::windows(dense, &sources)? })
}

/// Loss added to each token of the calibration text when the FFN of one layer after the other is left out.
fn sensitivity(
    dense: &mut Dense,
    whole: &Gemma3,
    calibration: &[Vec<u32>],
    bar: &ProgressBar,
) -> Result<Vec<f64>, CompareError> {
    let mut mean = |model: Gemma3| -> Result<f64, CompareError> {
        dense.model = model;
        let Loss { nats, tokens, .. } = dense.foretell(calibration)?;
        bar.inc(1);
        Ok(nats / tokens as f64)
    };
    let base = mean(whole.clone())?;
    (0..whole.layers.len()).map(|layer| Ok(mean(ffn::without(whole, layer)?)? - base)).collect()
}

/// Indices of the layers that are narrowed.
fn chosen(layers: Layers, sensitivity: &[f64]) -> Vec<usize> {
    let all = 0..sensitivity.len();
    match layers {
        Layers::All => all.collect(),
        Layers::Middle => all.skip(PROTECTED_ENDS).take(sensitivity.len().saturating_sub(2 * PROTECTED_ENDS)).collect(),
        Layers::ButSensitive => {
            let mut order: Vec<usize> = all.collect();
            order.sort_by(|&a, &b| sensitivity[a].total_cmp(&sensitivity[b]));
            order.truncate(sensitivity.len().saturating_sub(SENSITIVE));
            order.sort_unstable();
            order
        }
    }
}

/// The model with the layers `chosen` narrowed, and the share of all FFN neurons that it keeps.
fn narrowed(
    whole: &Gemma3,
    activities: &[Activity],
    sensitivity: &[f64],
    chosen: &[usize],
    way: &Way,
) -> Result<(Gemma3, f64), CompareError> {
    let width = |model: &Gemma3, layer: usize| model.layers[layer].gate.rows();
    let of: Vec<f64> = chosen.iter().map(|&layer| sensitivity[layer]).collect();
    let full = width(whole, 0)?;
    let widths = match way.shared {
        true => ffn::shares(full, way.keep, &of),
        false => vec![ffn::blocks(full, way.keep); chosen.len()],
    };
    let mut model = whole.clone();
    for (&layer, wanted) in chosen.iter().zip(widths) {
        let scores = ffn::scores(&whole.layers[layer], &activities[layer], way.score)?;
        let kept = ffn::best(&scores, wanted);
        model.layers[layer] = ffn::narrow(&whole.layers[layer], &activities[layer], &kept, way.fit)?;
    }
    let count =
        |model: &Gemma3| (0..model.layers.len()).map(|layer| width(model, layer)).sum::<candle_core::Result<usize>>();
    let kept = count(&model)? as f64 / count(whole)? as f64;
    Ok((model, kept))
}
