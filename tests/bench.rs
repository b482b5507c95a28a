//! Medians, spreads and the table of `pipeline bench`; the measuring itself needs a real model and is not tested here.

use crate::stages::bench::{Run, Spread, table};

#[test]
fn the_median_is_the_middle_value() {
    let spread = |values: &[f64]| Spread::of(values).map(|spread| (spread.median, spread.min, spread.max));
    assert_eq!(spread(&[3.0, 1.0, 2.0]), Some((2.0, 1.0, 3.0)));
    assert_eq!(spread(&[4.0, 1.0, 2.0, 100.0]), Some((3.0, 1.0, 100.0)));
    assert_eq!(spread(&[7.0]), Some((7.0, 7.0, 7.0)));
    assert_eq!(spread(&[]), None);
}

#[test]
fn the_table_shows_both_engines_and_dashes_for_one_not_run() {
    let run = |cold_s, decode| Run { cold_s, decode, decoded: 64, ..Run::default() };
    let (ours, theirs) = ([run(2.0, 40.0), run(1.0, 44.0), run(1.5, 48.26)], [run(0.5, 50.0)]);
    let both = table(&ours, &theirs);
    let row = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row(&both, "cold start"), "cold start to first token, s 1.50 (1.00–2.00) 0.50 (0.50–0.50)");
    assert_eq!(row(&both, "decode,"), "decode, tokens/s 44.0 (40.0–48.3) 50.0 (50.0–50.0)");
    assert_eq!(row(&both, "tokens decoded"), "tokens decoded 64 (64–64) 64 (64–64)");
    let widths: Vec<_> = both.lines().map(|line| line.chars().count()).collect();
    assert!(widths.iter().all(|&width| width == widths[0]), "{both}");
    assert!(row(&table(&ours, &[]), "decode,").ends_with("(40.0–48.3) -"));
}
