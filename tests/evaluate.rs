//! Scores of answers, and the whole evaluation of a tiny bundle.

use crate::{
    stages::{
        evaluate::{self, PAGE, REPORT, Set, score::Scorer},
        questions::{Question, VALIDATION},
    },
    tiny_bundle,
};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::fs;
use tempfile::tempdir;

fn question() -> Value {
    json!({
        "id": "v-1", "category": "nutrition_growth", "kind": "plain",
        "question": "Why is the bottom of my tomatoes black?", "entries": ["x"],
        "facts": [
            {"sentence": "It is blossom end rot.", "patterns": ["blossom.end rot"]},
            {"sentence": "The moon is to blame.", "patterns": ["\\bmoon\\b"]},
        ],
    })
}

#[test]
fn facts_numbers_and_loops_are_counted() {
    let question: Question = serde_json::from_value(question()).unwrap();
    let scorer = Scorer::new(&question).unwrap();
    let given = ["Water 2.5 litres at 21 °C."];
    let right = scorer.score("", "BLOSSOM end rot: water 2.5 litres.", &given);
    assert_eq!((right.told, right.facts, right.words), (1, 2, 6));
    assert!(right.unsupported.is_empty() && !right.degenerate);
    assert_eq!(scorer.missing("Blossom-end rot."), ["The moon is to blame."]);
    // The readings' line tells facts, but is not the answer's words.
    assert_eq!(scorer.score("The moon is high.", "Water.", &given).told, 1);
    assert_eq!(scorer.score("", "Water 3 litres at 21 °C, 3 times.", &given).unsupported, ["3", "3"]);
    assert!(scorer.score("", " \n", &given).degenerate);
    assert!(scorer.score("", &"water it at dawn and ".repeat(9), &given).degenerate);
}

#[test]
fn a_pattern_that_is_none_is_named() {
    let mut broken = question();
    broken["facts"][0]["patterns"][0] = "(".into();
    let question: Question = serde_json::from_value(broken).unwrap();
    let error = Scorer::new(&question).err().unwrap().to_string();
    assert!(error.starts_with("question v-1, pattern \"(\""), "{error}");
}

#[test]
fn a_bundle_is_asked_scored_and_reported() {
    let (root, out) = (tempdir().unwrap(), tempdir().unwrap());
    fs::create_dir(root.path().join("data")).unwrap();
    let refuse = json!({
        "id": "v-2", "category": null, "kind": "refuse", "why": "off_topic",
        "question": "How do I repair a bicycle tyre <b>?", "entries": [], "facts": [],
    });
    fs::write(root.path().join(VALIDATION), json!([question(), refuse]).to_string()).unwrap();
    let run = || {
        let bar = ProgressBar::hidden();
        evaluate::run(tiny_bundle::bundle().dir(), root.path(), Set::Validation, out.path(), &bar)
    };
    let report = run().unwrap();
    let sum = &report.answers["validation"];
    assert_eq!((sum.real, sum.refusals, sum.refused, sum.facts, sum.told), (1, 1, 1, 2, 1));
    // The tiny model's noise never passes the guard: what is shown is the entry.
    assert_eq!(report.fallbacks, 1);
    assert_eq!(report.entries_alone["validation/plain"].told, 1);
    assert!(report.table().contains("answered, validation/refuse"));
    let json: Value = serde_json::from_slice(&fs::read(out.path().join(REPORT)).unwrap()).unwrap();
    assert_eq!(json["details"][0]["missing"], json!(["The moon is to blame."]));
    let page = fs::read_to_string(out.path().join(PAGE)).unwrap();
    assert!(page.contains("not told: The moon") && page.contains("&lt;b&gt;") && !page.contains("<b>?"));

    fs::write(root.path().join(VALIDATION), "[{]").unwrap();
    assert!(run().err().unwrap().to_string().contains(VALIDATION));
}
