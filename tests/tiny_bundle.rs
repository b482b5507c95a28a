//! A whole bundle around the tiny Gemma 3 and the tiny encoder, with the repository's own Q&A and target ranges, made by
//! the pipeline's own stages once a test run. The model was not trained to choose sentences, so every answer from it is the
//! whole curated entry; one with a selection head that nobody trained chooses at random.

use crate::{
    stages::{
        artifact::{self, Artifact, Artifacts, Origin},
        bundle::{self, AssembleError, Parts},
        embed, merge, quantize, questions,
        recipe::{BlockFormat, Gates, Quantize, Recipe},
        sources::{self, Sources},
    },
    tiny, tiny_encoder,
};
use candle_core::{Device, Tensor};
use indicatif::ProgressBar;
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    sync::OnceLock,
};
use tempfile::{TempDir, tempdir};
use tomato_assistant::{
    bundle::{self as files, Bundle, Provenance, VECTORS},
    engine::sentence::SentenceEncoder,
    knowledge::{
        refusal::{Kinds, STATE, Why},
        vectors::Vectors,
        verdict::KINDS,
    },
};

/// The bundle; not to be written to.
pub fn bundle() -> &'static Bundle {
    static BUNDLE: OnceLock<Bundle> = OnceLock::new();
    BUNDLE.get_or_init(|| made(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("tiny-bundle"), None, None).unwrap())
}

/// One whose model has this selection head: a vector, and a number that is added to every score.
pub fn judging(vector: &[f32], bias: f32) -> (TempDir, Bundle) {
    let dir = tempdir().unwrap();
    let bundle = made(&dir.path().join("pipeline"), Some(&head(vector, bias)), None).unwrap();
    (dir, bundle)
}

/// One that is held against `gates`, made in `folder`.
pub fn gated(folder: &Path, gates: Gates) -> Result<Bundle, AssembleError> {
    made(folder, None, Some(gates))
}

/// Some head for the tiny model, whose scores differ from sentence to sentence.
pub fn some_vector() -> Vec<f32> {
    (0..tiny::config().hidden).map(|at| ((at * 37 + 11) % 64) as f32 / 32.0 - 1.0).collect()
}

/// A bundle whose scores lie near each other and mostly above what belongs to an answer, so that sentences of several entries
/// are chosen.
pub fn judging_gently() -> (TempDir, Bundle) {
    judging_around(1.0)
}

/// The same with another number added to every score: with -5 some sentences are not chosen.
pub fn judging_around(bias: f32) -> (TempDir, Bundle) {
    judging(&some_vector().iter().map(|value| value / 10.0).collect::<Vec<_>>(), bias)
}

/// One whose model is sure that each question is of the kind at this place; its scores are those of [`judging_gently`].
pub fn sure_of(kind: usize) -> (TempDir, Bundle) {
    sure_of_kind(kind, 1.0)
}

/// The same with another number added to every score.
pub fn sure_of_kind(kind: usize, bias: f32) -> (TempDir, Bundle) {
    let vector: Vec<f32> = some_vector().iter().map(|value| value / 10.0).collect();
    let kinds = (0..KINDS).map(|own| head(&vec![0.0; vector.len()], if own == kind { 20.0 } else { -20.0 }));
    let rows = [head(&vector, bias)].into_iter().chain(kinds).collect::<Vec<_>>().concat();
    let dir = tempdir().unwrap();
    let bundle = made(&dir.path().join("pipeline"), Some(&rows), None).unwrap();
    (dir, bundle)
}

fn head(vector: &[f32], bias: f32) -> Vec<f32> {
    vector.iter().copied().chain([bias]).collect()
}

/// A copy to spoil.
pub fn copy(to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(bundle().dir()).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// Made anew for each run.
fn made(folder: &Path, head: Option<&[f32]>, gates: Option<Gates>) -> Result<Bundle, AssembleError> {
    let _ = fs::remove_dir_all(folder);
    let artifacts = Artifacts::open(folder).unwrap();
    let mut recipe = Recipe::load(None).unwrap();
    // Those of the recipe are for a real encoder.
    recipe.tables.bundle.gates = gates;
    let checkpoint = tiny::copied();
    if let Some(head) = head {
        write_head(checkpoint.path(), head);
    }
    let table = Quantize {
        embedding: BlockFormat::Q8_0,
        attention: BlockFormat::Q8_0,
        ffn: BlockFormat::Q4_0,
        compensate: false,
    };
    let origin = Origin::new(&quantize::STAGE, &table, BTreeMap::new());
    let model = artifacts.produce(&quantize::STAGE, origin, |out| {
        quantize::run(&table, checkpoint.path(), sources(), out, &ProgressBar::hidden())
    });
    let (model, provenance) = (model.unwrap(), provenance(recipe.sha256));
    let (encoder, vectors) = encoder();
    let parts = Parts { model: &model, encoder, vectors };
    let origin = bundle::origin(&recipe.tables.bundle, &provenance, parts, sources());
    let made = artifacts
        .produce(&bundle::STAGE, origin, |out| bundle::run(&recipe.tables.bundle, &provenance, parts, sources(), out));
    Ok(Bundle::open(&made?.dir)?)
}

/// What every bundle takes for a question for how the greenhouse stands, and for a dangerous one.
pub const STATE_ASKED: &str = "co2 now?";
pub const HARMFUL: &str = "how much confidor per litre";

/// The tiny encoder and the vectors of all entries: the same in every bundle. It knows no example but these two.
fn encoder() -> &'static (Artifact, Artifact) {
    static ENCODER: OnceLock<(Artifact, Artifact)> = OnceLock::new();
    ENCODER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tiny-encoder");
        let _ = fs::remove_dir_all(&folder);
        let artifacts = Artifacts::open(&folder).unwrap();
        let (encoder, embedded) = tiny_encoder::stages(&artifacts, &Recipe::load(None).unwrap().tables, sources());
        let knowledge = sources().searched().unwrap();
        let [raw, projected] = [embed::RAW, VECTORS]
            .map(|file| Vectors::parse(&fs::read(embedded.dir.join(file)).unwrap(), knowledge.entries()).unwrap());
        let rows: Vec<Vec<f32>> = (0..raw.len()).map(|row| raw.row(row)).collect();
        let [model, pieces] = [files::ENCODER, files::ENCODER_TOKENIZER].map(|file| encoder.dir.join(file));
        let tiny = SentenceEncoder::open(&model, &pieces).unwrap();
        let mut kinds = Kinds::none(raw.width());
        kinds.examples[STATE].push(tiny.encode(STATE_ASKED).unwrap());
        kinds.examples[Why::Unsafe as usize].push(tiny.encode(HARMFUL).unwrap());
        let bytes = Vectors::quantize(&rows, projected.projection().clone(), &kinds).to_bytes().unwrap();
        let known = Artifacts::open(&folder.join("known")).unwrap();
        let vectors = known.produce(&embed::STAGE, embedded.record.origin, |out| {
            fs::write(out.join(VECTORS), &bytes).map_err(artifact::at(out))
        });
        (encoder, vectors.unwrap())
    })
}

/// Puts a selection head, row after row, beside a checkpoint, where stage merge leaves it.
pub fn write_head(checkpoint: &Path, head: &[f32]) {
    let rows = head.len().div_ceil(tiny::config().hidden + 1);
    let head = Tensor::from_slice(head, (rows, head.len() / rows), &Device::Cpu).unwrap();
    let tensors = HashMap::from([("selector.weight", head)]);
    candle_core::safetensors::save(&tensors, checkpoint.join(merge::SELECTOR)).unwrap();
}

/// The data of this repository.
pub fn sources() -> &'static Sources {
    static SOURCES: OnceLock<Sources> = OnceLock::new();
    SOURCES.get_or_init(|| Sources::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap())
}

/// Where a test's bundle says it comes from.
pub fn provenance(recipe_sha256: String) -> Provenance {
    Provenance {
        base_model_sha256: "a".repeat(64),
        base_model_name: "tiny".into(),
        encoder_sha256: "b".repeat(64),
        recipe_sha256,
        tool_version: "0.1.0".into(),
    }
}

/// A repository's data files with `entries`.
pub fn repository(entries: &str) -> TempDir {
    let dir = tempdir().unwrap();
    for folder in ["data/model", "data/text"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    for (name, text) in [
        (sources::VOCABULARY, "# base: none\n"),
        (sources::ENTRIES, entries),
        (sources::CLIMATE, "# targets\n"),
        (sources::ADAPTER, "no adapter\n"),
        (sources::ADAPTER_CONFIG, "{}\n"),
        (questions::NARROW, "[]"),
        (questions::BROAD, "[]"),
        (questions::SENTENCES, "[]"),
        (questions::WORDINGS, "[]"),
        (questions::REFUSED, "[]"),
        (sources::OFF_TOPIC, "Who won the match?\n"),
        (sources::HARMFUL, "How much poison?\n"),
        (sources::UNANSWERABLE, "Will it rain?\n"),
        (sources::ANSWERABLE, "Is rain bad?\n"),
        (sources::STATE, "How is it now?\n"),
        (sources::PRODUCTS, "confidor\n"),
        (sources::CALIBRATION_ENGLISH, "English\n"),
        (sources::CALIBRATION_KOREAN, "Korean\n"),
        ("NOTICE", "Gemma is provided under …\n"),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

/// One entry of it.
pub fn entry(id: &str, see_also: &str) -> String {
    format!(
        r#"{{"id": "{id}", "category": "disease_management", "instruction": "Why?", "input": "", "output": "So.",
        "paraphrases": ["Why so?", "How come?", "why"], "keywords": [], "signals": [],
        "sources": [{{"title": "T", "publisher": "P", "url": ""}}], "see_also": [{see_also}]}}"#
    )
}
