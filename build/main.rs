//! Tries the first stages by hand: `pipeline [BASE] OUT`. Stands in for the real command line until that is merged.

#[path = "stages.rs"]
mod stages;

use indicatif::ProgressBar;
use stages::{fetch, import};
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let progress = ProgressBar::no_length();
    let (base, out): (PathBuf, &Path) = match arguments.as_slice() {
        [out] => (fetch::base_model(&fetch::default_cache()?, &progress)?, out),
        [base, out] => (base.clone(), out),
        _ => return Err("usage: pipeline [BASE] OUT".into()),
    };
    let imported = import::run(&import::Base::from_path(&base)?, out, &progress)?;
    println!("{imported:?} {:.2} MiB in f32", stages::size::mebibytes_f32(&imported.config));
    let status = std::fs::read_to_string("/proc/self/status")?;
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
    Ok(())
}
