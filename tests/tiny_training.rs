//! What the tests of training share: adapters with random values, and a repository that is small enough to learn from on the
//! tiny Gemma 3.

use crate::{
    stages::{
        adapter::{self, Matrix, Shape},
        artifact::Artifact,
        checkpoint::TENSORS,
        draw::Draw,
        questions::{BROAD, NARROW, REFUSED, WORDINGS},
        recipe::Finetune,
        sources::{CLIMATE, ENTRIES, OFF_TOPIC},
        split::held_out,
    },
    tiny,
    tiny_bundle::repository,
};
use candle_core::{DType, Device, Tensor};
use indicatif::{ProgressBar, ProgressDrawTarget, TermLike};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use tomato_assistant::climate::signal_names;

/// An adapter on every kind of matrix.
pub fn shape() -> Shape {
    Shape { rank: 4, alpha: 8.0, targets: Matrix::ALL.into() }
}

/// A value for each variable of an adapter of the tiny model, none of them zero; numbers that bf16 holds exactly.
pub fn values(shape: &Shape, seed: u64) -> HashMap<String, Tensor> {
    let mut draw = Draw::new(seed);
    let (variables, _) = adapter::attach(&mut tiny::model(tiny::config(), 8), shape, &mut draw).unwrap();
    let mut random = |(name, variable): (String, candle_core::Var)| {
        let numbers: Vec<f32> = (0..variable.elem_count()).map(|_| (0.2 * draw.share() - 0.1) as f32).collect();
        let tensor = Tensor::from_vec(numbers, variable.shape(), &Device::Cpu).unwrap();
        (name, tensor.to_dtype(DType::BF16).unwrap().to_dtype(DType::F32).unwrap())
    };
    variables.into_iter().map(&mut random).collect()
}

/// Such an adapter in `folder`, as if it had been trained on `checkpoint`.
pub fn save_adapter(folder: &Path, shape: &Shape, seed: u64, checkpoint: &Artifact) {
    let base = &checkpoint.record.files[TENSORS].sha256;
    adapter::save(folder, (shape.rank, shape.alpha), shape.modules(), &values(shape, seed), base).unwrap();
}

/// A training of some seconds.
pub fn table() -> Finetune {
    Finetune {
        shape: shape(),
        learning_rate: 0.01,
        warmup: 2,
        tokens: 800,
        questions: 2,
        epochs: 1,
        weight_decay: 0.01,
        clip: 1.0,
        check_every: 3,
        check_examples: 8,
        patience: 100,
        dropout: 0.0,
        seed: 1,
    }
}

/// Trains so that it ends with an error, and what it left in the folder `kept` is that of `step`.
pub fn cut<E>(kept: &Path, step: usize, train: impl FnOnce(&ProgressBar) -> Result<(), E>) -> Result<(), E> {
    let aside = kept.with_extension("aside");
    let cutter = Cutter { kept: kept.into(), aside: aside.clone(), step };
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::term_like(Box::new(cutter)));
    let ended = train(&bar);
    // It draws a last time, and must not look then.
    drop(bar);
    fs::remove_file(kept).unwrap();
    fs::rename(aside, kept).unwrap();
    ended
}

/// A terminal that looks at what is kept whenever the bar is drawn. Once that is of `step` it is put aside, and what is
/// kept next finds no folder to be written to.
#[derive(Debug)]
struct Cutter {
    kept: PathBuf,
    aside: PathBuf,
    step: usize,
}

impl Cutter {
    fn look(&self) {
        let kept = fs::read_to_string(self.kept.join("progress.toml")).unwrap_or_default();
        let steps = toml::from_str::<toml::Table>(&kept).ok().and_then(|kept| kept.get("steps")?.as_integer());
        if steps == Some(self.step as i64) {
            fs::rename(&self.kept, &self.aside).unwrap();
            fs::write(&self.kept, "").unwrap();
        }
    }
}

impl TermLike for Cutter {
    fn width(&self) -> u16 {
        80
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
    fn write_str(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        self.look();
        Ok(())
    }
}

/// What the entries are about.
const THINGS: [&str; 9] = ["stem", "root", "leaf", "truss", "fruit", "slab", "flower", "vent", "drip"];

/// Two questions about an entry, each with the sentences that answer it.
type Asked = [(String, Vec<String>); 2];

/// Six entries to learn from and three held out, with questions about each.
pub fn lessons() -> TempDir {
    let ids = |held: bool| (0..).map(|number| format!("topic-{number}")).filter(move |id| held_out(id) == held);
    let ids: Vec<String> = ids(false).take(6).chain(ids(true).take(3)).collect();
    let entries: Vec<Value> = ids.iter().zip(THINGS).map(|(id, thing)| entry(id, thing)).collect();
    let asked = |words: fn(&str) -> Asked| -> Vec<Value> {
        let both = ids.iter().zip(THINGS).flat_map(|(id, thing)| words(thing).map(|words| (id, words)));
        both.map(|(id, (question, answer))| json!({"entry": id, "question": question, "answer": answer})).collect()
    };
    let narrow = asked(|thing| {
        [
            (format!("when to water the {thing}"), vec![sentence(thing, 0)]),
            (format!("when to wash the {thing}"), vec![sentence(thing, 1)]),
        ]
    });
    let broad = asked(|thing| {
        [
            (format!("what do I do with the {thing}"), vec![sentence(thing, 0), sentence(thing, 1)]),
            (format!("the {thing} is odd"), vec![sentence(thing, 1), sentence(thing, 2)]),
        ]
    });
    let refused: Vec<Value> =
        ["how tall is a goat", "who won"].map(|question| json!({"question": question, "why": "off_topic"})).into();
    let dir = repository(&json!(entries).to_string());
    let wordings =
        ids.iter().zip(THINGS).map(|(id, thing)| json!({"entry": id, "question": format!("{thing}, and now")}));
    for (name, questions) in [(NARROW, narrow), (BROAD, broad), (REFUSED, refused), (WORDINGS, wordings.collect())] {
        fs::write(dir.path().join(name), json!(questions).to_string()).unwrap();
    }
    let foreign: Vec<String> = (0..40).map(|number| format!("Who won match {number}?\n")).collect();
    fs::write(dir.path().join(OFF_TOPIC), foreign.concat()).unwrap();
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(CLIMATE), dir.path().join(CLIMATE)).unwrap();
    dir
}

/// Entries of the repository `dir`, to be written back changed.
pub fn entries(dir: &TempDir) -> Vec<Value> {
    serde_json::from_str(&fs::read_to_string(dir.path().join(ENTRIES)).unwrap()).unwrap()
}

fn sentence(thing: &str, number: usize) -> String {
    [
        format!("Water the {thing} at dawn."),
        format!("Wash it on Monday, {thing} first."),
        format!("No {thing} is blue."),
    ][number]
        .clone()
}

fn entry(id: &str, thing: &str) -> Value {
    let output: Vec<String> = (0..3).map(|number| sentence(thing, number)).collect();
    json!({
        "id": id, "category": "troubleshooting", "instruction": format!("What of the {thing}?"), "input": "",
        "output": output.join(" "),
        "paraphrases": [format!("{thing}, how?"), format!("help with the {thing}"), format!("about a {thing}")],
        "keywords": [], "signals": signal_names().into_iter().collect::<Vec<_>>(), "sources": [{"title": "T", "publisher": "P", "url": ""}],
    })
}
