//! The tiny Gemma 3 for the tests of pruning: pruned as a recipe says, beside data cut down to what measures in a second; and a
//! base whose neurons know something, so that it is worse without them.

use crate::{
    stages::{
        ffn::BLOCK,
        prune::{self, PruneError, Pruned, Watch},
        quantize,
        questions::{BROAD, NARROW, SENTENCES, WORDINGS},
        recipe::{BlockFormat, Prune, Quantize, Recipe},
        sources::{
            ADAPTER, ADAPTER_CONFIG, CALIBRATION_ENGLISH, CALIBRATION_KOREAN, HELD_OUT_ENGLISH, PRODUCTS, Sources,
            TOLD_APART, VOCABULARY,
        },
        split,
    },
    tiny,
};
use candle_core::{Device, Tensor, safetensors};
use indicatif::ProgressBar;
use serde_json::Value;
use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};
use tempfile::{TempDir, tempdir};
use tokenizers::Tokenizer;
use tomato_assistant::{
    bundle::{MODEL, NOTICE},
    model::{config, ops::Pass, weights::Weights},
};

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A gate that lets everything through.
pub const OPEN: &str = "gate = { tomato = 1e9, general = 1e9, texts = false }";

/// Some of the repository's own entries and texts, and the questions about these: enough to measure with in a second.
pub fn repository() -> (TempDir, Sources) {
    let dir = tempdir().unwrap();
    for folder in ["data/model", "data/text"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    let json =
        |name: &str| serde_json::from_str::<Vec<Value>>(&fs::read_to_string(root().join(name)).unwrap()).unwrap();
    let write = |name: &str, text: &[u8]| fs::write(dir.path().join(name), text).unwrap();
    let mut entries = json("data/tomato_qa_dataset.json");
    entries.truncate(14);
    let held = entries.iter().filter(|entry| split::held_out(entry["id"].as_str().unwrap())).count();
    assert!(held > 0, "the first entries hold none to measure on");
    entries.iter_mut().for_each(|entry| entry["see_also"] = Value::Array(Vec::new()));
    for name in [NARROW, BROAD, SENTENCES, WORDINGS] {
        let mut questions = json(name);
        questions.retain(|question| entries.iter().any(|entry| entry["id"] == question["entry"]));
        write(name, Value::Array(questions).to_string().as_bytes());
    }
    write("data/tomato_qa_dataset.json", Value::Array(entries).to_string().as_bytes());
    for name in [CALIBRATION_ENGLISH, CALIBRATION_KOREAN, HELD_OUT_ENGLISH] {
        let text: String = fs::read_to_string(root().join(name)).unwrap().chars().take(1000).collect();
        write(name, text.as_bytes());
    }
    for name in TOLD_APART.into_iter().chain([PRODUCTS, "data/targets.toml", "data/refused_questions.json", NOTICE]) {
        write(name, &fs::read(root().join(name)).unwrap());
    }
    for name in [ADAPTER, ADAPTER_CONFIG, VOCABULARY] {
        write(name, b"# base: none\n");
    }
    let sources = Sources::find(dir.path()).unwrap();
    (dir, sources)
}

/// What a recipe with this [prune] is, or why it is none.
pub fn recipe(prune: &str) -> Result<Prune, String> {
    let rest = fs::read_to_string(root().join("build/recipe.toml")).unwrap();
    let dir = tempdir().unwrap();
    let path = dir.path().join("recipe.toml");
    fs::write(&path, format!("{prune}\n{}", &rest[rest.find("[quantize]").unwrap()..])).unwrap();
    Recipe::load(Some(&path)).map(|recipe| recipe.tables.prune).map_err(|error| error.to_string())
}

pub fn prune_from(base: &Path, sources: &Sources, table: &Prune) -> Result<(TempDir, Pruned), PruneError> {
    let (out, lines) = (tempdir().unwrap(), Cell::new(0));
    let hidden = ProgressBar::hidden();
    let watch = Watch { bytes: &hidden, work: &hidden, step: &|_| lines.set(lines.get() + 1) };
    let pruned = prune::run(table, base, sources, out.path(), &watch)?;
    assert_eq!(lines.into_inner(), pruned.record.as_ref().map_or(0, |record| record.steps.len()));
    Ok((out, pruned))
}

/// The tiny model pruned as `text` says.
pub fn pruned(text: &str) -> (TempDir, Pruned) {
    prune_from(&tiny::folder(), &repository().1, &recipe(text).unwrap()).unwrap()
}

/// Loads what was written with the appliance's loader, as it is and quantized, and reads with it.
pub fn assert_works(folder: &Path, sources: &Sources) {
    let json = fs::read_to_string(folder.join("config.json")).unwrap();
    let weights = Weights::safetensors(&folder.join("model.safetensors"), &Device::Cpu).unwrap();
    let dense = weights.load(config::Config::from_json(&json).unwrap(), 64).unwrap();
    let (out, q8_0) = (tempdir().unwrap(), BlockFormat::Q8_0);
    let table = Quantize { embedding: q8_0, attention: q8_0, ffn: q8_0, compensate: false };
    quantize::run(&table, folder, sources, out.path(), &ProgressBar::hidden()).unwrap();
    let weights = Weights::gguf(&out.path().join(MODEL)).unwrap();
    let shape = weights.config().unwrap();
    let quantized = weights.load(shape, 64).unwrap();
    let ids: Vec<u32> = tiny::some_ids(40).into_iter().map(|id| id % 300).collect();
    let [dense, quantized] = [dense, quantized].map(|model| {
        let hidden = model.forward(&tiny::ids(&ids), Pass::Infer, None).unwrap();
        model.logits(&hidden).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
    });
    assert!(dense.iter().chain(&quantized).all(|logit| logit.is_finite()));
    let (apart, size) = dense
        .iter()
        .zip(&quantized)
        .fold((0.0, 0.0), |(apart, size), (one, other)| (apart + (one - other).powi(2), size + one.powi(2)));
    assert!(apart < 0.01 * size, "{apart} of {size}");
}

pub fn tensors(folder: &Path) -> HashMap<String, Tensor> {
    safetensors::load(folder.join("model.safetensors"), &Device::Cpu).unwrap()
}

pub fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The tiny model with one thing that it knows: which tokens follow. Each neuron of layer 0 fires for one token and writes
/// those that follow it; attention and layer 1 are silent.
pub fn knowing() -> TempDir {
    let dir = tempdir().unwrap();
    for name in ["config.json", "tokenizer.json"] {
        fs::copy(tiny::folder().join(name), dir.path().join(name)).unwrap();
    }
    let tokenizer = Tokenizer::from_file(tiny::folder().join("tokenizer.json")).unwrap();
    let text = fs::read_to_string(root().join(HELD_OUT_ENGLISH)).unwrap();
    let mut followers: BTreeMap<u32, BTreeMap<u32, usize>> = BTreeMap::new();
    for pair in tokenizer.encode(text, false).unwrap().get_ids().windows(2) {
        *followers.entry(pair[0]).or_default().entry(pair[1]).or_default() += 1;
    }
    let mut known: Vec<_> = followers.into_iter().collect();
    known.sort_by_key(|(_, after)| std::cmp::Reverse(after.values().sum::<usize>()));
    let mut tensors = tensors(&tiny::folder());
    let table = tensors["model.embed_tokens.weight"].to_vec2::<f32>().unwrap();
    let (mut fires, mut writes) = (Vec::new(), Vec::new());
    for neuron in 0..3 * BLOCK {
        // The rarest are known twice where the text has fewer tokens than there are neurons.
        let (token, after) = &known[neuron % known.len()];
        let row = &table[*token as usize];
        let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        fires.push(row.iter().map(|value| value / length).collect::<Vec<_>>());
        let mix = |place: usize| after.iter().map(|(next, count)| *count as f32 * table[*next as usize][place]).sum();
        writes.push((0..row.len()).map(mix).collect::<Vec<f32>>());
    }
    let matrix = |rows: Vec<Vec<f32>>| Tensor::new(rows, &Device::Cpu).unwrap();
    for part in ["gate_proj", "up_proj"] {
        tensors.insert(format!("model.layers.0.mlp.{part}.weight"), matrix(fires.clone()));
    }
    let down = matrix(writes).t().unwrap().contiguous().unwrap();
    tensors.insert("model.layers.0.mlp.down_proj.weight".into(), down);
    // Norms are stored as what is added to 1.
    for (norm, gain) in [
        ("layers.0.post_attention_layernorm", 0.0),
        ("layers.1.post_attention_layernorm", 0.0),
        ("layers.1.post_feedforward_layernorm", 0.0),
        ("layers.0.pre_feedforward_layernorm", 1.0),
        ("layers.0.post_feedforward_layernorm", 2.0),
        ("norm", 2.0),
    ] {
        let name = format!("model.{norm}.weight");
        let weights = vec![gain - 1f32; tensors[&name].elem_count()];
        tensors.insert(name, Tensor::new(weights, &Device::Cpu).unwrap());
    }
    safetensors::save(&tensors, dir.path().join("model.safetensors")).unwrap();
    dir
}
