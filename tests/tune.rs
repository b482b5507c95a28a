//! The sentence encoder's adapter: it is learnt the same way every time, brings the texts of an entry together, and the stage
//! that quantizes the encoder adds what was learnt, to no other encoder.

use crate::{
    stages::{
        adapter::{CONFIG, WEIGHTS},
        encoder::{self, EncoderError},
        encoder_base::EncoderBase,
        projection::is_held,
        recipe,
        sources::{ENCODER_ADAPTER, Sources},
        tune::{self, Lessons, TuneError},
    },
    tiny_bundle::{entry, repository},
    tiny_encoder::{base, encode, folder, nothing_recorded, table},
    tiny_training::cut,
};
use candle_core::Device;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::{collections::HashMap, fs, path::Path};
use tempfile::{TempDir, tempdir};
use tomato_assistant::{
    bundle::{ENCODER, ENCODER_TOKENIZER},
    engine::sentence::SentenceEncoder,
    knowledge::{Entry, Knowledge},
};

const PIECES: usize = 1000;

/// A training of seconds; with `entries` in a step.
fn training(steps: usize, entries: usize) -> recipe::EncoderAdapter {
    recipe::EncoderAdapter {
        rank: 4,
        alpha: 8.0,
        steps,
        entries,
        learning_rate: 0.003,
        warmup: 2,
        sharpness: 20.0,
        clip: 1.0,
        seed: 3,
    }
}

/// Entries that are asked for by two words which the encoder has not yet brought together.
fn entries() -> Vec<Entry> {
    let asked = [("tomato", "water"), ("leaf", "root"), ("black", "rare"), ("the", "7"), ("a", "z"), ("x", "q")];
    let entries = asked.iter().map(|(one, other)| {
        json!({
            "id": one, "category": "troubleshooting", "instruction": one, "input": "", "output": "So. Rare.",
            "details": [{"question": format!("so {one}"), "sentences": [0]}, {"question": other, "sentences": [0, 1]}],
            "paraphrases": [format!("{one}?"), other, format!("{other} {other}")], "keywords": [], "signals": [],
            "sources": [{"title": "t", "publisher": "p", "url": ""}],
        })
    });
    Knowledge::parse(&Value::from(entries.collect::<Vec<_>>()).to_string()).unwrap().entries().to_vec()
}

/// Two kinds of questions to be refused; of a third there are none.
fn refused() -> [Vec<String>; 3] {
    [&["7 tomato", "rare"][..], &["b", "w"], &[]].map(|kind| kind.iter().map(|text| text.to_string()).collect())
}

/// A repository and a tiny encoder.
fn place() -> (TempDir, TempDir, EncoderBase) {
    let (root, tiny) = (repository(&format!("[{}]", entry("one", ""))), folder(|_, _, _| ()));
    let base = base(tiny.path());
    (root, tiny, base)
}

/// Trains into the place where the repository keeps its adapter. What is needed to go on is kept in `work`.
fn train_in(
    work: &Path,
    root: &Path,
    base: &EncoderBase,
    training: &recipe::EncoderAdapter,
    bar: &ProgressBar,
) -> Result<Vec<u8>, TuneError> {
    let (dense, sources) = (tempdir().unwrap(), Sources::find(root).unwrap());
    let table = recipe::Encoder { adapter: Some(training.clone()), ..table(PIECES) };
    let dense = encoder::dense(&table, base, &sources, dense.path()).unwrap();
    let out = root.join(ENCODER_ADAPTER);
    fs::create_dir_all(out.parent().unwrap()).unwrap();
    let origin = tune::origin(&table, base, &sources);
    let lessons = Lessons { entries: &entries(), refused: &refused(), origin };
    tune::run(training, dense, &lessons, base, (work, out.parent().unwrap()), &Device::Cpu, bar)?;
    Ok(fs::read(out).unwrap())
}

/// The same to the end, in a place of its own.
fn train(root: &Path, base: &EncoderBase, training: &recipe::EncoderAdapter) -> Result<Vec<u8>, TuneError> {
    train_in(tempdir().unwrap().path(), root, base, training, &ProgressBar::hidden())
}

/// The encoder that the stage makes, with an adapter or without.
fn made(root: &Path, base: &EncoderBase, adapter: bool) -> Result<SentenceEncoder, EncoderError> {
    let out = tempdir().unwrap();
    let table = recipe::Encoder { adapter: adapter.then(|| training(1, 2)), ..table(PIECES) };
    encode(&table, base, root, &nothing_recorded(), out.path())?;
    Ok(SentenceEncoder::open(&out.path().join(ENCODER), &out.path().join(ENCODER_TOKENIZER)).unwrap())
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// How much nearer an entry's question lies to its other word than to those of other entries.
fn apart(encoder: &SentenceEncoder) -> f32 {
    let entries = entries();
    let vector = |text: &str| encoder.encode(text).unwrap();
    let questions: Vec<_> = entries.iter().map(|entry| vector(&entry.instruction)).collect();
    let paraphrases: Vec<_> = entries.iter().map(|entry| vector(&entry.paraphrases[1])).collect();
    assert!(!is_held(1));
    let mut sum = 0.0;
    for (own, question) in questions.iter().enumerate() {
        let others = (0..entries.len()).filter(|&other| other != own);
        let mean = others.map(|other| cosine(question, &paraphrases[other])).sum::<f32>() / (entries.len() - 1) as f32;
        sum += cosine(question, &paraphrases[own]) - mean;
    }
    sum / entries.len() as f32
}

#[test]
fn what_was_learnt_brings_the_texts_of_an_entry_together_in_the_quantized_encoder() {
    let (root, _tiny, base) = place();
    let bytes = train(root.path(), &base, &training(100, 6)).unwrap();
    let (plain, adapted) = (made(root.path(), &base, false).unwrap(), made(root.path(), &base, true).unwrap());
    let (before, after) = (apart(&plain), apart(&adapted));
    assert!(after > before + 0.05, "{before} to {after}");
    // So are questions to be refused for one reason.
    let [one, _, _] = refused();
    let near = |encoder: &SentenceEncoder| {
        let [a, b] = [0, 1].map(|place: usize| encoder.encode(&one[place]).unwrap());
        cosine(&a, &b)
    };
    assert!(near(&adapted) > near(&plain) + 0.05, "{} to {}", near(&plain), near(&adapted));
    assert_eq!(train(root.path(), &base, &training(100, 6)).unwrap(), bytes, "the same every time");
    let other = recipe::EncoderAdapter { seed: 4, ..training(100, 6) };
    assert_ne!(train(root.path(), &base, &other).unwrap(), bytes);
}

#[test]
fn an_adapter_without_a_step_changes_nothing() {
    let (root, _tiny, base) = place();
    train(root.path(), &base, &training(0, 6)).unwrap();
    let (plain, adapted) = (made(root.path(), &base, false).unwrap(), made(root.path(), &base, true).unwrap());
    for entry in &entries()[..3] {
        let of = |encoder: &SentenceEncoder| encoder.encode(&entry.instruction).unwrap();
        assert_eq!(of(&plain), of(&adapted));
    }
}

#[test]
fn what_does_not_belong_to_the_encoder_is_refused() {
    let (root, _tiny, base) = place();
    let refused = |base: &EncoderBase| made(root.path(), base, true).err().unwrap();
    let missing = refused(&base);
    assert!(matches!(missing, EncoderError::Adapter(_)) && missing.to_string().contains(CONFIG), "{missing}");
    train(root.path(), &base, &training(2, 6)).unwrap();
    let other = folder(|_, _, weights| {
        let name = "encoder.layer.0.output.dense.bias";
        weights.insert(name.into(), weights[name].affine(2.0, 0.0).unwrap());
    });
    let error = refused(&crate::tiny_encoder::base(other.path()));
    assert!(matches!(error, EncoderError::OtherBase) && error.to_string().contains("pipeline tune"), "{error}");
    let path = root.path().join(ENCODER_ADAPTER);
    fs::write(&path, b"no tensors").unwrap();
    let error = refused(&base).to_string();
    assert!(error.contains(WEIGHTS) && error.contains("cannot be used"), "{error}");
}

#[test]
fn a_training_that_was_cut_off_ends_as_if_it_had_not_been() {
    let ((root, _tiny, base), work) = (place(), tempdir().unwrap());
    let (table, kept) = (training(60, 6), work.path().join("tune-resume"));
    let in_work = |bar: &ProgressBar| train_in(work.path(), root.path(), &base, &table, bar);
    let whole = train(root.path(), &base, &table).unwrap();
    let error = cut(&kept, 25, |bar| in_work(bar).map(drop)).unwrap_err();
    assert!(matches!(error, TuneError::Artifact(_)), "{error}");
    assert_eq!(in_work(&ProgressBar::hidden()).unwrap(), whole, "the same bytes");
    // It did go on: what is kept of another training is not of use, and of this one it is.
    cut(&kept, 25, |bar| train_in(work.path(), root.path(), &base, &training(61, 6), bar).map(drop)).unwrap_err();
    assert_eq!(in_work(&ProgressBar::hidden()).unwrap(), whole, "another training's state counts for nothing");
    tune::forget(work.path()).unwrap();
    cut(&kept, 25, |bar| in_work(bar).map(drop)).unwrap_err();
    let state = kept.join("state-25.safetensors");
    let tensors = candle_core::safetensors::load(&state, &Device::Cpu).unwrap();
    let other: HashMap<_, _> = tensors.into_iter().map(|(name, tensor)| (name, (tensor * 0.5).unwrap())).collect();
    candle_core::safetensors::save(&other, &state).unwrap();
    assert_ne!(in_work(&ProgressBar::hidden()).unwrap(), whole, "values that were not its own are noticed");
    tune::forget(work.path()).unwrap();
    assert!(!kept.exists());
}

#[test]
fn a_step_needs_its_entries() {
    let (root, _tiny, base) = place();
    let error = train(root.path(), &base, &training(1, 7)).unwrap_err();
    assert!(matches!(error, TuneError::TooFew { found: 6, needed: 7 }), "{error}");
    assert!(error.to_string().contains("[encoder.adapter]"), "{error}");
}
