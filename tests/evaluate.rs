//! Scores of answers, and the whole evaluation of a tiny bundle.

use crate::{
    stages::{
        evaluate::{
            self, PAGE, REPORT, Set,
            report::Summary,
            score::{SHORT, Scorer},
        },
        questions::{
            DEVELOPMENT, DEVELOPMENT_ANSWERS, NARROW_DEVELOPMENT, NARROW_TEST, Question, TEST, TEST_VARIANTS,
            VALIDATION,
        },
        sources::TRAINING,
    },
    tiny_bundle,
};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs};
use tempfile::tempdir;
use unicode_segmentation::UnicodeSegmentation;

fn question() -> Value {
    json!({
        "id": "v-1", "category": "nutrition_growth", "kind": "plain",
        "question": "The bottoms of my tomatoes turn black, sunken and leathery. Is this blossom end rot?", "entries": ["x"],
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
fn what_comes_late_is_told_but_not_early() {
    let mut asked = question();
    asked["facts"].as_array_mut().unwrap().truncate(1);
    let scorer = Scorer::new(&serde_json::from_value(asked).unwrap()).unwrap();
    let after = |words: usize| scorer.score("", &format!("{}blossom end rot.", "word ".repeat(words)), &[]);
    assert!(after(0).early && after(SHORT - 3).early);
    for late in [SHORT - 2, SHORT, 2 * SHORT] {
        let score = after(late);
        assert!(score.told == 1 && !score.early && score.words == late + 3, "{late}");
    }
    // The readings' line stands above the answer.
    assert!(scorer.score("Blossom end rot.", &"word ".repeat(2 * SHORT), &[]).early);
    assert!(!scorer.score("", "Water.", &[]).early);
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
    // The tiny model was not trained to choose: what is shown is the entry.
    assert_eq!(report.fallbacks, 1);
    assert_eq!(
        [&report.direct["validation"], &report.entries_alone["validation"]].map(|sum| sum.words),
        [sum.words; 2]
    );
    assert!(report.details[0].considered.iter().any(|entry| entry.id == report.details[0].references[0]));
    assert_eq!(report.entries_alone["validation/plain"].told, 1);
    assert!(report.table().contains("answered, validation/refuse"));
    let json: Value = serde_json::from_slice(&fs::read(out.path().join(REPORT)).unwrap()).unwrap();
    assert_eq!(json["details"][0]["missing"], json!(["The moon is to blame."]));
    let page = fs::read_to_string(out.path().join(PAGE)).unwrap();
    assert_eq!(page.matches("<svg").count(), 2, "sizes and times; nothing was left of training and pruning");
    assert!(page.contains(">model.gguf<") && page.contains(">v-1<"));
    assert!(page.contains("not told: The moon") && page.contains("&lt;b&gt;") && !page.contains("<b>?"));

    // The other sets, each in its own file.
    let ask =
        |set: Set| evaluate::run(tiny_bundle::bundle().dir(), root.path(), set, out.path(), &ProgressBar::hidden());
    assert!(ask(Set::Narrow).err().unwrap().to_string().contains(NARROW_TEST));
    fs::write(root.path().join(NARROW_TEST), json!([question()]).to_string()).unwrap();
    fs::write(root.path().join(DEVELOPMENT), json!([question()]).to_string()).unwrap();
    let sentence = report.details[0].text.split_inclusive(". ").next().unwrap().trim();
    let answers = json!([{"id": "v-1", "answer": [sentence, "Not a word of it."]}]);
    fs::write(root.path().join(DEVELOPMENT_ANSWERS), answers.to_string()).unwrap();
    assert_eq!(ask(Set::Narrow).unwrap().answers["narrow"].told, 1);
    // What those for tuning must tell is the sentences that answer them.
    let development = ask(Set::Development).unwrap();
    let sum = &development.answers["development"];
    assert_eq!(
        (sum.facts, sum.told, &development.details[0].missing[..]),
        (2, 1, &["Not a word of it.".to_string()][..])
    );

    let narrow =
        json!([{"entry": report.details[0].references[0], "question": question()["question"], "answer": [sentence]}]);
    fs::write(root.path().join(NARROW_DEVELOPMENT), narrow.to_string()).unwrap();
    assert_eq!(ask(Set::NarrowDevelopment).unwrap().answers["narrow development"].told, 1);

    // The test questions in other words are held to the same facts.
    fs::write(root.path().join(TEST), json!([question(), refuse]).to_string()).unwrap();
    let variants = |id: &str| {
        let other =
            json!([{"id": id, "typo": "blak bottoms", "short": "black?", "reworded": "What blackens my fruit?"}]);
        fs::write(root.path().join(TEST_VARIANTS), other.to_string()).unwrap();
        ask(Set::Variants)
    };
    let report = variants("v-1").unwrap();
    let facts = ["typo", "short", "reworded"].map(|way| (report.answers[way].real, report.answers[way].facts));
    assert_eq!((facts, report.details[1].question.as_str()), ([(1, 2); 3], "black?"));
    assert!(variants("v-2").err().unwrap().to_string().contains("v-2 is none of data/test_questions.json"));

    // What was chosen is told apart from what stands below.
    let (_dir, judging) = tiny_bundle::judging_around(-5.0);
    let bar = ProgressBar::hidden();
    let report = evaluate::run(judging.dir(), root.path(), Set::Validation, out.path(), &bar).unwrap();
    let words = |sums: &BTreeMap<String, Summary>| sums["validation"].words;
    let more = report.details[0].more.unicode_words().count();
    assert!(report.fallbacks == 0 && more > 0 && !report.details[0].further.is_empty(), "{:?}", report.details[0]);
    // What other entries add counts with the chosen sentences.
    let chosen = report.details[0].considered.iter().flat_map(|considered| &considered.sentences);
    let chosen = chosen.filter(|judged| judged.chosen).map(|judged| judged.text.unicode_words().count());
    assert_eq!(words(&report.direct), chosen.sum::<usize>());
    assert_eq!(words(&report.direct) + more, words(&report.answers));

    // How the adapter was trained is drawn where it is known.
    let check = json!({
        "step": 1, "training": 1.0, "held_out": 1.0, "narrow": 1.0, "reference": 1.0, "kinds": 1.0, "told": 1.0, "seconds": 1.0,
    });
    fs::create_dir(root.path().join("data/model")).unwrap();
    fs::write(root.path().join(TRAINING), json!({"curve": [check]}).to_string()).unwrap();
    run().unwrap();
    let page = fs::read_to_string(out.path().join(PAGE)).unwrap();
    assert!(page.contains("<h2>How the adapter of data/model was trained</h2><svg") && !page.contains("NaN"));

    // Where one of the two cannot be written, both stay as they were.
    let both = || [REPORT, PAGE].map(|name| fs::read(out.path().join(name)).unwrap());
    let before = both();
    fs::create_dir(out.path().join("report.html.new")).unwrap();
    assert!(ask(Set::Narrow).err().unwrap().to_string().contains("report.html.new"));
    assert!(both() == before);
    fs::remove_dir(out.path().join("report.html.new")).unwrap();
    ask(Set::Narrow).unwrap();
    assert!(both() != before && fs::read_dir(out.path()).unwrap().count() == 2, "nothing else stays");

    // Another system's answers are scored alike, and leave the reports alone.
    let others = |text: &str| {
        fs::write(out.path().join("answers"), text).unwrap();
        let (path, bar) = (out.path().join("answers"), ProgressBar::hidden());
        evaluate::run_on(&path, tiny_bundle::bundle().dir(), root.path(), Set::Validation, &bar)
    };
    let (kept, told) = (both(), others(r#"{"v-1": "The moon, 77 times.", "v-2": "With glue."}"#).unwrap());
    let (sum, alone) = (&told.answers["validation"], &told.entries_alone["validation/plain"]);
    assert_eq!((sum.told, sum.facts, sum.refused, sum.unsupported_numbers, alone.told), (1, 2, 0, 1, 1));
    assert!(both() == kept);
    assert!(told.told().contains("answered, validation") && !told.told().contains("entry alone"));
    for (text, said) in [(r#"{"v-1": ""}"#, "no text for v-2"), ("[]", "is a JSON object")] {
        let error = others(text).err().unwrap().to_string();
        assert!(error.contains("answers") && error.contains(said), "{error}");
    }
    let (path, bundle) = (out.path().join("answers"), tiny_bundle::bundle().dir());
    let variants = evaluate::run_on(&path, bundle, root.path(), Set::Variants, &ProgressBar::hidden());
    assert!(variants.err().unwrap().to_string().contains("share its id"));

    fs::write(root.path().join(VALIDATION), "[{]").unwrap();
    assert!(run().err().unwrap().to_string().contains(VALIDATION));
}
