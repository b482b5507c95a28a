//! The comparison of ways to narrow a model, on the tiny one: every line is there, and the picture.

use crate::{
    stages::{
        compare::{self, PICTURE},
        questions::VALIDATION,
    },
    tiny, tiny_pruned,
};
use candle_core::Device;
use indicatif::ProgressBar;
use serde_json::json;
use std::fs;
use tempfile::tempdir;

#[test]
fn every_way_is_measured_before_and_after_it_learns_and_drawn() {
    let ((repository, _), to, mut out) = (tiny_pruned::repository(), tempdir().unwrap(), Vec::new());
    let to = to.path().join("not yet there");
    // The entry tells the first two facts, the second of which no random model writes; the other question has no entry.
    let fact = |pattern: &str| json!({"sentence": pattern, "patterns": [pattern]});
    let question = |entries: &[&str]| {
        json!({"id": "v-1", "category": null, "question": "Fuzz below?", "kind": "plain", "entries": entries,
            "facts": [fact(r"\S"), fact("Leaf mould"), fact("no such word")]})
    };
    let asked = json!([question(&["disease-leaf-mould-identify-act"]), question(&[])]);
    fs::write(repository.path().join(VALIDATION), asked.to_string()).unwrap();
    compare::run(&tiny::folder(), repository.path(), &to, &mut out, &Device::Cpu, &ProgressBar::hidden()).unwrap();
    let table = String::from_utf8(out).unwrap();
    let rows = |name: &str| table.lines().filter(|line| line.starts_with(name)).collect::<Vec<_>>();
    // The heading, what neither learns nor is narrowed, and what only learns.
    let [head, base, whole] = rows("unpruned")[..] else { panic!("{table}") };
    assert!(head.contains("perplexity") && base.contains("0 of 2") && !base.contains("its loss"), "{table}");
    assert!(whole.contains("100 %") && whole.contains("Text: its loss"), "{table}");
    assert!(whole.matches("(1.00)").count() >= 2, "before anything is learnt both are as they were: {whole}");
    assert_eq!((rows("document's").len(), rows("refit, shared").len()), (3, 8), "{table}");
    assert_eq!(table.matches("Document: its loss").count(), 1);
    assert_eq!(table.matches("Teacher: its loss").count(), 1);
    // Each has answered the one question that has an entry, in some time.
    let ways = ["unpruned  ", "document's", "by activity", "refit", "first"].map(&rows).concat();
    assert_eq!(ways.len(), 17, "{table}");
    for row in ways {
        let words: Vec<&str> = row.split("  Text:").next().unwrap().split_whitespace().collect();
        let facts = words.iter().position(|word| *word == "1/2").unwrap_or_else(|| panic!("{row}"));
        assert!(matches!(words[facts + 1], "0/1" | "1/1") && words[facts + 2].parse::<f64>().unwrap() > 0.0, "{row}");
    }
    let [more, fewer] = rows("first")[..] else { panic!("{table}") };
    assert!(more.contains("0 of 2") && fewer.contains("0 of 1"), "{table}");
    let picture = fs::read_to_string(to.join(PICTURE)).unwrap();
    // The document's way at two sizes, once learnt; ours at seven, five learnt; fewer layers at two; and the legend's six.
    assert!(picture.starts_with("<svg"));
    assert_eq!(picture.matches("<circle").count(), (2 + 1) + (7 + 5) + (2 + 2) + 6, "{picture}");
}
