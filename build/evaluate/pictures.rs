//! How the bundle came about, to look at: how the adapter learnt, where its bytes went, what pruning cost.
//!
//! Turns what training and stages left behind into pictures, each only where its figures are. Does NOT compute figures.

use serde::{Deserialize, de::DeserializeOwned};
use std::{fs, path::Path};
use tomato_assistant::bundle::{MODEL, Manifest};

use super::{
    super::{
        artifact::{Artifact, at, finished},
        checkpoint::TENSORS,
        finetune::Check,
        import, merge,
        plot::{Axes, Bar, Curve, Dot, Picture},
        prune::{
            self, RECORD,
            gate::Gate,
            picture::{self, KEPT, Tried},
            record::Group,
        },
        quantize,
        sources::TRAINING,
    },
    EvaluateError,
};

const LEFT_OVER: &str = "#c8352b";
const CHANGED: &str = "#9db4cc";
const TRAINED: &str = "#c8352b";
const HELD_OUT: &str = "#3b6ea5";
const KINDS: &str = "#2e7d32";

/// Of `training.json`, what is drawn.
#[derive(Deserialize)]
struct Training {
    curve: Vec<Check>,
}

/// Of `prune.json`, what is drawn.
#[derive(Deserialize)]
struct Pruned {
    ffn_gate: Option<Gate>,
    steps: Vec<Step>,
}

/// JSON has no word for what is no number: it is null.
#[derive(Deserialize)]
struct Step {
    group: Group,
    keep: f64,
    ratios: [Option<f64>; 2],
    faults: Vec<String>,
}

impl Step {
    fn ratios(&self) -> [f64; 2] {
        self.ratios.map(|ratio| ratio.unwrap_or(f64::NAN))
    }
}

/// Headings and pictures of what made the bundle of `manifest`: from the repository at `root` and, where these made it, from
/// the stages' folders in `pipeline`.
///
/// # Errors
/// A file that is there, but not what it should be.
pub fn read(root: &Path, pipeline: &Path, manifest: &Manifest) -> Result<Vec<(&'static str, String)>, EvaluateError> {
    let mut pictures = Vec::new();
    if let Some(training) = figures::<Training>(&root.join(TRAINING))?.filter(|training| !training.curve.is_empty()) {
        pictures.push(("How the adapter of data/model was trained", learnt(&training.curve)));
    }
    if let Some(sizes) = sizes(pipeline, manifest) {
        pictures.push(("From the base model to the bundle, MB", waterfall(sizes)));
        let pruned = figures::<Pruned>(&pipeline.join(prune::STAGE.folder()).join(RECORD))?;
        pictures.extend(pruned.and_then(|pruned| cost(&pruned)).map(|svg| ("What pruning cost", svg)));
    }
    Ok(pictures)
}

/// What stands in `path`; None where there is no such file.
fn figures<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, EvaluateError> {
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(path).map_err(at(path))?;
    serde_json::from_str(&text).map(Some).map_err(|cause| EvaluateError::Figures { path: path.into(), cause })
}

/// Training and held-out loss by step.
fn learnt(curve: &[Check]) -> String {
    let of = |name: &str, colour, value: fn(&Check) -> f64| {
        let last = curve.last().map_or(f64::NAN, value);
        let points = curve.iter().map(|check| (check.step as f64, value(check), Dot::Full)).collect();
        Curve { name: format!("{name} {last:.2}"), colour, points, limit: None }
    };
    let curves = [
        of("training, with kinds", TRAINED, |check| check.training),
        of("held out", HELD_OUT, |check| check.held_out),
        of("kinds, held out", KINDS, |check| check.kinds),
    ];
    // About six of the steps are named.
    let marks = curve.iter().step_by(curve.len().div_ceil(6).max(1));
    let axes = Axes {
        title: "Loss, nats an example",
        below: "Steps",
        marks: marks.map(|check| (check.step as f64, check.step.to_string())).collect(),
        sight: [0.0, 0.1],
        powers: false,
    };
    let mut picture = Picture::default();
    picture.curves(&axes, &curves);
    picture.svg()
}

/// Bytes of the base in f32, pruned, quantized, and of the whole bundle; None unless the stages made this bundle's model.
fn sizes(pipeline: &Path, manifest: &Manifest) -> Option<[u64; 4]> {
    let weights = |made: &Artifact| made.record.files.get(TENSORS).cloned();
    let from = |later: &Artifact, earlier: &Artifact| {
        let read = later.record.origin.inputs.get(TENSORS);
        read.is_some() && read == weights(earlier).map(|weights| weights.sha256).as_ref()
    };
    let [imported, pruned, quantized] =
        [import::STAGE, prune::STAGE, quantize::STAGE].map(|stage| finished(pipeline, &stage));
    let (imported, pruned, quantized) = (imported?, pruned?, quantized?);
    let merged = finished(pipeline, &merge::STAGE);
    let whole =
        from(&quantized, &pruned) || merged.is_some_and(|merged| from(&quantized, &merged) && from(&merged, &pruned));
    let model = quantized.record.files.get(MODEL)?;
    let shipped = manifest.files.iter().any(|file| file.name == MODEL && file.sha256 == model.sha256);
    let bundle = manifest.files.iter().map(|file| file.bytes).sum();
    (whole && shipped && from(&pruned, &imported)).then_some([
        weights(&imported)?.bytes,
        weights(&pruned)?.bytes,
        model.bytes,
        bundle,
    ])
}

/// What is left after each stage, and what went or came between.
fn waterfall(sizes: [u64; 4]) -> String {
    let sizes = sizes.map(|bytes| bytes as f64 / 1e6);
    let names = ["base model, 32 bits", "pruned", "quantized", "whole bundle"];
    let changes = ["taken out", "rounded", "encoder, vectors, data"];
    let mut bars = Vec::new();
    for (place, (name, size)) in names.into_iter().zip(sizes).enumerate() {
        if let Some(before) = place.checked_sub(1) {
            let (from, to) = (sizes[before].min(size), sizes[before].max(size));
            let shown = format!("{:+.1}", size - sizes[before]);
            bars.push(Bar { name: changes[before].into(), from, to, shown, colour: CHANGED });
        }
        bars.push(Bar { name: name.into(), from: 0.0, to: size, shown: format!("{size:.1}"), colour: LEFT_OVER });
    }
    let mut picture = Picture::default();
    picture.bars("", &bars);
    picture.svg()
}

/// Perplexity against neurons kept; None where no neurons were to go.
fn cost(pruned: &Pruned) -> Option<String> {
    let gate = pruned.ffn_gate?;
    let of = |group: Group| pruned.steps.iter().filter(move |step| step.group == group);
    let tried = |step: &Step| Tried {
        gone: 1.0 - step.keep,
        name: format!("{:.2}", step.keep),
        ratios: step.ratios(),
        passed: step.faults.is_empty(),
    };
    let steps: Vec<Tried> = of(Group::Ffn).map(tried).collect();
    // Neurons go from what the layers left.
    let from = of(Group::Layers).rfind(|step| step.faults.is_empty()).map_or([1.0; 2], Step::ratios);
    let mut picture = Picture::default();
    picture::ratios(&mut picture, KEPT, &steps, from, [gate.tomato, gate.general]);
    (!steps.is_empty()).then(|| picture.svg())
}
