//! Training on the tiny model: the loss falls, a run that was cut off ends as if it had not been, and what cannot be learnt
//! from is told.

use crate::{
    stages::{
        adapter::{Adapter, AdapterError, CONFIG, WEIGHTS},
        artifact::Artifact,
        checkpoint::TENSORS,
        finetune::{self, CURVE, Check, FinetuneError, Record},
        loss, merge,
        questions::{BROAD, NARROW, REFUSED, SENTENCES, WORDINGS},
        recipe::{Finetune, Recipe},
        sources::{ADAPTER, ADAPTER_CONFIG, ENTRIES, Sources},
        split::held_out,
    },
    tiny,
    tiny_training::{cut, entries, lessons, save_adapter, shape, table},
};
use candle_core::Device;
use indicatif::ProgressBar;
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::{TempDir, tempdir};

/// A place to train in: repository, checkpoint, and the folder beside the stages' own.
struct Place {
    repository: TempDir,
    work: TempDir,
    checkpoint: Artifact,
}

impl Place {
    fn new() -> Place {
        let work = tempdir().unwrap();
        let checkpoint = tiny::checkpoint(work.path());
        Place { repository: lessons(), work, checkpoint }
    }

    fn train(&self, table: &Finetune, bar: &ProgressBar) -> Result<(Record, TempDir), FinetuneError> {
        let (sources, out) = (Sources::find(self.repository.path()).unwrap(), tempdir().unwrap());
        let folders = (self.work.path(), out.path());
        finetune::train(table, &self.checkpoint, &sources, folders, &Device::Cpu, bar).map(|record| (record, out))
    }

    /// Trained to the end, as the program does it.
    fn trained(&self, table: &Finetune) -> (Record, TempDir) {
        let trained = self.train(table, &ProgressBar::hidden()).unwrap();
        assert!(self.kept().exists(), "until the folder is whole, it can be gone on from");
        finetune::forget(self.work.path()).unwrap();
        assert!(!self.kept().exists());
        trained
    }

    /// Where a run keeps what it needs to go on.
    fn kept(&self) -> PathBuf {
        self.work.path().join("finetune-resume")
    }

    /// A run that ends with an error, so that what is left is that of the check at `step`.
    fn cut(&self, table: &Finetune, step: usize) {
        let error = cut(&self.kept(), step, |bar| self.train(table, bar).map(drop)).unwrap_err();
        assert!(matches!(error, FinetuneError::Artifact(_)), "{error}");
    }
}

fn weights(out: &TempDir) -> Vec<u8> {
    fs::read(out.path().join(WEIGHTS)).unwrap()
}

/// What the checks of a run say, but for the times.
fn figures(curve: &[Check]) -> Vec<(usize, [f64; 6])> {
    let numbers =
        |check: &Check| [check.training, check.held_out, check.narrow, check.reference, check.kinds, check.told];
    curve.iter().map(|check| (check.step, numbers(check))).collect()
}

#[test]
fn the_loss_falls_and_the_best_values_are_stored() {
    let place = Place::new();
    // A check after about each pass over the examples.
    let table = Finetune { learning_rate: 0.01, tokens: 600, epochs: 4, check_every: 11, ..table() };
    let (record, out) = place.trained(&table);
    let (first, last) = (&record.curve[0], record.curve.last().unwrap());
    assert!(record.curve.len() > 2 && last.training < 0.8 * first.training, "{:?}", record.curve);
    assert!(last.kinds < 0.8 * first.kinds && last.told > 0.5, "{:?}", record.curve);
    // The choice among sentences counts once, the kinds of questions half.
    let sum = |check: &Check| check.held_out + 0.5 * check.kinds;
    let lowest = record.curve.iter().map(sum).fold(f64::INFINITY, f64::min);
    let best = record.curve.iter().find(|check| check.step == record.best).unwrap();
    assert_eq!(sum(best), lowest, "{:?}", record.curve);
    assert!(record.questions.iter().all(|count| *count > 1), "{:?}", record.questions);
    assert!(record.curve.iter().all(|check| check.step % table.check_every == 0 || check.step == last.step));
    // Not readings: every entry here has every signal, which leaves nothing to choose between.
    for kind in ["narrow", "broad", "paraphrase", "missing", "refused"] {
        assert!(record.examples.get(kind).is_some_and(|count| *count > 0), "{kind}: {:?}", record.examples);
    }
    let adapter = Adapter::open(out.path()).unwrap();
    adapter.fits(&place.checkpoint.record.files[TENSORS].sha256).unwrap();
    assert!(adapter.change("model.layers.0.mlp.down_proj.weight").unwrap().is_some());
    let written: Record = serde_json::from_slice(&fs::read(out.path().join(CURVE)).unwrap()).unwrap();
    // For people: read as JSON a number may differ in its last digit.
    assert_eq!(written.curve.len(), record.curve.len());
    let near = |(a, b): (&Check, &Check)| a.step == b.step && (a.held_out - b.held_out).abs() < 1e-12;
    assert!(written.curve.iter().zip(&record.curve).all(near), "{:?} {:?}", written.curve, record.curve);
    assert_eq!(written.table, table);
}

#[test]
fn a_run_that_was_cut_off_ends_as_if_it_had_not_been() {
    let place = Place::new();
    let (whole, out) = place.trained(&table());
    place.cut(&table(), 3);
    let (again, resumed) = place.trained(&table());
    assert!(weights(&out) == weights(&resumed), "the same bytes");
    assert_eq!(figures(&again.curve), figures(&whole.curve), "to the last bit");
    assert_eq!((again.best, again.tokens, again.examples), (whole.best, whole.tokens, whole.examples));
    // It did go on: values that do not belong there are noticed.
    place.cut(&table(), 3);
    let kept = |name: &str| place.kept().join(name);
    fs::copy(kept("best-3.safetensors"), kept("state-3.safetensors")).unwrap();
    assert!(place.train(&table(), &ProgressBar::hidden()).is_err());
    // What a power cut left cannot be gone on from, and is not; nor does a training that has ended lose anything.
    for broken in ["state-3.safetensors", "best-3.safetensors"] {
        finetune::forget(place.work.path()).unwrap();
        place.cut(&table(), 3);
        fs::write(kept(broken), "x").unwrap();
        let (_, anew) = place.train(&table(), &ProgressBar::hidden()).unwrap();
        let (_, at_once) = place.trained(&table());
        assert!(weights(&anew) == weights(&out) && weights(&at_once) == weights(&out), "{broken}");
    }
}

#[test]
fn what_drops_out_is_the_same_in_a_run_that_was_cut_off() {
    let place = Place::new();
    let plain = weights(&place.trained(&table()).1);
    let table = Finetune { dropout: 0.3, ..table() };
    let (whole, out) = place.trained(&table);
    assert!(weights(&out) != plain);
    place.cut(&table, 3);
    let (again, resumed) = place.trained(&table);
    assert!(weights(&out) == weights(&resumed), "the same bytes");
    assert_eq!(figures(&again.curve), figures(&whole.curve));
}

#[test]
fn how_a_trained_model_chooses_is_measured_on_all_held_out_examples() {
    let (place, all) = (Place::new(), Finetune { check_examples: usize::MAX, ..table() });
    let (record, adapter) = place.trained(&all);
    let merged = tempdir().unwrap();
    merge::run(&place.checkpoint, adapter.path(), merged.path(), &ProgressBar::hidden()).unwrap();
    let mut tables = Recipe::load(None).unwrap().tables;
    tables.finetune = Some(all);
    let measured = |folder: &Path| loss::run(folder, place.repository.path(), &[], &tables, &Device::Cpu).unwrap();
    let told = measured(merged.path());
    let [.., line, kinds] = told.lines().collect::<Vec<_>>()[..] else { panic!("{told}") };
    assert!(line.contains(&format!("{} held-out examples", record.held_out)), "{told}");
    // The adapter was rounded to bf16 when it was stored.
    let loss: f64 = line.split("loss ").nth(1).unwrap().split(';').next().unwrap().parse().unwrap();
    let best = record.curve.iter().find(|check| check.step == record.best).unwrap();
    assert!((loss - best.held_out).abs() < 0.02 * best.held_out, "{line} {best:?}");
    let loss: f64 = kinds.split("loss ").nth(1).unwrap().split(';').next().unwrap().parse().unwrap();
    assert!((loss - best.kinds).abs() < 0.02 * best.kinds, "{kinds} {best:?}");
    assert!(kinds.contains(&format!("{} held-out ones", record.questions[1])), "{told}");
    assert!(!measured(&place.checkpoint.dir).contains("choice"), "no head, no choice");
}

#[test]
fn nothing_drops_out_while_held_out_examples_are_checked() {
    // Many steps: at the end the learning rate is next to nothing, so that two checks see nearly the same values.
    let table = Finetune { dropout: 0.3, epochs: 3, check_every: 1, check_examples: 2, ..table() };
    let (record, _out) = Place::new().trained(&table);
    let [.., before, last] = &record.curve[..] else { panic!("{:?}", record.curve) };
    assert!((before.held_out - last.held_out).abs() < 1e-3, "{before:?} {last:?}");
    assert!((record.curve[0].held_out - last.held_out).abs() > 1e-2, "the adapter does something");
}

#[test]
fn being_cut_off_while_a_check_is_written_down_changes_nothing_either() {
    let place = Place::new();
    let (_, out) = place.trained(&table());
    place.cut(&table(), 3);
    let earlier = tempdir().unwrap();
    copy(&place.kept(), earlier.path());
    place.cut(&table(), 6);
    // Of the second check everything is there but the file that names the others.
    fs::copy(earlier.path().join("progress.toml"), place.kept().join("progress.toml")).unwrap();
    for file in fs::read_dir(earlier.path()).unwrap().map(|file| file.unwrap().file_name()) {
        if !place.kept().join(&file).exists() {
            fs::copy(earlier.path().join(&file), place.kept().join(&file)).unwrap();
        }
    }
    assert!(weights(&place.trained(&table()).1) == weights(&out), "the same bytes");
}

fn copy(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn what_another_run_left_is_not_gone_on_from() {
    let (place, clean) = (Place::new(), Place::new());
    let other = Finetune { seed: 2, ..table() };
    place.cut(&table(), 3);
    let (_, begun) = place.trained(&other);
    assert!(weights(&begun) == weights(&clean.trained(&other).1));
    // Nor from what cannot be read.
    place.cut(&table(), 3);
    fs::write(place.kept().join("progress.toml"), "{").unwrap();
    assert!(weights(&place.trained(&other).1) == weights(&begun));
}

#[test]
fn a_run_ends_when_nothing_gets_better() {
    let place = Place::new();
    // Steps that are far too large: the held-out loss never comes back to that of the first check.
    let table = Finetune { learning_rate: 3.0, warmup: 6, epochs: 4, check_every: 2, patience: 2, ..table() };
    let (record, _out) = place.trained(&table);
    let last = record.curve.last().unwrap();
    let best = record.curve.iter().position(|check| check.step == record.best).unwrap();
    assert_eq!(record.curve.len() - 1 - best, 2, "{:?}", record.curve);
    assert!(last.held_out + 0.5 * last.kinds > record.curve[best].held_out + 0.5 * record.curve[best].kinds);
}

#[test]
fn what_nothing_can_be_learnt_from_stops_the_run() {
    let place = Place::new();
    // B stays zero, so that A never gets a gradient.
    let error = place.train(&Finetune { learning_rate: 0.0, ..table() }, &ProgressBar::hidden()).err().unwrap();
    assert!(matches!(error, FinetuneError::Sick(_)), "{error}");
    assert!(error.to_string().contains("lora_A") && error.to_string().contains("is zero"), "{error}");
}

#[test]
fn without_examples_there_is_no_training() {
    let refusal = |place: &Place| {
        let error = place.train(&table(), &ProgressBar::hidden()).err().unwrap();
        assert!(matches!(error, FinetuneError::NoExamples), "{error}");
    };
    // Answers that are too long to be read.
    let long = Place::new();
    let mut all = entries(&long.repository);
    all.iter_mut().for_each(|entry| entry["output"] = json!("word ".repeat(400)));
    let write = |place: &Place, name: &str, text: String| fs::write(place.repository.path().join(name), text).unwrap();
    write(&long, ENTRIES, json!(all).to_string());
    [NARROW, BROAD, SENTENCES, WORDINGS, REFUSED].iter().for_each(|name| write(&long, name, "[]".into()));
    refusal(&long);
    // Nothing to see by whether it learns.
    let blind = Place::new();
    let mut all = entries(&blind.repository);
    all.retain(|entry| !held_out(entry["id"].as_str().unwrap()));
    write(&blind, ENTRIES, json!(all).to_string());
    [NARROW, BROAD, SENTENCES, WORDINGS, REFUSED].iter().for_each(|name| write(&blind, name, "[]".into()));
    refusal(&blind);
}

#[test]
fn the_adapter_of_the_repository_is_taken_if_it_belongs_there() {
    let place = Place::new();
    let take = || {
        let out = tempdir().unwrap();
        finetune::take(&place.checkpoint, &Sources::find(place.repository.path()).unwrap(), out.path()).map(|()| out)
    };
    assert!(matches!(take(), Err(FinetuneError::Adapter(AdapterError::Unusable { .. }))));
    save_adapter(&place.repository.path().join("data/model"), &shape(), 3, &place.checkpoint);
    let out = take().unwrap();
    let same = |name: &str, source: &str| {
        fs::read(out.path().join(name)).unwrap() == fs::read(place.repository.path().join(source)).unwrap()
    };
    assert!(same(WEIGHTS, ADAPTER) && same(CONFIG, ADAPTER_CONFIG));
    let path: &Path = &place.repository.path().join(ADAPTER_CONFIG);
    let base = &place.checkpoint.record.files[TENSORS].sha256;
    fs::write(path, fs::read_to_string(path).unwrap().replace(base.as_str(), "other")).unwrap();
    assert!(matches!(take(), Err(FinetuneError::Adapter(AdapterError::OtherBase { .. }))));
}
