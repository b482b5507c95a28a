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
use candle_core::Device;
use tomato_assistant::knowledge::{Entry, sentences::sentences};

fn dense() -> Dense {
    Dense::open(&tiny::folder(), 8, &Device::Cpu).unwrap()
}

/// `windows` as text.
fn texts(windows: Vec<Vec<u32>>) -> Vec<String> {
    let dense = dense();
    windows.into_iter().map(|ids| dense.tokenizer.decode(&ids, true).unwrap()).collect()
}

fn entries() -> Vec<Entry> {
    sources().knowledge().unwrap().entries().to_vec()
}

/// Sentences that are found in no text by chance.
fn long(entry: &Entry) -> impl Iterator<Item = &str> {
    sentences(&entry.output).filter(|sentence| sentence.len() > 40)
}

/// How many sentences of entries that are learnt from, and of held-out ones, stand in `texts`.
fn told(texts: &[String]) -> [usize; 2] {
    let (entries, all) = (entries(), texts.join("\u{1}"));
    [false, true].map(|held| {
        let own = entries.iter().filter(|entry| held_out(&entry.id) == held);
        own.flat_map(long).filter(|sentence| all.contains(sentence)).count()
    })
}

#[test]
fn there_is_text_of_every_kind_and_none_that_is_held_out() {
    let windows = calibration::windows(&dense(), sources()).unwrap();
    assert!(windows.iter().all(|ids| ids[0] == 2 && ids.len() > WINDOW / 4 && ids.len() <= WINDOW));
    let texts = texts(windows);
    let [learnt, held] = told(&texts);
    assert!(learnt > 50, "{learnt} sentences of entries");
    assert_eq!(texts.iter().filter(|text| text.starts_with("Question: ")).count(), 16, "prompts");
    let korean = texts.iter().filter(|text| text.chars().filter(|c| ('가'..='힣').contains(c)).count() > 20).count();
    assert_eq!(korean, 3);
    assert_eq!(held, 0, "sentences of held-out entries");
}

#[test]
fn lessons_hold_all_that_may_be_learnt_and_the_documents_are_filled_up() {
    let [learnt, held] = told(&texts(calibration::lessons(&dense(), sources()).unwrap()));
    assert!(learnt > 2000 && held == 0, "{learnt}, {held}");
    let padded = calibration::padded_lessons(&dense(), sources(), 700).unwrap();
    assert_eq!(padded.len(), entries().iter().filter(|entry| !held_out(&entry.id)).count());
    let filled = padded.iter().filter(|ids| ids.len() == 700 && ids[0] == 2 && ids[699] == 0).count();
    assert!(filled > padded.len() / 2, "{filled} of {}", padded.len());
    let [learnt, held] = told(&texts(padded));
    assert!(learnt > 1000 && held == 0, "{learnt}, {held}");
}
