//! A whole pipeline that is killed in each of its stages, and one whose disk is full in each: it goes on to the same bytes.

use crate::{
    pipeline::{FINETUNE, GOOD},
    program,
    recipe::RECOVER,
    tiny, tiny_encoder, tiny_training,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};
use tempfile::TempDir;

const STAGES: [&str; 9] =
    ["1-import", "2-prune", "3-recover", "4-finetune", "5-merge", "6-quantize", "7-encoder", "8-embed", "10-bundle"];

/// A tiny repository, encoder and pipeline.
struct Place {
    repository: TempDir,
    encoder: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { repository: tiny_training::lessons(), encoder: tiny_encoder::folder(|_, _, _| ()) };
        fs::write(place.repository.path().join("recipe.toml"), [GOOD, RECOVER, FINETUNE].concat()).unwrap();
        fs::create_dir_all(place.folder()).unwrap();
        place
    }

    fn folder(&self) -> PathBuf {
        self.repository.path().join("target/pipeline")
    }

    /// The command that runs the stages up to `until`; nothing is installed.
    fn command(&self, until: &str) -> Command {
        let mut command = program::command(env!("CARGO_BIN_EXE_pipeline"));
        command.args(["run", "--recipe", "recipe.toml", "--train", "--until", until, "--base"]);
        command.arg(tiny::folder()).arg("--encoder").arg(self.encoder.path());
        command.current_dir(self.repository.path()).env("CARGO_TARGET_DIR", self.repository.path().join("target"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Exit code, and what is told.
    fn run(&self, until: &str) -> (Option<i32>, String) {
        let output = self.command(until).stderr(Stdio::piped()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    /// What the stages left: all that is not named after a time.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for stage in STAGES {
            for file in fs::read_dir(self.folder().join(stage)).unwrap() {
                let path = file.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if !["record.json", "training.json"].contains(&name.as_str()) {
                    files.insert(format!("{stage}/{name}"), fs::read(&path).unwrap());
                }
            }
        }
        files
    }

    /// Starts the pipeline and kills it as soon as `sign` is there; whether that happened before `stage` was whole.
    fn kill_at(&self, stage: &str, sign: &Path) -> bool {
        let mut child = self.command("bundle").spawn().unwrap();
        let met = loop {
            if sign.exists() {
                break true;
            }
            if child.try_wait().unwrap().is_some() {
                break false;
            }
            thread::yield_now();
        };
        child.kill().unwrap();
        child.wait().unwrap();
        met && sign.exists() && !self.folder().join(stage).exists()
    }
}

fn uninterrupted() -> BTreeMap<String, Vec<u8>> {
    let place = Place::new();
    let (code, told) = place.run("bundle");
    assert_eq!(code, Some(0), "{told}");
    let files = place.files();
    assert!(files.len() > 20, "{:?}", files.keys());
    files
}

fn assert_same(found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    let differ: Vec<&String> = expected.keys().filter(|name| found[*name] != expected[*name]).collect();
    assert!(differ.is_empty(), "{differ:?}");
}

#[test]
fn a_pipeline_that_is_killed_in_each_stage_makes_the_same_in_the_end() {
    let expected = uninterrupted();
    let place = Place::new();
    // In the middle of a training too, once it has something to go on from.
    let mut signs: Vec<_> = STAGES.map(|stage| (stage, place.folder().join(format!("{stage}.partial")))).into();
    signs.insert(4, ("4-finetune", place.folder().join("finetune-resume/progress.toml")));
    signs.insert(3, ("3-recover", place.folder().join("recover-resume/progress.toml")));
    for (stage, sign) in signs {
        // A stage that was through before it could be killed is made to do it again.
        let caught = (0..50).any(|_| {
            for old in [stage, "recover-resume", "finetune-resume"] {
                let _ = fs::remove_dir_all(place.folder().join(old));
            }
            place.kill_at(stage, &sign)
        });
        assert!(caught, "{stage} was never killed at {}", sign.display());
    }
    let (code, told) = place.run("bundle");
    assert_eq!(code, Some(0), "{told}");
    assert_same(&place.files(), &expected);
    let left: Vec<_> = fs::read_dir(place.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".partial")), "{left:?}");
}

/// A small disk that is not left behind.
struct Disk<'a>(&'a Path);

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

/// Needs the right to mount a small disk, so it says that it was skipped where there is none.
#[test]
fn a_pipeline_whose_disk_is_full_says_so_in_each_stage_and_makes_the_same_in_the_end() {
    let place = Place::new();
    let folder = place.folder();
    let mount = |options: &str| {
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(&folder).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !mount("size=8m") {
        eprintln!("skipped: this user may not mount a small disk");
        return;
    }
    let _disk = Disk(&folder);
    let expected = uninterrupted();
    let size = |stage: &str| -> usize {
        let own = expected.iter().filter(|(name, _)| name.starts_with(&format!("{stage}/")));
        own.map(|(_, bytes)| bytes.len()).sum()
    };
    let used = || {
        let output = Command::new("df").args(["--output=used", "-B1"]).arg(&folder).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().nth(1).unwrap().trim().parse::<usize>().unwrap()
    };
    for stage in STAGES {
        // Half of what it needs is free; the bundle is mostly links to what is there.
        let room = if stage == "10-bundle" { 4096 } else { size(stage) / 2 };
        let limit = (used() + room).div_ceil(4096);
        assert!(mount(&format!("remount,nr_blocks={limit}")), "{stage}");
        let (code, told) = place.run("bundle");
        assert_eq!(code, Some(1), "{stage}: {told}");
        assert!(told.contains("No space left on device"), "{stage}: {told}");
        assert!(told.contains("free some space and run again"), "{stage}: {told}");
        assert!(!folder.join(stage).exists() && !folder.join(format!("{stage}.partial")).exists(), "{stage}");
        assert!(mount("remount,size=64m"));
        let (code, told) = place.run(stage.split('-').nth(1).unwrap());
        assert_eq!(code, Some(0), "{stage}: {told}");
    }
    let (code, told) = place.run("bundle");
    assert_eq!(code, Some(0), "{told}");
    assert_same(&place.files(), &expected);
}
