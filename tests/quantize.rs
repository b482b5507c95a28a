//! A small checkpoint becomes a GGUF that both programs understand, or is refused with the reason.

use crate::{
    stages::{
        compensate,
        dense::{Dense, WINDOW},
        quantize,
        recipe::{BlockFormat, Quantize},
    },
    tiny,
    tiny_bundle::{some_vector, sources, write_head},
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
    collections::BTreeMap,
    fs,
    fs::File,
    path::{Path, PathBuf},
};
use tempfile::{TempDir, tempdir};
use tomato_assistant::{
    bundle::MODEL,
    model::{gemma3::Site, weights::Weights},
};

fn quantize_tiny(table: &Quantize, checkpoint: &Path) -> Result<(TempDir, PathBuf), String> {
    let out = tempdir().unwrap();
    let bar = ProgressBar::hidden();
    quantize::run(table, checkpoint, sources(), out.path(), &bar).map_err(|error| error.to_string())?;
    let model = out.path().join(MODEL);
    Ok((out, model))
}

fn table(embedding: BlockFormat, body: BlockFormat) -> Quantize {
    Quantize { embedding, attention: body, ffn: body, compensate: false }
}

#[test]
fn quantized_weights_are_near_the_dense_ones() {
    let dense = candle_core::safetensors::load(tiny::folder().join("model.safetensors"), &Device::Cpu).unwrap();
    // Half a step of the largest value of a block: 1/254 of it in Q8_0; a whole step of 1/8 in Q4_0, whose range is
    // not symmetric.
    for (format, dtype, tolerance) in
        [(BlockFormat::Q8_0, GgmlDType::Q8_0, 1.1 / 254.0), (BlockFormat::Q4_0, GgmlDType::Q4_0, 1.1 / 8.0)]
    {
        let (_out, model) = quantize_tiny(&table(BlockFormat::Q8_0, format), &tiny::folder()).unwrap();
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
    let (_out, model) = quantize_tiny(&table(BlockFormat::Q8_0, BlockFormat::Q8_0), &tiny::folder()).unwrap();
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
    let (_out, model) = quantize_tiny(&table(BlockFormat::Q8_0, BlockFormat::Q8_0), &tiny::folder()).unwrap();
    let content = Content::read(&mut File::open(&model).unwrap()).unwrap();
    let list = |name: &str| content.metadata[&format!("tokenizer.ggml.{name}")].to_vec().unwrap().clone();
    let (tokens, scores) = (list("tokens"), list("scores"));
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(tiny::folder().join("tokenizer.json")).unwrap()).unwrap();
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

#[test]
fn bad_checkpoints_are_refused_with_their_reason() {
    let formats = table(BlockFormat::Q8_0, BlockFormat::Q8_0);
    let replace = |file: &str, from: &str, to: &str| {
        let dir = tiny::copied();
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

    let dir = tiny::copied();
    let path = dir.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    for length in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..length]).unwrap();
        let message = quantize_tiny(&formats, dir.path()).unwrap_err();
        assert!(message.contains("model.safetensors"), "{message}");
    }
}

#[test]
fn a_selection_head_goes_into_the_file() {
    let formats = table(BlockFormat::Q8_0, BlockFormat::Q8_0);
    let selector = |checkpoint: &Path| {
        let (_out, model) = quantize_tiny(&formats, checkpoint).unwrap();
        Weights::gguf(&model).unwrap().selector(tiny::config().hidden).unwrap()
    };
    assert!(selector(&tiny::folder()).is_none(), "a model that was not trained to choose");
    let dir = tiny::copied();
    let head = [some_vector(), vec![0.25]].concat();
    write_head(dir.path(), &head);
    assert_eq!(selector(dir.path()).unwrap().weight.to_vec2::<f32>().unwrap(), [head.as_slice()]);
    // One that is none never reaches a device.
    write_head(dir.path(), &head[1..]);
    assert!(quantize_tiny(&formats, dir.path()).unwrap_err().contains("selection head"));
    fs::write(dir.path().join("selector.safetensors"), "x").unwrap();
    assert!(quantize_tiny(&formats, dir.path()).is_err());
}

#[test]
fn compensated_matrices_are_as_large_and_their_products_nearer() {
    let plain = table(BlockFormat::Q8_0, BlockFormat::Q4_0);
    let dense = candle_core::safetensors::load(tiny::folder().join("model.safetensors"), &Device::Cpu).unwrap();
    // What the matrices read in a text that nothing was calibrated with.
    let model = Dense::open(&tiny::folder(), WINDOW, &Device::Cpu).unwrap();
    let text = model.windows(include_str!("../data/text/held-out-english.txt")).unwrap();
    let read = compensate::observe(&model.model, &text[..4], |_| ()).unwrap();
    let quantized = |table: &Quantize| {
        let (_out, path) = quantize_tiny(table, &tiny::folder()).unwrap();
        let mut file = File::open(&path).unwrap();
        let content = Content::read(&mut file).unwrap();
        let mut error = |name: &str, ggml: &str, site: Site| {
            let stored = content.tensor(&mut file, ggml, &Device::Cpu).unwrap();
            assert_eq!(stored.dtype(), GgmlDType::Q4_0);
            let off = (stored.dequantize(&Device::Cpu).unwrap() - &dense[name]).unwrap();
            // The squared error of the products, summed over the text.
            let error = (off.matmul(&read[&(1, site)]).unwrap() * &off).unwrap().sum_all().unwrap();
            error.to_scalar::<f32>().unwrap()
        };
        let layer = "model.layers.1";
        let errors = [
            error(&format!("{layer}.self_attn.v_proj.weight"), "blk.1.attn_v.weight", Site::Attention),
            error(&format!("{layer}.self_attn.o_proj.weight"), "blk.1.attn_output.weight", Site::Output),
            error(&format!("{layer}.mlp.up_proj.weight"), "blk.1.ffn_up.weight", Site::Ffn),
            error(&format!("{layer}.mlp.down_proj.weight"), "blk.1.ffn_down.weight", Site::Down),
        ];
        (fs::metadata(&path).unwrap().len(), errors)
    };
    let (rounded, compensated) = (quantized(&plain), quantized(&Quantize { compensate: true, ..plain.clone() }));
    assert_eq!(rounded.0, compensated.0);
    for (ours, plain) in compensated.1.iter().zip(rounded.1) {
        assert!(*ours < 0.8 * plain, "{:?} compensated, {:?} rounded", compensated.1, rounded.1);
    }
}
