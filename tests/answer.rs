//! Answers put together from judged sentences: word for word, with the right marks, refused when nothing is chosen, and
//! stopped when asked. How sentences are chosen is not tested here.

use crate::{
    assistant::QUESTION,
    tiny_bundle::{HARMFUL, STATE_ASKED, bundle, judging, some_vector},
};
use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    time::Duration,
};
use tomato_assistant::{
    answer::{Advice, Answer, Answerer, Further, LONGEST_QUESTION, PARAGRAPH, Question, Reference},
    bundle::Bundle,
    climate::{Measure, NoData, Period, Quantity, Stage, Targets, assess},
    engine::CONTEXT,
    headless::snapshot,
    knowledge::{Knowledge, refusal::Why, sentences::sentences},
    text::{Lang, Msg},
};

fn ask(text: &str) -> Question {
    Question { text: text.into(), ..Question::default() }
}

/// The answer, and what came while it was made.
fn answer(answerer: &mut Answerer, text: &str) -> (Answer, Vec<String>) {
    let mut pieces = Vec::new();
    let answer = answerer.answer(&ask(text), &mut |piece| {
        pieces.extend((!piece.is_empty()).then(|| piece.to_owned()));
        ControlFlow::Continue(())
    });
    (answer.unwrap(), pieces)
}

/// An answerer whose model scores at random.
fn answerer() -> Answerer {
    let (_dir, bundle) = judging(&some_vector(), 0.0);
    Answerer::open(&bundle, Stage::default()).unwrap()
}

/// One whose model finds all sentences right.
fn credulous() -> Answerer {
    let (_dir, bundle) = judging(&vec![0.0; some_vector().len()], 1000.0);
    Answerer::open(&bundle, Stage::default()).unwrap()
}

fn outputs() -> HashMap<String, String> {
    let knowledge = Knowledge::parse(include_str!("../data/tomato_qa_dataset.json")).unwrap();
    knowledge.entries().iter().map(|entry| (entry.id.clone(), entry.output.clone())).collect()
}

/// Every sentence of `answer` is one of the entry it is said to be from, and is there as considered and chosen; in each paragraph
/// but the first they stand in the entry's order.
fn is_verbatim(answer: &Answer) {
    let outputs = outputs();
    let further = answer.further.iter().map(|further| further.sentences.join(" "));
    let paragraphs = answer.text.split(PARAGRAPH).skip(1).map(|text| (0, text.to_owned()));
    for (number, text) in paragraphs.chain(further.enumerate().map(|(number, text)| (number + 1, text))) {
        let output = &outputs[&answer.references[number].id];
        let places = sentences(&text).map(|sentence| output.find(sentence).unwrap());
        assert!(places.is_sorted(), "{text:?} in the order of {output:?}");
    }
    let mut blocks = vec![sentences(&answer.text).collect::<Vec<_>>()];
    for (number, further) in answer.further.iter().enumerate() {
        assert_eq!((further.citation, &further.reference), (number + 2, &answer.references[number + 1]));
        blocks.push(further.sentences.iter().map(String::as_str).collect());
    }
    assert_eq!(blocks.len(), answer.references.len());
    for (reference, own) in answer.references.iter().zip(blocks) {
        assert!(!own.is_empty(), "{reference:?} is cited for nothing");
        let considered = answer.considered.iter().find(|considered| considered.id == reference.id).unwrap();
        let of: Vec<&str> = considered.sentences.iter().map(|judged| judged.text.as_str()).collect();
        assert_eq!(of, sentences(&outputs[&reference.id]).collect::<Vec<_>>(), "{}", reference.id);
        let chosen = considered.sentences.iter().filter(|judged| judged.chosen).map(|judged| judged.text.as_str());
        let sorted = |mut all: Vec<&str>| {
            all.sort_unstable();
            all.join("\n")
        };
        assert_eq!(sorted(own), sorted(chosen.collect()));
    }
    let cited = |id: &str| answer.references.iter().any(|reference| reference.id == id);
    // The rest of the first entry is not lost.
    if let Some(first) = answer.references.first() {
        let considered = answer.considered.iter().find(|considered| considered.id == first.id).unwrap();
        let rest = considered.sentences.iter().filter(|judged| !judged.chosen).map(|judged| judged.text.as_str());
        assert_eq!(answer.more, rest.collect::<Vec<_>>().join(" "));
    }
    let uncited = answer.considered.iter().filter(|considered| !cited(&considered.id));
    assert!(uncited.flat_map(|considered| &considered.sentences).all(|judged| !judged.chosen));
}

#[test]
fn what_is_shown_is_word_for_word_what_was_chosen() {
    let mut answerer = answerer();
    for question in [QUESTION, "aphids on the young shoots, what now?", "EC too high in the slab"] {
        let (answer, pieces) = answer(&mut answerer, question);
        assert!(!answer.fallback && answer.refused.is_none() && !answer.stopped, "{answer:?}");
        is_verbatim(&answer);
        assert_eq!(pieces.concat(), answer.text);
        assert_eq!(pieces.len(), sentences(&answer.text).count(), "a sentence at a time");
        let judged: Vec<_> = answer.considered.iter().flat_map(|considered| &considered.sentences).collect();
        assert!(judged.iter().all(|judged| judged.score.is_some_and(f32::is_finite)));
        assert!(judged.iter().any(|judged| judged.chosen) && judged.iter().any(|judged| !judged.chosen));
        let found: Vec<f32> = answer.considered.iter().map(|considered| considered.found).collect();
        assert!(found.is_sorted_by(|a, b| a >= b) && found.len() <= 3, "best found first: {found:?}");
        let stats = &answer.stats;
        assert!(stats.prompt_tokens > 100 && stats.prompt_tokens <= CONTEXT && stats.tokens == 0);
        assert!(!stats.reading.is_zero() && stats.reading <= stats.time_to_first_token);
        assert!(stats.time_to_first_token <= stats.total && stats.read_per_second() > 0.0);
    }
}

#[test]
fn what_is_not_about_tomatoes_is_refused_unread() {
    // This model was not trained to tell kinds of questions, so it is not asked.
    let (answer, pieces) = answer(&mut answerer(), "zebra opera parliament");
    assert!(
        answer.refused == Some(Why::OffTopic)
            && !answer.fallback
            && answer.references.is_empty()
            && answer.further.is_empty()
    );
    assert_eq!((&answer.text, pieces.concat()), (&Lang::En.say(&Msg::Refusal(Why::OffTopic)), answer.text.clone()));
    assert!(answer.considered.is_empty() && answer.more.is_empty());
    // What the search found nearest can be read all the same.
    assert_eq!(answer.nearest.len(), 3);
    assert!(answer.stats.prompt_tokens == 0 && answer.stats.reading.is_zero() && answer.mark().is_empty());
    let harmful = with_readings(&mut answerer(), HARMFUL, &[(Quantity::Ec, 9.0)]);
    assert_eq!((harmful.refused, harmful.text), (Some(Why::Unsafe), Lang::En.say(&Msg::Refusal(Why::Unsafe))));
}

/// What is answered while these are the readings.
fn with_readings(answerer: &mut Answerer, text: &str, readings: &[(Quantity, f32)]) -> Answer {
    let snapshot = snapshot(readings.iter().copied()).unwrap();
    answerer.answer(&Question { snapshot, ..ask(text) }, &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn readings_far_out_of_range_bring_their_remedies() {
    let mut answerer = answerer();
    let salty = [(Quantity::Ec, 9.0), (Quantity::Ph, 8.0), (Quantity::SubstrateMoisture, 20.0)];
    let answer = with_readings(&mut answerer, QUESTION, &salty);
    let on: Vec<&str> = answer.advice.iter().map(|advice| advice.on.as_str()).collect();
    // The two most serious of the three.
    assert_eq!(on, ["EC far above its range: what to do", "pH far above its range: what to do"]);
    let outputs = outputs();
    for Advice { says, .. } in &answer.advice {
        assert_eq!(answer.references[says.citation - 1], says.reference);
        assert!(says.sentences.iter().all(|sentence| outputs[&says.reference.id].contains(sentence)), "{says:?}");
    }
    assert!(!answer.readings_first);
    // What is merely out of range is told, and no more.
    let answer = with_readings(&mut answerer, QUESTION, &[(Quantity::Ec, 3.6)]);
    assert!(answer.advice.is_empty() && !answer.readings_note.is_empty());
    // A question about nothing else is answered by them first; a refused one is not left without them.
    assert!(with_readings(&mut answerer, "what should I do now?", &salty).readings_first);
    let refused = with_readings(&mut answerer, "zebra opera parliament", &salty);
    assert!(refused.refused.is_some() && refused.advice.len() == 2 && refused.mark().is_empty());
    // What is cited is not offered a second time.
    assert!(refused.nearest.iter().all(|near| !refused.references.contains(near)), "{refused:?}");
    // People first, however far off the rest is.
    let foul = with_readings(&mut answerer, QUESTION, &[salty[0], salty[1], (Quantity::Co2, 5000.0)]);
    assert!(foul.advice[0].on.starts_with("CO2 far above"), "{:?}", foul.advice);
}

#[test]
fn how_the_greenhouse_stands_is_told_by_the_readings_alone() {
    let mut answerer = answerer();
    let fine = [(Quantity::Co2, 700.0), (Quantity::Ph, 5.8)];
    let answer = with_readings(&mut answerer, STATE_ASKED, &fine);
    assert!(answer.by_readings && answer.refused.is_none() && answer.considered.is_empty(), "{answer:?}");
    assert!(!answer.readings_first, "they are the answer, and stand there once");
    assert_eq!(answer.text, "All 2 measured values are within their ranges.");
    assert!(
        answer.readings_note.starts_with("CO2 700 ppm: within") && !answer.readings_note.contains("pH"),
        "{answer:?}"
    );
    // Nothing is cited, but there is something to read.
    assert!(answer.mark().is_empty() && answer.references.is_empty() && answer.nearest.len() == 3);
    // What is asked about and not measured is not called good.
    let unmeasured = with_readings(&mut answerer, STATE_ASKED, &fine[1..]);
    let expected = "CO2 is not measured here. What is measured is within its range.";
    assert!(unmeasured.by_readings && unmeasured.text == expected, "{unmeasured:?}");
    let unread = answerer.answer(&ask(STATE_ASKED), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(unread.text, "CO2 is not measured here.");
    // A question for more than readings can tell is not answered by them, however much it sounds so.
    for question in ["co2 now, is it safe?", "what should I do now?"] {
        assert!(!with_readings(&mut answerer, question, &fine).by_readings, "{question}");
    }
}

#[test]
fn the_state_of_all_readings_is_one_sentence() {
    let state = |readings: &[(Quantity, f32)], lost: &[Quantity], unmeasured: &[Measure]| {
        let mut snapshot = snapshot(readings.iter().copied()).unwrap();
        lost.iter().for_each(|&quantity| snapshot.set(quantity, Err(NoData::Stale)));
        let targets = Targets::parse(include_str!("../data/targets.toml")).unwrap();
        Lang::En.say(&Msg::State(&assess(&snapshot, &targets, Stage::Fruiting, Period::Day), unmeasured))
    };
    let assessment = |readings: &[(Quantity, f32)], lost: &[Quantity]| state(readings, lost, &[]);
    let off = [(Quantity::Ec, 9.0), (Quantity::Ph, 5.8)];
    assert_eq!(assessment(&off, &[]), "1 of 2 measured values is out of range.");
    let lost = "1 of 2 measured values is out of range. 1 sensor gives no reading.";
    assert_eq!(assessment(&off, &[Quantity::Co2]), lost);
    assert_eq!(
        assessment(&[], &[Quantity::Co2, Quantity::Ec]),
        "There is nothing to judge. 2 sensors give no reading."
    );
    assert_eq!(assessment(&off[1..], &[]), "What is measured is within its range.");
    // Light at night is neither good nor bad.
    let night = [(Quantity::LightPpfd, 0.0), (Quantity::Dli, 20.0)];
    assert_eq!(assessment(&night[..1], &[]), "1 of 1 measured values is out of range.");
    assert_eq!(assessment(&night, &[]), "What is measured is within its range.");
}

#[test]
fn advice_that_stood_in_the_rest_of_the_answer_goes_with_the_readings() {
    let salty = [(Quantity::Ec, 9.0)];
    let question = "EC in my substrate is far too high. How do I bring it down safely?";
    // The tiny model scores at random: some of the remedy's sentences are chosen, some are not.
    let answer = with_readings(&mut answerer(), question, &salty);
    assert_eq!(answer.references[0].id, "nutrition-ec-too-high-substrate");
    let advised: Vec<&String> = answer.advice.iter().flat_map(|advice| &advice.says.sentences).collect();
    assert!(!advised.is_empty() && answer.advice[0].says.citation == 1, "{answer:?}");
    assert!(advised.iter().all(|sentence| !answer.text.contains(*sentence) && !answer.more.contains(*sentence)));
    let all =
        [answer.text.as_str(), &answer.more, &advised.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(" ")];
    let told: usize = all.iter().map(|text| sentences(text).count()).sum();
    assert_eq!(told, sentences(&outputs()[&answer.references[0].id]).count(), "nothing twice, nothing lost");
    // A stopped answer is left as it is.
    let mut shown = 0;
    let snapshot = snapshot(salty.into_iter()).unwrap();
    let stopped = answerer().answer(&Question { snapshot, ..ask(QUESTION) }, &mut |piece| {
        shown += usize::from(!piece.is_empty());
        if shown == 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let stopped = stopped.unwrap();
    assert!(stopped.stopped && stopped.advice.is_empty() && stopped.references.len() == 1, "{stopped:?}");
}

#[test]
fn a_remedy_that_is_shown_already_is_not_repeated() {
    let question = "EC in my substrate is far too high. How do I bring it down safely?";
    // All sentences of the remedy's entry are chosen.
    let answer = with_readings(&mut credulous(), question, &[(Quantity::Ec, 9.0)]);
    let cited: Vec<&str> = answer.references.iter().map(|reference| reference.id.as_str()).collect();
    assert!(cited.contains(&"nutrition-ec-too-high-substrate"), "{cited:?}");
    assert!(answer.advice.is_empty(), "{:?}", answer.advice);
    assert_eq!(cited.iter().collect::<HashSet<_>>().len(), cited.len());
}

#[test]
fn what_the_model_finds_right_in_other_entries_stands_apart_under_their_questions() {
    let (answer, _) = answer(&mut credulous(), QUESTION);
    is_verbatim(&answer);
    assert!(
        answer.references.len() > 1 && answer.references.len() == answer.considered.len() && answer.more.is_empty()
    );
    // What is right for another entry's question may be wrong for this one: it must not run on in one paragraph.
    assert_eq!(sentences(&answer.text).count(), sentences(&outputs()[&answer.references[0].id]).count());
    let further: Vec<String> = answer.further.iter().map(|further| further.sentences.join(" ")).collect();
    let others = answer.references[1..].iter().map(|one| outputs()[&one.id].clone());
    assert_eq!(further, others.collect::<Vec<_>>());
}

#[test]
fn an_answer_that_no_sentence_clearly_gives_says_so() {
    // Every sentence gets the head's bias.
    for (bias, nearest_only) in [(0.0, false), (-40.0, true)] {
        let (_dir, bundle) = judging(&vec![0.0; some_vector().len()], bias);
        let (answer, _) = answer(&mut Answerer::open(&bundle, Stage::default()).unwrap(), QUESTION);
        is_verbatim(&answer);
        assert_eq!((answer.nearest_only, answer.refused, answer.fallback), (nearest_only, None, false));
    }
}

#[test]
fn a_vague_question_that_no_entry_answers_is_answered_by_what_is_out_of_range() {
    let salty = [(Quantity::Ec, 9.0), (Quantity::Ph, 8.0)];
    for (bias, by_readings) in [(0.0, false), (-40.0, true)] {
        let (_dir, bundle) = judging(&vec![0.0; some_vector().len()], bias);
        let mut answerer = Answerer::open(&bundle, Stage::default()).unwrap();
        let answer = with_readings(&mut answerer, "what should I do now?", &salty);
        assert_eq!(
            (answer.by_readings, answer.readings_first, answer.nearest_only),
            (by_readings, !by_readings, false)
        );
        let unclear =
            answer.text.starts_with("None of") && answer.text.ends_with("2 of 2 measured values are out of range.");
        assert_eq!(unclear, by_readings, "{}", answer.text);
        assert_eq!((answer.advice.len(), answer.nearest.is_empty()), (2, !by_readings));
        assert!(!by_readings || answer.further.is_empty() && answer.more.is_empty() && answer.mark().is_empty());
        let plain = with_readings(&mut answerer, "is it all right in there?", &salty);
        assert!(!by_readings || plain.by_readings && plain.text == "2 of 2 measured values are out of range.");
        // A question that says what it is about gets its entry, labelled.
        let clear = with_readings(&mut answerer, QUESTION, &salty);
        assert!(!clear.by_readings && clear.nearest_only == by_readings);
    }
}

#[test]
fn scores_that_are_no_numbers_show_the_best_entry_whole() {
    let vector: Vec<f32> = some_vector().iter().map(|value| value.signum() * f32::MAX).collect();
    let (_dir, bundle) = judging(&vector, 0.0);
    shows_the_best_entry_whole(&bundle);
}

#[test]
fn without_a_head_the_best_entry_is_shown_whole() {
    shows_the_best_entry_whole(bundle());
}

fn shows_the_best_entry_whole(bundle: &Bundle) {
    let mut answerer = Answerer::open(bundle, Stage::default()).unwrap();
    let (answer, pieces) = answer(&mut answerer, QUESTION);
    assert!(answer.fallback && answer.refused.is_none() && !answer.nearest_only);
    is_verbatim(&answer);
    assert_eq!(answer.references.len(), 1);
    assert_eq!((&answer.text, answer.more.as_str()), (&outputs()[&answer.references[0].id], ""));
    assert_eq!((answer.considered[0].id.as_str(), pieces.concat()), (answer.references[0].id.as_str(), answer.text));
    assert!(answer.considered.iter().flat_map(|considered| &considered.sentences).all(|judged| judged.score.is_none()));
}

#[test]
fn a_stop_while_reading_shows_nothing() {
    let mut answerer = answerer();
    let mut asked = 0;
    let answer = answerer.answer(&ask(QUESTION), &mut |piece| {
        assert!(piece.is_empty(), "asked to stop, yet {piece:?} came");
        asked += 1;
        if asked == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let answer = answer.unwrap();
    assert!(answer.stopped && answer.refused.is_none() && answer.text.is_empty() && answer.references.is_empty());
    assert_eq!(asked, 2);
    // What it cost is what it cost up to there: one part of the prompt, and no words.
    assert_eq!((answer.stats.prompt_tokens, answer.stats.time_to_first_token), (128, Duration::ZERO));
    assert!(!Lang::En.say(&Msg::Cost(&answer.stats)).contains("first"));
}

#[test]
fn a_stop_in_the_answer_keeps_what_was_shown() {
    let mut answerer = credulous();
    let mut shown = Vec::new();
    let answer = answerer.answer(&ask(QUESTION), &mut |piece| {
        shown.extend((!piece.is_empty()).then(|| piece.to_owned()));
        if shown.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let answer = answer.unwrap();
    assert!(answer.stopped && answer.refused.is_none(), "{answer:?}");
    assert_eq!((shown.concat(), shown.len()), (answer.text.clone(), 2));
    assert_eq!(sentences(&answer.text).count(), 2);
    assert!(answer.references.len() == 1 && answer.further.is_empty() && answer.more.is_empty(), "{answer:?}");
}

#[test]
fn a_long_question_takes_the_place_of_the_last_references() {
    let mut answerer = answerer();
    // The tiny tokenizer has hardly more than letters. What is said beyond the encoder's last position finds nothing more.
    let mut left = |signs: usize| {
        let (answer, _) = answer(&mut answerer, &QUESTION.repeat(signs / QUESTION.len()));
        assert!(answer.stats.prompt_tokens <= CONTEXT && answer.refused.is_none());
        assert_eq!(answer.dropped_references, 3 - answer.considered.len());
        answer.considered.into_iter().map(|considered| considered.id).collect::<Vec<_>>()
    };
    let (two, one) = (left(1000), left(1950));
    assert_eq!((two.len(), one.len()), (2, 1));
    assert_eq!(one, two[..1], "the lowest ranked goes first");
    let too_long = answerer.answer(&ask(&"?".repeat(LONGEST_QUESTION)), &mut |_| ControlFlow::Continue(()));
    assert!(too_long.is_err() || too_long.unwrap().refused.is_some());
}

#[test]
fn a_block_is_marked_with_the_number_of_its_reference() {
    let reference = Reference { id: "b".into(), title: "T".into() };
    let further =
        Further { reference: reference.clone(), citation: 2, sentences: vec!["Is it?".into(), "Pick.".into()] };
    assert_eq!(further.marked(), "Is it? Pick. [2]");
    let answer = Answer { text: "Water!".into(), references: vec![reference], ..Answer::default() };
    assert_eq!((answer.mark(), Answer::default().mark()), (" [1]", ""));
    let both = Answer { text: format!("Now.{PARAGRAPH}Then.{PARAGRAPH}Last."), lead: 4, ..Answer::default() };
    assert_eq!(both.paragraphs(), ("Now.", format!("Then.{PARAGRAPH}Last.").as_str()));
    assert_eq!(
        (answer.paragraphs(), Answer { lead: 6, ..answer.clone() }.paragraphs()),
        (("", "Water!"), ("Water!", ""))
    );
}

#[test]
fn the_entries_sentences_make_the_entries() {
    for (id, output) in outputs() {
        assert_eq!(sentences(&output).collect::<Vec<_>>().join(" "), output, "{id}");
    }
}
