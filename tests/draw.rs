//! Chance from a seed: the published numbers, and no more than is asked for.

use crate::stages::draw::Draw;

#[test]
fn the_numbers_are_those_of_the_published_generator() {
    let mut draw = Draw::new(1_234_567);
    let found: Vec<u64> = (0..3).map(|_| draw.bits()).collect();
    assert_eq!(found, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    // A stored stream goes on where it was.
    let stored = serde_json::to_string(&draw).unwrap();
    let mut again: Draw = serde_json::from_str(&stored).unwrap();
    assert_eq!(again.bits(), draw.bits());
}

#[test]
fn numbers_stay_below_their_limit_and_reach_all_of_it() {
    let mut draw = Draw::new(2);
    let mut seen = [0; 5];
    (0..500).for_each(|_| seen[draw.below(5)] += 1);
    assert!(seen.iter().all(|count| (60..140).contains(count)), "{seen:?}");
    let shares: Vec<f64> = (0..500).map(|_| draw.share()).collect();
    assert!(shares.iter().all(|share| (0.0..1.0).contains(share)));
    let mean = shares.iter().sum::<f64>() / 500.0;
    assert!((mean - 0.5).abs() < 0.05, "{mean}");
}

#[test]
fn shuffling_loses_nothing() {
    let mut draw = Draw::new(3);
    let mut items: Vec<usize> = (0..100).collect();
    draw.shuffle(&mut items);
    assert_ne!(items, (0..100).collect::<Vec<_>>());
    assert!(items.contains(draw.one(&items)));
    items.sort();
    assert_eq!(items, (0..100).collect::<Vec<_>>());
    draw.shuffle::<usize>(&mut []);
}
