//! Values of a recipe with which training or embedding would do harm or nothing are refused when it is read.

use crate::pipeline::{FINETUNE, GOOD, recipe};

/// A table that may follow the others.
pub const RECOVER: &str = r#"
[recover]
learn = "text"
shape = { rank = 2, alpha = 4.0, targets = ["q", "down"] }
learning_rate = 0.01
clip = 1.0
batch = 1
epochs = 20
"#;

/// What the error says of `key` set to `value` in `table`, whose text is `text`.
fn refused(text: &str, key: &str, value: &str) -> String {
    let (before, rest) = text.split_once(&format!("{key} = ")).unwrap();
    let end = if rest.starts_with('[') { rest.find(']').unwrap() + 1 } else { rest.find([',', '\n']).unwrap() };
    recipe(&format!("{before}{key} = {value}{}", &rest[end..])).unwrap_err()
}

#[test]
fn what_nothing_could_be_learnt_with_is_refused() {
    let trained = [GOOD, &FINETUNE.replace("seed", "dropout = 0.0\nseed")].concat();
    let trained = &trained[trained.find("[bundle]").unwrap()..];
    let rest = &GOOD[..GOOD.find("[bundle]").unwrap()];
    assert!(recipe(&[rest, trained].concat()).is_ok());
    let (count, positive) = ("a whole number from 1", "a finite number above 0");
    let (not_negative, share) = ("a finite number from 0", "a share, from 0 to below 1");
    for (key, values, must) in [
        ("rank", &["0"][..], count),
        ("alpha", &["0.0", "-4.0", "nan", "inf"], positive),
        ("targets", &["[]"], "a list of at least one matrix"),
        ("learning_rate", &["0.0", "-0.01", "nan", "inf"], positive),
        ("tokens", &["0"], count),
        ("questions", &["0"], count),
        ("epochs", &["0"], count),
        ("weight_decay", &["-0.1", "nan", "inf"], not_negative),
        ("clip", &["0.0", "-1.0", "nan", "inf"], positive),
        ("check_every", &["0"], count),
        ("check_examples", &["0"], count),
        ("patience", &["0"], count),
        ("dropout", &["1.0", "-0.1", "nan"], share),
    ] {
        for value in values {
            // The other tables first: [embed] has a learning rate too.
            let message = refused(&[trained, rest].concat(), key, value);
            let shown = value.trim_end_matches(".0").replace("nan", "NaN");
            let said = format!("{key} = {shown}; it must be {must}");
            assert!(message.contains("recipe.toml: [finetune] ") && message.contains(&said), "{message}");
        }
    }
    // TOML itself has no negative counts.
    assert!(refused(&[trained, rest].concat(), "warmup", "-1").contains("-1"));
}

#[test]
fn what_nothing_could_be_learnt_back_with_is_refused() {
    let rest = &GOOD[..GOOD.find("[embed]").unwrap()];
    let last = &GOOD[GOOD.find("[embed]").unwrap()..];
    // Its table first: [embed] has a learning rate too.
    let text = [RECOVER, rest, last].concat();
    assert!(recipe(&text).is_ok());
    let (count, positive) = ("a whole number from 1", "a finite number above 0");
    for (key, value, must) in [
        ("rank", "0", count),
        ("alpha", "nan", positive),
        ("targets", "[]", "a list of at least one matrix"),
        ("learning_rate", "-0.01", positive),
        ("clip", "inf", positive),
        ("batch", "0", count),
        ("epochs", "0", count),
    ] {
        let message = refused(&text, key, value);
        let said = format!("{key} = {}; it must be {must}", value.replace("nan", "NaN"));
        assert!(message.contains("recipe.toml: [recover] ") && message.contains(&said), "{message}");
    }
    let message = recipe(&text.replace("\"text\"", "\"poems\"")).unwrap_err();
    assert!(message.contains("expected one of `text`, `teacher`, `padded`"), "{message}");
}

#[test]
fn what_would_spoil_the_vectors_is_refused() {
    for (key, values, must) in [
        ("entries", &["0", "1"][..], "a whole number from 2"),
        ("learning_rate", &["0.0", "-0.001", "nan", "inf"], "a finite number above 0"),
        ("sharpness", &["0.0", "-20.0", "nan", "inf", "80.5"], "a number above 0, at most 80"),
        ("keep", &["-1.0", "nan", "inf"], "a finite number from 0"),
    ] {
        for value in values {
            let message = refused(GOOD, key, value);
            let shown = value.trim_end_matches(".0").replace("nan", "NaN");
            let said = format!("recipe.toml: [embed] {key} = {shown}; it must be {must}");
            assert!(message.contains(&said), "{message}");
        }
    }
    assert!(recipe(&GOOD.replace("sharpness = 20.0", "sharpness = 80.0")).is_ok());
    assert!(recipe(&GOOD.replace("keep = 1.0", "keep = 0.0").replace("steps = 3", "steps = 0")).is_ok());
}
