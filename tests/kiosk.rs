//! The assistant on a panel that shows nothing but it: the screen opens, and what keeps it from answering, or from starting,
//! stands there to be read. Readings and entries need no model.

use crate::{
    home::{ASSISTANT, Home, tiny},
    program::words,
    terminal::Window,
    tiny_bundle,
};
use portable_pty::CommandBuilder;
use std::{ffi::OsStr, fs, path::Path};

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
