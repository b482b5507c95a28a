//! Adapters: put on, stored under peft's names, read back, refused where they do not belong, merged into a checkpoint.

use crate::{
    stages::{
        adapter::{self, Adapter, AdapterError, CONFIG, Matrix, Shape, WEIGHTS},
        artifact::Artifact,
        checkpoint::{self, TENSORS},
        draw::Draw,
        merge::{self, MergeError},
    },
    tiny,
    tiny_training::{save_adapter, shape, values},
};
use candle_core::{DType, Device, Tensor};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::{collections::HashMap, fs, path::Path};
use tempfile::{TempDir, tempdir};
use tomato_assistant::{
    knowledge::verdict::KINDS,
    model::{
        gemma3::Gemma3,
        linear::{Linear, Lora},
        ops::Pass,
        weights::Weights,
    },
};

fn hidden(model: &Gemma3) -> Tensor {
    model.forward(&tiny::ids(&tiny::some_ids(60)), Pass::Infer, None).unwrap()
}

/// The tiny model with an adapter that has these values.
fn adapted(shape: &Shape, values: &HashMap<String, Tensor>) -> Gemma3 {
    let mut model = tiny::model(tiny::config(), 64);
    let (variables, _) = adapter::attach(&mut model, shape, &mut Draw::new(0)).unwrap();
    variables.iter().for_each(|(name, variable)| variable.set(&values[name]).unwrap());
    model
}

/// A saved adapter and the checkpoint that it says it was trained on.
fn saved(shape: &Shape) -> (TempDir, TempDir, Artifact) {
    let (folder, pipeline) = (tempdir().unwrap(), tempdir().unwrap());
    let checkpoint = tiny::checkpoint(pipeline.path());
    save_adapter(folder.path(), shape, 5, &checkpoint);
    (folder, pipeline, checkpoint)
}

fn refusal(folder: &Path) -> String {
    let error = Adapter::open(folder).err().unwrap();
    assert!(matches!(error, AdapterError::Unusable { .. }), "{error}");
    error.to_string()
}

#[test]
fn a_fresh_adapter_changes_nothing_and_is_the_same_for_the_same_seed() {
    let before = hidden(&tiny::model(tiny::config(), 64));
    let fresh = |seed: u64| {
        let mut model = tiny::model(tiny::config(), 64);
        let (variables, selector) = adapter::attach(&mut model, &shape(), &mut Draw::new(seed)).unwrap();
        assert!(tiny::distance(&hidden(&model), &before) < 1e-6);
        assert_eq!(selector.weight.dims(), [1 + KINDS, tiny::config().hidden + 1]);
        variables
    };
    let (one, same, other) = (fresh(1), fresh(1), fresh(2));
    // A and B of seven matrices in each layer, and the head.
    assert_eq!(one.len(), 2 * 7 * tiny::config().windows.len() + 1);
    for (((name, one), (_, same)), (_, other)) in one.iter().zip(&same).zip(&other) {
        assert!(one.dims() == other.dims() && tiny::distance(one, same) == 0.0);
        let largest = one.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert_eq!(largest == 0.0, name.contains("lora_B"), "{name}: {largest}");
        assert_eq!(tiny::distance(one, other) == 0.0, name.contains("lora_B"), "{name}");
    }
    // What has an adapter is no dense matrix any more.
    let mut model = tiny::model(tiny::config(), 64);
    adapter::attach(&mut model, &shape(), &mut Draw::new(1)).unwrap();
    let words = adapter::attach(&mut model, &shape(), &mut Draw::new(1)).err().unwrap().to_string();
    assert!(words.contains("only dense matrices"), "{words}");
}

#[test]
fn dropping_out_takes_a_share_of_what_an_adapter_reads() {
    let values = values(&shape(), 5);
    let model = adapted(&shape(), &values);
    let dropped = |share: f64, seed: u64| adapter::drop_out(&model, share, 60, &mut Draw::new(seed)).unwrap();
    let mut masks = Vec::new();
    for layer in &mut dropped(0.25, 1).layers {
        for linear in layer.matrices() {
            let Linear::Lora(Lora { base, mask: Some(mask), .. }) = linear else { panic!("nothing drops out") };
            assert_eq!(mask.dims(), [60, base.dim(1).unwrap()], "(tokens, in)");
            masks.extend(mask.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        }
    }
    let gone = masks.iter().filter(|value| **value == 0.0).count() as f64 / masks.len() as f64;
    assert!((gone - 0.25).abs() < 0.01, "{gone}");
    // What stays is as much larger, so that a sum is the same on average.
    assert!(masks.iter().all(|value| *value == 0.0 || *value == 4.0 / 3.0));
    // Drawn from the seed; with nothing gone, as if there were no mask; the model itself is as it was.
    let train = |model: &Gemma3| model.forward(&tiny::ids(&tiny::some_ids(60)), Pass::Train, None).unwrap();
    let before = train(&model);
    assert_eq!(tiny::distance(&train(&dropped(0.25, 1)), &train(&dropped(0.25, 1))), 0.0);
    assert!(tiny::distance(&train(&dropped(0.25, 1)), &train(&dropped(0.25, 2))) > 1e-3);
    assert!(tiny::distance(&train(&dropped(0.25, 1)), &before) > 1e-3);
    assert!(tiny::distance(&train(&dropped(0.0, 1)), &before) < 1e-4);
    assert_eq!(tiny::distance(&train(&model), &before), 0.0);
}

#[test]
fn only_the_targets_get_one() {
    let shape = Shape { targets: vec![Matrix::Q, Matrix::Down], ..shape() };
    let mut model = tiny::model(tiny::config(), 64);
    let (variables, _) = adapter::attach(&mut model, &shape, &mut Draw::new(1)).unwrap();
    let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), 2 * 2 * 2 + 1);
    assert!(
        names.contains(&"model.layers.1.mlp.down_proj.lora_B.weight") && !names.iter().any(|n| n.contains("k_proj"))
    );
    assert!(matches!(model.layers[0].query, Linear::Lora(_)) && matches!(model.layers[0].key, Linear::Dense(_)));
}

#[test]
fn what_is_saved_has_the_names_and_fields_of_peft() {
    let (folder, _pipeline, checkpoint) = saved(&shape());
    let stored = candle_core::safetensors::load(folder.path().join(WEIGHTS), &Device::Cpu).unwrap();
    let values = values(&shape(), 5);
    assert_eq!(stored.len(), values.len());
    for (name, value) in &values {
        let found = &stored[&format!("base_model.model.{name}")];
        assert_eq!(found.dtype(), DType::BF16);
        assert_eq!(tiny::distance(&found.to_dtype(DType::F32).unwrap(), value), 0.0, "{name}");
    }
    let down = &stored["base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"];
    assert_eq!(down.dims(), [4, 96], "(rank, in)");
    let config: Value = serde_json::from_slice(&fs::read(folder.path().join(CONFIG)).unwrap()).unwrap();
    let modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
    let expected = json!({
        "peft_type": "LORA", "r": 4, "lora_alpha": 8.0, "target_modules": modules,
        "base_sha256": checkpoint.record.files[TENSORS].sha256,
    });
    assert_eq!(config, expected);
}

#[test]
fn what_is_read_back_is_what_was_saved() {
    let (folder, _pipeline, checkpoint) = saved(&shape());
    let adapter = Adapter::open(folder.path()).unwrap();
    let values = values(&shape(), 5);
    assert_eq!(tiny::distance(adapter.selector(), &values["selector.weight"]), 0.0);
    let module = "model.layers.1.self_attn.o_proj";
    let part = |letter: &str| &values[&format!("{module}.lora_{letter}.weight")];
    // alpha / rank is 2.
    let expected = (part("B").matmul(part("A")).unwrap() * 2.0).unwrap();
    let change = adapter.change(&format!("{module}.weight")).unwrap().unwrap();
    assert!(tiny::distance(&change, &expected) < 1e-6);
    for other in ["model.embed_tokens.weight", "model.layers.1.input_layernorm.weight", module] {
        assert!(adapter.change(other).unwrap().is_none(), "{other}");
    }
    adapter.fits(&checkpoint.record.files[TENSORS].sha256).unwrap();
}

#[test]
fn an_adapter_of_another_base_is_refused() {
    let (folder, _pipeline, mut checkpoint) = saved(&shape());
    let (trained, other) = (checkpoint.record.files[TENSORS].sha256.clone(), "0".repeat(64));
    let words = Adapter::open(folder.path()).unwrap().fits(&other).unwrap_err().to_string();
    assert!(words.contains(&trained) && words.contains(&other) && words.contains("--train"), "{words}");
    checkpoint.record.files.get_mut(TENSORS).unwrap().sha256 = other;
    let out = tempdir().unwrap();
    let merged = merge::run(&checkpoint, folder.path(), out.path(), &ProgressBar::hidden());
    assert!(matches!(merged, Err(MergeError::Adapter(AdapterError::OtherBase { .. }))));
}

#[test]
fn files_that_are_no_adapter_are_refused() {
    let (folder, _pipeline, checkpoint) = saved(&shape());
    let base = &checkpoint.record.files[TENSORS].sha256;
    let with = |change: &dyn Fn(&mut HashMap<String, Tensor>)| {
        let mut values = values(&shape(), 5);
        change(&mut values);
        adapter::save(folder.path(), (4, 8.0), shape().modules(), &values, base).unwrap();
        refusal(folder.path())
    };
    let name = "model.layers.0.mlp.up_proj.lora_A.weight";
    for sick in [f64::NAN, f64::INFINITY] {
        let words = with(&|values| {
            let sick = (values[name].ones_like().unwrap() * sick).unwrap();
            values.insert(name.into(), sick);
        });
        assert!(words.contains(name) && words.contains("numbers that are none"), "{words}");
    }
    assert!(with(&|values| drop(values.remove("selector.weight"))).contains("no selection head"));
    // One that tells no kinds, or fewer, of an earlier form.
    for head in [&[65][..], &[1, 65], &[5, 65]] {
        let words = with(&|values| {
            let head = Tensor::ones(head, DType::F32, &Device::Cpu).unwrap();
            values.insert("selector.weight".into(), head);
        });
        assert!(words.contains(&format!("selection head is of shape {head:?}")), "{words}");
    }
    // Half of a pair, another rank, and what belongs to no adapter: each by its name, with what to do.
    let partner = "model.layers.0.mlp.up_proj.lora_B.weight";
    let half = with(&|values| drop(values.remove(name)));
    assert!(half.contains(&format!("{partner} is there without {name}")) && half.contains("--train"), "{half}");
    let half = with(&|values| drop(values.remove(partner)));
    assert!(half.contains(&format!("{name} is there without {partner}")), "{half}");
    for (name, narrower) in [(name, [3, 64]), (partner, [96, 3])] {
        let words = with(&|values| {
            values.insert(name.into(), Tensor::ones(&narrower, DType::F32, &Device::Cpu).unwrap());
        });
        assert!(words.contains(&format!("{name} is of shape {narrower:?}")) && words.contains("rank is 4"), "{words}");
    }
    let stray = "model.layers.0.mlp.up_proj.lora_C.weight";
    let words = with(&|values| drop(values.insert(stray.into(), values[name].clone())));
    assert!(words.contains(&format!("{stray} is no part")), "{words}");
    adapter::save(folder.path(), (4, 8.0), shape().modules(), &values(&shape(), 5), base).unwrap();
    let (weights, config) = (folder.path().join(WEIGHTS), folder.path().join(CONFIG));
    let good = fs::read_to_string(&config).unwrap();
    for (from, to, expected) in
        [("\"r\": 4", "\"r\": 0", "no rank"), ("\"base_sha256\"", "\"base\"", "base_sha256"), ("{", "[", CONFIG)]
    {
        fs::write(&config, good.replacen(from, to, 1)).unwrap();
        let words = refusal(folder.path());
        assert!(words.contains(expected), "{words}");
    }
    fs::write(&config, good).unwrap();
    // One that has not peft's names.
    let plain: HashMap<String, Tensor> = values(&shape(), 5);
    candle_core::safetensors::save(&plain, &weights).unwrap();
    assert!(refusal(folder.path()).contains("a tensor "));
    fs::write(&weights, "x").unwrap();
    assert!(refusal(folder.path()).contains(WEIGHTS));
    fs::remove_file(&weights).unwrap();
    assert!(refusal(folder.path()).contains(WEIGHTS));
}

#[test]
fn merged_weights_do_what_the_adapter_did() {
    for targets in [Matrix::ALL.to_vec(), vec![Matrix::V, Matrix::Gate]] {
        let shape = Shape { targets, ..shape() };
        let (folder, _pipeline, checkpoint) = saved(&shape);
        let out = tempdir().unwrap();
        merge::run(&checkpoint, folder.path(), out.path(), &ProgressBar::hidden()).unwrap();
        let values = values(&shape, 5);
        let expected = hidden(&adapted(&shape, &values));
        let weights = Weights::safetensors(&out.path().join(TENSORS), &Device::Cpu).unwrap();
        let merged = hidden(&weights.load(tiny::config(), 64).unwrap());
        assert!(tiny::distance(&merged, &expected) < 1e-4);
        let before = hidden(&tiny::model(tiny::config(), 64));
        assert!(tiny::distance(&merged, &before) > 1e-2, "an adapter that does something");
        // The head beside it, and everything else as it was.
        let head = merge::selector(out.path()).unwrap().unwrap();
        assert_eq!(tiny::distance(&head, &values["selector.weight"]), 0.0);
        for name in [checkpoint::CONFIG, checkpoint::TOKENIZER] {
            assert!(fs::read(out.path().join(name)).unwrap() == fs::read(tiny::folder().join(name)).unwrap());
        }
    }
    assert!(merge::selector(&tiny::folder()).unwrap().is_none());
}
