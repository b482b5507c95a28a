//! The import stage on tiny models: values, every kind of damage, and what it must refuse.

use crate::{
    stages::{
        artifact::Artifacts,
        config_json::{Config, TokenIds, Widths, layer_types},
        gguf_base::GgufBase,
        import::{self, Base, ImportError},
        size, tokenizer_json,
    },
    tiny_base::{config, folder, gguf, import, import_to, metadata, weights, write_gguf},
};
use candle_core::{
    DType, Device, Tensor,
    quantized::{GgmlDType, gguf_file::Value},
    safetensors::load,
};
use indicatif::ProgressBar;
use std::{collections::HashMap, fs, os::unix::fs::FileExt, path::Path};
use tempfile::TempDir;
use tokenizers::Tokenizer;

/// The words of the error, which must be there.
fn refusal(base: &Path) -> String {
    import(base).unwrap_err().to_string()
}

fn assert_close(out: &Path, expected: &HashMap<String, Tensor>, tolerance: f32) {
    let found = load(out.join("model.safetensors"), &Device::Cpu).unwrap();
    assert_eq!(found.len(), expected.len());
    for (name, tensor) in expected {
        assert_eq!(found[name].dims(), tensor.dims());
        let error = (&found[name] - tensor).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
        let error = error.to_scalar::<f32>().unwrap();
        assert!(error <= tolerance, "{name}: {error}");
    }
}

#[test]
fn a_gguf_becomes_a_folder_with_the_same_numbers() {
    let (dir, path) = gguf(|_, _| ());
    let imported = import_to(&path, dir.path()).unwrap();
    assert_eq!(imported.config, config());
    assert_eq!(Config::read(&dir.path().join("config.json")).unwrap(), config());
    // Norms went through 1 + w: one rounding of a number below 2.
    assert_close(dir.path(), &weights(), 1.2e-7);
    let model = tomato_assistant::model::config::Config::from_json(
        &fs::read_to_string(dir.path().join("config.json")).unwrap(),
    );
    assert_eq!(model.unwrap().windows, [Some(8), Some(8)]);

    // A block of Q8_0 has steps of 1/127 of its largest number, here at most 0.5; that step is rounded to f16 too.
    write_gguf(&path, &metadata(), &weights(), GgmlDType::Q8_0);
    import_to(&path, dir.path()).unwrap();
    assert_close(dir.path(), &weights(), 0.5 / 127.0 * 0.5 + 0.5 / 2048.0);
}

#[test]
fn a_folder_is_read_in_any_float_type_and_any_number_of_files() {
    for (dtype, tolerance) in [(DType::F32, 0.0), (DType::F16, 2.5e-4), (DType::BF16, 2e-3)] {
        let base = folder(dtype, |_, _| ());
        let out = tempfile::tempdir().unwrap();
        assert_eq!(import_to(base.path(), out.path()).unwrap().config, config());
        assert_close(out.path(), &weights(), tolerance);
        let tokenizer = |dir: &TempDir| fs::read(dir.path().join("tokenizer.json")).unwrap();
        assert_eq!(tokenizer(&base), tokenizer(&out));
    }
    // A wrapper's prefix goes, what is not text is left out.
    let wrapped = folder(DType::F32, |_, weights| {
        *weights = weights.drain().map(|(name, tensor)| (format!("language_model.{name}"), tensor)).collect();
        weights.insert("vision_tower.x".into(), Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap());
    });
    import(wrapped.path()).unwrap();
    // Only the files of an index count, and each must be there.
    let indexed = folder(DType::F32, |_, _| ());
    let index = indexed.path().join("model.safetensors.index.json");
    fs::write(&index, r#"{"weight_map": {"a": "model-0.safetensors"}}"#).unwrap();
    assert!(refusal(indexed.path()).contains("tensors are missing"));
    fs::write(&index, r#"{"weight_map": {"a": "model-7.safetensors"}}"#).unwrap();
    assert!(refusal(indexed.path()).contains("model-7.safetensors"));
    fs::write(&index, r#"{"weight_map": {"a": "../model-0.safetensors"}}"#).unwrap();
    assert!(refusal(indexed.path()).contains("is not a file name"));
}

#[test]
fn a_folder_written_by_transformers_needs_few_fields() {
    let base = folder(DType::F32, |json, _| {
        let fields = json.as_object_mut().unwrap();
        for name in ["layer_types", "tie_word_embeddings", "pad_token_id", "rope_theta", "rope_local_base_freq"] {
            fields.remove(name);
        }
        fields.insert("eos_token_id".into(), serde_json::json!([1, 106]));
        let rope = |theta: f64| serde_json::json!({"rope_type": "default", "rope_theta": theta});
        let ropes = serde_json::json!({"full_attention": rope(5e5), "sliding_attention": rope(2e4)});
        fields.insert("rope_parameters".into(), ropes);
    });
    let imported = import(base.path()).unwrap().config;
    assert_eq!((imported.rope_theta, imported.rope_local_base_freq), (5e5, 2e4));
    assert_eq!(imported.layer_types, layer_types(2, 6));
    assert_eq!(imported.eos_token_id, TokenIds::Many(vec![1, 106]));
}

#[test]
fn other_models_are_refused_by_name() {
    let with = |key: &'static str, value: Value| {
        let (_dir, path) = gguf(|metadata, _| {
            metadata.retain(|(old, _)| old != key);
            metadata.push((key.into(), value));
        });
        refusal(&path)
    };
    assert!(with("general.architecture", Value::String("llama".into())).contains("architecture llama"));
    assert!(with("gemma3.rope.scaling.type", Value::String("linear".into())).contains("rope scaling"));
    assert!(with("gemma3.final_logit_softcapping", Value::F32(30.0)).contains("softcapping"));
    assert!(with("tokenizer.ggml.model", Value::String("gpt2".into())).contains("tokenizer gpt2"));
    assert!(with("gemma3.block_count", Value::U32(u32::MAX)).contains("only 28 tensors"));
    assert!(with("gemma3.block_count", Value::U32(3)).contains("13 of the model's tensors are missing"));
    let set =
        |name: &'static str, value: serde_json::Value| refusal(folder(DType::F32, |json, _| json[name] = value).path());
    assert!(set("model_type", "gemma2".into()).contains("model_type \"gemma2\""));
    assert!(set("rope_scaling", serde_json::json!({"factor": 8.0})).contains("rope_scaling"));
    assert!(set("hidden_activation", "silu".into()).contains("hidden_activation"));
    assert!(set("num_key_value_heads", 0.into()).contains("num_key_value_heads is 0"));
    assert!(set("tie_word_embeddings", false.into()).contains("lm_head.weight"));
    assert!(set("hidden_size", 64.into()).contains("but the config demands"));
}

#[test]
fn a_head_must_be_the_embedding() {
    let embedding = "model.embed_tokens.weight";
    let same = folder(DType::F32, |_, weights| {
        weights.insert("lm_head.weight".into(), weights[embedding].clone());
    });
    import(same.path()).unwrap();
    let other = folder(DType::F32, |_, weights| {
        weights.insert("lm_head.weight".into(), (&weights[embedding] * 2.0).unwrap());
    });
    assert!(refusal(other.path()).contains("lm_head.weight differs"));
    let (_dir, path) = gguf(|_, weights| {
        weights.insert("output.weight".into(), (&weights[embedding] * 2.0).unwrap());
    });
    assert!(refusal(&path).contains("lm_head.weight differs"));
}

#[test]
fn missing_misshapen_and_unknown_tensors_are_named() {
    let name = "model.layers.1.mlp.up_proj.weight";
    let missing = folder(DType::F32, |_, weights| drop(weights.remove(name)));
    assert!(refusal(missing.path()).contains(name));
    let misshapen = folder(DType::F32, |_, weights| {
        weights.insert(name.into(), weights[name].t().unwrap().contiguous().unwrap());
    });
    let words = refusal(misshapen.path());
    assert!(words.contains(name) && words.contains("[32, 64]") && words.contains("[64, 32]"), "{words}");
    let unknown = folder(DType::F32, |_, weights| {
        weights.insert("model.layers.1.mlp.up_proj.bias".into(), Tensor::zeros(64, DType::F32, &Device::Cpu).unwrap());
    });
    assert!(refusal(unknown.path()).contains("up_proj.bias"));
    let integers = folder(DType::U32, |_, _| ());
    assert!(refusal(integers.path()).contains("U32"));
    let nan = folder(DType::F32, |_, weights| {
        weights.insert("model.norm.weight".into(), Tensor::full(f32::NAN, 32, &Device::Cpu).unwrap());
    });
    assert!(refusal(nan.path()).contains("model.norm.weight"));
    assert!(refusal(Path::new("/nowhere/at/all")).contains("there is no base model"));
}

#[test]
fn a_gguf_cut_anywhere_is_an_error() {
    let (_dir, path) = gguf(|_, _| ());
    let file = fs::File::options().write(true).open(&path).unwrap();
    let whole = file.metadata().unwrap().len();
    // The step is odd so that every alignment comes up. 32: the padding of the last tensor, which nobody reads.
    for length in (0..whole - 32).rev().step_by(61) {
        file.set_len(length).unwrap();
        assert!(import(&path).is_err(), "cut to {length} of {whole} bytes");
    }
}

#[test]
fn a_gguf_with_a_flipped_bit_never_panics() {
    let (_dir, path) = gguf(|_, _| ());
    let whole = fs::read(&path).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    let data: usize = config().tensors().iter().map(|(_, shape)| shape.iter().product::<usize>() * 4).sum();
    let (header, mut refused) = (whole.len() - data, 0);
    // The step is odd so that all eight bits come up.
    for at in (0..header).step_by(5) {
        file.write_all_at(&[whole[at] ^ 1 << (at % 8)], at as u64).unwrap();
        // Opening is where a header can do harm; every 64th goes through all of the import.
        let opened = GgufBase::open(&path).map(drop);
        refused += usize::from(opened.is_err() || at % 64 == 0 && import(&path).is_err());
        file.write_all_at(&whole[at..=at], at as u64).unwrap();
    }
    assert!(refused > header / 100, "{refused} of {header}");
    // What candle itself would panic on.
    let (_dir, path) = gguf(|metadata, _| metadata[1].1 = Value::U32(0));
    assert!(refusal(&path).contains("alignment is zero"));
}

#[test]
fn a_safetensors_file_cut_anywhere_is_an_error() {
    let base = folder(DType::BF16, |_, _| ());
    let path = base.path().join("model-1.safetensors");
    let whole = fs::read(&path).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    for length in (0..whole.len()).rev().step_by(509) {
        file.set_len(length as u64).unwrap();
        assert!(import(base.path()).is_err(), "cut to {length} of {} bytes", whole.len());
    }
    fs::write(&path, [&u64::MAX.to_le_bytes()[..], &whole[8..]].concat()).unwrap();
    assert!(refusal(base.path()).contains("damaged"));
}

#[test]
fn a_failed_import_leaves_the_old_folder() {
    let (dir, path) = gguf(|_, _| ());
    let artifacts = Artifacts::open(&dir.path().join("pipeline")).unwrap();
    let produce = |path: &Path| {
        let base = Base::from_path(path)?;
        artifacts
            .produce(&import::STAGE, base.origin()?, |out| import::run(&base, out, &ProgressBar::hidden()).map(drop))
    };
    let first = produce(&path).unwrap();
    assert!(produce(&path).unwrap().reused);
    // Found only after most of the weights are written.
    let (_other, broken) = gguf(|_, weights| {
        weights.insert("model.norm.weight".into(), Tensor::full(f32::INFINITY, 32, &Device::Cpu).unwrap());
    });
    assert!(matches!(produce(&broken), Err(ImportError::NotFinite(_))));
    assert!(first.dir.join("model.safetensors").is_file());
    let left: Vec<_> = fs::read_dir(dir.path().join("pipeline")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn the_tokenizer_merges_as_sentencepiece_does() {
    let (dir, path) = gguf(|_, _| ());
    import_to(&path, dir.path()).unwrap();
    let mut tokenizer = Tokenizer::from_file(dir.path().join("tokenizer.json")).unwrap();
    tokenizer.set_encode_special_tokens(true);
    let ids = |text: &str| tokenizer.encode(text, true).unwrap().get_ids().to_vec();
    let byte = |byte: u8| 8 + u32::from(byte);
    assert_eq!(ids(""), [2]);
    // ab (score 0) goes before bc; then abc.
    assert_eq!(ids("abc"), [2, 266]);
    assert_eq!(ids("bc"), [2, 265]);
    // ab before ▁a, and there is no ▁ab.
    assert_eq!(ids(" ab"), [2, 268, 264]);
    assert_eq!(ids(" a"), [2, 267]);
    // Two spaces are the user-defined piece, whose score is 0: they merge before ▁a does.
    assert_eq!(ids("  a"), [2, 6, 269]);
    assert_eq!(ids("\n\n\n"), [2, 5, 4]);
    assert_eq!(ids("a<b>b"), [2, 269, 7, 270]);
    // Unknown characters are bytes; a typed control token stays text.
    assert_eq!(ids("é"), [2, byte(0xC3), byte(0xA9)]);
    assert_eq!(ids("<bos>"), [2, byte(b'<'), 270, byte(b'o'), byte(b's'), byte(b'>')]);
    let text = " abc\té\n 🍅  c";
    assert_eq!(tokenizer.decode(&ids(text), true).unwrap(), text);
}

#[test]
fn a_published_tokenizer_is_made_to_fit() {
    let base = folder(DType::F32, |_, _| ());
    let path = base.path().join("tokenizer.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let mut image = json["added_tokens"][0].clone();
    image["id"] = config().vocab_size.into();
    image["content"] = "<image_soft_token>".into();
    json["added_tokens"].as_array_mut().unwrap().push(image);
    fs::write(&path, json.to_string()).unwrap();
    let out = tempfile::tempdir().unwrap();
    import_to(base.path(), out.path()).unwrap();
    let tokens = |dir: &Path| Tokenizer::from_file(dir.join("tokenizer.json")).unwrap().get_vocab_size(true);
    assert_eq!((tokens(base.path()), tokens(out.path())), (273, 272));
    // Fillers become control tokens, HTML tags do not.
    let added =
        br#"{"added_tokens": [{"id": 6, "content": "<unused0>", "special": false}, {"id": 7, "content": "<b>"}]}"#;
    let fitted: serde_json::Value = serde_json::from_slice(&tokenizer_json::fit(added, 272).unwrap()).unwrap();
    assert_eq!(fitted["added_tokens"][0]["special"], true);
    assert!(fitted["added_tokens"][1]["special"].is_null());
}

#[test]
fn a_broken_vocabulary_is_refused() {
    let with = |change: &dyn Fn(&mut Vec<Value>), key: &str| {
        let (_dir, path) = gguf(|metadata, _| {
            if let Some((_, Value::Array(list))) = metadata.iter_mut().find(|(name, _)| name == key) {
                change(list);
            }
        });
        refusal(&path)
    };
    assert!(with(&|list| list[270] = Value::String("a".into()), "tokenizer.ggml.tokens").contains("twice"));
    assert!(with(&|list| list[40] = Value::String("x".into()), "tokenizer.ggml.tokens").contains("<0x20> is missing"));
    assert!(with(&|list| drop(list.pop()), "tokenizer.ggml.scores").contains("271 scores"));
    assert!(with(&|list| list[9] = Value::F32(f32::NAN), "tokenizer.ggml.scores").contains("not a number"));
    assert!(with(&|list| list[9] = Value::I32(9), "tokenizer.ggml.token_type").contains("piece type 9"));
}

#[test]
fn sizes_agree_with_the_published_ones() {
    let gemma_1b = Config {
        hidden_size: 1152,
        intermediate_size: Widths::All(6912),
        num_hidden_layers: 26,
        num_attention_heads: 4,
        head_dim: 256,
        vocab_size: 262_144,
        ..config()
    };
    assert_eq!(size::parameters(&gemma_1b), 999_885_952);
    assert_eq!(format!("{:.2}", size::mebibytes_f32(&gemma_1b)), "3814.26");
    let gemma_270m =
        Config { hidden_size: 640, intermediate_size: Widths::All(2048), num_hidden_layers: 18, ..gemma_1b };
    assert_eq!(size::parameters(&gemma_270m), 268_098_176);
}
