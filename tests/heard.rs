//! What the model says of a question's kind has its say in what becomes of the question, and costs what it costs.

use crate::{
    assistant::QUESTION,
    tiny_bundle::{HARMFUL, STATE_ASKED, judging_gently, sure_of, sure_of_kind},
};
use std::ops::ControlFlow;
use tomato_assistant::{
    answer::{Answer, Answerer, Question},
    bundle::Bundle,
    climate::{Quantity, Stage},
    headless::snapshot,
    knowledge::{
        refusal::{STATE, Why},
        verdict::{DETAIL, WHOLE},
    },
};

/// What the model of `bundle` answers while CO2 is read.
fn answer(bundle: &Bundle, text: &str) -> Answer {
    let snapshot = snapshot([(Quantity::Co2, 800.0)].into_iter()).unwrap();
    let question = Question { text: text.into(), snapshot, ..Question::default() };
    let mut answerer = Answerer::open(bundle, Stage::default()).unwrap();
    answerer.answer(&question, &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn a_question_is_refused_for_the_reason_that_the_model_is_sure_of() {
    for why in Why::ALL {
        let (_dir, bundle) = sure_of(why as usize);
        let refused = answer(&bundle, QUESTION);
        assert_eq!(refused.refused, Some(why));
        // The question was read, and nothing else.
        assert!((5..60).contains(&refused.stats.prompt_tokens), "{:?}", refused.stats);
        assert!(!refused.stats.reading.is_zero() && refused.stats.reading <= refused.stats.total);
    }
}

#[test]
fn what_the_model_is_sure_can_be_answered_is() {
    let (_plain_dir, plain) = judging_gently();
    assert_eq!(answer(&plain, HARMFUL).refused, Some(Why::Unsafe));
    assert!(answer(&plain, STATE_ASKED).by_readings);
    for kind in [WHOLE, DETAIL] {
        let (_dir, bundle) = sure_of(kind);
        assert_ne!(answer(&bundle, HARMFUL).refused, Some(Why::Unsafe));
        assert!(!answer(&bundle, STATE_ASKED).by_readings);
        // The same sentences as without being asked for the kind, and each token is counted once.
        let (asked, unasked) = (answer(&bundle, QUESTION), answer(&plain, QUESTION));
        assert_eq!((&asked.text, asked.refused), (&unasked.text, None));
        assert_eq!(asked.stats.prompt_tokens, unasked.stats.prompt_tokens);
    }
    let (_dir, bundle) = sure_of(STATE);
    assert!(answer(&bundle, STATE_ASKED).by_readings);
    // Where it asks for more they come first, whether they are good or not, and an entry follows.
    let more = answer(&bundle, QUESTION);
    assert!(more.readings_first && !more.by_readings && more.readings_note.starts_with("CO2 800 ppm"), "{more:?}");
    assert!(!more.references.is_empty() && !answer(&plain, QUESTION).readings_first);
    // Good readings are never all that is said to more, though no entry fits.
    let (_dir, bundle) = sure_of_kind(STATE, -40.0);
    let unsafe_to_say = answer(&bundle, "co2 now, is it safe?");
    assert!(
        unsafe_to_say.nearest_only && unsafe_to_say.readings_first && !unsafe_to_say.by_readings,
        "{unsafe_to_say:?}"
    );
}

#[test]
fn a_stop_is_felt_while_a_long_question_is_read() {
    let (_dir, bundle) = sure_of(WHOLE);
    let mut answerer = Answerer::open(&bundle, Stage::default()).unwrap();
    let question = Question { text: "why do my leaves curl up? ".repeat(40), ..Question::default() };
    let mut asked = 0;
    let answer = answerer.answer(&question, &mut |piece| {
        assert!(piece.is_empty(), "asked to stop, yet {piece:?} came");
        asked += 1;
        if asked == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let answer = answer.unwrap();
    assert!(answer.stopped && answer.text.is_empty() && answer.refused.is_none());
    assert_eq!((asked, answer.stats.prompt_tokens), (2, 128));
}
