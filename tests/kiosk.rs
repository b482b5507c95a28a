//! The assistant on a panel that shows nothing but it: the screen opens, and what keeps it from answering, or from starting,
//! stands there to be read. Readings and entries need no model.

use crate::{
    home::{ASSISTANT, Home, tiny},
    program::words,
    terminal::Window,
    tiny_bundle,
};
use portable_pty::CommandBuilder;
use std::{
    ffi::OsStr,
    fs::{self, File},
    path::Path,
    time::{Duration, Instant},
};
use tomato_assistant::{
    bundle::{Bundle, MANIFEST, MODEL, Manifest},
    knowledge::Knowledge,
};

/// The screen of the assistant in `home`.
fn open(home: &Home) -> Window {
    let mut command = CommandBuilder::from_argv(words(ASSISTANT).into_iter().map(Into::into).collect());
    command.args([OsStr::new("--config"), home.path("assistant.toml").as_os_str()]);
    home.folders().iter().for_each(|(name, path)| command.env(name, path));
    command.cwd(home.0.path());
    Window::of(command, 80, 24)
}

/// A copy of the tiny bundle in a home, with one byte of `name` changed.
fn damaged(name: &str) -> Home {
    let home = Home::new(Path::new("bundle"));
    let bundle = home.path("bundle");
    tiny_bundle::copy(&bundle);
    let mut bytes = fs::read(bundle.join(name)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(bundle.join(name), bytes).unwrap();
    home
}

#[test]
fn the_screen_opens_on_a_bundle_and_gives_the_terminal_back() {
    let mut window = open(&tiny()).taken_with("Ready");
    window.type_keys(b"\x03");
    window.given_back_with(0, "");
}

#[test]
fn a_damaged_model_takes_only_the_answers_away() {
    let mut window = open(&damaged("model.gguf")).taken_with("Out of order");
    // The first question of the first category: asked, refused with the reason, and its entry read instead.
    window.type_keys(b"\r\r");
    window.wait_for("model.gguf");
    window.wait_for("not measured: air");
    window.type_keys(b"\t\r");
    window.wait_for("Reviewed entry");
    window.type_keys(b"\x03");
    window.given_back_with(0, "");
}

/// Its check takes minutes: a model of 64 GiB that are nowhere on the disk.
#[test]
fn the_screen_is_left_at_once_while_the_bundle_is_being_checked() {
    let home = damaged(MODEL);
    let bundle = home.path("bundle");
    let whole = tiny_bundle::bundle().manifest().clone();
    let mut files = whole.files;
    for file in files.iter_mut().filter(|file| file.name == MODEL) {
        file.bytes = 1 << 36;
        File::create(bundle.join(MODEL)).unwrap().set_len(file.bytes).unwrap();
    }
    let manifest = Manifest::new(whole.name, files, whole.provenance, whole.licences);
    fs::write(bundle.join(MANIFEST), manifest.to_bytes()).unwrap();
    let mut window = open(&home).taken_with("Checking and loading");
    let asked = Instant::now();
    window.type_keys(b"\x03");
    window.given_back_with(0, "");
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
}

#[test]
fn the_screen_has_the_entries_without_what_is_only_searched() {
    let text = Bundle::text(tiny_bundle::bundle().dir(), "knowledge.json").unwrap();
    let whole = Knowledge::parse(&text).unwrap();
    let readable = whole.clone().into_readable();
    assert_eq!(readable.len(), whole.entries().len());
    for (entry, whole) in readable.iter().zip(whole.entries()) {
        assert_eq!((&entry.id, entry.category, &entry.instruction), (&whole.id, whole.category, &whole.instruction));
        assert_eq!((&entry.input, &entry.output, &entry.sources), (&whole.input, &whole.output, &whole.sources));
        assert!(entry.asked().eq([&whole.instruction]) && whole.asked().count() > 3);
    }
}

#[test]
fn what_keeps_the_screen_from_starting_stays_until_a_key() {
    let unread = Home::new(Path::new("nowhere"));
    unread.settings("bundel = 1");
    for (home, code, words) in [
        (Home::new(Path::new("nowhere")), 1, "There is no bundle in"),
        (damaged("targets.toml"), 1, "targets.toml"),
        (damaged("knowledge.json"), 1, "knowledge.json"),
        (damaged("manifest.json"), 1, "manifest.json"),
        (unread, 2, "assistant.toml, line 1"),
    ] {
        let mut window = open(&home).taken_with("Press a key or tap to close this.");
        window.wait_for(words);
        window.type_keys(b" ");
        // And is still to be read in the terminal and the journal.
        window.given_back_with(code, words);
    }
}
