//! `--explain`: what was read and how each sentence was judged, as text and as JSON.

use crate::{
    assistant::QUESTION,
    home::{Home, fields, tiny},
    tiny_bundle::judging_gently,
};
use serde_json::{Value, json};

fn explained(home: &Home) -> Value {
    let said = home.run(&["--headless", "--ask", QUESTION, "--json", "--explain"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    serde_json::from_str(&said.out).unwrap()
}

/// The sentences of all that was considered.
fn sentences(answer: &Value) -> Vec<&Value> {
    let considered = answer["considered"].as_array().unwrap();
    considered.iter().flat_map(|considered| considered["sentences"].as_array().unwrap()).collect()
}

fn words(text: &Value) -> &str {
    text.as_str().unwrap()
}

#[test]
fn a_model_that_judges_says_how() {
    let (_dir, bundle) = judging_gently();
    let home = Home::new(bundle.dir());
    let answer = explained(&home);
    for considered in answer["considered"].as_array().unwrap() {
        assert_eq!(fields(considered), ["found", "id", "sentences"]);
    }
    assert!(
        sentences(&answer)
            .iter()
            .all(|one| fields(one) == ["asked", "chosen", "said", "score", "text"] && one["score"].is_f64())
    );
    let text = answer["answer"].as_str().unwrap();
    let further = answer["further"].as_array().unwrap();
    assert!(!further.is_empty());
    // References may be shown in another order than they were read in.
    let mut shown: Vec<&str> = further.iter().flat_map(|one| one["sentences"].as_array().unwrap()).map(words).collect();
    shown.extend(tomato_assistant::knowledge::sentences::sentences(text));
    let mut chosen: Vec<&str> =
        sentences(&answer).iter().filter(|one| one["chosen"] == true).map(|one| words(&one["text"])).collect();
    shown.sort_unstable();
    chosen.sort_unstable();
    assert_eq!(shown, chosen);
    assert_eq!(answer["fallback"], false);
    let read = answer["read_tokens"].as_f64().unwrap();
    assert!(read > 100.0 && answer["read_tok_s"].as_f64().unwrap() * answer["ttft_s"].as_f64().unwrap() > 0.9 * read);

    let said = home.run(&["--headless", "--ask", QUESTION, "--explain"]);
    let mut out = format!("{text} [1]\n");
    for (number, one) in further.iter().enumerate() {
        assert_eq!((fields(one), &one["citation"]), (vec!["citation", "id", "sentences", "title"], &json!(number + 2)));
        assert_eq!((&one["id"], &one["title"]), {
            let reference = &answer["references"][number + 1];
            (&reference["id"], &reference["title"])
        });
        let sentences: Vec<&str> = one["sentences"].as_array().unwrap().iter().map(words).collect();
        let (title, citation) = (words(&one["title"]), &one["citation"]);
        out += &format!("\nFor another question: {title}\n{} [{citation}]\n", sentences.join(" "));
    }
    let more = answer["more"].as_str().unwrap();
    if !more.is_empty() {
        out += &format!("\nMore on this [1]\n{more}\n");
    }
    assert_eq!((said.code, said.out), (Some(0), out));
    let lines: Vec<&str> = said.err.lines().collect();
    let begin = lines.iter().position(|line| line.starts_with("What was read, with the search's score")).unwrap();
    for considered in answer["considered"].as_array().unwrap() {
        let head = format!("  {:.2}  {}", considered["found"].as_f64().unwrap(), considered["id"].as_str().unwrap());
        let at = begin + lines[begin..].iter().position(|line| *line == head).unwrap_or_else(|| panic!("{head}"));
        for (one, line) in considered["sentences"].as_array().unwrap().iter().zip(&lines[at + 1..]) {
            let mark = if one["chosen"] == true { '*' } else { ' ' };
            let [score, asked, said] = ["score", "asked", "said"].map(|name| one[name].as_f64().unwrap());
            let text = one["text"].as_str().unwrap();
            assert_eq!(*line, format!("    {mark} {score:>6.2} {asked:>5.2} {said:>5.2}  {text}"));
        }
    }
}

#[test]
fn a_model_that_does_not_judge_has_no_scores() {
    let home = tiny();
    let answer = explained(&home);
    assert_eq!(answer["fallback"], true);
    assert!(sentences(&answer).iter().all(|one| one["score"] == json!(null)));
    let chosen =
        |considered: &Value| considered["sentences"].as_array().unwrap().iter().all(|one| one["chosen"] == true);
    let considered = answer["considered"].as_array().unwrap();
    assert!(chosen(&considered[0]) && considered[1..].iter().all(|considered| !chosen(considered)));
    let said = home.run(&["--headless", "--ask", QUESTION, "--explain"]);
    assert!(said.err.contains("\n    *      -  ") && said.err.contains("\n           -  "), "{}", said.err);
}

#[test]
fn nothing_is_explained_unasked() {
    let said = tiny().run(&["--headless", "--ask", QUESTION]);
    assert!(said.code == Some(0) && !said.err.contains("What was read"), "{}", said.err);
    // A question that is refused at once was read by nobody.
    let said = tiny().run(&["--headless", "--ask", "xyzzy", "--json", "--explain"]);
    let answer: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&answer["refused"], &answer["considered"]), (&json!("off_topic"), &json!([])));
}
