//! Stages are skipped, repeated and resumed as they should be; a quantized model and entries become a bundle.

use crate::{
    stages::{
        adapter::Matrix,
        artifact::{Artifact, ArtifactError, Artifacts, Origin, Stage, finished},
        base,
        bundle::{self, AssembleError, Parts},
        finetune, import, merge, prune, quantize, questions,
        recipe::{self, BlockFormat, Recipe},
        show,
        sources::{self, Sources},
    },
    tiny,
    tiny_bundle::{self, entry, repository},
    tiny_encoder, tiny_training,
};
use indicatif::ProgressBar;
use std::{cell::Cell, collections::BTreeMap, fs, io, path::Path};
use tempfile::{TempDir, tempdir};
use tomato_assistant::{bundle::Bundle, knowledge::Detail};

const STAGE: Stage = Stage { number: 7, name: "test", revision: 1 };

pub fn recipe(text: &str) -> Result<Recipe, String> {
    let dir = tempdir().unwrap();
    let path = dir.path().join("recipe.toml");
    fs::write(&path, text).unwrap();
    Recipe::load(Some(&path)).map_err(|error| error.to_string())
}

pub const GOOD: &str = r#"
[quantize]
embedding = "q8_0"
attention = "q4_0"
ffn = "q4_0"
[encoder]
name = "tiny"
vocabulary = 1000
positions = 32
embedding = "q4_0"
format = "q8_0"
[embed]
steps = 3
entries = 8
learning_rate = 0.001
sharpness = 20.0
keep = 1.0
seed = 1
ridge = 0.001
apart = 0.9
[bundle]
name = "test"
licences = []
"#;

/// A table that may follow it.
pub const FINETUNE: &str = r#"
[finetune]
shape = { rank = 2, alpha = 4.0, targets = ["q", "down"] }
learning_rate = 0.01
warmup = 2
tokens = 500
questions = 2
epochs = 1
weight_decay = 0.0
clip = 1.0
check_every = 2
check_examples = 2
patience = 3
seed = 1
"#;

#[test]
fn recipes_are_read_and_their_errors_name_the_spot() {
    let tables = recipe(GOOD).unwrap().tables;
    assert_eq!((tables.quantize.ffn, tables.quantize.compensate, tables.finetune), (BlockFormat::Q4_0, false, None));
    let shipped = Recipe::load(None).unwrap().tables;
    assert_eq!((shipped.bundle.budget, shipped.quantize.compensate), (Some(95_000_000), true));
    assert!(shipped.finetune.is_some() && tables.bundle.gates.is_none());
    let shape = recipe(&[GOOD, FINETUNE].concat()).unwrap().tables.finetune.unwrap().shape;
    assert_eq!(shape.targets, [Matrix::Q, Matrix::Down]);
    for (from, to, expected) in [
        ("\"down\"", "\"dwon\"", "unknown variant `dwon`"),
        ("rank = 2, ", "", "missing field `rank`"),
        ("seed = 1", "", "missing field `seed`"),
        ("epochs", "epoch", "unknown field `epoch`"),
    ] {
        let message = recipe(&[GOOD, &FINETUNE.replace(from, to)].concat()).unwrap_err();
        assert!(message.contains(expected) && message.contains("recipe.toml"), "{message}");
    }
    for (from, to, expected) in [
        ("ffn =", "fnn =", "unknown field `fnn`"),
        ("\"q8_0\"", "\"q5_0\"", "unknown variant `q5_0`, expected `q8_0` or `q4_0`"),
        ("[bundle]", "[bundel]", "unknown field `bundel`"),
        ("attention = \"q4_0\"", "", "missing field `attention`"),
        ("name = \"test\"", "name = 3", "invalid type: integer `3`"),
        ("licences = []", "licences = [", "line 23"),
        ("licences = []", "licences = []\n[bundle.gates]\nfound = 95.0", "missing field `found_by_readings`"),
        (
            "licences = []",
            "licences = []\ngates = { found = 101.0, found_by_readings = 0.0, real_refused = 0.0, \
          off_topic_refused = 0.0, harmful_refused = 0.0, unanswerable_refused = 0.0 }",
            "[bundle.gates] found = 101; it must be a share in per cent",
        ),
    ] {
        let message = recipe(&GOOD.replace(from, to)).unwrap_err();
        assert!(message.contains(expected) && message.contains("recipe.toml"), "{message}");
    }
    let message = Recipe::load(Some(Path::new("nowhere.toml"))).unwrap_err().to_string();
    assert!(message.contains("nowhere.toml"), "{message}");
}

#[test]
fn a_stage_runs_again_only_when_something_differs() {
    let dir = tempdir().unwrap();
    let artifacts = Artifacts::open(dir.path()).unwrap();
    let runs = Cell::new(0);
    let produce = |stage: &Stage, config: &str, input: &str| {
        let origin = Origin::new(stage, &config, BTreeMap::from([("in".into(), input.into())]));
        let before = runs.get();
        let artifact = artifacts.produce(stage, origin, |out| {
            runs.set(before + 1);
            fs::write(out.join("file"), config).unwrap();
            Ok::<(), ArtifactError>(())
        });
        assert_eq!(artifact.unwrap().reused, runs.get() == before);
        runs.get()
    };
    assert_eq!(produce(&STAGE, "a", "x"), 1);
    assert_eq!(produce(&STAGE, "a", "x"), 1, "nothing differs");
    assert_eq!(produce(&STAGE, "b", "x"), 2, "another recipe");
    assert_eq!(produce(&STAGE, "b", "y"), 3, "another input");
    assert_eq!(produce(&Stage { revision: 2, ..STAGE }, "b", "y"), 4, "newer code");
    let folder = dir.path().join("7-test");
    fs::write(folder.join("file"), "bb").unwrap();
    assert_eq!(produce(&Stage { revision: 2, ..STAGE }, "b", "y"), 5, "a file was cut or extended");
    fs::write(folder.join("record.json"), "{").unwrap();
    assert_eq!(produce(&Stage { revision: 2, ..STAGE }, "b", "y"), 6, "the record is damaged");
}

#[test]
fn what_a_killed_or_failed_stage_left_is_never_taken_for_whole() {
    let dir = tempdir().unwrap();
    let artifacts = Artifacts::open(dir.path()).unwrap();
    let origin = || Origin::new(&STAGE, &"a", BTreeMap::new());
    // Killed: the folder is there, the record perhaps too, the name still says partial.
    let partial = dir.path().join("7-test.partial");
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("half"), "").unwrap();
    assert!(finished(dir.path(), &STAGE).is_none());
    // Failed: nothing stays, and the disk is free again.
    let failed = artifacts.produce(&STAGE, origin(), |out| {
        fs::write(out.join("file"), "x").unwrap();
        Err(ArtifactError::Io { path: out.into(), source: io::ErrorKind::StorageFull.into() })
    });
    let message = failed.unwrap_err().to_string();
    assert!(message.contains("free some space"), "{message}");
    assert!(!partial.exists() && finished(dir.path(), &STAGE).is_none());
    // Done after all: what the killed one left is not in it.
    let done = artifacts.produce(&STAGE, origin(), |out| {
        fs::write(out.join("file"), "x").unwrap();
        Ok::<(), ArtifactError>(())
    });
    assert_eq!(done.unwrap().record.files.keys().collect::<Vec<_>>(), ["file"]);
}

#[test]
fn two_pipelines_do_not_share_a_folder() {
    let dir = tempdir().unwrap();
    let first = Artifacts::open(dir.path()).unwrap();
    assert!(matches!(Artifacts::open(dir.path()), Err(ArtifactError::Busy(_))));
    drop(first);
    Artifacts::open(dir.path()).unwrap();
}

fn assemble(entries: &str) -> Result<TempDir, AssembleError> {
    assemble_from(repository(entries).path())
}

/// The stages' folders from quantize to bundle, with the data of the repository at `root`.
pub fn assemble_from(root: &Path) -> Result<TempDir, AssembleError> {
    let pipeline = tempdir().unwrap();
    let artifacts = Artifacts::open(pipeline.path()).unwrap();
    let (recipe, sources) = (recipe(GOOD).unwrap(), Sources::find(root)?);
    let provenance = tiny_bundle::provenance(recipe.sha256);
    let origin = Origin::new(&quantize::STAGE, &recipe.tables.quantize, BTreeMap::new());
    let model = artifacts.produce(&quantize::STAGE, origin, |out| {
        quantize::run(&recipe.tables.quantize, &tiny::folder(), &sources, out, &ProgressBar::hidden())
    });
    let model = model.unwrap();
    sources.knowledge()?;
    let (encoder, vectors) = tiny_encoder::stages(&artifacts, &recipe.tables, &sources);
    let parts = Parts { model: &model, encoder: &encoder, vectors: &vectors };
    let origin = bundle::origin(&recipe.tables.bundle, &provenance, parts, &sources);
    artifacts
        .produce(&bundle::STAGE, origin, |out| bundle::run(&recipe.tables.bundle, &provenance, parts, &sources, out))?;
    Ok(pipeline)
}

#[test]
fn a_bundle_is_assembled_and_opens() {
    let entries = format!("[{}, {}]", entry("one", r#""two""#), entry("two", ""));
    let pipeline = assemble(&entries).unwrap();
    let bundle = Bundle::open(&pipeline.path().join("10-bundle")).unwrap();
    assert_eq!(bundle.manifest().provenance.base_model_name, "tiny");
    let knowledge: Vec<tomato_assistant::knowledge::Entry> =
        serde_json::from_slice(&fs::read(bundle.knowledge()).unwrap()).unwrap();
    assert_eq!(knowledge.len(), 2);
    assert_eq!(fs::read_to_string(bundle.targets()).unwrap(), "# targets\n");
    // Nothing in it tells when or where it was made.
    let again = assemble(&entries).unwrap();
    for file in ["manifest.json", "model.gguf", "encoder.gguf", "vectors.safetensors"] {
        let [first, second] = [&pipeline, &again].map(|dir| fs::read(dir.path().join("10-bundle").join(file)).unwrap());
        assert!(first == second, "{file}");
    }
}

#[test]
fn the_table_shows_what_would_be_made_again() {
    let pipeline = assemble(&format!("[{}]", entry("one", ""))).unwrap();
    let repository = repository(&format!("[{}]", entry("one", "")));
    let states = |recipe: &str| states(pipeline.path(), recipe, repository.path());
    // Made without an import stage, so nothing that follows can be known to be up to date.
    assert_eq!(states(GOOD), ["missing", "missing", "out of date", "up to date", "up to date", "out of date"]);
    let artifacts = Artifacts::open(pipeline.path()).unwrap();
    let (tables, sources) = (self::recipe(GOOD).unwrap().tables, Sources::find(repository.path()).unwrap());
    let pruned = pruned(&artifacts, &sources);
    let model = artifacts.produce(&quantize::STAGE, quantize::origin(&tables.quantize, &pruned, &sources), |out| {
        quantize::run(&tables.quantize, &pruned.dir, &sources, out, &ProgressBar::hidden())
    });
    model.unwrap();
    assert_eq!(states(GOOD), ["up to date", "up to date", "up to date", "up to date", "up to date", "out of date"]);
    let changed = |from: &str, to: &str| states(&GOOD.replacen(from, to, 1))[2..5].to_vec();
    assert_eq!(changed("q4_0", "q8_0"), ["out of date", "up to date", "up to date"]);
    assert_eq!(changed("= 1000", "= 999"), ["up to date", "out of date", "out of date"]);
    fs::write(repository.path().join("data/tomato_qa_dataset.json"), "[ ]").unwrap();
    assert_eq!(states(GOOD)[2..5], ["up to date", "out of date", "out of date"]);
}

/// The states that `show` tells, in the order of the stages.
fn states(pipeline: &Path, recipe: &str, repository: &Path) -> Vec<String> {
    let text = show::table(pipeline, &self::recipe(recipe).unwrap(), repository).unwrap();
    let state = |line: &str| line[13..line.len().min(25)].trim().to_string();
    text.lines().skip(1).map(state).collect()
}

/// The tiny checkpoint after stages import and prune.
fn pruned(artifacts: &Artifacts, sources: &Sources) -> Artifact {
    let base = base::locate(Some(&tiny::folder()), &ProgressBar::hidden()).unwrap();
    let checkpoint = artifacts.produce(&import::STAGE, base.origin, |out| {
        tiny::copy(out);
        Ok::<(), ArtifactError>(())
    });
    let (checkpoint, tables) = (checkpoint.unwrap(), recipe(GOOD).unwrap().tables);
    let pruned = artifacts.produce(&prune::STAGE, prune::origin(&tables.prune, &checkpoint, sources), |out| {
        let hidden = ProgressBar::hidden();
        let watch = prune::Watch { bytes: &hidden, work: &hidden, step: &|_| () };
        prune::run(&tables.prune, &checkpoint.dir, sources, out, &watch).map(drop)
    });
    pruned.unwrap()
}

#[test]
fn with_a_finetune_table_the_adapter_of_the_repository_is_merged() {
    let (pipeline, repository) = (tempdir().unwrap(), repository(&format!("[{}]", entry("one", ""))));
    let recipe = [GOOD, FINETUNE].concat();
    let (artifacts, bar) = (Artifacts::open(pipeline.path()).unwrap(), ProgressBar::hidden());
    let tables = self::recipe(&recipe).unwrap().tables;
    let pruned = pruned(&artifacts, &Sources::find(repository.path()).unwrap());
    let table = tables.finetune.unwrap();
    tiny_training::save_adapter(&repository.path().join("data/model"), &table.shape, 1, &pruned);
    let sources = Sources::find(repository.path()).unwrap();
    let origin = finetune::origin(&table, &pruned, &sources, false);
    let adapter = artifacts.produce(&finetune::STAGE, origin, |out| finetune::take(&pruned, &sources, out)).unwrap();
    let merged = artifacts
        .produce(&merge::STAGE, merge::origin(&pruned, &adapter), |out| merge::run(&pruned, &adapter.dir, out, &bar));
    let merged = merged.unwrap();
    assert!(merged.record.files.contains_key(merge::SELECTOR));
    let model = artifacts.produce(&quantize::STAGE, quantize::origin(&tables.quantize, &merged, &sources), |out| {
        quantize::run(&tables.quantize, &merged.dir, &sources, out, &bar)
    });
    model.unwrap();
    let model = |recipe: &str| states(pipeline.path(), recipe, repository.path());
    assert_eq!(model(&recipe)[..5], ["up to date"; 5]);
    // Without the table the model is made from what was pruned.
    assert_eq!(model(GOOD)[..3], ["up to date", "up to date", "out of date"]);
    let later = ["up to date", "up to date", "out of date", "out of date", "out of date"];
    assert_eq!(model(&recipe.replace("rank = 2", "rank = 3"))[..5], later);
    // Questions are learnt from only when training, and calibrated with only when compensating.
    fs::write(repository.path().join(questions::NARROW), "[ ]").unwrap();
    assert_eq!(model(&recipe)[..5], ["up to date"; 5]);
    let compensating = recipe.replace("[encoder]", "compensate = true\n[encoder]");
    assert_eq!(model(&compensating)[..5], ["up to date", "up to date", "up to date", "up to date", "out of date"]);
    fs::write(repository.path().join(sources::ADAPTER), "another").unwrap();
    assert_eq!(model(&recipe)[..5], later);
}

#[test]
fn what_is_learnt_or_calibrated_from_is_part_of_the_origin() {
    let (pipeline, repository) = (tempdir().unwrap(), repository(&format!("[{}]", entry("one", ""))));
    let checkpoint = tiny::checkpoint(pipeline.path());
    let tables = recipe(&[GOOD, FINETUNE].concat()).unwrap().tables;
    let (table, plain) = (tables.finetune.unwrap(), tables.quantize);
    let compensate = recipe::Quantize { compensate: true, ..plain.clone() };
    let origins = || {
        let sources = Sources::find(repository.path()).unwrap();
        let finetune = [true, false].map(|train| finetune::origin(&table, &checkpoint, &sources, train));
        let quantize = [&compensate, &plain].map(|table| quantize::origin(table, &checkpoint, &sources));
        [finetune, quantize].concat()
    };
    let first = origins();
    assert!(first[0] != first[1] && first[2] != first[3]);
    let questions = [questions::NARROW, questions::SENTENCES, questions::BROAD, questions::REFUSED];
    let learnt = questions.into_iter().chain([sources::ENTRIES]).map(|name| (name, true));
    let calibration = [sources::CALIBRATION_ENGLISH, sources::CALIBRATION_KOREAN].map(|name| (name, false, true));
    let alone = sources::TOLD_APART.into_iter().chain([questions::WORDINGS]).map(|name| (name, true, false));
    for (name, is_learnt, is_calibrated_with) in
        learnt.map(|(name, learnt)| (name, learnt, true)).chain(calibration).chain(alone)
    {
        let before = origins();
        let path = repository.path().join(name);
        fs::write(&path, fs::read_to_string(&path).unwrap() + " ").unwrap();
        let differ: Vec<bool> = origins().iter().zip(&before).map(|(now, before)| now != before).collect();
        assert_eq!(differ, [is_learnt, false, is_calibrated_with, false], "{name}");
    }
}

#[test]
fn a_base_is_known_by_its_content() {
    let progress = ProgressBar::hidden();
    let (first, second) = (tiny::copied(), tiny::copied());
    let hash = |path: &Path| base::content_sha256(&base::locate(Some(path), &progress).unwrap().origin);
    assert_eq!(hash(first.path()), hash(second.path()));
    fs::write(second.path().join("README.md"), "no part of the model").unwrap();
    assert_eq!(hash(first.path()), hash(second.path()));
    fs::write(second.path().join("config.json"), "{}").unwrap();
    assert_ne!(hash(first.path()), hash(second.path()));
    let file = first.path().join("my-model.gguf");
    fs::write(&file, "abc").unwrap();
    let known = base::locate(Some(&file), &progress).unwrap();
    assert_eq!(known.name, "my-model");
    assert_eq!(base::content_sha256(&known.origin), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let message = base::locate(Some(&first.path().join("nothing")), &progress).unwrap_err().to_string();
    assert!(message.contains("nothing") && message.contains("Give a .gguf file"), "{message}");
}

#[test]
fn bad_entries_make_no_bundle() {
    let warning = |sentence: &str, with: &str| {
        let warning = format!(r#""warnings": [{{"sentence": "{sentence}", "with": ["{with}"]}}], "sources""#);
        entry("one", "").replace("\"sources\"", &warning)
    };
    assemble(&format!("[{}]", warning("So.", "So."))).unwrap();
    for (entries, expected) in [
        ("[]".into(), "no entries"),
        (format!("[{}, {}]", entry("one", ""), entry("one", "")), "\"one\": its id is empty or used twice"),
        (format!("[{}]", entry(" ", "")), "id is empty"),
        (format!("[{}]", entry("one", r#""two""#)), "see_also names an unknown entry"),
        (format!("[{}]", entry("one", "").replace("\"output\"", "\"answer\"")), "unknown field `answer`"),
        (format!("[{}]", entry("one", "").replace("disease_management", "cooking")), "unknown variant `cooking`"),
        (format!("[{}]", warning("No.", "So.")), "\"one\": a warning names a sentence that the answer does not hold"),
        (format!("[{}]", warning("So.", "No.")), "a warning names a sentence"),
    ] {
        let message = assemble(&entries).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    let repository = tiny_bundle::repository(&format!("[{}]", entry("one", "")));
    let question = |id: &str| format!(r#"[{{"entry": "{id}", "question": "And then?", "answer": ["So."]}}]"#);
    let detail = Detail { question: "And then?".into(), sentences: vec![0], unlikely: false };
    for (id, known) in [("one", true), ("two", false)] {
        fs::write(repository.path().join(questions::NARROW), question(id)).unwrap();
        let knowledge = Sources::find(repository.path()).unwrap().knowledge();
        match known {
            true => assert_eq!(knowledge.unwrap().entries()[0].details, std::slice::from_ref(&detail)),
            false => {
                let message = knowledge.unwrap_err().to_string();
                assert!(message.contains("narrow_questions.json") && message.contains("\"two\""), "{message}");
            }
        }
    }
    let write = |file: &str, text: String| fs::write(repository.path().join(file), text).unwrap();
    let searched = || Sources::find(repository.path()).unwrap().searched();
    write(questions::NARROW, "[]".into());
    write(questions::BROAD, question("one"));
    write(questions::SENTENCES, question("one").replace("And then", "When"));
    let unlikely = Detail { question: "When?".into(), sentences: vec![0], unlikely: true };
    let own = searched().unwrap().entries()[0].clone();
    assert_eq!((own.questions, own.details), (vec!["And then?".into()], vec![unlikely]));
    write(questions::SENTENCES, question("one").replace("So.", "No."));
    let message = searched().unwrap_err().to_string();
    assert!(message.contains("sentence_questions.json") && message.contains("\"No.\""), "{message}");
    let elsewhere = tempdir().unwrap();
    let message = Sources::find(elsewhere.path()).unwrap_err().to_string();
    assert!(message.contains("folder that holds the repository"), "{message}");
}
