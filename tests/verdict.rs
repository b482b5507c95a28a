//! Which questions are refused and why, which the readings answer: by the search, and with what the model says.

use crate::retrieval::{by_meaning, with_kinds};
use tomato_assistant::knowledge::{
    refusal::{Kinds, Planes, STATE, Why},
    verdict::{DETAIL, Evidence, KINDS, WHOLE},
};

/// Log odds for each kind by its plane, whatever is asked, with an example of it at `at`.
fn kinds(odds: [f32; 4], at: [f32; 3]) -> Kinds {
    let planes = odds.into_iter().flat_map(|odds| [0.0, 0.0, 0.0, odds]).collect();
    Kinds { planes: Planes::new(3, planes).unwrap(), examples: std::array::from_fn(|_| vec![at.into()]) }
}

/// As near as the first of the two entries.
const EVEN: [f32; 3] = [1.0, 0.0, 0.0];

#[test]
fn what_has_nothing_to_do_with_the_entries_is_off_topic() {
    assert!(
        by_meaning("aphids on the young shoots of my crop", [0.9, 0.1, 0.3], &[])
            .evidence
            .verdict(None)
            .refused
            .is_none()
    );
    // The same words, but the meaning is far away; the same meaning, but no word is known.
    assert!(by_meaning("young salty poets", [0.0, 0.1, 0.95], &[]).evidence.verdict(None).refused.is_some());
    assert!(by_meaning("capital of France", [0.3, 0.1, 0.9], &[]).evidence.verdict(None).refused.is_some());
}

#[test]
fn readings_out_of_range_let_a_vague_question_pass() {
    let found = by_meaning("what should I do now?", [0.0, 0.0, 1.0], &["ec_high"]);
    assert!(found.evidence.verdict(None).refused.is_none() && found.hits[0].index == 1, "{found:?}");
    assert!(by_meaning("what should I do now?", [0.0, 0.0, 1.0], &[]).evidence.verdict(None).refused.is_some());
    let vague = ("wilt young crop", [0.0, 0.6, 0.8]);
    let found = by_meaning(vague.0, vague.1, &["ec_high"]);
    assert!(found.evidence.verdict(None).refused.is_none() && found.hits[0].index == 1, "{found:?}");
    assert!(by_meaning(vague.0, vague.1, &[]).evidence.verdict(None).refused.is_some());
    // One unknown word is enough to ask for more.
    assert!(by_meaning("wilt poem crop", vague.1, &["ec_high"]).evidence.verdict(None).refused.is_some());
}

#[test]
fn what_lies_on_the_side_of_the_last_plane_asks_how_the_greenhouse_stands() {
    let state = |odds: f32, harm: f32| {
        with_kinds("is it too warm in here?", [0.9, 0.1, 0.3], &[], &kinds([-9.0, harm, -9.0, odds], EVEN))
            .evidence
            .verdict(None)
            .state
    };
    assert_eq!([state(1.0, -9.0), state(-1.0, -9.0), state(9.0, 9.0)], [true, false, false], "danger weighs more");
}

#[test]
fn an_example_nearer_than_any_entry_weighs_as_much_as_a_plane_and_one_far_away_takes_as_much() {
    let why = |kind: usize, at: [f32; 3], odds: f32| {
        let mut kinds = kinds(std::array::from_fn(|own| if own == kind { odds } else { -9.0 }), EVEN);
        kinds.examples[kind] = vec![[0.0, 0.0, 1.0].into(), at.into()];
        let found = with_kinds("aphids on the young shoots of my crop", [0.9, 0.1, 0.3], &[], &kinds);
        (found.evidence.verdict(None).refused, found.evidence.verdict(None).state)
    };
    let (near, far) = ([0.94, 0.1, 0.31], [0.0, -1.0, 0.0]);
    let [harm, unknown, state] = [1, 2, 3].map(|kind| why(kind, near, 0.0));
    assert_eq!((harm.0, unknown.0, state), (Some(Why::Unsafe), Some(Why::Unanswerable), (None, true)));
    // An entry is nearer: even what the plane holds for dangerous, or for the readings', has its answer.
    assert_eq!([0, 1, 2, 3].map(|kind| why(kind, far, 9.0)), [(None, false); 4]);
    // How near it is to what is off topic is one part of several.
    assert_eq!((why(0, near, 0.0).0, why(0, near, 30.0).0), (None, Some(Why::OffTopic)));
}

#[test]
fn what_lies_on_the_side_of_a_plane_is_refused_for_its_reason() {
    let why = |question: &str, signals: &[&str], odds: [f32; 3]| {
        let [topic, harm, unknown] = odds;
        with_kinds(question, [0.9, 0.1, 0.3], signals, &kinds([topic, harm, unknown, 0.0], EVEN))
            .evidence
            .verdict(None)
            .refused
    };
    let known = "aphids on the young shoots of my crop";
    assert_eq!([0.0, 30.0].map(|odds| why(known, &[], [odds, 0.0, 0.0])), [None, Some(Why::OffTopic)]);
    assert_eq!(why(known, &[], [0.0, 9.0, 0.0]), Some(Why::Unsafe));
    assert_eq!(why(known, &[], [0.0, 0.0, 9.0]), Some(Why::Unanswerable));
    // The likeliest reason is told; off topic where none is likely.
    assert_eq!(why(known, &[], [30.0, 9.0, 9.0]), Some(Why::OffTopic));
    assert_eq!(why(known, &[], [8.0, 9.0, 8.5]), Some(Why::Unsafe));
    assert_eq!(why(known, &[], [8.0, 8.5, 9.0]), Some(Why::Unanswerable));
    let foreign = Evidence { topic: 0.5, odds: [-9.0, -1.0, -2.0, -9.0], ..Evidence::default() };
    assert_eq!(foreign.verdict(None).refused, Some(Why::OffTopic));
    // The readings answer "what now?", but nothing makes a dangerous question harmless.
    assert_eq!(why("what should I do now?", &["ec_high"], [30.0, 0.0, 9.0]), None);
    assert_eq!(why("what should I do now?", &["ec_high"], [0.0, 9.0, 0.0]), Some(Why::Unsafe));
    assert!(why("what should I do now?", &["ec_high"], [30.0, 9.0, 0.0]).is_some());
    assert_eq!(why(known, &["ec_high"], [0.0, 0.0, 9.0]), Some(Why::Unanswerable));
    // Only what the words do not tell is the readings' to answer.
    let vague = |question: &str, vector| by_meaning(question, vector, &["ec_high"]).evidence.verdict(None).vague;
    assert!(vague("what should I do now?", [0.0, 0.0, 1.0]) && !vague("aphids on shoots", [0.9, 0.1, 0.3]));
}

/// Outputs of a head that is sure of one kind.
fn sure(kind: usize) -> [f32; KINDS] {
    std::array::from_fn(|own| if own == kind { 20.0 } else { -20.0 })
}

#[test]
fn the_model_has_a_say_in_what_is_refused() {
    // By the search alone it is answered, and nothing speaks for any kind.
    let evidence = Evidence { topic: 1.6, ..Evidence::default() };
    let said = |kind: usize| {
        let verdict = evidence.verdict(Some(&sure(kind)));
        (verdict.refused, verdict.state)
    };
    assert_eq!(evidence.verdict(None), Default::default());
    assert_eq!([said(WHOLE), said(DETAIL)], [(None, false); 2]);
    assert_eq!(said(STATE), (None, true));
    for why in Why::ALL {
        assert_eq!(said(why as usize), (Some(why), false));
    }
    // And in what is not, where the search alone is not sure.
    for why in [Why::Unsafe, Why::Unanswerable] {
        let mut evidence = evidence;
        evidence.odds[why as usize] = 2.0;
        assert_eq!(evidence.verdict(None).refused, Some(why));
        assert_eq!([WHOLE, DETAIL].map(|kind| evidence.verdict(Some(&sure(kind))).refused), [None; 2]);
    }
}

#[test]
fn whole_and_detail_together_weigh_against_the_other_kinds() {
    // Each as likely as a dangerous one, so together twice as likely: ln 2, and 1 that the model is too quick to say so, must be
    // outweighed.
    let mut even = [-20.0; KINDS];
    for kind in [WHOLE, DETAIL, Why::Unsafe as usize] {
        even[kind] = 3.0;
    }
    let refused = |odds: f32| {
        let mut evidence = Evidence { topic: 1.6, ..Evidence::default() };
        evidence.odds[Why::Unsafe as usize] = odds;
        evidence.verdict(Some(&even)).refused
    };
    assert_eq!((refused(1.6), refused(1.8)), (None, Some(Why::Unsafe)));
}

#[test]
fn a_head_that_says_nothing_sensible_is_not_listened_to() {
    let evidence = Evidence { topic: 1.6, ..Evidence::default() };
    let mut none = sure(Why::Unsafe as usize);
    none[WHOLE] = f32::NAN;
    for outputs in [&none[..], &sure(0)[1..], &[]] {
        assert_eq!(evidence.verdict(Some(outputs)), evidence.verdict(None), "{outputs:?}");
    }
}
