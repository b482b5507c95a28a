//! Greedy decoding with a dense model: as the independent implementation decodes, to the end of the text and no further.

use crate::{
    stages::{
        dense::{Dense, WINDOW},
        greedy,
    },
    tiny,
};
use candle_core::Device;
use tomato_assistant::model::linear::Embedding;

fn dense() -> Dense {
    Dense::open(&tiny::folder(), WINDOW, &Device::Cpu).unwrap()
}

/// The recorded prompt, and what follows it.
fn golden() -> [Vec<u32>; 2] {
    let text = std::fs::read_to_string(tiny::folder().join("golden.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
    ["ids", "greedy"].map(|name| serde_json::from_value(golden[name].clone()).unwrap())
}

#[test]
fn a_text_goes_on_as_recorded_and_is_timed_from_its_second_token() {
    let ([prompt, expected], dense) = (golden(), dense());
    let written = greedy::decode(&dense, prompt.clone(), expected.len()).unwrap();
    assert_eq!(written.ids, expected);
    assert!(written.speed().unwrap() > 0.0);
    let one = greedy::decode(&dense, prompt, 1).unwrap();
    assert_eq!((one.ids.as_slice(), one.speed()), (&expected[..1], None));
}

#[test]
fn the_token_that_ends_a_text_is_not_written() {
    let ([prompt, expected], mut dense) = (golden(), dense());
    // The end becomes twice as likely a token as that which is written second.
    let end = dense.tokenizer.token_to_id("<eos>").unwrap() as usize;
    assert!(!prompt.contains(&(end as u32)) && !expected.contains(&(end as u32)));
    let Embedding::Dense(table) = &dense.model.embedding else { panic!("the tiny model is dense") };
    let mut rows: Vec<Vec<f32>> = table.to_vec2().unwrap();
    rows[end] = rows[expected[1] as usize].iter().map(|value| 2.0 * value).collect();
    dense.model.embedding = Embedding::Dense(candle_core::Tensor::new(rows, &Device::Cpu).unwrap());
    let written = greedy::decode(&dense, [&prompt[..], &expected[..1]].concat(), 5).unwrap();
    assert_eq!(written.ids, Vec::<u32>::new());
}

#[test]
fn more_tokens_than_positions_are_an_error() {
    let dense = dense();
    assert!(greedy::decode(&dense, tiny::some_ids(WINDOW), 2).is_err());
}
