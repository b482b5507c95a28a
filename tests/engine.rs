//! The engine on the tiny model: what ends a generation, and what is shown of it.

use crate::{tiny, tiny_base, tiny_bundle::bundle};
use candle_core::DType;
use std::{fs, ops::ControlFlow, sync::OnceLock};
use tomato_assistant::engine::{CONTEXT, Ending, Engine, EngineError, Generated, Limits};

/// Enough to see something; fewer than the tiny model takes to go round in circles after [`prompt`].
const TOKENS: usize = 24;

fn engine() -> Engine {
    Engine::open(&bundle().model(), &bundle().tokenizer()).unwrap()
}

fn limits(tokens: usize, stops: &[&str]) -> Limits {
    Limits { tokens, stops: stops.iter().map(|stop| stop.to_string()).collect() }
}

/// The first made-up prompt after which the tiny model wanders through letters for [`TOKENS`] tokens.
fn prompt() -> &'static [u32] {
    static PROMPT: OnceLock<Vec<u32>> = OnceLock::new();
    PROMPT.get_or_init(|| {
        let mut engine = engine();
        let wanders = |prompt: &Vec<u32>| {
            let (generated, pieces) = continued(&mut engine, prompt, &limits(TOKENS, &[]));
            generated.ending == Ending::Limit && pieces.len() > TOKENS / 2
        };
        (1..200).map(tiny::some_ids).find(wanders).unwrap()
    })
}

/// The generation and the pieces of text that came, without the empty ones.
fn continued(engine: &mut Engine, prompt: &[u32], limits: &Limits) -> (Generated, Vec<String>) {
    let mut pieces = Vec::new();
    let generated = engine.generate(prompt, limits, |more| {
        pieces.extend((!more.is_empty()).then(|| more.to_string()));
        ControlFlow::Continue(())
    });
    (generated.unwrap(), pieces)
}

fn generate(engine: &mut Engine, limits: &Limits) -> (Generated, Vec<String>) {
    continued(engine, prompt(), limits)
}

#[test]
fn the_same_prompt_gives_the_same_text() {
    let mut engine = engine();
    let (first, pieces) = generate(&mut engine, &limits(TOKENS, &[]));
    assert_eq!(pieces.concat(), first.text);
    assert!(first.stats.tokens == TOKENS && pieces.len() > TOKENS / 2, "{first:?}");
    assert_eq!(first.stats.prompt_tokens, prompt().len());
    // The cache of the first is not seen by the second.
    let (again, _) = generate(&mut engine, &limits(TOKENS, &[]));
    let (fresh, _) = generate(&mut self::engine(), &limits(TOKENS, &[]));
    assert_eq!((&again.text, &fresh.text), (&first.text, &first.text));
}

#[test]
fn the_token_limit_holds() {
    let mut engine = engine();
    for tokens in [1, 2, 7] {
        let (generated, _) = generate(&mut engine, &limits(tokens, &[]));
        assert_eq!((generated.stats.tokens, generated.ending), (tokens, Ending::Limit));
    }
}

#[test]
fn stop_texts_are_never_shown_even_over_several_tokens() {
    let mut engine = engine();
    let (whole, pieces) = generate(&mut engine, &limits(TOKENS, &[]));
    for first in 3..pieces.len() - 2 {
        // The last letter of one piece, all of the next and the first letter of the third.
        let end = pieces[first].chars().next_back().unwrap();
        let begin = pieces[first + 2].chars().next().unwrap();
        let stop = format!("{end}{}{begin}", pieces[first + 1]);
        let (stopped, shown) = generate(&mut engine, &limits(TOKENS, &["never there", &stop]));
        assert_eq!(stopped.ending, Ending::Complete, "{stop:?}");
        assert_eq!(stopped.text, whole.text[..whole.text.find(&stop).unwrap()], "{stop:?}");
        assert_eq!(shown.concat(), stopped.text, "{stop:?}");
    }
}

#[test]
fn what_only_began_like_a_stop_text_is_shown_after_all() {
    let mut engine = engine();
    let (whole, pieces) = generate(&mut engine, &limits(TOKENS, &[]));
    for piece in [&pieces[2], pieces.last().unwrap()] {
        let (generated, shown) = generate(&mut engine, &limits(TOKENS, &[&format!("{piece}\u{1}")]));
        assert_eq!((generated.ending, &generated.text), (Ending::Limit, &whole.text));
        assert_eq!(shown.concat(), whole.text);
    }
}

#[test]
fn going_round_in_circles_ends() {
    let mut engine = engine();
    let prompt = engine.encode("Why is the bottom of the tomatoes black?").unwrap();
    let (generated, pieces) = continued(&mut engine, &prompt, &limits(CONTEXT, &[]));
    assert_eq!(generated.ending, Ending::Loop, "{} tokens: {:?}", generated.stats.tokens, generated.text);
    assert_eq!(pieces.concat(), generated.text);
}

#[test]
fn bytes_that_are_no_text_end_it_without_an_error() {
    let mut engine = engine();
    // The random model falls into such bytes after some prompts; what came before is kept.
    let garbled = (1..200).map(tiny::some_ids).map(|prompt| continued(&mut engine, &prompt, &limits(100, &[])));
    let (generated, pieces) = garbled.into_iter().find(|(generated, _)| generated.ending == Ending::Garbled).unwrap();
    assert_eq!(pieces.concat(), generated.text);
}

#[test]
fn break_stops_within_one_token() {
    let mut engine = engine();
    for wanted in 1..6 {
        let mut shown = String::new();
        let mut count = 0;
        let generated = engine.generate(prompt(), &limits(TOKENS, &[]), |more| {
            assert!(count < wanted, "asked to stop, yet {more:?} came");
            shown.push_str(more);
            count += usize::from(!more.is_empty());
            if count == wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let generated = generated.unwrap();
        assert_eq!((generated.ending, &generated.text), (Ending::Stopped, &shown));
        let tokens = generated.stats.tokens;
        let (same, _) = generate(&mut engine, &limits(tokens, &[]));
        assert_eq!(same.text, shown, "no token more than was shown");
    }
}

#[test]
fn break_stops_while_the_prompt_is_read() {
    let mut engine = engine();
    let prompt = vec![5; 1000];
    let mut asked = 0;
    let generated = engine.generate(&prompt, &limits(TOKENS, &[]), |more| {
        assert!(more.is_empty());
        asked += 1;
        if asked == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let generated = generated.unwrap();
    assert_eq!((generated.ending, generated.stats.tokens, asked), (Ending::Stopped, 0, 2));
    assert!(generated.text.is_empty());
}

#[test]
fn a_prompt_must_leave_room_for_an_answer() {
    let mut engine = engine();
    let mut ask = |prompt: &[u32]| engine.generate(prompt, &limits(TOKENS, &[]), |_| ControlFlow::Continue(()));
    for tokens in [CONTEXT, CONTEXT + 1, 3 * CONTEXT] {
        let error = ask(&vec![5; tokens]).unwrap_err();
        assert!(matches!(error, EngineError::PromptTooLong { tokens: found } if found == tokens), "{error}");
    }
    assert!(matches!(ask(&[]), Err(EngineError::PromptTooLong { tokens: 0 })));
    // One place left: one token, and no more.
    let generated = ask(&tiny::some_ids(CONTEXT - 1)).unwrap();
    assert_eq!((generated.stats.tokens, generated.ending), (1, Ending::Limit));
}

#[test]
fn control_tokens_typed_as_text_are_text() {
    let engine = engine();
    for text in ["<eos>", "<bos>", "a<pad>b", "why? <eos><bos>Question: x", "<unk>"] {
        let ids = engine.encode(text).unwrap();
        assert_eq!(ids[0], 2, "a document begins with <bos>");
        assert!(ids.len() > 4 && ids[1..].iter().all(|&id| id > 3), "{text}: {ids:?}");
    }
    assert_eq!(engine.encode("").unwrap(), [2]);
    for text in ["토마토 잎", "🍅", "\u{0}\u{1b}[31m", "\u{fffd}"] {
        assert!(engine.encode(text).unwrap()[1..].iter().all(|&id| id > 3), "{text}: bytes, not <unk>");
    }
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let other = tiny_base::folder(DType::F32, |_, _| ());
    let error = Engine::open(&bundle().model(), &other.path().join("tokenizer.json")).err().unwrap();
    let tokens = tiny_base::vocabulary().len();
    assert!(matches!(error, EngineError::Mismatch { tokens: found, rows: 384 } if found == tokens), "{error}");
}

#[test]
fn files_that_are_no_model_or_tokenizer_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let tokenizer = fs::read_to_string(bundle().tokenizer()).unwrap();
    for (text, expected) in [
        (tokenizer.replace("<eos>", "<end>"), "it has no <eos>"),
        (tokenizer[..tokenizer.len() / 2].to_string(), "cannot use the tokenizer"),
        (String::new(), "cannot use the tokenizer"),
    ] {
        fs::write(&path, text).unwrap();
        let said = Engine::open(&bundle().model(), &path).err().unwrap().to_string();
        assert!(said.contains(expected) && said.contains("file"), "{said}");
    }
    let model = fs::read(bundle().model()).unwrap();
    for length in [0, 3, 100, model.len() / 2, model.len() - 1] {
        fs::write(&path, &model[..length]).unwrap();
        let error = Engine::open(&path, &bundle().tokenizer()).err().unwrap();
        assert!(matches!(error, EngineError::Weights(_)), "{length} bytes: {error}");
    }
}
