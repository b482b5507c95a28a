//! What is drawn: bars and curves in their places, all words escaped, and the page's pictures only where their figures are.

use crate::{
    stages::{
        artifact::{Artifact, ArtifactError, Artifacts, Origin},
        evaluate::{EvaluateError, pictures},
        import,
        plot::{Axes, Bar, Curve, Dot, Picture},
        prune, quantize,
        recipe::{Prune, Quantize, Recipe},
        sources::TRAINING,
    },
    tiny, tiny_bundle,
};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path};
use tempfile::tempdir;
use tomato_assistant::bundle::Manifest;

fn bar(name: &str, from: f64, to: f64) -> Bar {
    Bar { name: name.into(), from, to, shown: format!("<{to}>"), colour: "red" }
}

#[test]
fn bars_are_as_long_as_their_values_and_words_are_escaped() {
    let mut picture = Picture::default();
    picture.bars("a & b", &[bar("x\"<y>", 0.0, 2.0), bar("half", 1.0, 2.0), bar("less", 0.0, -1.0)]);
    picture.bars("", &[bar("none", 0.0, f64::NAN), bar("endless", 0.0, f64::INFINITY), bar("one", 0.0, 1.0)]);
    let svg = picture.svg();
    for expected in ["a &amp; b", "x&quot;&lt;y&gt;", "&lt;2&gt;", "&lt;NaN&gt;"] {
        assert!(svg.contains(expected), "{expected}: {svg}");
    }
    let lengths: Vec<&str> = svg.split("<rect x=").skip(1).map(|rect| rect.split('"').nth(5).unwrap()).collect();
    assert_eq!(lengths, ["440.0", "220.0", "0.0", "0.0", "440.0", "440.0"]);
    let starts: Vec<&str> = svg.split("<rect x=").skip(1).map(|rect| rect.split('"').nth(1).unwrap()).collect();
    assert_eq!(starts[..2], ["180.0", "400.0"]);
    // Below each other: three lines with a title, a gap, three lines without.
    assert!(svg.contains("height=\"240\""), "{svg}");
}

#[test]
fn curves_pass_through_their_points() {
    let points = vec![(10.0, 1.0, Dot::None), (20.0, 3.0, Dot::Full), (30.0, f64::NAN, Dot::Hollow)];
    let curve = |limit| Curve { name: "loss <b>".into(), colour: "red", points: points.clone(), limit: Some(limit) };
    let marks = vec![(10.0, "first".into()), (30.0, "last".into())];
    let axes = |powers| Axes { title: "t<", below: "b>", marks: marks.clone(), sight: [1.0, 2.0], powers };
    let mut picture = Picture::default();
    picture.curves(&axes(false), &[curve(2.0), curve(1e9)]);
    let svg = picture.svg();
    // From the lower left to the upper middle; what is no number at the top.
    assert!(svg.contains("<path d=\"M180.0 294.0L400.0 34.0L620.0 34.0\""), "{svg}");
    for expected in ["loss &lt;b&gt;", "t&lt;", "b&gt;", ">first<", ">last<", ">1.00<", ">3.00<", ">2.00<"] {
        assert!(svg.contains(expected), "{expected}: {svg}");
    }
    // Two circles on each curve, one in the legend; the limit that lets everything through is not drawn.
    assert_eq!((svg.matches("<circle").count(), svg.matches("dasharray").count()), (6, 1));
    assert_eq!(svg.matches("fill=\"#fff\" stroke=\"red\"").count(), 2);
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    // On a scale of powers the middle of 1 and 3 is the root of 3.
    let mut picture = Picture::default();
    picture.curves(&axes(true), &[curve(1.0)]);
    assert!(picture.svg().contains(">1.73<"));
}

/// The repository in `root` and the stages' folders in `pipeline`, drawn for the bundle of `manifest`.
fn drawn(root: &Path, pipeline: &Path, manifest: &Manifest) -> Vec<(&'static str, String)> {
    pictures::read(root, pipeline, manifest).unwrap()
}

/// Stages import, prune (which leaves `figures`) and quantize in `pipeline`: the first, the last, and the manifest of a bundle
/// that holds their model.
fn made(pipeline: &Path, figures: &Value) -> (Artifact, Artifact, Manifest) {
    let artifacts = Artifacts::open(pipeline).unwrap();
    let (sources, tables) = (tiny_bundle::sources(), Recipe::load(None).unwrap().tables);
    let imported = artifacts.produce(&import::STAGE, Origin::new(&import::STAGE, &(), BTreeMap::new()), |out| {
        tiny::copy(out);
        Ok::<(), ArtifactError>(())
    });
    let imported = imported.unwrap();
    let pruned = artifacts.produce(&prune::STAGE, prune::origin(&Prune::default(), &imported, sources), |out| {
        tiny::copy(out);
        fs::write(out.join(prune::RECORD), figures.to_string()).unwrap();
        Ok::<(), ArtifactError>(())
    });
    let (pruned, plain) = (pruned.unwrap(), Quantize { compensate: false, ..tables.quantize });
    let model = artifacts.produce(&quantize::STAGE, quantize::origin(&plain, &pruned, sources), |out| {
        quantize::run(&plain, &pruned.dir, sources, out, &ProgressBar::hidden())
    });
    let (model, mut manifest) = (model.unwrap(), tiny_bundle::bundle().manifest().clone());
    let shipped = manifest.files.iter_mut().find(|file| file.name == "model.gguf").unwrap();
    shipped.sha256.clone_from(&model.record.files["model.gguf"].sha256);
    (imported, model, manifest)
}

/// What stage prune leaves where no neurons were to go.
fn nothing_pruned() -> Value {
    json!({"ffn_gate": null, "steps": []})
}

#[test]
fn training_and_pruning_are_drawn_where_they_left_figures() {
    let (root, pipeline) = (tempdir().unwrap(), tempdir().unwrap());
    let other = tiny_bundle::bundle().manifest();
    assert!(drawn(root.path(), pipeline.path(), other).is_empty());
    let training = root.path().join(TRAINING);
    fs::create_dir_all(training.parent().unwrap()).unwrap();
    let check = |step: usize, training: f64, held_out: f64| {
        json!({
            "step": step, "training": training, "held_out": held_out, "narrow": 0.5, "reference": 0.5, "kinds": 0.5,
            "told": 0.5, "seconds": 1.0
        })
    };
    // What else the file holds does not matter.
    let curve = json!({"table": {"of": "old"}, "curve": [check(50, 2.0, 1.5), check(100, 1.0, 0.75)]});
    fs::write(&training, curve.to_string()).unwrap();
    let step = |keep: f64, ratios: [Option<f64>; 2], faults: &[&str]| json!({"group": "ffn", "keep": keep, "ratios": ratios, "faults": faults, "more": 1});
    let steps = json!([step(0.9, [Some(1.1), Some(1.2)], &[]), step(0.8, [Some(1.5), None], &["too much"])]);
    let gate = json!({"tomato": 1.25, "general": 1.4, "texts": true});
    let (.., manifest) = made(pipeline.path(), &json!({"ffn_gate": gate, "steps": steps, "stopped": []}));
    let pictures = drawn(root.path(), pipeline.path(), &manifest);
    let [(trained, learnt), _, (pruned, cost)] = &pictures[..] else { panic!("{pictures:?}") };
    assert!(trained.contains("trained") && pruned.contains("pruning"), "{trained}, {pruned}");
    for expected in
        [">training, with kinds 1.00<", ">held out 0.75<", ">kinds, held out 0.50<", ">50<", ">100<", ">Steps<"]
    {
        assert!(learnt.contains(expected), "{expected}: {learnt}");
    }
    assert!(learnt.contains("M180.0 34.0L620.0 164.0"), "training falls from 2 at the top to 1: {learnt}");
    for expected in [">tomato 1.50<", ">0.90<", ">0.80<", ">all<", "Share of neurons kept"] {
        assert!(cost.contains(expected), "{expected}: {cost}");
    }
    // Two steps of two curves, one of them undone, and two in the legend; both limits.
    assert_eq!((cost.matches("<circle").count(), cost.matches("dasharray").count()), (6, 2));
    assert_eq!(cost.matches("fill=\"#fff\" stroke=").count(), 2);
    // What was pruned last is not how another bundle came about.
    let headings: Vec<_> = drawn(root.path(), pipeline.path(), other).into_iter().map(|(heading, _)| heading).collect();
    assert_eq!(headings, [*trained]);

    // No neurons were to go, nothing was learnt.
    let pipeline = tempdir().unwrap();
    let (.., manifest) = made(pipeline.path(), &nothing_pruned());
    fs::write(&training, json!({"curve": []}).to_string()).unwrap();
    assert_eq!(drawn(root.path(), pipeline.path(), &manifest).len(), 1, "sizes");
    fs::write(&training, "{").unwrap();
    let error = pictures::read(root.path(), pipeline.path(), &manifest).unwrap_err();
    assert!(matches!(error, EvaluateError::Figures { .. }), "{error}");
    assert!(error.to_string().contains(TRAINING) && error.to_string().contains("take it away"), "{error}");
}

#[test]
fn sizes_are_drawn_for_the_bundle_that_the_stages_made() {
    let (root, pipeline) = (tempdir().unwrap(), tempdir().unwrap());
    let (imported, model, manifest) = made(pipeline.path(), &nothing_pruned());
    let pictures = drawn(root.path(), pipeline.path(), &manifest);
    let [(heading, svg)] = &pictures[..] else { panic!("{pictures:?}") };
    let megabytes = |bytes: u64| format!(">{:.1}<", bytes as f64 / 1e6);
    assert!(heading.contains("From the base model"), "{heading}");
    let bundle = manifest.files.iter().map(|file| file.bytes).sum();
    let weights = imported.record.files["model.safetensors"].bytes;
    for bytes in [weights, model.record.files["model.gguf"].bytes, bundle] {
        assert!(svg.contains(&megabytes(bytes)), "{bytes}: {svg}");
    }
    assert_eq!(svg.matches("height=\"16\"").count(), 7, "four sizes and what lies between");
    for expected in ["base model, 32 bits", ">taken out<", ">+0.0<", ">rounded<", ">whole bundle<"] {
        assert!(svg.contains(expected), "{expected}: {svg}");
    }
    // Of another bundle, or with another base since, nothing is said.
    assert!(drawn(root.path(), pipeline.path(), tiny_bundle::bundle().manifest()).is_empty());
    fs::remove_dir_all(imported.dir).unwrap();
    assert!(drawn(root.path(), pipeline.path(), &manifest).is_empty());
}
