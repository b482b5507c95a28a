//! The table of `pipeline show`: what each stage left, and whether it would be made again.
//!
//! Turns the stages' records and a recipe into text. Fetches nothing, writes nothing. Takes the base model to be the one
//! of the last run.

use std::{fmt::Write, fs, path::Path};
use tomato_assistant::bundle::{MANIFEST, Manifest, Provenance};

use super::{
    artifact::{Artifact, Origin, Stage, finished},
    base,
    bundle::{self, Parts},
    checkpoint::TENSORS,
    embed, encoder,
    encoder_base::EncoderBase,
    finetune, import, merge, prune, quantize,
    recipe::Recipe,
    recover,
    sources::{Sources, SourcesError},
};

/// One line for each stage in `folder`, held against `recipe` and the data files of the repository at `root`.
///
/// # Errors
/// [`SourcesError`] when a data file is missing or unreadable.
pub fn table(folder: &Path, recipe: &Recipe, root: &Path) -> Result<String, SourcesError> {
    let sources = Sources::find(root)?;
    let tables = &recipe.tables;
    let mut text = format!("{:<12} {:<12} {:>9} {:>9}\n", "stage", "state", "MB", "seconds");

    let checkpoint = finished(folder, &import::STAGE);
    // The base itself is not looked at: that could mean fetching it.
    let origin = checkpoint.as_ref().map(|made| Origin::new(&import::STAGE, &(), made.record.origin.inputs.clone()));
    let imported = line(&mut text, &import::STAGE, &checkpoint, origin, true);

    let smaller = finished(folder, &prune::STAGE);
    let origin = checkpoint.as_ref().map(|checkpoint| prune::origin(&tables.prune, checkpoint, &sources));
    let pruned = line(&mut text, &prune::STAGE, &smaller, origin, imported);

    let (mut smaller, mut pruned) = (smaller, pruned);
    if let Some(table) = &tables.recover {
        let recovered = finished(folder, &recover::STAGE);
        let both = checkpoint.as_ref().zip(smaller.as_ref());
        let origin = both.map(|both| recover::origin(table, both, &sources));
        pruned = line(&mut text, &recover::STAGE, &recovered, origin, pruned);
        smaller = recovered;
    }

    let (mut checkpoint_to_quantize, mut ready) = (smaller.clone(), pruned);
    if let Some(table) = &tables.finetune {
        let adapter = finished(folder, &finetune::STAGE);
        // Trained here, or taken from the repository: either is right.
        let origins = smaller
            .as_ref()
            .map(|smaller| [true, false].map(|train| finetune::origin(table, smaller, &sources, train)));
        let found = adapter.as_ref().map(|adapter| &adapter.record.origin);
        let origin = origins.and_then(|origins| origins.into_iter().find(|origin| Some(origin) == found));
        let trained = line(&mut text, &finetune::STAGE, &adapter, origin, pruned);
        let merged = finished(folder, &merge::STAGE);
        let origin = smaller.as_ref().zip(adapter.as_ref()).map(|(smaller, adapter)| merge::origin(smaller, adapter));
        ready = line(&mut text, &merge::STAGE, &merged, origin, trained);
        checkpoint_to_quantize = merged;
    }

    let model = finished(folder, &quantize::STAGE);
    let origin = checkpoint_to_quantize.map(|checkpoint| quantize::origin(&tables.quantize, &checkpoint, &sources));
    let quantized = line(&mut text, &quantize::STAGE, &model, origin, ready);

    let encoder = finished(folder, &encoder::STAGE);
    let origin = encoder.as_ref().map(|made| {
        let known = EncoderBase { folder: made.dir.clone(), inputs: made.record.origin.inputs.clone() };
        encoder::origin(&tables.encoder, &known, &sources)
    });
    let encodes = line(&mut text, &encoder::STAGE, &encoder, origin, true);

    let vectors = finished(folder, &embed::STAGE);
    let origin = encoder.as_ref().map(|encoder| embed::origin(&tables.embed, encoder, &sources));
    let embedded = line(&mut text, &embed::STAGE, &vectors, origin, encodes);

    let built = finished(folder, &bundle::STAGE);
    let name = built.as_ref().and_then(|built| base_name(&built.dir));
    let origin = if let (Some(checkpoint), Some(model), Some(encoder), Some(vectors), Some(base_model_name)) =
        (&checkpoint, &model, &encoder, &vectors, name)
    {
        let provenance = Provenance {
            base_model_sha256: base::content_sha256(&checkpoint.record.origin),
            base_model_name,
            encoder_sha256: encoder.record.origin.inputs.get(TENSORS).cloned().unwrap_or_default(),
            recipe_sha256: recipe.sha256.clone(),
            tool_version: env!("CARGO_PKG_VERSION").into(),
        };
        Some(bundle::origin(&tables.bundle, &provenance, Parts { model, encoder, vectors }, &sources))
    } else {
        None
    };
    line(&mut text, &bundle::STAGE, &built, origin, quantized && embedded);
    Ok(text)
}

/// What the bundle in `dir` calls its base model.
fn base_name(dir: &Path) -> Option<String> {
    let manifest: Manifest = serde_json::from_slice(&fs::read(dir.join(MANIFEST)).ok()?).ok()?;
    Some(manifest.provenance.base_model_name)
}

/// Adds a stage's line. Whether it is up to date, which it cannot be when an earlier one is not.
fn line(text: &mut String, stage: &Stage, made: &Option<Artifact>, origin: Option<Origin>, earlier: bool) -> bool {
    let current = earlier && made.as_ref().is_some_and(|made| Some(&made.record.origin) == origin.as_ref());
    let (state, figures) = match made {
        None => ("missing", String::new()),
        Some(made) => {
            let figures = format!("{:>9.0} {:>9.1}", made.bytes() as f64 / 1e6, made.record.seconds);
            (if current { "up to date" } else { "out of date" }, figures)
        }
    };
    writeln!(text, "{}", format!("{:<12} {state:<12} {figures}", stage.folder()).trim_end())
        .expect("a string takes any text");
    current
}
