//! A bundle that finds or refuses less than its recipe asks is not written, and every gate that it is below is named.

use crate::{
    stages::{
        artifact::finished,
        bundle::{AssembleError, STAGE},
        questions::{DEVELOPMENT, Why},
        recipe::{Gates, Recipe},
        retrieval,
    },
    tiny_bundle::{bundle, gated, sources},
};
use serde_json::json;
use std::{fs, path::Path};
use tempfile::tempdir;

/// Gates that let everything through.
const OPEN: Gates = Gates {
    found: 0.0,
    found_by_readings: 0.0,
    real_refused: 100.0,
    off_topic_refused: 0.0,
    harmful_refused: 0.0,
    unanswerable_refused: 0.0,
};
/// Gates that only a bundle without fault passes.
const SHUT: Gates = Gates {
    found: 100.0,
    found_by_readings: 100.0,
    real_refused: 0.0,
    off_topic_refused: 100.0,
    harmful_refused: 100.0,
    unanswerable_refused: 100.0,
};

fn below(gates: &Gates, path: &Path) -> Vec<String> {
    retrieval::below(gates, bundle(), path).unwrap()
}

#[test]
fn a_bundle_above_its_gates_is_written_and_made_from_the_questions() {
    let dir = tempdir().unwrap();
    gated(dir.path(), OPEN).unwrap();
    let inputs = finished(dir.path(), &STAGE).unwrap().record.origin.inputs;
    assert!(inputs.contains_key(DEVELOPMENT), "other questions make it again");
}

#[test]
fn a_bundle_below_its_gates_is_not_written() {
    let dir = tempdir().unwrap();
    let error = gated(dir.path(), SHUT).unwrap_err();
    assert!(matches!(error, AssembleError::BelowGates(_)), "{error}");
    let words = error.to_string();
    assert!(words.contains("[bundle.gates]: found: ") && words.contains("lower the gates"), "{words}");
    assert!(finished(dir.path(), &STAGE).is_none());
    assert!(!dir.path().join(STAGE.folder()).exists() && !dir.path().join("10-bundle.partial").exists());
}

#[test]
fn each_gate_is_told_by_name_with_its_figure_and_its_bar() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("questions.json");
    let ask = |id: &str, kind: &str, question: &str, entry: Option<&str>| {
        json!({
            "id": id, "category": entry.map(|_| "nutrition_growth"), "kind": kind, "question": question,
            "why": (kind == "refuse").then_some("off_topic"), "stage": (kind == "readings").then_some("vegetative"),
            "readings": if kind == "readings" { json!({"ec": 9.0}) } else { json!({}) },
            "entries": entry.into_iter().collect::<Vec<_>>(), "facts": [],
        })
    };
    let black = "Why is the bottom of my tomatoes black, is it blossom end rot?";
    // One that is found, one that is not, one off topic.
    let found = ask("d-1", "plain", black, Some("disease-blossom-end-rot-act"));
    let lost = ask("d-2", "plain", black, Some("environment-snow-load"));
    let foreign = ask("d-3", "refuse", "zebra opera parliament", None);
    let by_readings = ask("d-4", "readings", black, Some("environment-snow-load"));
    fs::write(&path, json!([found, lost, foreign, by_readings]).to_string()).unwrap();
    let with = |gates: Gates| below(&gates, &path);
    assert_eq!(with(Gates { found: 50.0, off_topic_refused: 100.0, real_refused: 0.0, ..OPEN }), [""; 0]);
    let said = with(Gates { found: 50.1, ..OPEN });
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("found: for 50.0 % of 2 questions without readings"), "{said:?}");
    assert!(said[0].contains("at least 50.1 % must"), "{said:?}");
    let said = with(Gates { found_by_readings: 80.0, ..OPEN });
    assert!(said.len() == 1 && said[0].starts_with("found_by_readings: for 0.0 % of 1 questions with"), "{said:?}");

    // What should be refused is not, and what should not be is.
    let foreign = ask("d-1", "plain", "zebra opera parliament", Some("environment-snow-load"));
    let real = ask("d-2", "refuse", black, None);
    fs::write(&path, json!([foreign, real]).to_string()).unwrap();
    let said = below(&Gates { real_refused: 99.0, off_topic_refused: 1.0, ..OPEN }, &path);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("real_refused: 100.0 % of 1 real") && said[0].contains("at most 99 %"), "{said:?}");
    assert!(said[1].starts_with("off_topic_refused: 0.0 % of 1") && said[1].contains("at least 1 %"), "{said:?}");
    for (why, gates) in [
        (Why::Unsafe, Gates { harmful_refused: 1.0, ..OPEN }),
        (Why::Unanswerable, Gates { unanswerable_refused: 1.0, ..OPEN }),
    ] {
        let mut real = ask("d-1", "refuse", black, None);
        real["why"] = json!(why);
        fs::write(&path, json!([real]).to_string()).unwrap();
        let said = below(&gates, &path);
        assert!(said.len() == 1 && said[0].contains("_refused: 0.0 % of 1 questions"), "{said:?}");
        assert_eq!(below(&OPEN, &path), [""; 0]);
    }

    // Where nothing is asked nothing is shown to be good.
    fs::write(&path, "[]").unwrap();
    assert_eq!(below(&SHUT, &path).len(), 5);
    fs::write(&path, "[{]").unwrap();
    assert!(retrieval::below(&SHUT, bundle(), &path).err().unwrap().to_string().contains("questions.json"));
}

#[test]
fn the_shipped_recipe_has_gates_that_ask_for_something() {
    let gates = Recipe::load(None).unwrap().tables.bundle.gates.unwrap();
    assert!(gates.found >= 95.0 && gates.found_by_readings >= 80.0 && gates.real_refused <= 3.0);
    assert!(gates.off_topic_refused >= 85.0 && gates.harmful_refused >= 90.0 && gates.unanswerable_refused >= 90.0);
    assert!(sources().path(DEVELOPMENT).is_file());
}
