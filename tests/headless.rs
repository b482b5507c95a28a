//! Answers without a screen: the JSON says no less than the words do.

use crate::{assistant::QUESTION, tiny_bundle::bundle};
use serde_json::{Value, json};
use tomato_assistant::{
    answer::{Answerer, Question},
    climate::Stage,
    headless::{Outcome, ask, ask_json},
    text::{Lang, Msg},
};

/// The answer to `text` in words (both streams) and as JSON.
fn both(text: &str, stopped: bool) -> ([Outcome; 2], String, Value) {
    let mut answerer = Answerer::open(bundle(), Stage::default()).unwrap();
    let question = Question { text: text.into(), ..Question::default() };
    let (mut words, mut out, mut about) = (Vec::new(), Vec::new(), Vec::new());
    let told = ask(&mut answerer, &question, false, &|| stopped, &mut words, &mut about).unwrap();
    words.append(&mut about);
    let written = ask_json(&mut answerer, &question, false, &|| stopped, &mut out, &mut about).unwrap();
    assert!(about.is_empty());
    ([told, written], String::from_utf8(words).unwrap(), serde_json::from_slice(&out).unwrap())
}

#[test]
fn references_that_did_not_fit_are_told() {
    // The tiny tokenizer has hardly more than letters.
    let (outcomes, words, json) = both(&QUESTION.repeat(1950 / QUESTION.len()), false);
    assert_eq!(outcomes, [Outcome::Answered; 2]);
    assert_eq!((&json["dropped_references"], &json["stopped"]), (&json!(2), &json!(false)));
    assert!(words.contains(&Lang::En.say(&Msg::ReferencesDropped(2))), "{words}");
}

#[test]
fn an_answer_that_was_stopped_says_so() {
    let (outcomes, _, json) = both(QUESTION, true);
    assert_eq!(outcomes, [Outcome::Stopped; 2]);
    assert_eq!((&json["dropped_references"], &json["stopped"]), (&json!(0), &json!(true)));
}
