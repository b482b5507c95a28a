//! `pipeline loss`: how well a checkpoint, or the quantized model, foretells texts it was not made for.
//!
//! Turns a folder into one line a text: the answers of the held-out entries, and any files named. Bits per byte compare
//! models of different vocabularies, perplexity does not. Of a model that was trained to choose, also how it chooses in the
//! held-out examples. Does NOT know how the model was made.

use candle_core::Device;
use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use super::{
    artifact::{ArtifactError, at},
    dense::{Dense, DenseError, Loss},
    finetune::{
        FinetuneError,
        objective::{self, LONGEST, Measured, Told},
    },
    recipe::Tables,
    sources::{Sources, SourcesError},
    split::held_out,
};

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum LossError {
    /// The model.
    #[error(transparent)]
    Dense(#[from] DenseError),
    /// The entries.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// The held-out examples.
    #[error(transparent)]
    Examples(#[from] FinetuneError),
    /// The computation failed.
    #[error("the model failed: {0}")]
    Compute(#[from] candle_core::Error),
    /// A text cannot be read.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

/// A table for the model in `folder`: the held-out answers of the repository at `root`, then `texts`, then the held-out
/// examples of `recipe`. It computes on `device`.
///
/// # Errors
/// [`LossError`].
pub fn run(
    folder: &Path,
    root: &Path,
    texts: &[PathBuf],
    recipe: &Tables,
    device: &Device,
) -> Result<String, LossError> {
    let sources = Sources::find(root)?;
    let knowledge = sources.knowledge()?;
    let answers: Vec<&str> =
        knowledge.entries().iter().filter(|entry| held_out(&entry.id)).map(|entry| &*entry.output).collect();
    let others = texts.iter().map(|path| fs::read_to_string(path).map_err(at(path)));
    let others = others.collect::<Result<Vec<_>, _>>()?;
    let model = Dense::open(folder, LONGEST, device)?;
    let mut table =
        format!("{:<28} {:>7} {:>7} {:>13} {:>10}\n", "text", "bytes", "tokens", "bits per byte", "perplexity");
    let mut line = |name: &str, loss: Loss| {
        let (bits, perplexity) = (loss.bits_per_byte(), loss.perplexity());
        writeln!(table, "{name:<28} {:>7} {:>7} {bits:>13.4} {perplexity:>10.2}", loss.bytes, loss.tokens)
            .expect("a string takes any text");
    };
    line("answers of held-out entries", model.losses(&answers)?);
    for (path, text) in texts.iter().zip(&others) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        line(&name, model.loss(text)?);
    }
    if let (Some(selector), Some(finetune)) = (&model.selector, &recipe.finetune) {
        let (_, held_out) = objective::examples(&model, finetune.seed, &sources)?;
        let Measured { loss, narrow, reference } = objective::measure(&model.model, selector, &held_out)?;
        writeln!(
            table,
            "choice among sentences, {} held-out examples: loss {loss:.4}; best sentence right for {:.1} % of the questions \
             about details, of the right reference for {:.1} %",
            held_out.len(),
            100.0 * narrow,
            100.0 * reference
        )
        .expect("a string takes any text");
        let (_, held_out) = objective::questions(&model, finetune.seed, &sources)?;
        let Told { loss, right } = objective::tell(&model.model, selector, &held_out)?;
        let (count, right) = (held_out.len(), 100.0 * right);
        writeln!(table, "kinds of questions, {count} held-out ones: loss {loss:.4}; {right:.1} % right")
            .expect("a string takes any text");
    }
    Ok(table)
}
