//! The checks of the question sets: each complains about a small bad example, and knows what leaked.

use crate::{
    check_data::{answering, entry, root},
    stages::{
        check_data::{
            Data,
            sets::{self, Split},
        },
        questions::{self, Basis, Narrow, Question},
    },
};
use serde_json::{Value, json};
use std::{fs, ops::RangeInclusive};
use tempfile::tempdir;

/// Facts of a question in the measuring sets.
const FACTS: RangeInclusive<usize> = 2..=4;

/// A good question of kind `plain`, answered by the entry `a`, with the given fields replaced; null takes one away.
fn question(changes: Value) -> Question {
    let mut question = json!({
        "id": "t-001", "category": "troubleshooting", "question": "velvet below the leaves?", "kind": "plain",
        "entries": ["a"],
        "facts": [
            {"sentence": "Vent early.", "patterns": ["vent\\s+early"]},
            {"sentence": "It needs moist air.", "patterns": ["above\\s+85"]},
        ],
    });
    question.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    serde_json::from_value(question).unwrap()
}

fn with(base: &Value, key: &str, value: Value) -> Value {
    let mut changed = base.clone();
    changed[key] = value;
    changed
}

#[test]
fn question_sets_have_their_size() {
    let data = Data::read(root()).unwrap();
    let (Data { validation, test, .. }, complaints) = (&data, sets::counts(&data.test, &data.validation));
    assert!(sets::counts(validation, test).is_empty());
    assert_eq!(data.narrow_development.len(), 240);
    // Only what leads over to the next sentence has no question.
    let unasked = |sentences: &[Narrow]| sets::unasked(&[&data.narrow, sentences], &data.entries).len();
    assert_eq!((unasked(&data.sentences), unasked(&data.sentences[1..])), (4, 5));
    assert_eq!(complaints.len(), 4, "{complaints:?}");
}

#[test]
fn each_test_question_is_asked_in_other_words_too() {
    let data = Data::read(root()).unwrap();
    assert_eq!(sets::variants(&data.variants, &data.test), Vec::<String>::new());
    let lacking = sets::variants(&data.variants[1..], &data.test);
    assert!(lacking.len() == 1 && lacking[0].starts_with(&data.variants[0].1.id), "{lacking:?}");
    let mut copied = data.variants.clone();
    copied[2].1.question = data.test[0].question.to_uppercase();
    assert_eq!(sets::variants(&copied, &data.test).len(), 1);
}

#[test]
fn each_kind_of_question_has_what_it_needs() {
    let a = [entry("a", json!({}))];
    let faults = |changes: Value| sets::forms(&[question(changes)], FACTS, &a);
    let readings = json!({"kind": "readings", "stage": "fruiting", "readings": {"ec": 6.2}});
    let refuse = json!({"kind": "refuse", "why": "off_topic", "category": null, "entries": [], "facts": []});
    for good in [json!({}), readings.clone(), refuse.clone()] {
        assert_eq!(faults(good), Vec::<String>::new());
    }
    for (bad, words) in [
        (json!({"question": " "}), "asks nothing"),
        (json!({"category": null}), "a category"),
        (json!({"why": "off_topic"}), "`why`"),
        (json!({"readings": {"ec": 2.0}}), "readings belong"),
        (json!({"stage": "fruiting"}), "a stage"),
        (json!({"entries": []}), "entries belong"),
        (json!({"entries": ["b"]}), "does not exist"),
        (json!({"entries": ["a", "a"]}), "twice"),
        (json!({"facts": []}), "0 facts, must be 2 to 4"),
        (with(&refuse, "facts", json!([{"sentence": "No.", "patterns": ["no"]}])), "1 facts"),
        (with(&readings, "stage", json!(null)), "a stage"),
        (with(&readings, "readings", json!({})), "readings belong"),
        (with(&readings, "readings", json!({"ec": 62.0})), "cannot be true"),
        (with(&refuse, "why", json!(null)), "`why`"),
        (with(&refuse, "entries", json!(["a"])), "entries belong"),
        (with(&refuse, "category", json!("troubleshooting")), "a category"),
    ] {
        let found = faults(bad.clone());
        assert!(found.len() == 1 && found[0].contains(words), "{bad}: {found:?}");
    }
    let twice = [question(json!({})), question(json!({}))];
    assert_eq!(sets::forms(&twice, FACTS, &a).len(), 1);
    // Both ends of the range count; a set of details has one fact a question.
    assert!(sets::forms(&twice[..1], 1..=2, &a).is_empty() && sets::forms(&twice[..1], 2..=2, &a).is_empty());
    assert_eq!(sets::forms(&twice[..1], 1..=1, &a).len(), 1);
    assert_eq!(sets::forms(&twice[..1], 3..=9, &a).len(), 1);
}

#[test]
fn facts_stand_in_their_entries_and_patterns_say_something() {
    let data: Vec<_> = ["a", "b", "c"].map(|id| entry(id, json!({"output": format!("Only {id} says so.")}))).into();
    let faults = |facts: Value| sets::facts(&[question(json!({ "facts": facts }))], &data);
    let of = |pattern: &str| json!([{"sentence": "A fact.", "patterns": [pattern]}]);
    assert!(faults(of("ONLY A")).is_empty());
    for (pattern, words) in [
        ("(only a", "unclosed group"),
        (".*", "matches anything"),
        ("says so", "3 of 3 answers"),
        ("only b", "no listed entry"),
    ] {
        let found = faults(of(pattern)).join("\n");
        assert!(found.contains(words), "{pattern}: {found}");
    }
    assert!(!faults(json!([{"sentence": "A fact.", "patterns": []}])).is_empty());
    let reading = json!([{"sentence": "6.2 is high.", "patterns": ["6\\.2"], "from": "readings"}]);
    assert_eq!(faults(reading.clone()).len(), 1);
    let asked = question(json!({"kind": "readings", "readings": {"ec": 6.2}, "stage": "fruiting", "facts": reading}));
    assert_eq!(asked.facts[0].from, Basis::Readings);
    assert!(sets::facts(&[asked], &data).is_empty());
}

#[test]
fn questions_that_leaked_are_found() {
    let known = entry("a", json!({"paraphrases": ["black leathery patch on the fruit bottom", "b", "c", "d"]}));
    let leaks = |test: &str, tuning: &str| {
        let secret = [question(json!({ "question": test }))];
        let tuning = [question(json!({"id": "d-001", "question": tuning}))];
        Split::new(&[&secret], &tuning, &[], &[], std::slice::from_ref(&known)).leakage().len()
    };
    assert_eq!(leaks("Why is it black?", "who won the football?"), 0);
    // Other order and signs; one word of six more; a whole wording inside a longer question; both ways.
    assert_eq!(leaks("patch on the fruit bottom, black, leathery?", "-"), 1);
    assert_eq!(leaks("a black leathery patch on the fruit bottom", "-"), 1);
    assert_eq!(
        leaks("help, black leathery patch on the fruit bottom since june, tried all, what else could it be?", "-"),
        1
    );
    assert_eq!(
        leaks("Who won the football last night", "well who won the football last night in the cup final here"),
        1
    );
    assert_eq!(leaks("what now", "what now my friend, what is it that I should do"), 0);
    // Between the secret sets themselves.
    let (one, two) = ([question(json!({}))], [question(json!({"id": "v-01"}))]);
    assert_eq!(Split::new(&[&one, &two], &[], &[], &[], &[]).leakage().len(), 1);
}

#[test]
fn a_question_in_another_category_than_its_entry_is_worth_a_look() {
    let a = [entry("a", json!({}))];
    assert!(sets::elsewhere(&[question(json!({}))], &a).is_empty());
    assert_eq!(sets::elsewhere(&[question(json!({"category": "nutrition_growth"}))], &a).len(), 1);
}

fn labelled(entry: &str, question: &str, answer: &[&str]) -> Narrow {
    let answer = answer.iter().map(|sentence| sentence.to_string()).collect();
    Narrow { entry: entry.into(), question: question.into(), answer }
}

#[test]
fn labelled_questions_are_answered_by_their_entry() {
    let entries = answering(&["Water at dawn. Vent at noon. Pick at night."]);
    let id = entries[0].id.as_str();
    let good = [
        labelled(id, "when to water", &["Water at dawn."]),
        labelled(id, "when to vent", &["Vent at noon."]),
        labelled(id, "what first", &["Water at dawn.", "Vent at noon."]),
        labelled(id, "and at noon?", &["Vent at noon."]),
    ];
    let complaints = |questions: &[Narrow]| sets::labelled("narrow", questions, (4, 1..=2), &entries);
    assert_eq!(complaints(&good), Vec::<String>::new());
    assert_eq!(complaints(&good[1..]), [format!("{id}: fewer than 4 narrow questions")]);
    for (question, answer, words) in [
        ("When to WATER", &["Water at dawn."][..], "twice"),
        (" ", &["Water at dawn."], "asks nothing"),
        ("when?", &["Water at dusk."], "no sentence of a is \"Water at dusk.\""),
        ("when?", &["Vent at noon.", ""], "no sentence of a is \"\""),
        // Its full stop was lost; two in one.
        ("when?", &["Vent at noon"], "no sentence of a is \"Vent at noon\""),
        ("when?", &["Water at dawn. Vent at noon."], "no sentence of a is \"Water at dawn. Vent at noon.\""),
        ("when?", &[], "0 sentences answer it, must be 1 to 2"),
        ("when?", &["Water at dawn.", "Vent at noon.", "Pick at night."], "3 sentences answer it, must be 1 to 2"),
    ] {
        let found = complaints(&[&good[..], &[labelled(id, question, answer)]].concat());
        assert!(found.len() == 1 && found[0].contains(words), "{question}: {found:?}");
    }
    let unknown = complaints(&[&good[..], &[labelled("x", "when?", &["Vent at noon."])]].concat());
    assert!(unknown.len() == 1 && unknown[0].contains("no entry x"), "{unknown:?}");
    // Other numbers, another name.
    let short = sets::labelled("broad", &good[2..], (3, 2..=9), &entries);
    assert_eq!(short.len(), 2, "{short:?}");
    assert!(
        short[0].starts_with("broad question \"and at noon?\"") && short[1].ends_with("fewer than 3 broad questions")
    );
}

#[test]
fn questions_to_learn_from_leak_too() {
    let text = "which brush for pollinating by hand in winter";
    let secret = [question(json!({ "question": text }))];
    let learnt = [labelled("x", "Which brush for pollinating by hand in winter?", &["A soft one."])];
    let other = [labelled("x", "how warm should it be at night", &["18 °C."])];
    let leaks =
        |labelled: &[&[Narrow]], others: &[String]| Split::new(&[&secret], &[], labelled, others, &[]).leakage().len();
    assert_eq!(leaks(&[], &[]), 0);
    assert_eq!(leaks(&[&other], &[]), 0);
    // In whichever of the sets.
    assert_eq!(leaks(&[&learnt, &other], &[]), 1);
    assert_eq!(leaks(&[&other, &learnt], &[]), 1);
    assert_eq!(leaks(&[], &[text.into()]), 1);
}

#[test]
fn answers_of_tuning_questions_stand_in_their_entries() {
    let entries = [entry("a", json!({})), entry("b", json!({"output": "Pick at night."}))];
    let fact = |sentence: &str| json!({"sentence": sentence, "patterns": ["x"]});
    let faults = |changes: Value| sets::answered(&[question(changes)], &entries);
    let refuse = json!({"kind": "refuse", "why": "off_topic", "category": null, "entries": [], "facts": []});
    assert!(faults(json!({"facts": [fact("Vent early.")]})).is_empty() && faults(refuse.clone()).is_empty());
    assert!(faults(json!({"entries": ["a", "b"], "facts": [fact("Pick at night."), fact("Vent early.")]})).is_empty());
    // Said by an entry that is not one of the question's.
    let elsewhere = faults(json!({"facts": [fact("Pick at night.")]}));
    assert!(elsewhere.len() == 1 && elsewhere[0].ends_with("no sentence of its entries is \"Pick at night.\""));
    assert_eq!(faults(json!({"facts": [fact("Vent early")]})).len(), 1, "its full stop was lost");
    assert_eq!(faults(json!({"facts": []})).len(), 1);
    assert!(!faults(with(&refuse, "facts", json!([fact("Vent early.")]))).is_empty());
}

#[test]
fn tuning_questions_come_with_their_answers() {
    let dir = tempdir().unwrap();
    fs::create_dir(dir.path().join("data")).unwrap();
    let ask = |id: &str| json!({"id": id, "category": "troubleshooting", "question": "q", "kind": "plain", "entries": ["a"], "facts": []});
    fs::write(dir.path().join(questions::DEVELOPMENT), json!([ask("d-1"), ask("d-2")]).to_string()).unwrap();
    assert!(questions::development(dir.path()).unwrap_err().to_string().contains("development_answers.json"));
    let answers = json!([{"id": "d-2", "answer": ["Vent at 2.5 (or so).", "Pick."]}]);
    fs::write(dir.path().join(questions::DEVELOPMENT_ANSWERS), answers.to_string()).unwrap();
    let loaded = questions::development(dir.path()).unwrap();
    assert!(loaded[0].facts.is_empty() && loaded[1].facts.len() == 2);
    // The pattern is the sentence itself, word for word.
    let pattern = questions::compile(&loaded[1].facts[0].patterns[0]).unwrap();
    assert!(pattern.is_match("First: Vent at 2.5 (or so). Then") && !pattern.is_match("Vent at 2x5 or so."));
}
