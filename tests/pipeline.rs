//! Stages are skipped, repeated and resumed as they should be; a small checkpoint becomes a GGUF and a bundle.

use crate::{
    stages::{
        artifact::{ArtifactError, Artifacts, Origin, Stage, finished},
        base,
        bundle::{self, AssembleError, Parts},
        import, prune, quantize,
        recipe::{BlockFormat, Quantize, Recipe},
        show,
        sources::Sources,
    },
    tiny_bundle::{self, entry, repository},
    tiny_encoder,
};
use candle_core::{
    Device,
    quantized::{
        GgmlDType,
        gguf_file::{Content, Value},
    },
};
use indicatif::ProgressBar;
use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    fs::File,
    io,
    path::{Path, PathBuf},
};
use tempfile::{TempDir, tempdir};
use tomato_assistant::{
    bundle::{Bundle, MODEL},
    model::weights::Weights,
};

const TINY: &str = "tests/fixtures/tiny-gemma3";
const STAGE: Stage = Stage { number: 7, name: "test", revision: 1 };

fn recipe(text: &str) -> Result<Recipe, String> {
    let dir = tempdir().unwrap();
    let path = dir.path().join("recipe.toml");
    fs::write(&path, text).unwrap();
    Recipe::load(Some(&path)).map_err(|error| error.to_string())
}

const GOOD: &str = r#"
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
[bundle]
name = "test"
licences = []
"#;

#[test]
fn recipes_are_read_and_their_errors_name_the_spot() {
    assert_eq!(recipe(GOOD).unwrap().tables.quantize.ffn, BlockFormat::Q4_0);
    assert_eq!(Recipe::load(None).unwrap().tables.bundle.budget, Some(95_000_000));
    for (from, to, expected) in [
        ("ffn =", "fnn =", "unknown field `fnn`"),
        ("\"q8_0\"", "\"q5_0\"", "unknown variant `q5_0`, expected `q8_0` or `q4_0`"),
        ("[bundle]", "[bundel]", "unknown field `bundel`"),
        ("attention = \"q4_0\"", "", "missing field `attention`"),
        ("name = \"test\"", "name = 3", "invalid type: integer `3`"),
        ("licences = []", "licences = [", "line 21"),
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
    artifacts.discard(&STAGE).unwrap();
    assert_eq!(produce(&Stage { revision: 2, ..STAGE }, "b", "y"), 7, "asked for");
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

fn quantize_tiny(table: &Quantize, checkpoint: &Path) -> Result<(TempDir, PathBuf), String> {
    let out = tempdir().unwrap();
    quantize::run(table, checkpoint, out.path(), &ProgressBar::hidden()).map_err(|error| error.to_string())?;
    let model = out.path().join(MODEL);
    Ok((out, model))
}

fn table(embedding: BlockFormat, body: BlockFormat) -> Quantize {
    Quantize { embedding, attention: body, ffn: body }
}

#[test]
fn quantized_weights_are_near_the_dense_ones() {
    let dense = candle_core::safetensors::load(Path::new(TINY).join("model.safetensors"), &Device::Cpu).unwrap();
    // Half a step of the largest value of a block: 1/254 of it in Q8_0; a whole step of 1/8 in Q4_0, whose range is
    // not symmetric.
    for (format, dtype, tolerance) in
        [(BlockFormat::Q8_0, GgmlDType::Q8_0, 1.1 / 254.0), (BlockFormat::Q4_0, GgmlDType::Q4_0, 1.1 / 8.0)]
    {
        let (_out, model) = quantize_tiny(&table(BlockFormat::Q8_0, format), Path::new(TINY)).unwrap();
        let mut file = File::open(model).unwrap();
        let content = Content::read(&mut file).unwrap();
        assert_eq!(content.tensor_infos.len(), dense.len());
        for (name, ggml, expected) in [
            ("model.embed_tokens.weight", "token_embd.weight", GgmlDType::Q8_0),
            ("model.layers.1.self_attn.v_proj.weight", "blk.1.attn_v.weight", dtype),
            ("model.layers.0.mlp.down_proj.weight", "blk.0.ffn_down.weight", dtype),
        ] {
            let tensor = content.tensor(&mut file, ggml, &Device::Cpu).unwrap();
            assert_eq!(tensor.dtype(), expected);
            assert_eq!(tensor.shape().dims(), dense[name].dims());
            let largest = dense[name].abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            let difference = (tensor.dequantize(&Device::Cpu).unwrap() - &dense[name]).unwrap();
            let error = difference.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            let tolerance = if expected == GgmlDType::Q8_0 { 1.1 / 254.0 } else { tolerance };
            assert!(error > 0.0 && error <= largest * tolerance, "{ggml}: {error} of {largest}");
        }
        let norm = content.tensor(&mut file, "blk.1.ffn_norm.weight", &Device::Cpu).unwrap();
        let norm = norm.dequantize(&Device::Cpu).unwrap().to_vec1::<f32>().unwrap();
        let dense = dense["model.layers.1.pre_feedforward_layernorm.weight"].to_vec1::<f32>().unwrap();
        assert!(norm.iter().zip(&dense).all(|(stored, w)| *stored == 1.0 + w));
    }
}

#[test]
fn the_file_describes_itself_to_both_programs() {
    let (_out, model) = quantize_tiny(&table(BlockFormat::Q8_0, BlockFormat::Q8_0), Path::new(TINY)).unwrap();
    let config = Weights::gguf(&model).unwrap().config().unwrap();
    assert_eq!((config.hidden, config.heads, config.kv_heads, config.head), (64, 2, 1, 32));
    // Two layers: llama.cpp's rule of one global layer in six would make both sliding.
    assert_eq!(config.windows, [Some(16), None]);
    let content = Content::read(&mut File::open(&model).unwrap()).unwrap();
    let list = |name: &str| content.metadata[&format!("tokenizer.ggml.{name}")].to_vec().unwrap().clone();
    let (tokens, scores, types) = (list("tokens"), list("scores"), list("token_type"));
    assert_eq!((tokens.len(), scores.len(), types.len()), (384, 384, 384));
    let id = |text: &str| tokens.iter().position(|token| token.to_string().unwrap() == text).unwrap();
    let (bos, byte) = (id("<bos>"), id("<0x41>"));
    assert_eq!((bos, types[bos].to_i32().unwrap(), scores[bos].to_f32().unwrap()), (2, 3, -1000.0));
    assert_eq!((types[byte].to_i32().unwrap(), scores[byte].to_f32().unwrap()), (6, 0.0));
    assert_eq!(content.metadata["tokenizer.ggml.unknown_token_id"].to_u32().unwrap(), 3);
    assert!(matches!(content.metadata["tokenizer.ggml.add_space_prefix"], Value::Bool(false)));
    assert_eq!(content.tensor_data_offset % 32, 0);
}

#[test]
fn merges_become_scores_in_their_order() {
    let (_out, model) = quantize_tiny(&table(BlockFormat::Q8_0, BlockFormat::Q8_0), Path::new(TINY)).unwrap();
    let content = Content::read(&mut File::open(&model).unwrap()).unwrap();
    let list = |name: &str| content.metadata[&format!("tokenizer.ggml.{name}")].to_vec().unwrap().clone();
    let (tokens, scores) = (list("tokens"), list("scores"));
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(Path::new(TINY).join("tokenizer.json")).unwrap()).unwrap();
    let score: BTreeMap<_, _> =
        tokens.iter().zip(&scores).map(|(t, s)| (t.to_string().unwrap().as_str(), s.to_f32().unwrap())).collect();
    let mut seen = BTreeMap::new();
    let merges = json["model"]["merges"].as_array().unwrap();
    assert!(!merges.is_empty());
    for (rank, merge) in merges.iter().enumerate() {
        let piece = match merge.as_str() {
            Some(line) => line.replacen(' ', "", 1),
            None => format!("{}{}", merge[0].as_str().unwrap(), merge[1].as_str().unwrap()),
        };
        let first = *seen.entry(piece.clone()).or_insert(rank);
        assert_eq!(score[piece.as_str()], -(first as f32), "{piece}");
    }
}

fn copy_tiny(to: &Path) {
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        fs::copy(Path::new(TINY).join(name), to.join(name)).unwrap();
    }
}

fn copy_of_tiny() -> TempDir {
    let dir = tempdir().unwrap();
    copy_tiny(dir.path());
    dir
}

#[test]
fn bad_checkpoints_are_refused_with_their_reason() {
    let formats = table(BlockFormat::Q8_0, BlockFormat::Q8_0);
    let replace = |file: &str, from: &str, to: &str| {
        let dir = copy_of_tiny();
        let path = dir.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(&path, text.replace(from, to)).unwrap();
        quantize_tiny(&formats, dir.path()).unwrap_err()
    };
    let message = replace("config.json", "gemma3_text", "llama");
    assert!(message.contains("llama"), "{message}");
    let message = replace("config.json", "\"rope_scaling\": null", "\"rope_scaling\": {\"factor\": 8}");
    assert!(message.contains("rope_scaling"), "{message}");
    let message = replace("config.json", "10000.0", "20000.0");
    assert!(message.contains("local rope base"), "{message}");
    let message = replace("config.json", "\"vocab_size\": 384", "\"vocab_size\": 383");
    assert!(message.contains("383"), "{message}");
    let message = replace("config.json", "\"hidden_size\": 64", "\"hidden_size\": 32");
    assert!(message.contains("shape"), "{message}");
    let message = replace("tokenizer.json", "\"<0x41>\": ", "\"<0x41>\": 9");
    assert!(message.contains("rows only"), "{message}");
    let message = replace("tokenizer.json", "\"merges\"", "\"words\"");
    assert!(message.contains("merges"), "{message}");

    let dir = copy_of_tiny();
    let path = dir.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    for length in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..length]).unwrap();
        let message = quantize_tiny(&formats, dir.path()).unwrap_err();
        assert!(message.contains("model.safetensors"), "{message}");
    }
}

fn assemble(entries: &str) -> Result<TempDir, AssembleError> {
    let (pipeline, repository) = (tempdir().unwrap(), repository(entries));
    let artifacts = Artifacts::open(pipeline.path()).unwrap();
    let recipe = recipe(GOOD).unwrap();
    let provenance = tiny_bundle::provenance(recipe.sha256);
    let origin = Origin::new(&quantize::STAGE, &recipe.tables.quantize, BTreeMap::new());
    let model = artifacts.produce(&quantize::STAGE, origin, |out| {
        quantize::run(&recipe.tables.quantize, Path::new(TINY), out, &ProgressBar::hidden())
    });
    let (model, sources) = (model.unwrap(), Sources::find(repository.path())?);
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
    let states = |recipe: &str| {
        let text = show::table(pipeline.path(), &self::recipe(recipe).unwrap(), repository.path()).unwrap();
        let state = |line: &str| line[13..line.len().min(25)].trim().to_string();
        text.lines().skip(1).map(state).collect::<Vec<_>>()
    };
    // Made without an import stage, so nothing that follows can be known to be up to date.
    assert_eq!(states(GOOD), ["missing", "missing", "out of date", "up to date", "up to date", "out of date"]);
    let artifacts = Artifacts::open(pipeline.path()).unwrap();
    let base = base::locate(Some(Path::new(TINY)), &ProgressBar::hidden()).unwrap();
    let checkpoint = artifacts.produce(&import::STAGE, base.origin, |out| {
        copy_tiny(out);
        Ok::<(), ArtifactError>(())
    });
    let (checkpoint, tables) = (checkpoint.unwrap(), self::recipe(GOOD).unwrap().tables);
    let sources = Sources::find(repository.path()).unwrap();
    let bar = ProgressBar::hidden();
    let pruned = artifacts.produce(&prune::STAGE, prune::origin(&tables.prune, &checkpoint, &sources), |out| {
        prune::run(&tables.prune, &checkpoint.dir, &sources, out, &bar).map(drop)
    });
    let pruned = pruned.unwrap();
    let model = artifacts.produce(&quantize::STAGE, quantize::origin(&tables.quantize, &pruned), |out| {
        quantize::run(&tables.quantize, &pruned.dir, out, &bar)
    });
    model.unwrap();
    assert_eq!(states(GOOD), ["up to date", "up to date", "up to date", "up to date", "up to date", "out of date"]);
    let changed = |from: &str, to: &str| states(&GOOD.replacen(from, to, 1))[2..5].to_vec();
    assert_eq!(changed("q4_0", "q8_0"), ["out of date", "up to date", "up to date"]);
    assert_eq!(changed("= 1000", "= 999"), ["up to date", "out of date", "out of date"]);
    fs::write(repository.path().join("data/tomato_qa_dataset.json"), "[ ]").unwrap();
    assert_eq!(states(GOOD)[2..5], ["up to date", "out of date", "out of date"]);
}

#[test]
fn a_base_is_known_by_its_content() {
    let progress = ProgressBar::hidden();
    let (first, second) = (copy_of_tiny(), copy_of_tiny());
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
    for (entries, expected) in [
        ("[]".into(), "no entries"),
        (format!("[{}, {}]", entry("one", ""), entry("one", "")), "\"one\": its id is empty or used twice"),
        (format!("[{}]", entry(" ", "")), "id is empty"),
        (format!("[{}]", entry("one", r#""two""#)), "see_also names an unknown entry"),
        (format!("[{}]", entry("one", "").replace("\"output\"", "\"answer\"")), "unknown field `answer`"),
        (format!("[{}]", entry("one", "").replace("disease_management", "cooking")), "unknown variant `cooking`"),
    ] {
        let message = assemble(&entries).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    let elsewhere = tempdir().unwrap();
    let message = Sources::find(elsewhere.path()).unwrap_err().to_string();
    assert!(message.contains("folder that holds the repository"), "{message}");
}
