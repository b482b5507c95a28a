//! The vectors' projection is learnt: it brings texts of one entry together, is the same every time, and is measured
//! on paraphrases that it was not learnt from.

use crate::stages::{
    projection::{learn, texts_of, texts_without},
    recipe::Embed,
};
use tomato_assistant::knowledge::{Knowledge, projection::Projection};

const WIDTH: usize = 12;
/// Values of a vector that tell its entry; the others are noise of the same size.
const TELLING: usize = 4;

fn table(steps: usize) -> Embed {
    Embed { steps, entries: 8, learning_rate: 0.01, sharpness: 20.0, keep: 0.1, seed: 3, ridge: 0.001 }
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
fn what_is_left_out_is_not_learnt_from() {
    let knowledge = Knowledge::parse(include_str!("../data/tomato_qa_dataset.json")).unwrap();
    let (entries, folds) = (knowledge.entries(), 5);
    let all = texts_of(entries);
    let mut left_out = vec![0; all.iter().map(Vec::len).sum()];
    for fold in 0..folds {
        for ((entry, all), kept) in entries.iter().zip(&all).zip(texts_without(entries, fold, folds)) {
            for (number, place) in all.iter().enumerate() {
                let paraphrase = (1..=entry.paraphrases.len()).contains(&number);
                let expected = !(paraphrase && (number - 1) % folds == fold);
                assert_eq!(kept.contains(place), expected, "{} {number}", entry.id);
                left_out[*place] += usize::from(!kept.contains(place));
            }
        }
    }
    // Each paraphrase once; the rest never.
    let once = all.iter().zip(entries).flat_map(|(places, entry)| places[1..=entry.paraphrases.len()].iter());
    assert!(once.clone().all(|&place| left_out[place] == 1));
    assert_eq!(left_out.iter().sum::<usize>(), once.count());
}
