//! The two programs as processes, started the way the test program itself was started: directly, or through the
//! runner cargo was given for a foreign architecture (qemu-user), since the kernel could not start them by itself.

use std::{env, path::Path, process::Command};

/// The command that starts `program`, the path in `env!("CARGO_BIN_EXE_…")`: runner words first, if there is a runner.
pub fn command(program: &str) -> Command {
    let mut words = words(program).into_iter();
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    command
}

/// The same as plain words, as a pseudo-terminal wants them.
pub fn words(program: &str) -> Vec<String> {
    // Cargo's own variable for the runner of a target.
    let name = format!("CARGO_TARGET_{}_UNKNOWN_LINUX_GNU_RUNNER", env::consts::ARCH.to_uppercase());
    let runner = env::var(name).unwrap_or_default();
    runner.split_whitespace().map(str::to_owned).chain([program.to_owned()]).collect()
}

/// Runs the stages in `repository` on `base` by its recipe.toml: the exit code, and what is told.
pub fn run_stages(repository: &Path, base: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(env!("CARGO_BIN_EXE_pipeline"))
        .args(["run", "--recipe", "recipe.toml", "--base"])
        .arg(base)
        .args(arguments)
        .current_dir(repository)
        .env("CARGO_TARGET_DIR", repository.join("target"))
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn both_programs_start() {
    for program in [env!("CARGO_BIN_EXE_assistant"), env!("CARGO_BIN_EXE_pipeline")] {
        let output = command(program).arg("--help").output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
