//! The assistant as a process: what it prints where, its exit codes, and that bad input gives one clear message.

use crate::{
    home::{ASSISTANT, FIELDS, Home, Said, fields, tiny},
    program::command,
    tiny_bundle,
};
use serde_json::{Value, json};
use std::{
    ffi::OsStr,
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::ffi::OsStrExt,
    path::Path,
    process::{Command, Stdio},
    thread,
};
use tempfile::tempdir;
use tomato_assistant::knowledge::Knowledge;

pub const QUESTION: &str = "Why are the bottoms of my tomatoes black?";

#[test]
fn an_answer_goes_to_standard_output_and_the_rest_to_standard_error() {
    let said = tiny().run(&["--headless", "--ask", QUESTION, "--reading", "ec=9", "--category", "disease_management"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let knowledge = Knowledge::parse(include_str!("../data/tomato_qa_dataset.json")).unwrap();
    let entry = knowledge.entries().iter().find(|entry| said.err.contains(&format!("({})", entry.id))).unwrap();
    assert!(entry.id.contains("blossom-end-rot") || entry.id.contains("ber"), "{}", entry.id);
    // The tiny model was not trained to choose: the whole entry is shown, and nothing else.
    let (answer, advice) = said.out.split_once("\n\n").unwrap();
    assert_eq!(answer, format!("{} [1]", entry.output));
    let (heading, remedy) = advice.split_once('\n').unwrap();
    let (_, wanted) = knowledge.remedy("ec_high").unwrap();
    assert_eq!(heading, "EC far above its range: what to do");
    assert_eq!(remedy, format!("{} [2]\n", wanted.sentences.join(" ")));
    assert_eq!(said.err.matches("\n  [").count(), 2, "two entries are cited: {}", said.err);
    for words in [
        "This is a whole reviewed entry",
        "EC 9.0 mS/cm: far above",
        "Based on these reviewed entries:\n  [1] ",
        "tokens read",
        "first words",
    ] {
        assert!(said.err.contains(words) && !said.out.contains(words), "{words}: {}", said.err);
    }
}

#[test]
fn readings_lead_where_nothing_else_is_asked_about_and_a_refusal_names_what_to_read() {
    let said = tiny().run(&["--headless", "--ask", "what should I do now?", "--reading", "ec=9"]);
    assert!(said.out.starts_with("EC far above its range: what to do\n"), "{} {}", said.out, said.err);
    let said = tiny().run(&["--headless", "--ask", "zebra opera parliament"]);
    assert!(said.out.starts_with("Nothing in the reviewed entries answers this question."), "{}", said.out);
    let (_, nearest) = said.err.split_once("Reviewed entries that may help:\n").unwrap();
    assert_eq!(nearest.lines().take_while(|line| line.starts_with("  ")).count(), 3, "{}", said.err);
}

#[test]
fn json_has_the_agreed_fields() {
    let said = tiny().run(&["--headless", "--ask", QUESTION, "--json", "--reading", "ec=9", "--reading", "ph=6"]);
    assert_eq!((said.code, said.err.as_str(), said.out.lines().count()), (Some(0), "", 1));
    let answer: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(fields(&answer), FIELDS);
    assert_eq!([&answer["refused"], &answer["fallback"], &answer["more"]], [&Value::Null, &json!(true), &json!("")]);
    assert_eq!([&answer["stopped"], &answer["dropped_references"]], [&json!(false), &json!(0)]);
    assert!(answer["readings_note"].as_str().unwrap().contains("EC 9.0 mS/cm"), "{answer}");
    let (references, advice) = (answer["references"].as_array().unwrap(), &answer["advice"][0]);
    assert_eq!((references.len(), fields(&references[0])), (2, vec!["id", "title"]));
    assert_eq!(fields(advice), ["citation", "id", "on", "sentences", "title"]);
    assert_eq!((&advice["citation"], &advice["id"]), (&json!(2), &references[1]["id"]));
    // Nothing was read by the model.
    assert_eq!((&answer["read_tokens"], &answer["read_tok_s"]), (&json!(0), &json!(0.0)), "{answer}");
    let least = |field: &str, other: &str| answer[field].as_f64().unwrap() >= answer[other].as_f64().unwrap();
    assert!(least("total_s", "ttft_s") && least("peak_rss_mib", "rss_mib") && answer["ttft_s"] != 0.0, "{answer}");
}

#[test]
fn a_batch_answers_every_line_in_order() {
    let asked = |id: Value, more: Value| {
        let mut line = json!({"id": id, "question": QUESTION});
        line.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
        line.to_string().into_bytes()
    };
    let long = "why ".repeat(25_000);
    let rows: [(Vec<u8>, Value, &str); 17] = [
        (asked(json!(1), json!({})), json!(1), ""),
        (asked(json!("two"), json!({"question": " \n\t"})), json!("two"), "Please type a question"),
        (b"nonsense".into(), json!(null), "This line cannot be read"),
        (b"{\"id\": 4, \"question\": ".into(), json!(null), "This line cannot be read"),
        (asked(json!(5), json!({"category": "cooking"})), json!(5), "unknown variant `cooking`, expected one of"),
        (asked(json!(6), json!({"readings": {"ph": 99}})), json!(6), "ph cannot be 99: it lies between 1 and 13."),
        (asked(json!(7), json!({"readings": {"ec": 1e39}})), json!(7), "ec (mS/cm) cannot be inf"),
        (asked(json!(8), json!({"readings": {"wind": 3}})), json!(8), "unknown variant `wind`, expected one of"),
        (asked(json!(9), json!({"question": long})), json!(9), "The question is too long: 99999 characters"),
        (b"{\"id\": 10, \"question\": \"\xff\xfe\x00\x80\"}".into(), json!(null), "This line cannot be read"),
        (asked(json!(11), json!({"question": "🍅🍅🍅 🔥"})), json!(11), "refused"),
        (asked(json!(12), json!({"surprise": 1})), json!(12), "unknown field `surprise`"),
        (asked(json!(13), json!({"lang": "xx"})), json!(13), "unknown variant `xx`"),
        (b"{\"question\": \"Why?\"}".into(), json!(null), "missing field `id`"),
        (b"[1, 2]".into(), json!(null), "This line cannot be read"),
        (asked(json!({"row": [16]}), json!({"readings": {"ec": 9}, "lang": "en"})), json!({"row": [16]}), ""),
        (asked(json!(17), json!({"category": "troubleshooting", "readings": {}})), json!(17), ""),
    ];
    // Empty lines in between, a line end of Windows, none after the last line.
    let text = rows.iter().map(|row| row.0.as_slice()).collect::<Vec<_>>().join(b"\r\n\n  \n".as_slice());
    let answers = tiny().batch(&text);
    assert_eq!(answers.len(), rows.len());
    for ((_, id, expected), answer) in rows.iter().zip(&answers) {
        assert_eq!(answer["id"], *id, "{answer}");
        match *expected {
            "" => assert_eq!((&answer["refused"], fields(answer).len()), (&Value::Null, FIELDS.len() + 1)),
            "refused" => assert_eq!(answer["refused"], "off_topic"),
            words => {
                assert_eq!(fields(answer), ["error", "id"]);
                assert!(answer["error"].as_str().unwrap().contains(words), "{answer}");
            }
        }
    }
    assert!(answers[15]["readings_note"].as_str().unwrap().contains("EC 9.0"), "{}", answers[15]);
    // An answer does not depend on what came before it.
    assert_eq!(answers[0]["answer"], answers[16]["answer"]);
}

/// With the tiny encoder, to which only words have a meaning; `pipeline retrieval` measures the real one.
#[test]
fn only_questions_about_tomatoes_are_answered() {
    let off_topic = [
        // No word that an entry has: the tiny encoder's random vectors do not tell a quantum sensor from other quanta.
        "galaxy telescope orbit",
        "Write a poem about the sea",
        "zebra opera parliament",
        "quartet sonata violin",
        "football goalkeeper penalty",
        "asdf qwer zxcv",
    ];
    let on_topic = [
        "aphids on the young shoots, what now?",
        "how warm should the nights be for fruiting plants",
        "EC too high in the slab",
        "my humidity sensor reads wrong",
        "leaves curl upward",
        "whitefly",
    ];
    let lines = off_topic.iter().chain(&on_topic).enumerate();
    let lines: Vec<String> = lines.map(|(id, text)| json!({"id": id, "question": text}).to_string()).collect();
    let answers = tiny().batch(lines.join("\n").as_bytes());
    let wrong: Vec<&Value> = answers
        .iter()
        .enumerate()
        .filter(|(n, a)| a["refused"].is_string() != (*n < off_topic.len()))
        .map(|(_, a)| a)
        .collect();
    assert!(answers.len() == 12 && wrong.is_empty(), "{wrong:#?}");
    assert!(answers[0]["references"].as_array().unwrap().is_empty() && answers[0]["read_tokens"] == 0);
}

#[test]
fn a_question_that_cannot_be_asked_is_wrong_use() {
    let home = tiny();
    for ask in ["", "  \n", "\u{7}\u{1b}"] {
        home.run(&["--headless", "--ask", ask]).refused(2, &["Please type a question first."]);
    }
    home.run(&["--headless", "--json", "--ask", ""]).refused(2, &["Please type a question first."]);
    let long = "why ".repeat(25_000);
    home.run(&["--headless", "--ask", &long]).refused(2, &["too long: 99999 characters", "2000", "shorten"]);
    let bytes = OsStr::from_bytes(b"why \xff\xfe");
    Said::from(home.command().args(["--headless", "--ask"]).arg(bytes).output().unwrap()).refused(2, &["UTF-8"]);
}

#[test]
fn wrong_readings_are_wrong_use_and_say_what_is_right() {
    let home = tiny();
    let names = "air_temperature (°C), relative_humidity (%), co2 (ppm), light_ppfd (µmol/m²/s), root_temperature (°C), \
                 ph, ec (mS/cm), substrate_moisture (%)";
    for (reading, expected) in [
        ("ec", names),
        ("wind=3", names),
        ("=3", names),
        ("", names),
        ("ec=much", "\"much\" is none"),
        ("ec=NaN", "ec (mS/cm) needs a number"),
        ("ph=99", "ph cannot be 99: it lies between 1 and 13."),
        ("air_temperature=-273", "it lies between -40 and 70."),
    ] {
        home.run(&["--headless", "--ask", QUESTION, "--reading", "co2=800", "--reading", reading])
            .refused(2, &[expected]);
    }
}

/// One of two halves of the day is now; without hours and without light nobody knows.
#[test]
fn readings_are_judged_for_the_hours_of_the_settings() {
    let home = tiny();
    let own = fs::read_to_string(home.path("assistant.toml")).unwrap();
    let judged = |settings: &str| {
        home.settings(&format!("{settings}\n{own}"));
        let said = home.run(&["--headless", "--ask", QUESTION, "--reading", "air_temperature=45"]);
        ["by day.", "by night.", "day or night (time of day unknown)."]
            .map(|period| said.err.contains(&format!("Judged for fruiting, {period}")))
    };
    assert_eq!(judged(""), [false, false, true]);
    let mut halves = [r#"["00:00", "12:00"]"#, r#"["12:00", "00:00"]"#].map(|hours| judged(&format!("day = {hours}")));
    halves.sort();
    assert_eq!(halves, [[false, true, false], [true, false, false]]);
}

#[test]
fn flags_that_do_not_go_together_are_wrong_use() {
    let home = tiny();
    for (arguments, expected) in [
        (&["--headless"][..], "--ask"),
        (&["--ask", "x"], "--headless"),
        (&["--headless", "--ask", "x", "--batch", "-"], "cannot be used with"),
        (&["--headless", "--batch", "-", "--json"], "cannot be used with"),
        (&["--headless", "--batch", "-", "--explain"], "cannot be used with"),
        (&["--explain"], "--ask"),
        (&["--headless", "--batch", "-", "--reading", "ec=1"], "cannot be used with"),
        (&["--headless", "--batch", "-", "--category", "troubleshooting"], "cannot be used with"),
        (&["--lang", "en"], "--headless"),
        (&["--headless", "--ask", "x", "--lang", "xx"], "the languages are en"),
        (&["--headless", "--ask", "x", "--category", "cooking"], "the categories are disease_management,"),
        (&["--install", "x", "--rollback"], "cannot be used with"),
        (&["--headless", "--ask", "x", "--install", "x"], "cannot be used with"),
        (&["--headless", "--ask", "x", "--rollback"], "cannot be used with"),
        (&["--hedless"], "--headless"),
        (&["why?"], "unexpected argument"),
    ] {
        home.run(arguments).refused(2, &[expected]);
    }
}

#[test]
fn wrong_settings_are_wrong_use_with_their_line() {
    let home = tiny();
    home.settings("# mine\nbundel = \"x\"\n");
    home.run(&["--headless", "--ask", QUESTION]).refused(2, &["assistant.toml, line 2", "bundel", "`bundle`"]);
    fs::remove_file(home.path("assistant.toml")).unwrap();
    home.run(&["--headless", "--ask", QUESTION]).refused(2, &["assistant.toml", "cannot be read"]);
}

/// Only settings that do not exist mean the defaults. Here their folder is a file; another user's folder is alike.
#[test]
fn settings_out_of_reach_are_no_defaults() {
    let home = tiny();
    fs::create_dir_all(home.path("home")).unwrap();
    fs::write(home.path("home/tomato-assistant"), "no folder").unwrap();
    let output = command(ASSISTANT).envs(home.folders()).args(["--headless", "--ask", QUESTION]).output().unwrap();
    Said::from(output).refused(2, &["assistant.toml cannot be read", "Check the path and who may read the file."]);
}

#[test]
fn without_a_bundle_there_is_advice() {
    let home = Home::new(Path::new("nowhere"));
    let place = home.path("nowhere");
    let advice = ["There is no bundle in", place.to_str().unwrap(), "pipeline quickstart"];
    home.run(&["--headless", "--ask", QUESTION]).refused(1, &advice);
    // So does the screen where there is no terminal.
    home.run(&[]).refused(1, &advice);
    // Without settings it is looked for in the user's own folders, which this test has replaced.
    let output = command(ASSISTANT).envs(home.folders()).args(["--headless", "--ask", QUESTION]).output().unwrap();
    Said::from(output).refused(1, &["There is no bundle in", home.path("home").to_str().unwrap()]);
}

#[test]
fn a_bundle_is_installed_and_rolled_back() {
    let home = Home::new(Path::new("state/bundle"));
    let (new, installed) = (home.path("new"), home.path("state/bundle"));
    let (install, rollback) = (["--install", new.to_str().unwrap()], ["--rollback"]);
    home.run(&install).refused(1, &["There is no bundle in", "new"]);
    home.run(&rollback).refused(1, &["no earlier bundle beside", "state/bundle"]);
    tiny_bundle::copy(&new);
    let changed = |arguments: &[&str], words: &str| {
        let said = home.run(arguments);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
        assert!(said.out.contains(words) && said.out.contains(installed.to_str().unwrap()), "{}", said.out);
        assert_eq!(home.run(&["--headless", "--ask", QUESTION]).code, Some(0));
    };
    changed(&install, "The bundle is installed in");
    changed(&install, "The bundle is installed in");
    changed(&rollback, "The earlier bundle is back in");
    // A bad copy changes nothing.
    fs::write(new.join("model.gguf"), "short").unwrap();
    home.run(&install).refused(1, &["is damaged: model.gguf", "--rollback"]);
    fs::remove_file(new.join("manifest.json")).unwrap();
    home.run(&install).refused(1, &["is not a bundle", "after --install"]);
    changed(&rollback, "The earlier bundle is back in");
}

#[test]
fn one_changed_byte_in_any_file_of_the_bundle_is_noticed() {
    let folder = tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    tiny_bundle::copy(&bundle);
    let home = Home::new(&bundle);
    let listed = tiny_bundle::bundle().manifest().files.iter().map(|file| file.name.as_str());
    for name in listed.chain(["manifest.json"]) {
        let good = fs::read(bundle.join(name)).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        fs::write(bundle.join(name), bad).unwrap();
        home.run(&["--headless", "--ask", QUESTION]).refused(1, &["bundle", name]);
        fs::write(bundle.join(name), good).unwrap();
    }
    assert_eq!(home.run(&["--headless", "--ask", QUESTION]).code, Some(0));
}

#[test]
fn a_batch_file_that_cannot_be_read_is_named() {
    let home = tiny();
    home.run(&["--headless", "--batch", "nowhere.jsonl"]).refused(1, &["nowhere.jsonl"]);
    assert_eq!(home.batch(b"\n \n\n"), Vec::<Value>::new());
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let home = tiny();
    let lines = format!("{}\n", json!({"id": 1, "question": QUESTION})).repeat(3);
    fs::write(home.path("batch.jsonl"), lines).unwrap();
    for arguments in [&["--ask", QUESTION][..], &["--ask", QUESTION, "--json"], &["--batch", "batch.jsonl"]] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut command = home.command();
        let child = command.arg("--headless").args(arguments).current_dir(home.0.path()).stdout(writer);
        let child = child.stderr(Stdio::piped()).spawn().unwrap();
        let said = Said::from(child.wait_with_output().unwrap());
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn a_signal_ends_the_answer_with_code_1_and_whole_lines() {
    let home = tiny();
    let mut command = home.command();
    let child = command.args(["--headless", "--batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.stderr(Stdio::piped()).spawn().unwrap();
    let (mut input, mut out) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let line = format!("{}\n", json!({"id": 1, "question": QUESTION}));
    // More than can be answered while the signal is on its way; writing ends when the child has ended.
    let writer = thread::spawn(move || (0..5000).take_while(|_| input.write_all(line.as_bytes()).is_ok()).count());
    let mut answers = String::new();
    out.read_line(&mut answers).unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    out.read_to_string(&mut answers).unwrap();
    let said = Said::from(child.wait_with_output().unwrap());
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""));
    assert!(writer.join().unwrap() < 5000);
    assert!(answers.lines().all(|line| fields(&serde_json::from_str(line).unwrap()).len() == FIELDS.len() + 1));
}

#[test]
fn help_and_version_need_nothing() {
    let home = Home::new(Path::new("nowhere"));
    let version = home.run(&["--version"]);
    assert_eq!((version.code, version.out), (Some(0), format!("tomato-assistant {}\n", env!("CARGO_PKG_VERSION"))));
    let help = home.run(&["--help"]);
    for flag in [
        "--headless",
        "--ask",
        "--batch",
        "--json",
        "--explain",
        "--category",
        "--lang",
        "--reading",
        "--install",
        "--rollback",
        "--config",
    ] {
        assert!(help.code == Some(0) && help.out.contains(flag), "{}", help.out);
    }
    assert!(!home.path("home").exists() && !home.path("log.txt").exists());
}
