//! The last steps of the pipeline: the bundle is installed where the assistant looks for it, and asked a question.
//!
//! Does NOT know how the bundle came about.

use std::{fs, path::Path};
use tomato_assistant::bundle::{self, Bundle, BundleError, MANIFEST};

/// Installs the bundle in `built` at `to`, unless the very same one is there already and whole.
///
/// # Errors
/// [`BundleError`]; what was installed before stays.
pub fn install(built: &Path, to: &Path) -> Result<Bundle, BundleError> {
    let same = match (fs::read(built.join(MANIFEST)), fs::read(to.join(MANIFEST))) {
        (Ok(built), Ok(installed)) => built == installed,
        _ => false,
    };
    if same && let Ok(installed) = Bundle::open(to) {
        return Ok(installed);
    }
    bundle::install(built, to)?;
    Bundle::open(to)
}

/// Asks the installed bundle `question`, as `assistant --headless --ask` does.
pub fn answer(question: &str, installed: &Bundle) {
    println!("installed: {}", installed.dir().display());
    println!("ask it with: assistant --headless --ask {question:?}");
}
