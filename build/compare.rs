//! `pipeline compare`: what each way of making the model smaller costs, side by side on the same texts.
//!
//! Turns an f32 checkpoint into a table: the project document's recipe to the letter, ours at the same point, and
//! deeper points until it breaks. Nothing it makes is kept. Does NOT train.

use indicatif::ProgressBar;
use std::{io::Write, path::Path};
use tomato_assistant::model::gemma3::Gemma3;

use super::{
    artifact::{ArtifactError, at},
    dense::{Dense, DenseError, WINDOW},
    ffn::{self, Fit, Score},
    prune::{
        sensitivity,
        way::{Protect, Seen, Shares, Way, widths},
        yardstick::{Yardstick, YardstickError},
    },
    sources::{Sources, SourcesError},
};

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The checkpoint cannot be used.
    #[error(transparent)]
    Dense(#[from] DenseError),
    /// The repository's files cannot be found.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// There is no text to calibrate with, or to measure on.
    #[error(transparent)]
    Yardstick(#[from] YardstickError),
    /// The table cannot be written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The computation failed.
    #[error("the model failed: {0}")]
    Compute(#[from] candle_core::Error),
}

/// One line of the table: what it is called, the share of the neurons kept in the layers that are narrowed, how.
type Line = (&'static str, f64, Way);

const fn way(name: &'static str, keep: f64, protect: Protect, score: Score, fit: Fit, shares: Shares) -> Line {
    (name, keep, Way { score, fit, shares, protect })
}

/// The document's: the first and last four layers keep all.
const MIDDLE: Protect = Protect::Ends(4);
/// Those keep all that the model cannot do without.
const LEAST: Protect = Protect::Sensitive(5);
/// None keeps all.
const NONE: Protect = Protect::Ends(0);

const WAYS: [Line; 13] = [
    way("document's recipe", 0.90, MIDDLE, Score::Weights, Fit::None, Shares::Equal),
    way("document's recipe", 0.75, MIDDLE, Score::Weights, Fit::None, Shares::Equal),
    way("by activity", 0.75, MIDDLE, Score::Activity, Fit::None, Shares::Equal),
    way("by activity, refit", 0.90, MIDDLE, Score::Activity, Fit::LeastSquares, Shares::Equal),
    way("by activity, refit", 0.85, MIDDLE, Score::Activity, Fit::LeastSquares, Shares::Equal),
    way("by activity, refit", 0.80, MIDDLE, Score::Activity, Fit::LeastSquares, Shares::Equal),
    way("by activity, refit", 0.75, MIDDLE, Score::Activity, Fit::LeastSquares, Shares::Equal),
    way("by activity, refit, shared", 0.75, MIDDLE, Score::Activity, Fit::LeastSquares, Shares::Sensitivity),
    way("by activity, refit, shared", 0.80, LEAST, Score::Activity, Fit::LeastSquares, Shares::Sensitivity),
    way("by activity, refit, shared", 0.75, LEAST, Score::Activity, Fit::LeastSquares, Shares::Sensitivity),
    way("by activity, refit, shared", 0.60, LEAST, Score::Activity, Fit::LeastSquares, Shares::Sensitivity),
    way("by activity, refit, shared", 0.50, LEAST, Score::Activity, Fit::LeastSquares, Shares::Sensitivity),
    way("by activity, refit", 0.75, NONE, Score::Activity, Fit::LeastSquares, Shares::Equal),
];

/// Writes the table for the Hugging Face folder `checkpoint`, with the texts of the repository at `root`. `bar` counts
/// models measured.
///
/// # Errors
/// [`CompareError`].
pub fn run(checkpoint: &Path, root: &Path, out: &mut impl Write, bar: &ProgressBar) -> Result<(), CompareError> {
    let mut dense = Dense::open(checkpoint, WINDOW)?;
    let yardstick = Yardstick::read(&dense, &Sources::find(root)?)?;
    let whole = dense.model.clone();
    bar.set_length((2 + whole.layers.len() + WAYS.len()) as u64);
    let write = |out: &mut dyn Write, line: String| -> Result<(), CompareError> {
        Ok(writeln!(out, "{line}").and_then(|()| out.flush()).map_err(at(Path::new("standard output")))?)
    };
    let measure = |dense: &mut Dense, model: &Gemma3| -> Result<[f64; 2], CompareError> {
        dense.model = model.clone();
        let perplexities = yardstick.losses(dense)?.map(|loss| loss.perplexity());
        bar.inc(1);
        Ok(perplexities)
    };

    let base = measure(&mut dense, &whole)?;
    let head =
        format!("{:<30} {:>5} {:>8} {:>11} {:>18} {:>18}", "way", "kept", "layers", "FFN kept", "tomato", "general");
    write(out, head)?;
    write(out, format!("{:<57} {:>9.2} {:>7} {:>10.2}", "whole model, perplexity", base[0], "", base[1]))?;

    let activities = ffn::observe(&whole, &yardstick.calibration, || {})?;
    let added = sensitivity::added(&mut dense, &yardstick.calibration, ffn::without, &|| bar.inc(1))?;
    let shown: Vec<String> = added.iter().map(|added| format!("{added:.3}")).collect();
    write(out, format!("loss added without the FFN of each layer: {}", shown.join(" ")))?;

    let seen = Seen { activities, added };
    let neurons = |model: &Gemma3| Ok::<usize, CompareError>(widths(model)?.iter().sum());
    for (name, keep, way) in &WAYS {
        let model = way.narrowed(&whole, &seen, *keep, &|| {})?;
        let [tomato, general] = measure(&mut dense, &model)?;
        let line = format!(
            "{name:<30} {:>3.0} % {:>8} {:>9.1} % {tomato:>10.2} ({:>5.2}) {general:>10.2} ({:>5.2})",
            100.0 * keep,
            way.protect.open(&seen.added).len(),
            100.0 * neurons(&model)? as f64 / neurons(&whole)? as f64,
            tomato / base[0],
            general / base[1]
        );
        write(out, line)?;
    }
    bar.finish();
    Ok(())
}
