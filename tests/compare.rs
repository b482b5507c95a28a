//! The comparison of ways to narrow a model, on the tiny one: every line is there, and the picture.

use crate::{
    stages::compare::{self, PICTURE},
    tiny, tiny_pruned,
};
use candle_core::Device;
use indicatif::ProgressBar;
use std::fs;
use tempfile::tempdir;

#[test]
fn every_way_is_measured_before_and_after_it_learns_and_drawn() {
    let ((repository, _), to, mut out) = (tiny_pruned::repository(), tempdir().unwrap(), Vec::new());
    let to = to.path().join("not yet there");
    compare::run(&tiny::folder(), repository.path(), &to, &mut out, &Device::Cpu, &ProgressBar::hidden()).unwrap();
    let table = String::from_utf8(out).unwrap();
    let rows = |name: &str| table.lines().filter(|line| line.starts_with(name)).collect::<Vec<_>>();
    // The heading, and what learns without being narrowed.
    let [head, whole] = rows("unpruned")[..] else { panic!("{table}") };
    assert!(head.contains("perplexity") && whole.contains("100 %") && whole.contains("Text: its loss"), "{table}");
    assert!(whole.matches("(1.00)").count() >= 2, "before anything is learnt both are as they were: {whole}");
    assert_eq!((rows("document's").len(), rows("refit, shared").len()), (3, 8), "{table}");
    assert_eq!(table.matches("Document: its loss").count(), 1);
    assert_eq!(table.matches("Teacher: its loss").count(), 1);
    let picture = fs::read_to_string(to.join(PICTURE)).unwrap();
    assert!(picture.starts_with("<svg") && picture.matches("<path d=\"M").count() >= 4, "{picture}");
}
