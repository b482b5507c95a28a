//! The sentences that make an answer, from what the search and the model say of the references.

use tomato_assistant::{
    answer::choose::{Candidate, Choice, choose},
    knowledge::{Warning, retrieval::Near},
    text::Lang,
};

fn candidate(found: f32, scores: &[f32]) -> Candidate {
    let none = vec![0.0; scores.len()];
    Candidate { found, scores: scores.to_vec(), near: Near { asked: none.clone(), said: none } }
}

#[test]
fn a_detail_is_answered_by_the_one_sentence_and_the_rest_of_its_entry_follows() {
    let choice = choose(&[candidate(3.0, &[-4.0, 3.0, -3.0]), candidate(2.8, &[-5.0, -6.0])]);
    let expected = Choice { lead: vec![1], direct: vec![(0, vec![])], more: vec![0, 2], nearest_only: false };
    assert_eq!(choice, expected);
    assert_eq!(choice.shown(0).collect::<Vec<_>>(), [1]);
}

#[test]
fn the_lead_is_one_sentence_or_two_of_one_entry_and_what_else_answers_follows() {
    let choice = choose(&[candidate(3.0, &[0.3, -1.0, -3.0, -6.0, 0.5, -9.0]), candidate(2.9, &[-4.0, -4.0])]);
    let expected = Choice { lead: vec![4, 0], direct: vec![(0, vec![1])], more: vec![2, 3, 5], nearest_only: false };
    assert_eq!(choice, expected);
    assert_eq!(choice.shown(0).collect::<Vec<_>>(), [4, 0, 1]);
    // What is much better leads alone.
    assert_eq!(choose(&[candidate(3.0, &[0.0, 0.0, 0.0, 0.0, 4.5, -0.2])]).lead, [4]);
    // Another reference adds what belongs to the answer, after the first.
    let choice = choose(&[candidate(3.0, &[0.6, 0.0, 0.4, -9.0]), candidate(2.9, &[-4.0, 0.2, -9.0])]);
    assert_eq!((choice.lead, choice.direct), (vec![0, 2], vec![(0, vec![1]), (1, vec![1])]));
}

#[test]
fn the_model_may_pass_over_what_the_search_found_best() {
    let choice = choose(&[candidate(3.0, &[-4.0, -5.0]), candidate(2.9, &[-4.0, 3.0, -9.0])]);
    assert_eq!((choice.lead, choice.direct, choice.more), (vec![1], vec![(1, vec![])], vec![0, 2]));
    // Not when the search is sure.
    assert_eq!(choose(&[candidate(4.0, &[0.0, -5.0]), candidate(2.0, &[-4.0, 3.0])]).direct[0].0, 0);
}

#[test]
fn a_sentence_leads_that_is_known_to_answer_such_a_question() {
    let with = |asked: &[f32], own: Candidate| Candidate {
        near: Near { asked: asked.to_vec(), said: own.near.said.clone() },
        ..own
    };
    assert_eq!(choose(&[with(&[0.2, 0.9, 0.3], candidate(3.0, &[1.0, 0.0, 1.0]))]).lead, [1]);
    let elsewhere = with(&[0.8, 0.0], candidate(2.9, &[0.0, -9.0]));
    let choice = choose(&[candidate(3.0, &[1.0, 1.0, 1.0, 1.0]), elsewhere]);
    // The entry that the search found best is not lost for that.
    assert_eq!((choice.lead, choice.direct), (vec![0], vec![(1, vec![]), (0, vec![0, 1, 2, 3])]));
}

#[test]
fn a_sentence_leads_that_is_near_to_the_question_and_rarely_the_last() {
    let own = candidate(3.0, &[0.0, 0.0, 0.0, -9.0]);
    let near = Near { said: vec![0.2, 0.8, 0.2, 0.8], ..own.near.clone() };
    assert_eq!(choose(&[Candidate { near, ..own }]).lead, [1]);
    assert_eq!(choose(&[candidate(3.0, &[0.0, -9.0, 2.9])]).lead[0], 0);
    assert_eq!(choose(&[candidate(3.0, &[0.0, -9.0, 3.1])]).lead[0], 2);
}

#[test]
fn the_best_is_always_shown_and_called_the_nearest_where_it_hardly_answers() {
    let nearest_only = |candidates: &[Candidate]| {
        let choice = choose(candidates);
        assert!(!choice.lead.is_empty());
        choice.nearest_only
    };
    assert!(nearest_only(&[candidate(1.7, &[-1.5, -9.0]), candidate(1.6, &[-4.0])]));
    assert!(!nearest_only(&[candidate(1.7, &[-1.3, -9.0]), candidate(1.6, &[-4.0])]));
    // The same where the search found more.
    assert!(!nearest_only(&[candidate(1.8, &[-1.5, -9.0]), candidate(1.6, &[-4.0])]));
    // What another entry answers well is no mere neighbour.
    assert!(!nearest_only(&[candidate(1.7, &[-3.6, -3.7, -9.0]), candidate(1.65, &[0.2, 0.3, -9.0])]));
    // Not what is not shown: here a detail is asked for, and its sentence is known to be asked so.
    let near = Near { asked: vec![1.0, 0.0, 0.0], said: vec![0.0; 3] };
    assert!(nearest_only(&[Candidate { near, ..candidate(1.7, &[-6.0, -1.2, -9.0]) }]));
}

#[test]
fn nothing_to_choose_from_gives_nothing() {
    // A damaged bundle's search may give numbers that are none; there is an answer all the same.
    for found in [f32::INFINITY, f32::NAN] {
        let choice = choose(&[candidate(found, &[1.0, 2.0])]);
        assert!(!choice.lead.is_empty() && choice.nearest_only);
    }
    assert_eq!(choose(&[]), Choice::default());
    assert_eq!(choose(&[candidate(1.0, &[])]), Choice::default());
}

#[test]
fn a_warning_comes_with_what_needs_it_and_brings_its_own() {
    let sentences =
        ["Heat and vent.", "Never run exhaust fans with a flue heater.", "Pick leaves.", "Open a window first."];
    let warning = |sentence: usize, with: usize| Warning {
        sentence: sentences[sentence].into(),
        with: vec![sentences[with].into()],
    };
    let warnings = [warning(3, 1), warning(1, 0)];
    let mut choice = Choice { direct: vec![(0, vec![0])], more: vec![1, 2, 3], ..Choice::default() };
    choice.add_warnings(0, &sentences, &warnings);
    assert_eq!(choice, Choice { direct: vec![(0, vec![0, 1, 3])], more: vec![2], ..Choice::default() });
    let mut harmless = Choice { direct: vec![(0, vec![2])], more: vec![0, 1, 3], ..Choice::default() };
    harmless.add_warnings(0, &sentences, &warnings);
    assert_eq!(harmless.direct, [(0, vec![2])]);
    // Whoever reads the lead alone must read what it needs.
    let mut lead = Choice { lead: vec![0], direct: vec![(0, vec![1, 2])], more: vec![3], nearest_only: false };
    lead.add_warnings(0, &sentences, &warnings);
    assert_eq!(lead, Choice { lead: vec![0, 1, 3], direct: vec![(0, vec![2])], more: vec![], nearest_only: false });
    // Each stands behind what needs it.
    let mut two = Choice { lead: vec![0, 2], direct: vec![(0, vec![])], more: vec![1, 3], nearest_only: false };
    two.add_warnings(0, &sentences, &warnings);
    assert_eq!(two.lead, [0, 1, 3, 2]);
    // What stands in the lead is not said again below.
    let mut above = Choice { lead: vec![1, 3], direct: vec![(0, vec![0])], more: vec![2], nearest_only: false };
    above.add_warnings(0, &sentences, &warnings);
    assert_eq!(above, Choice { lead: vec![1, 3], direct: vec![(0, vec![0])], more: vec![2], nearest_only: false });
}

#[test]
fn a_lead_is_understood_without_the_rest() {
    let sentences = ["Rinse the probe.", "Wait until it stands still.", "Then set the value.", "So it stays."];
    let completed = |lead: &[usize], rest: &[usize], more: &[usize]| {
        let mut choice =
            Choice { lead: lead.into(), direct: vec![(0, rest.into())], more: more.into(), ..Choice::default() };
        choice.complete_lead(&sentences, |sentence| Lang::En.goes_on(sentence));
        (choice.lead, choice.direct[0].1.clone(), choice.more)
    };
    assert_eq!(completed(&[2], &[0, 1], &[3]), (vec![1, 2], vec![0], vec![3]));
    assert_eq!(completed(&[2, 1], &[], &[0, 3]), (vec![1, 2], vec![], vec![0, 3]), "in its order");
    assert_eq!(completed(&[2, 3], &[], &[0, 1]), (vec![1, 2, 3], vec![], vec![0]));
    assert_eq!(completed(&[3], &[2], &[0, 1]), (vec![1, 2, 3], vec![], vec![0]), "as far back as it takes");
    assert_eq!(completed(&[0], &[1], &[2, 3]), (vec![0], vec![1], vec![2, 3]));
}
