//! The vectors' projection is learnt: it brings texts of one entry together, is the same every time, and is measured
//! on paraphrases that it was not learnt from.

use crate::stages::{
    projection::{is_held, learn, questions_of, texts_learnt, texts_of},
    recipe::Embed,
};
use tomato_assistant::knowledge::{Knowledge, projection::Projection};

const WIDTH: usize = 12;
/// Values of a vector that tell its entry; the others are noise of the same size.
const TELLING: usize = 4;

fn table(steps: usize) -> Embed {
    Embed { steps, entries: 8, learning_rate: 0.01, sharpness: 20.0, keep: 0.1, seed: 3, ridge: 0.001, apart: 1.0 }
}

/// Twenty entries of six texts.
fn toy() -> (Vec<Vec<f32>>, Vec<Vec<usize>>) {
    let mut state = 1u32;
    let mut random = || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        (state >> 16) as f32 / 32768.0 - 1.0
    };
    let mut vectors = Vec::new();
    for _ in 0..20 {
        let telling: Vec<f32> = (0..TELLING).map(|_| random()).collect();
        for _ in 0..6 {
            let vector: Vec<f32> =
                (0..WIDTH).map(|place| telling.get(place).copied().unwrap_or_else(&mut random)).collect();
            vectors.push(Projection::identity(WIDTH).apply(&vector));
        }
    }
    let entries = (0..20).map(|entry| (6 * entry..6 * entry + 6).collect()).collect();
    (vectors, entries)
}

/// Share of texts whose nearest other text is of the same entry.
fn right(vectors: &[Vec<f32>], projection: &Projection) -> f64 {
    let moved: Vec<Vec<f32>> = vectors.iter().map(|vector| projection.apply(vector)).collect();
    let cosine = |a: usize, b: usize| moved[a].iter().zip(&moved[b]).map(|(a, b)| a * b).sum::<f32>();
    let nearest = |text: usize| {
        let others = (0..moved.len()).filter(|&other| other != text);
        others.max_by(|&a, &b| cosine(text, a).total_cmp(&cosine(text, b))).unwrap()
    };
    let found = (0..moved.len()).filter(|&text| nearest(text) / 6 == text / 6).count();
    found as f64 / moved.len() as f64
}

#[test]
fn learning_brings_texts_of_an_entry_together_the_same_way_every_time() {
    let (vectors, entries) = toy();
    let untouched = learn(&table(0), &vectors, &entries).unwrap();
    assert_eq!(untouched, Projection::identity(WIDTH));
    let learnt = learn(&table(60), &vectors, &entries).unwrap();
    let (before, after) = (right(&vectors, &untouched), right(&vectors, &learnt));
    assert!(after > before + 0.2, "{before} before, {after} after");
    assert_eq!(learn(&table(60), &vectors, &entries).unwrap(), learnt);
    assert_ne!(learn(&Embed { seed: 4, ..table(60) }, &vectors, &entries).unwrap(), learnt);
    assert!(learn(&table(1), &[], &[]).is_err());
}

#[test]
fn what_is_held_back_is_not_learnt_from() {
    let knowledge = Knowledge::parse(include_str!("../data/tomato_qa_dataset.json")).unwrap();
    let entries = knowledge.entries();
    let (all, learnt, questions) = (texts_of(entries), texts_learnt(entries), questions_of(entries));
    for (((entry, all), learnt), questions) in entries.iter().zip(&all).zip(&learnt).zip(&questions) {
        let paraphrases = 1..=entry.paraphrases.len();
        for (number, place) in all.iter().enumerate() {
            let held = paraphrases.contains(&number) && is_held(number - 1);
            assert_eq!(learnt.contains(place), !held, "{} {number}", entry.id);
        }
        assert_eq!(questions[..], all[..1 + entry.paraphrases.len()], "its own sentences are no questions");
        assert!(paraphrases.clone().any(|number| is_held(number - 1)), "{}: nothing to measure on", entry.id);
    }
}
