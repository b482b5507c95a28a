//! A whole bundle around the tiny Gemma 3 and the tiny encoder, with the repository's own Q&A and target ranges, made by the pipeline's own
//! stages once a test run. The model talks nonsense, so every answer from it is the curated entry.

use crate::{
    stages::{
        artifact::{Artifacts, Origin},
        bundle::{self, Parts},
        quantize,
        recipe::{BlockFormat, Quantize, Recipe},
        sources::Sources,
    },
    tiny, tiny_encoder,
};
use indicatif::ProgressBar;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};
use tempfile::{TempDir, tempdir};
use tomato_assistant::bundle::{Bundle, Provenance};

/// The bundle; not to be written to.
pub fn bundle() -> &'static Bundle {
    static BUNDLE: OnceLock<Bundle> = OnceLock::new();
    BUNDLE.get_or_init(|| Bundle::open(&build()).unwrap())
}

/// A copy to spoil.
pub fn copy(to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(bundle().dir()).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// Made anew for each run, in the folder that cargo keeps for tests.
fn build() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tiny-bundle");
    let _ = fs::remove_dir_all(&folder);
    let artifacts = Artifacts::open(&folder).unwrap();
    let recipe = Recipe::load(None).unwrap();
    let table = Quantize { embedding: BlockFormat::Q8_0, attention: BlockFormat::Q8_0, ffn: BlockFormat::Q4_0 };
    let origin = Origin::new(&quantize::STAGE, &table, BTreeMap::new());
    let model = artifacts
        .produce(&quantize::STAGE, origin, |out| quantize::run(&table, &tiny::folder(), out, &ProgressBar::hidden()))
        .unwrap();
    let provenance = provenance(recipe.sha256);
    let sources = Sources::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (encoder, vectors) = tiny_encoder::stages(&artifacts, &recipe.tables, &sources);
    let parts = Parts { model: &model, encoder: &encoder, vectors: &vectors };
    let origin = bundle::origin(&recipe.tables.bundle, &provenance, parts, &sources);
    let made = artifacts
        .produce(&bundle::STAGE, origin, |out| bundle::run(&recipe.tables.bundle, &provenance, parts, &sources, out));
    made.unwrap().dir
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
    fs::create_dir_all(dir.path().join("data/model")).unwrap();
    fs::write(dir.path().join("data/model/vocabulary.txt"), "# base: none\n").unwrap();
    fs::write(dir.path().join("data/tomato_qa_dataset.json"), entries).unwrap();
    fs::write(dir.path().join("data/targets.toml"), "# targets\n").unwrap();
    fs::write(dir.path().join("NOTICE"), "Gemma is provided under …\n").unwrap();
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
