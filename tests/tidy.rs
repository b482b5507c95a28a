//! The rules of the house, read from the sources: who may use whom, how long a file may be, what must not be
//! committed. Each rule is a function from a file's path and text to complaints, and has a test that makes it complain.

use std::fs;
use std::path::Path;

/// Room -> the rooms of `src/` it may import. A room is a file or folder directly below `src/`.
const ROOMS: &[(&str, &[&str])] = &[
    // Know nobody.
    ("bundle", &[]),
    ("climate", &[]),
    ("knowledge", &[]),
    ("log_file", &[]),
    ("model", &[]),
    ("stats", &[]),
    ("threads", &[]),
    // What runs in the greenhouse, from the sensors to the answer.
    ("config", &["climate", "text"]),
    ("sensors", &["climate", "config"]),
    ("prompt", &["climate", "knowledge"]),
    ("engine", &["model", "prompt", "stats"]),
    ("answer", &["bundle", "climate", "engine", "knowledge", "prompt", "stats", "text"]),
    ("worker", &["answer", "text"]),
    // Has a phrase for everything that can be said, errors included.
    ("text", &["answer", "bundle", "climate", "config", "knowledge", "sensors", "stats"]),
    // What the grower sees.
    ("headless", &["answer", "bundle", "climate", "config", "knowledge", "sensors", "stats", "text", "worker"]),
    ("tui", &["answer", "bundle", "climate", "config", "knowledge", "sensors", "stats", "text", "worker"]),
    (
        "main",
        &[
            "answer",
            "bundle",
            "climate",
            "config",
            "headless",
            "knowledge",
            "log_file",
            "sensors",
            "text",
            "threads",
            "tui",
            "worker",
        ],
    ),
];

/// What the pipeline may use of the library: never the screen, the sensors, the worker. `headless` is how the quickstart
/// asks its question, so that there is one way to answer without a screen.
const PIPELINE: &[&str] =
    &["answer", "bundle", "climate", "engine", "headless", "knowledge", "model", "prompt", "stats", "text", "threads"];

/// Crate -> the only places that may name it.
const CRATES: &[(&str, &[&str])] = &[
    ("candle_core", &["src/model/", "src/engine.rs", "src/engine/", "build/"]),
    ("candle_nn", &["src/model/", "src/engine.rs", "build/"]),
    ("candle_transformers", &["src/model/", "src/engine.rs", "build/"]),
    ("color_eyre", &["src/main.rs", "build/main.rs"]),
    ("crossterm", &["src/tui/"]),
    ("embedded_hal", &["src/sensors/"]),
    ("indicatif", &["build/"]),
    ("ratatui", &["src/tui/"]),
    ("ratatui_textarea", &["src/tui/"]),
    ("regex", &["build/"]),
    ("rppal", &["src/sensors/bus.rs"]),
    ("rusqlite", &["src/history.rs"]),
    // The configuration validates a row's address into the driver's own type.
    ("sht4x", &["src/sensors/", "src/config.rs"]),
    ("tokenizers", &["src/engine.rs", "src/engine/", "build/"]),
];

const LARGEST_FILE: u64 = 2_000_000;

/// The adapter that is shipped: 4 million numbers of 16 bits. Without it everybody would have to train for hours.
const LARGER: (&str, u64) = ("data/model/adapter_model.safetensors", 8_000_000);

/// The code of a Rust file without its comments, line by line.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| match line.trim_start() {
        comment if comment.starts_with("//") => "",
        _ => line.split(" // ").next().unwrap_or(line),
    })
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The places in `text` where `word` stands by itself.
fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| !text[..at].ends_with(is_word) && !text[at + word.len()..].starts_with(is_word))
}

/// What follows `root::` in a file: `crate::a::b` gives `a`, `crate::{a::{b, c}, d}` gives `a` and `d`.
fn used(text: &str, root: &str) -> Vec<String> {
    let code = code(text).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for at in words(&code, root) {
        let Some(rest) = code[at + root.len()..].strip_prefix("::") else { continue };
        let Some(list) = rest.strip_prefix('{') else {
            found.push(rest.chars().take_while(|&c| is_word(c)).collect());
            continue;
        };
        let (mut depth, mut item) = (1, String::new());
        for character in list.chars() {
            depth += i32::from(character == '{') - i32::from(character == '}');
            if depth == 0 || (depth == 1 && character == ',') {
                found.push(item.trim().chars().take_while(|&c| is_word(c)).collect());
                item.clear();
            }
            if depth == 0 {
                break;
            }
            item.push(if depth == 1 && character == ',' { ' ' } else { character });
        }
    }
    found.retain(|name: &String| !name.is_empty() && name != "self");
    found
}

fn imports(path: &str, text: &str) -> Vec<String> {
    let (root, allowed) = if path.starts_with("build/") {
        ("tomato_assistant", PIPELINE)
    } else {
        let room = path.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default();
        if room == "lib" {
            return Vec::new();
        }
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            return vec![format!("{path}: `{room}` is a new room; say in tests/tidy.rs whom it may use")];
        };
        (if room == "main" { "tomato_assistant" } else { "crate" }, *allowed)
    };
    used(text, root)
        .into_iter()
        .filter(|name| !allowed.contains(&name.as_str()) && !path.starts_with(&format!("src/{name}")))
        .map(|name| format!("{path}: must not use {root}::{name}"))
        .collect()
}

fn crates(path: &str, text: &str) -> Vec<String> {
    let code = code(text).collect::<Vec<_>>().join("\n");
    let names = |name: &str| words(&code, name).any(|at| code[at + name.len()..].starts_with("::"));
    CRATES
        .iter()
        .filter(|(name, places)| names(name) && !places.iter().any(|place| path.starts_with(place)))
        .map(|(name, places)| format!("{path}: {name} belongs in {}", places.join(", ")))
        .collect()
}

fn opening(path: &str, text: &str) -> Vec<String> {
    if text.starts_with("//! ") {
        Vec::new()
    } else {
        vec![format!("{path}: must open with a `//!` line on what it is")]
    }
}

fn length(path: &str, text: &str) -> Vec<String> {
    let most = match path {
        _ if path.starts_with("src/model/kernels/") => return Vec::new(),
        "src/model/gemma3.rs" => 450,
        _ => 400,
    };
    let lines = text.lines().count();
    if lines > most { vec![format!("{path}: {lines} lines, at most {most}")] } else { Vec::new() }
}

fn unchecked(path: &str, text: &str) -> Vec<String> {
    let marks = [concat!("un", "safe"), concat!("un", "safe_code")];
    let found = code(text).any(|line| marks.iter().any(|mark| words(line, mark).next().is_some()));
    // The second sets a variable of the environment before any other thread reads it, the third numbers of the C library.
    if found && !["src/model/kernels/", "src/threads.rs", "build/heap.rs"].iter().any(|place| path.starts_with(place)) {
        return vec![format!("{path}: code the compiler cannot check belongs in src/model/kernels/")];
    }
    Vec::new()
}

/// Words for growers stand in `src/text/`, so that every language has them. Two words between quotes look like such.
fn words_on_screen(path: &str, text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]").next().unwrap_or(text);
    let two_words = |literal: &&str| {
        let words = literal.split(' ').filter(|word| word.chars().filter(|c| c.is_alphabetic()).count() > 1);
        words.count() > 1
    };
    let for_growers = |line: &&str| !["expect(", "log::", "warn!(", "assert"].iter().any(|other| line.contains(other));
    code(text)
        .filter(for_growers)
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .filter(two_words)
        .map(|literal| format!("{path}: {literal:?} belongs in src/text/"))
        .collect()
}

/// Marks of unfinished work, and what ties the sources to one machine or one package registry.
/// Written in two halves, or this file would hold them.
fn forbidden(path: &str, text: &str) -> Vec<String> {
    const MARKS: &[(&str, &str)] = &[
        ("TO", "DO"),
        ("FIX", "ME"),
        ("crates", ".io"),
        ("pypi", ".org"),
        ("python", "hosted.org"),
        ("npm", "js.org"),
        ("npm", "js.com"),
        ("/wo", "rk/"),
        ("/tmp", "/w/"),
        ("/ro", "ot/"),
        ("/opt/", "wheels"),
    ];
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (start, end) in MARKS {
            let mark = format!("{start}{end}");
            // A path begins where no word precedes it: `a/work/b` is somebody else's.
            let whole = |(at, _): (usize, &str)| {
                !mark.starts_with('/') || !line[..at].ends_with(|c: char| is_word(c) || c == '.')
            };
            if line.match_indices(&mark).any(whole) {
                complaints.push(format!("{path}:{}: holds {mark:?}", number + 1));
            }
        }
    }
    complaints
}

/// The tree in the README names every source file, a `mod.rs` by its folder.
fn in_readme(path: &str, readme: &str) -> Vec<String> {
    let name = match path.strip_suffix("/mod.rs") {
        Some(folder) => format!("{}/", folder.rsplit('/').next().unwrap_or(folder)),
        None => path.rsplit('/').next().unwrap_or(path).to_owned(),
    };
    let listed = readme.lines().any(|line| line.split_whitespace().next() == Some(&name));
    if listed { Vec::new() } else { vec![format!("{path}: README.md's tree lacks {name}")] }
}

/// Every file of the repository: path from its root, and size in bytes. What .gitignore names is left out.
fn files() -> Vec<(String, u64)> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<(String, u64)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            if name == "target" || name == ".git" || name.ends_with("__pycache__") || name.ends_with(".log") {
            } else if path.is_dir() {
                walk(root, &path, found);
            } else {
                found.push((name, path.metadata().unwrap().len()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(root, root, &mut found);
    found.sort();
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Applies `rule` to the Rust files whose path starts with one of `places`.
fn hold(places: &[&str], rule: fn(&str, &str) -> Vec<String>) {
    let paths = files().into_iter().map(|(path, _)| path);
    let sources: Vec<_> =
        paths.filter(|path| path.ends_with(".rs") && places.iter().any(|place| path.starts_with(place))).collect();
    assert!(sources.len() > 5, "{places:?} look empty: {sources:?}");
    let complaints: Vec<_> = sources.iter().flat_map(|path| rule(path, &read(path))).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn rooms_import_only_whom_they_may() {
    hold(&["src/", "build/"], imports);
    assert_eq!(imports("src/model/gemma3.rs", "use crate::engine::Engine;").len(), 1);
    assert_eq!(imports("src/engine.rs", "use crate::{\n    model::{cache, ops},\n    tui::{self, App},\n};").len(), 1);
    assert_eq!(imports("build/bundle.rs", "fn f() { tomato_assistant::sensors::poll() }").len(), 1);
    assert_eq!(imports("src/helpers/mod.rs", "").len(), 1);
    assert!(imports("src/engine.rs", "//! As in crate::tui.\nuse crate::{model::{a, b}, stats};").is_empty());
}

#[test]
fn crates_stay_in_their_places() {
    hold(&["src/", "build/"], crates);
    assert_eq!(crates("src/answer/mod.rs", "use candle_core::Tensor;").len(), 1);
    assert_eq!(crates("src/main.rs", "ratatui::restore();").len(), 1);
    assert!(crates("src/tui/view.rs", "use ratatui::Frame; // as candle_core::Tensor").is_empty());
}

#[test]
fn files_say_what_they_are_and_stay_short() {
    hold(&["src/", "build/", "tests/"], opening);
    hold(&["src/", "build/", "tests/"], length);
    assert_eq!(opening("src/a.rs", "use std::fs;\n//! Late.").len(), 1);
    assert_eq!(length("src/a.rs", &"\n".repeat(401)).len(), 1);
    assert!(length("src/model/gemma3.rs", &"\n".repeat(450)).is_empty());
}

#[test]
fn both_programs_do_without_the_tensor_librarys_threads() {
    for program in ["src/main.rs", "build/main.rs"] {
        assert!(read(program).contains("\n    threads::one();\n"), "{program}");
    }
}

#[test]
fn unchecked_code_is_in_the_kernels() {
    hold(&["src/", "build/", "tests/"], unchecked);
    assert_eq!(unchecked("src/a.rs", concat!("un", "safe { f() }")).len(), 1);
    assert_eq!(unchecked("src/a.rs", concat!("#[allow(un", "safe_code)]")).len(), 1);
}

#[test]
fn the_screen_takes_its_words_from_text() {
    hold(&["src/tui/"], words_on_screen);
    assert_eq!(words_on_screen("src/tui/view.rs", "let title = \"Ask a question\";").len(), 1);
    assert!(words_on_screen("src/tui/view.rs", "x.expect(\"never empty here\"); let rule = \" | \";").is_empty());
}

#[test]
fn nothing_unfinished_local_or_huge_is_committed() {
    let mut complaints = Vec::new();
    for (path, size) in files() {
        let most = if path == LARGER.0 { LARGER.1 } else { LARGEST_FILE };
        if size > most {
            complaints.push(format!("{path}: {size} bytes, at most {most}"));
        } else if path != "Cargo.lock"
            && let Ok(text) = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path))
        {
            complaints.extend(forbidden(&path, &text));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    assert_eq!(forbidden("a.md", concat!("see https://crates", ".io/x\n// TO", "DO: more\nin /ro", "ot/x")).len(), 3);
    assert!(forbidden("a.md", concat!("https://example.org/wo", "rk/x")).is_empty());
}

#[test]
fn the_readme_names_every_source_file() {
    let readme = read("README.md");
    let sources = files().into_iter().map(|(path, _)| path);
    let sources =
        sources.filter(|path| path.ends_with(".rs") && (path.starts_with("src/") || path.starts_with("build/")));
    let complaints: Vec<_> = sources.flat_map(|path| in_readme(&path, &readme)).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    assert_eq!(in_readme("src/tui/keys.rs", "  view.rs   draws keys.rs").len(), 1);
    assert!(in_readme("src/tui/mod.rs", "  tui/   the screen").is_empty());
}
