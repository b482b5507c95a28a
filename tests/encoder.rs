//! The sentence encoder's stages: a smaller vocabulary that changes no text it was made for, a quantized file that opens,
//! a gate that closes, vectors in the order of the entries.

use crate::{
    stages::{
        encoder::{Reference, Sentence},
        encoder_base,
        recipe::BlockFormat,
        wordpiece::{self, Cut, CutError},
    },
    tiny_bundle::{entry, repository},
    tiny_encoder::{self, base, encode, folder, nothing_recorded, table, tokenizer},
};
use candle_core::{
    DType, Device, Tensor,
    quantized::{GgmlDType, gguf_file::Content},
};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    fs,
    fs::File,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};
use tempfile::{TempDir, tempdir};
use tomato_assistant::{
    engine::sentence::SentenceEncoder,
    knowledge::{
        Knowledge,
        vectors::{Vectors, texts},
    },
};

/// Half a step of Q8_0 for weights within ±0.5, with room for the scale's own rounding to f16.
const STEP: f32 = 0.5 * 1.15 / 254.0;
const TEXT: &str = "Watering the tomatoes";

fn cut(most: usize) -> Result<Cut, CutError> {
    wordpiece::cut(tokenizer().to_string().as_bytes(), &[TEXT.to_string()], most)
}

fn pieces(json: &[u8], text: &str) -> Vec<String> {
    wordpiece::pieces(&wordpiece::load(json).unwrap(), text).unwrap()
}

/// How many must stay: all but the two unused, the letter of a script nobody here writes, the ideograph, each in two
/// forms, punctuation inside words, and the words that `TEXT` has not.
fn needed() -> usize {
    let words_of_the_text = 5; // water ##ing the tomato ##es
    let punctuation_inside = 32;
    tiny_encoder::pieces().len() - 2 - 4 - 12 - punctuation_inside + words_of_the_text
}

#[test]
fn a_cut_vocabulary_keeps_its_texts_and_spells_the_rest() {
    let original = tokenizer().to_string();
    let cut = cut(needed() + 1).unwrap();
    assert_eq!(cut.rows.len(), needed() + 1);
    assert!(cut.rows.is_sorted());
    let expected = ["[CLS]", "water", "##ing", "the", "tomato", "##es", "[SEP]"];
    assert_eq!(pieces(&cut.json, TEXT), expected);
    assert_eq!(pieces(original.as_bytes(), TEXT), expected);
    // One place was left, for the first of the other words; later ones fall into letters, never into [UNK].
    assert_eq!(pieces(&cut.json, "black"), ["[CLS]", "black", "[SEP]"]);
    assert_eq!(pieces(original.as_bytes(), "rare"), ["[CLS]", "rare", "[SEP]"]);
    assert_eq!(pieces(&cut.json, "rare"), ["[CLS]", "r", "##a", "##r", "##e", "[SEP]"]);
    assert_eq!(pieces(&cut.json, "a-b,c"), pieces(original.as_bytes(), "a-b,c"));
    // Hangul is taken apart into its jamo; what nobody here writes is gone.
    assert_eq!(pieces(&cut.json, "각 5°"), ["[CLS]", "ᄀ", "##ᅡ", "##ᆨ", "5", "##°", "[SEP]"]);
    assert_eq!(pieces(&cut.json, "ж水"), ["[CLS]", "[UNK]", "[UNK]", "[SEP]"]);
}

#[test]
fn cut_ids_are_those_of_the_kept_rows() {
    let names = tiny_encoder::pieces();
    let cut = cut(1000).unwrap();
    let words = wordpiece::load(&cut.json).unwrap();
    assert_eq!(words.get_vocab_size(true), cut.rows.len());
    for (id, row) in cut.rows.iter().enumerate() {
        assert_eq!(words.id_to_token(id as u32).as_ref(), Some(&names[*row]));
    }
    assert!(!cut.rows.iter().any(|row| names[*row].starts_with("[unused")));
    // The template and the added tokens follow.
    let encoding = words.encode("[SEP] tomato", true).unwrap();
    let id = |token: &str| words.token_to_id(token).unwrap();
    assert_eq!(encoding.get_ids(), ["[CLS]", "[SEP]", "tomato", "[SEP]"].map(id));
    // A text longer than the eight tokens that the original file would cut it to.
    assert_eq!(words.encode("a b c d e f g h i", true).unwrap().len(), 11);
}

#[test]
fn tokenizers_that_cannot_be_cut_say_why() {
    let error = cut(needed() - 1).unwrap_err().to_string();
    assert!(error.contains(&format!("need {}", needed())) && error.contains("[encoder] vocabulary"), "{error}");
    let spoilt = |change: &dyn Fn(&mut Value)| {
        let mut json = tokenizer();
        change(&mut json);
        wordpiece::cut(json.to_string().as_bytes(), &[], 1000).unwrap_err().to_string()
    };
    let error = spoilt(&|json| json["model"]["vocab"]["tomato"] = 1.into());
    assert!(error.contains("gaps"), "{error}");
    let error = spoilt(&|json| json["post_processor"] = Value::Null);
    assert!(error.contains("template"), "{error}");
    let error = spoilt(&|json| json["model"]["continuing_subword_prefix"] = "@".into());
    assert!(error.contains("WordPiece"), "{error}");
    let error = wordpiece::cut(b"{", &[], 1000).unwrap_err().to_string();
    assert!(error.contains("sentence encoder's tokenizer"), "{error}");
}

fn entries() -> TempDir {
    repository(&format!(
        "[{}, {}]",
        entry("one", ""),
        entry("two", "").replace("disease_management", "troubleshooting")
    ))
}

#[test]
fn the_file_holds_the_kept_rows_and_the_rest_as_it_was() {
    let (source, out, root) = (folder(|_, _, _| ()), tempdir().unwrap(), entries());
    let made = encode(&table(128), &base(source.path()), root.path(), &nothing_recorded(), out.path()).unwrap();
    assert_eq!((made.pieces, made.of, made.cosines.len()), (128, tiny_encoder::pieces().len(), 0));
    let names = wordpiece::load(&fs::read(out.path().join("encoder-tokenizer.json")).unwrap()).unwrap();
    let dense = tiny_encoder::weights();
    let mut file = File::open(out.path().join("encoder.gguf")).unwrap();
    let content = Content::read(&mut file).unwrap();
    assert_eq!(content.tensor_infos.len(), dense.len());
    let mut read = |name: &str, expected: GgmlDType| {
        let tensor = content.tensor(&mut file, name, &Device::Cpu).unwrap();
        assert_eq!(tensor.dtype(), expected, "{name}");
        tensor.dequantize(&Device::Cpu).unwrap()
    };
    let distance = |a: &Tensor, b: &Tensor| crate::tiny::distance(a, b);
    let table = read("token_embd.weight", GgmlDType::Q8_0);
    assert_eq!(table.dims(), [128, tiny_encoder::HIDDEN]);
    let original = &dense["embeddings.word_embeddings.weight"];
    for piece in ["[CLS]", "tomato", "##z", "°"] {
        let row = tiny_encoder::pieces().iter().position(|name| name == piece).unwrap();
        let id = names.token_to_id(piece).unwrap() as usize;
        assert!(distance(&table.get(id).unwrap(), &original.get(row).unwrap()) < STEP, "{piece}");
    }
    let down = read("blk.1.ffn_down.weight", GgmlDType::Q8_0);
    assert!(distance(&down, &dense["encoder.layer.1.output.dense.weight"]) < STEP);
    let positions = read("position_embd.weight", GgmlDType::F32);
    let first = dense["embeddings.position_embeddings.weight"].narrow(0, 0, 48).unwrap();
    assert_eq!(distance(&positions, &first), 0.0);
    for (ggml, name) in [
        ("token_types.weight", "embeddings.token_type_embeddings.weight"),
        ("token_embd_norm.bias", "embeddings.LayerNorm.bias"),
        ("blk.0.attn_q.bias", "encoder.layer.0.attention.self.query.bias"),
        ("blk.0.attn_output_norm.weight", "encoder.layer.0.attention.output.LayerNorm.weight"),
        ("blk.1.layer_output_norm.weight", "encoder.layer.1.output.LayerNorm.weight"),
    ] {
        assert_eq!(distance(&read(ggml, GgmlDType::F32), &dense[name]), 0.0, "{ggml}");
    }
    assert_eq!(content.metadata["bert.context_length"].to_u32().unwrap(), 48);
    let encoder = SentenceEncoder::open(&out.path().join("encoder.gguf"), &out.path().join("encoder-tokenizer.json"));
    let long = encoder.unwrap().encode(&"tomato ".repeat(100)).unwrap();
    assert!((long.iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-4);
}

fn gate(reference: &Reference, source: &TempDir) -> Result<Vec<(f32, bool)>, String> {
    let out = tempdir().unwrap();
    let made = encode(&table(needed() + 20), &base(source.path()), entries().path(), reference, out.path());
    made.map(|made| made.cosines).map_err(|error| error.to_string())
}

#[test]
fn a_result_unlike_the_original_is_refused() {
    let source = folder(|_, _, _| ());
    let out = tempdir().unwrap();
    encode(&table(1000), &base(source.path()), entries().path(), &nothing_recorded(), out.path()).unwrap();
    let encoder =
        SentenceEncoder::open(&out.path().join("encoder.gguf"), &out.path().join("encoder-tokenizer.json")).unwrap();
    let original = wordpiece::load(tokenizer().to_string().as_bytes()).unwrap();
    let sentence = |text: &str| Sentence {
        text: text.into(),
        ids: original.encode(text, true).unwrap().get_ids().into(),
        vector: encoder.encode(text).unwrap(),
    };
    let model_sha256 = base(source.path()).inputs["model.safetensors"].clone();
    let sentences = ["black water", "ж", "tomato", "black tomato", "the water", "wet leaf"].map(sentence).into();
    let good = Reference { model_sha256, sentences };
    let cosines = gate(&good, &source).unwrap();
    assert!(cosines[0].1 && (cosines[0].0 - 1.0).abs() < 1e-3, "{cosines:?}");
    assert!(!cosines[1].1, "ж became [UNK]");
    let mut bad = good.clone();
    bad.sentences[0].vector.iter_mut().step_by(2).for_each(|value| *value = -*value);
    let error = gate(&bad, &source).unwrap_err();
    assert!(error.contains("\"black water\" the cosine is") && error.contains("0.98"), "{error}");
    // A sentence that lost pieces is reported, not judged.
    bad = good.clone();
    bad.sentences[1].vector.iter_mut().for_each(|value| *value = -*value);
    assert!(gate(&bad, &source).unwrap()[1].0 < 0.0);
    bad = good.clone();
    bad.sentences[0].ids[1] += 1;
    assert!(gate(&bad, &source).unwrap_err().contains("the tokenizer gives"));
    // With fewer that kept their pieces nothing would be known.
    bad = good.clone();
    bad.sentences.pop();
    let error = gate(&bad, &source).unwrap_err();
    assert!(error.contains("of 5 recorded sentences 4 keep") && error.contains("[encoder] vocabulary"), "{error}");
    bad.sentences.clear();
    assert!(gate(&bad, &source).unwrap_err().contains("of 0 recorded sentences 0 keep"));
    // Recorded of another encoder: nothing to compare.
    bad.model_sha256 = "0".repeat(64);
    assert!(gate(&bad, &source).unwrap().is_empty());
}

#[test]
fn what_is_recorded_belongs_to_what_is_fetched() {
    let recorded = Reference::recorded();
    assert_eq!(recorded.sentences.len(), 12);
    assert!(include_str!("../build/encoder-model.txt").contains(&recorded.model_sha256));
    for Sentence { text, ids, vector } in &recorded.sentences {
        assert_eq!((vector.len(), ids[0], ids[ids.len() - 1]), (384, 101, 102), "{text:?}");
        assert!((vector.iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-4, "{text:?}");
    }
}

#[test]
fn bad_encoders_are_refused_with_their_reason() {
    type Change<'a> = &'a dyn Fn(&mut Value, &mut Value, &mut HashMap<String, Tensor>);
    let zeros = |shape: (usize, usize)| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let query = "encoder.layer.0.attention.self.query.weight";
    let cases: [(Change, &str); 8] = [
        (&|config, _, _| config["model_type"] = "roberta".into(), "model_type is \"roberta\""),
        (&|config, _, _| config["hidden_act"] = "gelu_new".into(), "hidden_act"),
        (&|config, _, _| config["layer_norm_eps"] = Value::Null, "invalid type: null"),
        (&|config, _, _| config["num_attention_heads"] = 3.into(), "shape cannot be"),
        (&|_, _, weights| drop(weights.remove(query)), query),
        (&|_, _, weights| drop(weights.insert(query.into(), zeros((32, 31)))), "shape [32, 31]"),
        (&|_, _, weights| drop(weights.insert(query.into(), (zeros((32, 32)) / 0.0).unwrap())), "not finite"),
        (&|_, json, _| json["model"]["vocab"]["more"] = json!(tiny_encoder::pieces().len()), "more pieces"),
    ];
    for (change, expected) in cases {
        let (source, out) = (folder(change), tempdir().unwrap());
        let made = encode(&table(1000), &base(source.path()), entries().path(), &nothing_recorded(), out.path());
        let error = made.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}, expected {expected}");
    }
    let missing = encoder_base::locate(Some(Path::new("nowhere")), &ProgressBar::hidden()).unwrap_err().to_string();
    assert!(missing.contains("nowhere/config.json") && missing.contains("leave out --encoder"), "{missing}");
}

#[test]
fn a_result_above_the_budget_is_refused() {
    // 15 MB of positions: they stay f32.
    let rows = 15_000_000 / 4 / tiny_encoder::HIDDEN + 1;
    let source = folder(|config, _, weights| {
        config["max_position_embeddings"] = rows.into();
        let name = "embeddings.position_embeddings.weight";
        weights.insert(name.into(), Tensor::zeros((rows, tiny_encoder::HIDDEN), DType::F32, &Device::Cpu).unwrap());
    });
    let out = tempdir().unwrap();
    let mut table = table(1000);
    (table.positions, table.format) = (rows as u32, BlockFormat::Q4_0);
    let made = encode(&table, &base(source.path()), entries().path(), &nothing_recorded(), out.path());
    let error = made.unwrap_err().to_string();
    assert!(error.contains("at most 15000000") && error.contains("[encoder]"), "{error}");
}

#[test]
fn names_of_products_are_words_that_are_known() {
    let words = fs::read_to_string(crate::tiny_bundle::bundle().words()).unwrap();
    assert!(["abamectin", "phytoseiulus"].map(|name| words.lines().filter(|word| *word == name).count()) == [1, 1]);
}

#[test]
fn vectors_are_in_the_order_of_the_entries() {
    let bundle = crate::tiny_bundle::bundle();
    let knowledge = Knowledge::parse(&fs::read_to_string(bundle.knowledge()).unwrap()).unwrap();
    let vectors = Vectors::parse(&fs::read(bundle.vectors()).unwrap(), knowledge.entries()).unwrap();
    let encoder = SentenceEncoder::open(&bundle.encoder(), &bundle.encoder_tokenizer()).unwrap();
    assert_eq!(vectors.width(), tiny_encoder::HIDDEN);
    let texts: Vec<String> = knowledge.entries().iter().flat_map(texts).collect();
    // Together, in groups of equal length, they are what each is alone.
    let some: Vec<String> = texts.iter().step_by(5).cloned().collect();
    let made = AtomicUsize::new(0);
    let count = |more| {
        made.fetch_add(more, Ordering::Relaxed);
    };
    let together = encoder.encode_all(&some, &count).unwrap();
    assert!(some.iter().zip(&together).all(|(text, vector)| encoder.encode(text).unwrap() == *vector));
    assert_eq!((together.len(), made.into_inner()), (some.len(), some.len()));
    assert!(encoder.encode_all(&[], &|_| ()).unwrap().is_empty());
    for index in (0..texts.len()).step_by(texts.len() / 7) {
        let cosines = vectors.cosines(&encoder.encode(&texts[index]).unwrap(), 0..vectors.len());
        let largest = cosines.iter().copied().fold(f32::MIN, f32::max);
        let mean = cosines.iter().sum::<f32>() / cosines.len() as f32;
        // Eight bits a value move a cosine a little; texts of equal pieces share their vector.
        assert!(cosines[index] > largest - 0.005 && largest > 0.99, "{index}: {} of {largest}", cosines[index]);
        assert!(mean < 0.9, "{index}: everything is alike, {mean}");
    }
}
