//! The assistant as a process in a home of its own: how the tests start it, and what it said.

use crate::{program::command, tiny_bundle};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use tempfile::{TempDir, tempdir};

pub const ASSISTANT: &str = env!("CARGO_BIN_EXE_assistant");

/// A home of its own with settings that point to `bundle`; nothing of the user's is seen or touched.
pub struct Home(pub TempDir);

impl Home {
    pub fn new(bundle: &Path) -> Home {
        let home = Home(tempdir().unwrap());
        home.settings(&format!("bundle = {bundle:?}\nthreads = 1\n[log]\nfile = \"log.txt\"\n"));
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn settings(&self, text: &str) {
        fs::write(self.path("assistant.toml"), text).unwrap();
    }

    pub fn folders(&self) -> [(&'static str, PathBuf); 5] {
        ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"]
            .map(|name| (name, self.path("home")))
    }

    pub fn command(&self) -> Command {
        let mut command = command(ASSISTANT);
        command.envs(self.folders()).stdin(Stdio::null());
        command.arg("--config").arg(self.path("assistant.toml"));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        Said::from(self.command().args(arguments).output().unwrap())
    }

    /// Answers to `lines`, one a line.
    pub fn batch(&self, lines: &[u8]) -> Vec<Value> {
        fs::write(self.path("batch.jsonl"), lines).unwrap();
        let said = self.run(&["--headless", "--batch", self.path("batch.jsonl").to_str().unwrap()]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Home with the tiny bundle.
pub fn tiny() -> Home {
    Home::new(tiny_bundle::bundle().dir())
}

/// The fields of an answer, as agreed with whoever reads the JSON.
pub const FIELDS: [&str; 21] = [
    "advice",
    "answer",
    "by_readings",
    "dropped_references",
    "fallback",
    "further",
    "lead",
    "more",
    "nearest",
    "nearest_only",
    "peak_rss_mib",
    "read_tok_s",
    "read_tokens",
    "readings_first",
    "readings_note",
    "references",
    "refused",
    "rss_mib",
    "stopped",
    "total_s",
    "ttft_s",
];

/// The fields of a JSON object.
pub fn fields(answer: &Value) -> Vec<&str> {
    // Sorted: serde_json's map is.
    answer.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Exit code and both streams.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let said = Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        assert!(!said.err.contains("panicked"), "{}", said.err);
        said
    }
}

impl Said {
    /// Ended with `code` and a message with all of `words`, and no answer.
    pub fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{}", self.err);
        assert!(!self.err.trim().is_empty() && words.iter().all(|word| self.err.contains(word)), "{}", self.err);
    }
}
