//! The engine as a judge: a score for each sentence, whatever it is read with, and no more than was asked for.

use crate::{
    stages::{
        dense::Dense,
        quantize,
        recipe::{BlockFormat, Quantize},
    },
    tiny,
    tiny_bundle::{bundle, some_vector, sources, write_head},
};
use candle_core::{
    Device,
    quantized::{
        GgmlDType, QTensor, gguf_file,
        gguf_file::{Content, Value},
    },
};
use indicatif::ProgressBar;
use std::{collections::HashMap, fs, io::Cursor, ops::ControlFlow, path::Path, sync::OnceLock};
use tempfile::TempDir;
use tomato_assistant::{
    engine::{CONTEXT, Engine, EngineError, Judgement, Limits},
    model::{ops::Pass, weights::SELECTOR_KEY, weights::Weights},
    prompt::{Passage, render},
};

/// The tiny model with a selection head, in a folder of its own. Its matrices are those of the quantized one, stored as f32:
/// so that nothing is rounded while it reads, and parts can be compared with the whole.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let made = FOLDER.get_or_init(|| {
        let (checkpoint, out) = (tiny::copied(), tempfile::tempdir().unwrap());
        write_head(checkpoint.path(), &[some_vector(), vec![0.5]].concat());
        let format = BlockFormat::Q8_0;
        let table = Quantize { embedding: format, attention: format, ffn: format, compensate: false };
        quantize::run(&table, checkpoint.path(), sources(), out.path(), &ProgressBar::hidden()).unwrap();
        let path = out.path().join("model.gguf");
        write(&path, &fs::read(&path).unwrap(), |_| ());
        out
    });
    made.path()
}

/// Writes the model `gguf` with f32 matrices, and with other metadata.
fn write(path: &Path, gguf: &[u8], change: impl FnOnce(&mut HashMap<String, Value>)) {
    let mut file = Cursor::new(gguf);
    let content = Content::read(&mut file).unwrap();
    let mut metadata = content.metadata.clone();
    change(&mut metadata);
    let mut dense = |name: &String| {
        let tensor = content.tensor(&mut file, name, &Device::Cpu).unwrap().dequantize(&Device::Cpu).unwrap();
        QTensor::quantize(&tensor, GgmlDType::F32).unwrap()
    };
    let tensors: Vec<(&String, QTensor)> = content.tensor_infos.keys().map(|name| (name, dense(name))).collect();
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let metadata: Vec<_> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    gguf_file::write(&mut fs::File::create(path).unwrap(), &metadata, &tensors).unwrap();
}

fn engine() -> Engine {
    Engine::open(&folder().join("model.gguf"), &folder().join("tokenizer.json")).unwrap()
}

/// Prompt ids and some places in it, near to and on both sides of where parts of 128 tokens meet.
fn prompt() -> (Vec<u32>, Vec<usize>) {
    (tiny::some_ids(400), vec![3, 40, 126, 127, 128, 129, 255, 256, 383, 384, 399])
}

/// All scores, without a stop.
fn judge(engine: &mut Engine, ids: &[u32], ends: &[usize]) -> Vec<f32> {
    let judgement = engine.judge(ids, ends, &mut || ControlFlow::Continue(())).unwrap().unwrap();
    assert_eq!(judgement.tokens, ids.len());
    judgement.scores
}

#[test]
fn each_place_has_the_score_of_the_whole_prompt_read_at_once() {
    let (ids, ends) = prompt();
    let scores = judge(&mut engine(), &ids, &ends);
    assert_eq!(scores.len(), ends.len());
    let weights = Weights::gguf(&folder().join("model.gguf")).unwrap();
    let selector = weights.selector(tiny::config().hidden).unwrap().unwrap();
    let model = weights.load(tiny::config(), ids.len()).unwrap();
    let hidden = model.forward(&tiny::ids(&ids), Pass::Infer, None).unwrap().squeeze(0).unwrap();
    let whole: Vec<f32> = selector.scores(&hidden).unwrap().to_vec1().unwrap();
    for (score, &end) in scores.iter().zip(&ends) {
        assert!((score - whole[end]).abs() < 1e-4, "at {end}: {score} in parts, {} at once", whole[end]);
    }
    // By hand, for one of them: the product with the vector, and the bias.
    let state: Vec<f32> = hidden.get(40).unwrap().to_vec1().unwrap();
    let product: f32 = state.iter().zip(some_vector()).map(|(a, b)| a * b).sum();
    assert!((product + 0.5 - scores[1]).abs() < 1e-3);
    assert!(scores.iter().any(|score| (score - scores[0]).abs() > 0.1), "scores that differ: {scores:?}");
}

#[test]
fn what_was_read_before_is_forgotten() {
    let (mut engine, (ids, ends)) = (engine(), prompt());
    let first = judge(&mut engine, &ids, &ends);
    judge(&mut engine, &ids[7..200], &[5, 100]);
    let limits = Limits { tokens: 3, stops: Vec::new() };
    engine.generate(&ids[..50], &limits, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(judge(&mut engine, &ids, &ends), first);
    // What follows a place does not change its score, and neither do the other places.
    let shorter = judge(&mut engine, &ids[..130], &ends[..6]);
    assert!(shorter.iter().zip(&first).all(|(a, b)| (a - b).abs() < 1e-4), "{shorter:?} {first:?}");
    assert_eq!(judge(&mut engine, &ids, &ends[4..5]), first[4..5]);
    assert_eq!(judge(&mut engine, &ids, &[]), Vec::<f32>::new());
}

#[test]
fn the_end_of_a_question_tells_its_kind_and_the_prompt_goes_on_from_there() {
    let (mut engine, (ids, ends)) = (engine_of_kinds(), prompt());
    let (question, ends) = (&ids[..200], &ends[6..]);
    let anew = judge(&mut engine, &ids, ends);
    let told = kinds(&mut engine, question);
    // By hand: the products with the rows below the first, and their biases.
    let weights = Weights::gguf(&folder().join("model.gguf")).unwrap();
    let model = weights.load(tiny::config(), ids.len()).unwrap();
    let hidden = model.forward(&tiny::ids(question), Pass::Infer, None).unwrap().squeeze(0).unwrap();
    let state: Vec<f32> = hidden.get(199).unwrap().to_vec1().unwrap();
    for (row, kind) in told.iter().enumerate() {
        let product: f32 = state.iter().zip(some_vector()).map(|(a, b)| a * b / (row + 2) as f32).sum();
        assert!((product + row as f32 - kind).abs() < 1e-3, "{row}: {kind}");
    }
    assert_eq!(told.len(), 2);
    // What was read is not read again: two parts are left of four.
    let mut parts = 0;
    let on = engine.judge(&ids, ends, &mut || {
        parts += 1;
        ControlFlow::Continue(())
    });
    let on = on.unwrap().unwrap();
    assert_eq!((on.tokens, parts), (ids.len(), 2));
    assert!(on.scores.iter().zip(&anew).all(|(a, b)| (a - b).abs() < 1e-4), "{:?} {anew:?}", on.scores);
}

#[test]
fn only_the_prompt_that_begins_with_the_question_just_read_goes_on_from_it() {
    let (mut engine, (ids, all)) = (engine_of_kinds(), prompt());
    let (question, ends) = (&ids[..200], &all[6..]);
    let anew = judge(&mut engine, &ids, ends);
    let whole = judge(&mut engine, &ids, &all);
    let other = [&[7], &ids[1..]].concat();
    let of_other = judge(&mut engine, &other, ends);
    kinds(&mut engine, question);
    assert_eq!(judge(&mut engine, &other, ends), of_other);
    assert_eq!(judge(&mut engine, &ids, ends), anew, "the same a second time");
    kinds(&mut engine, question);
    assert_eq!(judge(&mut engine, &ids, &all), whole, "a place before the question's end");
    kinds(&mut engine, question);
    let limits = Limits { tokens: 3, stops: Vec::new() };
    engine.generate(&ids[..50], &limits, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(judge(&mut engine, &ids, ends), anew, "something was written in between");
    kinds(&mut engine, question);
    engine.judge(&ids, ends, &mut || ControlFlow::Break(())).unwrap();
    assert_eq!(judge(&mut engine, &ids, ends), anew, "one that was stopped came before");
    // A question that was stopped tells nothing, and is gone on from where it was.
    let mut parts = 0;
    let stopped = engine.kinds(question, &mut || {
        parts += 1;
        if parts == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(stopped.unwrap().unwrap(), Judgement { scores: Vec::new(), tokens: 128 });
    assert!(judge(&mut engine, &ids, ends).iter().zip(&anew).all(|(a, b)| (a - b).abs() < 1e-4));
}

#[test]
fn kinds_are_told_of_a_question_that_can_be_read_by_a_head_that_knows_some() {
    let mut go_on = || ControlFlow::Continue(());
    for tokens in [0, CONTEXT + 1] {
        let error = engine_of_kinds().kinds(&vec![5; tokens], &mut go_on).unwrap_err();
        assert!(matches!(error, EngineError::PromptTooLong { tokens: found } if found == tokens), "{error}");
    }
    assert!(engine().kinds(&[2, 5], &mut || panic!("nothing is read")).unwrap().is_none());
}

/// All outputs for a question, without a stop.
fn kinds(engine: &mut Engine, ids: &[u32]) -> Vec<f32> {
    let told = engine.kinds(ids, &mut || ControlFlow::Continue(())).unwrap().unwrap();
    assert_eq!(told.tokens, ids.len());
    told.scores
}

/// The same model whose head tells two kinds: its vector a half and a third as long, 0 and 1 added.
fn engine_of_kinds() -> Engine {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let made = FOLDER.get_or_init(|| {
        let out = tempfile::tempdir().unwrap();
        let row = |row: usize, bias: f32| some_vector().into_iter().map(move |x| x / row as f32).chain([bias]);
        let head: Vec<f32> = row(1, 0.5).chain(row(2, 0.0)).chain(row(3, 1.0)).collect();
        let head = Value::Array(head.into_iter().map(Value::F32).collect());
        let gguf = fs::read(folder().join("model.gguf")).unwrap();
        write(&out.path().join("model.gguf"), &gguf, |metadata| drop(metadata.insert(SELECTOR_KEY.into(), head)));
        out
    });
    Engine::open(&made.path().join("model.gguf"), &folder().join("tokenizer.json")).unwrap()
}

#[test]
fn a_stop_is_felt_at_the_next_part() {
    let (mut engine, (ids, ends)) = (engine(), prompt());
    let all = judge(&mut engine, &ids, &ends);
    let mut before = 0;
    for parts in 0..5 {
        let mut asked = 0;
        let scores = engine.judge(&ids, &ends, &mut || {
            asked += 1;
            if asked > parts { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let Judgement { scores, tokens } = scores.unwrap().unwrap();
        assert_eq!(tokens, ids.len().min(parts * 128));
        assert_eq!(scores, all[..scores.len()], "those of what was read");
        assert_eq!(asked, (parts + 1).min(4), "asked before each part, and not again after the stop");
        assert!(if parts == 0 { scores.is_empty() } else { scores.len() > before }, "{parts} parts: {scores:?}");
        before = scores.len();
        if parts == 4 {
            assert_eq!(scores.len(), ends.len());
        }
    }
}

#[test]
fn a_model_that_was_not_trained_to_judge_reads_nothing() {
    let mut engine = Engine::open(&bundle().model(), &bundle().tokenizer()).unwrap();
    let (ids, ends) = prompt();
    assert!(engine.judge(&ids, &ends, &mut || panic!("nothing is read")).unwrap().is_none());
}

#[test]
fn a_prompt_may_fill_the_context_and_no_more() {
    let mut engine = engine();
    for tokens in [CONTEXT + 1, 2 * CONTEXT] {
        let error = engine.judge(&vec![5; tokens], &[0], &mut || panic!("nothing is read")).unwrap_err();
        assert!(matches!(error, EngineError::PromptTooLong { tokens: found } if found == tokens), "{error}");
    }
    let scores = judge(&mut engine, &tiny::some_ids(CONTEXT), &[0, CONTEXT - 1]);
    assert!(scores.len() == 2 && scores.iter().all(|score| score.is_finite()));
}

#[test]
fn a_prompt_is_read_alike_live_and_in_training() {
    let engine = engine();
    let passages = [
        Passage { title: "Why black?", sentences: vec!["Too little calcium.", "Water evenly at 2.5 L."] },
        Passage { title: "Why <eos>?", sentences: vec!["물을 주세요."] },
    ];
    let parts = render(&passages, "EC 6.2 mS/cm: too high.", "is it <bos> black?");
    let (ids, ends) = engine.read(&parts).unwrap();
    assert_eq!((ids[0], ends.len()), (2, 3));
    assert!(ids[1..].iter().all(|&id| id > 3), "typed control tokens are text");
    let tokenizer = tokenizers::Tokenizer::from_file(folder().join("tokenizer.json")).unwrap();
    // Each place is the last token of its sentence: what comes up to it is the text up to there.
    let mut text = String::new();
    let mut places = ends.iter();
    for part in &parts {
        text.push_str(&part.text);
        if part.judged {
            let read = tokenizer.decode(&ids[1..=*places.next().unwrap()], false).unwrap();
            assert_eq!(read, text);
        }
    }
    let dense = Dense::open(&tiny::folder(), 8, &Device::Cpu).unwrap();
    let (trained, places) = dense.read(&parts).unwrap();
    assert_eq!((trained, places), (ids, ends.iter().map(|&end| end as u32).collect()));
}

#[test]
fn a_head_that_is_none_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    let with = |head: Value| {
        let gguf = fs::read(folder().join("model.gguf")).unwrap();
        write(&path, &gguf, |metadata| drop(metadata.insert(SELECTOR_KEY.into(), head)));
        Engine::open(&path, &folder().join("tokenizer.json"))
    };
    let list = |head: &[f32]| Value::Array(head.iter().copied().map(Value::F32).collect());
    let good = [some_vector(), vec![0.5]].concat();
    assert!(with(list(&good)).is_ok());
    let mut sick = good.clone();
    sick[3] = f32::NAN;
    let text = Value::String("yes".into());
    for bad in [list(&good[1..]), list(&[good.as_slice(), &[1.0]].concat()), list(&sick), list(&[]), text] {
        let error = with(bad).err().unwrap();
        assert!(error.to_string().contains("selection head is not rows of 65 numbers"), "{error}");
    }
}
