//! The text that a model is watched over while it is made smaller: enough of each kind, and nothing of what is held out.

use crate::{
    stages::{
        calibration,
        dense::{Dense, WINDOW},
        split::held_out,
    },
    tiny,
    tiny_bundle::sources,
};
use tomato_assistant::knowledge::{Entry, sentences::sentences};

/// The windows as text.
fn texts() -> (Vec<String>, Vec<Entry>) {
    let dense = Dense::open(&tiny::folder(), 8).unwrap();
    let windows = calibration::windows(&dense, sources()).unwrap();
    assert!(windows.iter().all(|ids| ids[0] == 2 && ids.len() > WINDOW / 4 && ids.len() <= WINDOW));
    let text = |ids: Vec<u32>| dense.tokenizer.decode(&ids, true).unwrap();
    (windows.into_iter().map(text).collect(), sources().knowledge().unwrap().entries().to_vec())
}

/// Sentences that are found in no text by chance.
fn long(entry: &Entry) -> impl Iterator<Item = &str> {
    sentences(&entry.output).filter(|sentence| sentence.len() > 40)
}

#[test]
fn there_is_text_of_every_kind_and_none_that_is_held_out() {
    let (texts, entries) = texts();
    let all = texts.join("\u{1}");
    let of = |held: bool| entries.iter().filter(move |entry| held_out(&entry.id) == held);
    let count = |held: bool| of(held).flat_map(long).filter(|sentence| all.contains(sentence)).count();
    assert!(count(false) > 50, "{} sentences of entries", count(false));
    assert_eq!(texts.iter().filter(|text| text.starts_with("Question: ")).count(), 16, "prompts");
    let korean = texts.iter().filter(|text| text.chars().filter(|c| ('가'..='힣').contains(c)).count() > 20).count();
    assert_eq!(korean, 3);
    assert_eq!(count(true), 0, "sentences of held-out entries");
}
