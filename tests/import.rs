//! The import stage on tiny models: values, every kind of damage, and what it must refuse.

use crate::stages::{
    artifact::Artifacts,
    config_json::{Config, TokenIds, layer_types},
    gguf_base::GgufBase,
    import::{self, Base, ImportError, Imported},
    size,
};
use candle_core::{
    DType, Device, Tensor,
    quantized::{GgmlDType, QTensor, gguf_file, gguf_file::Value},
    safetensors::{load, save},
};
use indicatif::ProgressBar;
use std::{
    collections::HashMap,
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use tokenizers::Tokenizer;
use tomato_assistant::model::weights::ggml_name;

fn config() -> Config {
    Config {
        hidden_size: 32,
        intermediate_size: 64,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 16,
        vocab_size: vocabulary().len() as u32,
        max_position_embeddings: 128,
        rms_norm_eps: 1e-6,
        rope_theta: 1e6,
        rope_local_base_freq: 1e4,
        sliding_window: 8,
        sliding_window_pattern: 6,
        layer_types: layer_types(2, 6),
        query_pre_attn_scalar: 16.0,
        tie_word_embeddings: true,
        bos_token_id: 2,
        eos_token_id: TokenIds::One(1),
        pad_token_id: 0,
    }
}

/// Piece, score, type (llama.cpp's numbers).
fn vocabulary() -> Vec<(String, f32, i32)> {
    let mut pieces: Vec<(String, f32, i32)> =
        ["<pad>", "<eos>", "<bos>", "<unk>"].map(|piece| (piece.to_string(), -1000.0, 3)).into();
    pieces.extend(["\n", "\n\n", "  ", "<b>"].map(|piece| (piece.to_string(), -1000.0, 4)));
    pieces.extend((0..=255).map(|byte| (format!("<0x{byte:02X}>"), 0.0, 6)));
    // Ids from 264 on.
    let normal =
        [("ab", -0.0), ("bc", -1.0), ("abc", -2.0), ("▁a", -3.0), ("▁", -4.0), ("a", -5.0), ("b", -6.0), ("c", -7.0)];
    pieces.extend(normal.map(|(piece, score)| (piece.to_string(), score, 1)));
    pieces
}

/// The same small numbers every time, with mean 0.
fn weights() -> HashMap<String, Tensor> {
    let mut seed = 1u32;
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let numbers: Vec<f32> = (0..shape.iter().product())
            .map(|_| {
                seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
                (seed >> 16) as f32 / 65536.0 - 0.5
            })
            .collect();
        (name, Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap())
    };
    config().tensors().into_iter().map(tensor).collect()
}

fn metadata() -> Vec<(String, Value)> {
    let config = config();
    let strings = |values: Vec<String>| Value::Array(values.into_iter().map(Value::String).collect());
    let pieces = vocabulary();
    [
        ("general.architecture", Value::String("gemma3".into())),
        ("general.alignment", Value::U32(32)),
        ("gemma3.embedding_length", Value::U32(config.hidden_size)),
        ("gemma3.feed_forward_length", Value::U32(config.intermediate_size)),
        ("gemma3.block_count", Value::U32(config.num_hidden_layers)),
        ("gemma3.attention.head_count", Value::U32(config.num_attention_heads)),
        ("gemma3.attention.head_count_kv", Value::U32(config.num_key_value_heads)),
        ("gemma3.attention.key_length", Value::U32(config.head_dim)),
        ("gemma3.context_length", Value::U32(config.max_position_embeddings)),
        ("gemma3.attention.layer_norm_rms_epsilon", Value::F32(1e-6)),
        ("gemma3.rope.freq_base", Value::F32(1e6)),
        ("gemma3.attention.sliding_window", Value::U32(config.sliding_window)),
        ("tokenizer.ggml.model", Value::String("llama".into())),
        ("tokenizer.ggml.bos_token_id", Value::U32(2)),
        ("tokenizer.ggml.eos_token_id", Value::U32(1)),
        ("tokenizer.ggml.tokens", strings(pieces.iter().map(|piece| piece.0.clone()).collect())),
        ("tokenizer.ggml.scores", Value::Array(pieces.iter().map(|piece| Value::F32(piece.1)).collect())),
        ("tokenizer.ggml.token_type", Value::Array(pieces.iter().map(|piece| Value::I32(piece.2)).collect())),
    ]
    .map(|(key, value)| (key.to_string(), value))
    .into()
}

fn write_gguf(path: &Path, metadata: &[(String, Value)], weights: &HashMap<String, Tensor>, matrices: GgmlDType) {
    let quantize = |(name, tensor): (&String, &Tensor)| {
        let (tensor, dtype) = match tensor.rank() {
            1 => ((tensor + 1.0).unwrap(), GgmlDType::F32),
            _ => (tensor.clone(), matrices),
        };
        (ggml_name(name).unwrap_or_else(|| name.clone()), QTensor::quantize(&tensor, dtype).unwrap())
    };
    let mut tensors: Vec<(String, QTensor)> = weights.iter().map(quantize).collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let metadata: Vec<_> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    gguf_file::write(&mut fs::File::create(path).unwrap(), &metadata, &tensors).unwrap();
}

/// A GGUF of the tiny model, changed by `change`, and where it lies.
fn gguf(change: impl FnOnce(&mut Vec<(String, Value)>, &mut HashMap<String, Tensor>)) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (mut metadata, mut weights) = (metadata(), weights());
    change(&mut metadata, &mut weights);
    let path = dir.path().join("base.gguf");
    write_gguf(&path, &metadata, &weights, GgmlDType::F32);
    (dir, path)
}

/// A Hugging Face folder of the tiny model in two shards of type `dtype`, changed by `change`.
fn folder(dtype: DType, change: impl FnOnce(&mut serde_json::Value, &mut HashMap<String, Tensor>)) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (mut json, mut weights) = (config().to_json(), weights());
    change(&mut json, &mut weights);
    fs::write(dir.path().join("config.json"), json.to_string()).unwrap();
    let (source, path) = gguf(|_, _| ());
    import_to(&path, source.path()).unwrap();
    fs::copy(source.path().join("tokenizer.json"), dir.path().join("tokenizer.json")).unwrap();
    let mut names: Vec<&String> = weights.keys().collect();
    names.sort();
    for (number, names) in names.chunks(names.len().div_ceil(2)).enumerate() {
        let shard = names.iter().map(|name| (name.as_str(), weights[*name].to_dtype(dtype).unwrap()));
        let shard: HashMap<&str, Tensor> = shard.collect();
        save(&shard, dir.path().join(format!("model-{number}.safetensors"))).unwrap();
    }
    dir
}

fn import_to(base: &Path, out: &Path) -> Result<Imported, ImportError> {
    import::run(&Base::from_path(base)?, out, &ProgressBar::hidden())
}

fn import(base: &Path) -> Result<Imported, ImportError> {
    import_to(base, tempfile::tempdir().unwrap().path())
}

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
    for at in 0..header {
        file.write_all_at(&[whole[at] ^ 1 << (at % 8)], at as u64).unwrap();
        // Opening is where a header can do harm; every 64th byte goes through all of the import.
        let opened = GgufBase::open(&path).map(drop);
        refused += usize::from(opened.is_err() || at % 64 == 0 && import(&path).is_err());
        file.write_all_at(&whole[at..=at], at as u64).unwrap();
    }
    assert!(refused > header / 20, "{refused} of {header}");
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
        intermediate_size: 6912,
        num_hidden_layers: 26,
        num_attention_heads: 4,
        head_dim: 256,
        vocab_size: 262_144,
        ..config()
    };
    assert_eq!(size::parameters(&gemma_1b), 999_885_952);
    assert_eq!(format!("{:.2}", size::mebibytes_f32(&gemma_1b)), "3814.26");
    let gemma_270m = Config { hidden_size: 640, intermediate_size: 2048, num_hidden_layers: 18, ..gemma_1b };
    assert_eq!(size::parameters(&gemma_270m), 268_098_176);
}
