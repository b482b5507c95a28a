//! The comparison with llama.cpp's answers must be able to fail: made-up answers, and the tiny model's own.

use crate::{
    stages::verify::{Comparison, Continuation, Difference, Golden, Step, compare, steps, top_difference},
    tiny,
};

fn recorded(greedy: &[u32], gaps: &[f32]) -> Continuation {
    Continuation { greedy: greedy.into(), gaps: gaps.into() }
}

fn step(token: u32, gap: f32, margin: f32) -> Step {
    Step { token, gap, margin }
}

#[test]
fn a_step_is_read_from_logits() {
    let logits = [0.5, 3.0, -1.0, 2.0];
    let same = Step::new(&logits, 1);
    assert_eq!((same.token, same.gap, same.margin), (1, 1.0, 0.0));
    let other = Step::new(&logits, 0);
    assert_eq!((other.token, other.gap, other.margin), (1, 1.0, 2.5));
    // The second best may stand before or after the best.
    assert_eq!(Step::new(&[2.0, 1.0, 4.0], 2).gap, 2.0);
    assert!(!Step::new(&[1.0, f32::NAN, 2.0], 1).gap.is_finite());
    assert_eq!(Step::new(&logits, 99).margin, f32::INFINITY);
}

#[test]
fn equal_tokens_are_equal_and_their_gaps_are_compared() {
    let found = compare(&recorded(&[4, 5], &[1.0, 2.0]), &[step(4, 1.25, 0.0), step(5, 2.0, 0.0)], 0.5);
    assert_eq!(found, Comparison { equal: 2, gap_moved: 0.25, ..Comparison::default() });
}

#[test]
fn a_difference_is_a_near_tie_only_if_both_gaps_are_small() {
    for (ours, theirs, near) in [(0.4, 0.3, true), (0.5, 0.5, true), (0.6, 0.3, false), (0.4, 0.6, false)] {
        let found = compare(
            &recorded(&[4, 5, 6], &[1.0, theirs, 1.0]),
            &[step(4, 1.0, 0.0), step(7, 0.1, ours), step(6, 1.0, 0.0)],
            0.5,
        );
        assert_eq!(found.first, Some(Difference { at: 1, ours, theirs }));
        assert_eq!(found.worst, ours.max(theirs));
        assert_eq!((found.equal, found.near_ties, found.failures), (2, usize::from(near), usize::from(!near)));
    }
}

#[test]
fn what_is_missing_or_no_number_fails() {
    let expected = recorded(&[4, 5, 6], &[1.0, 1.0, 1.0]);
    assert_eq!(compare(&expected, &[step(4, 1.0, 0.0)], 0.5).failures, 2);
    assert_eq!(compare(&recorded(&[4], &[0.1]), &[step(4, f32::NAN, 0.0)], 0.5).failures, 1);
    assert_eq!(compare(&recorded(&[4], &[0.1]), &[step(5, f32::NAN, f32::NAN)], 0.5).failures, 1);
}

#[test]
fn the_largest_difference_of_logits_is_found() {
    let logits = [1.0, 2.0, 3.0];
    assert_eq!(top_difference(&[(2, 3.0), (0, 1.5)], &logits), 0.5);
    assert_eq!(top_difference(&[(3, 0.0)], &logits), f32::INFINITY);
    assert_eq!(top_difference(&[(0, 0.0), (1, 2.0)], &[f32::NAN, 2.0]), f32::INFINITY);
}

#[test]
fn the_recorded_answers_are_whole() {
    let golden = Golden::recorded();
    assert_eq!(golden.cases.len(), 20);
    for case in &golden.cases {
        for continuation in [&case.exact, &case.published] {
            assert_eq!((continuation.greedy.len(), continuation.gaps.len()), (32, 32), "{}", case.prompt);
        }
    }
    assert_eq!(golden.cases.iter().filter(|case| case.top.len() == 20).count(), 3);
    assert!(golden.cases.iter().any(|case| case.ids.len() >= 1500), "the sliding window must be passed");
}

#[test]
fn a_model_passes_by_its_own_answers_and_fails_by_others() {
    let model = tiny::model(tiny::config(), 400);
    let ids = tiny::some_ids(300);
    let (logits, found) = steps(&model, &ids, &[0; 8]).unwrap();
    let first = Step::new(&logits, found[0].token);
    assert_eq!((first.token, first.margin), (found[0].token, 0.0));

    // Its own greedy answer, one token at a time.
    let mut greedy = Vec::new();
    for at in 0..8 {
        greedy.push(0);
        greedy[at] = steps(&model, &ids, &greedy).unwrap().1[at].token;
    }
    let (_, own) = steps(&model, &ids, &greedy).unwrap();
    let gaps: Vec<f32> = own.iter().map(|step| step.gap).collect();
    assert_eq!(compare(&recorded(&greedy, &gaps), &own, 0.0).equal, 8);

    // Another answer at one place: found there, and the tokens before it are still equal.
    let mut changed = greedy.clone();
    changed[5] = (changed[5] + 1) % 300;
    let (_, other) = steps(&model, &ids, &changed).unwrap();
    let found = compare(&recorded(&changed, &gaps), &other, 0.0);
    assert_eq!(found.first.map(|first| first.at), Some(5));
    assert!(found.failures >= 1);
}
