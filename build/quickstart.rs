//! The last steps of the pipeline: the bundle is installed where the assistant looks for it, and asked a question.
//!
//! Does NOT know how the bundle came about.

use std::{fs, io, path::Path};
use tomato_assistant::{
    answer::{Answerer, OpenError, Question},
    bundle::{self, Bundle, BundleError, MANIFEST},
    climate::Stage,
    headless::{self, Outcome},
    text::{Lang, Msg},
};

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

/// Why the installed bundle gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It cannot be answered from.
    #[error("{}", Lang::En.say(&Msg::CannotOpen(.0)))]
    Open(#[from] OpenError),
    /// The answer cannot be written.
    #[error("cannot write the answer: {0}")]
    Write(#[from] io::Error),
}

/// Asks the installed bundle `question`, the way `assistant --headless --ask` does. False if there was no answer; the
/// reason has been written.
///
/// # Errors
/// [`AskError`].
pub fn answer(question: &str, installed: &Bundle) -> Result<bool, AskError> {
    let mut answerer = Answerer::open(installed, Stage::default())?;
    let question = Question { text: question.into(), ..Question::default() };
    println!();
    let outcome = headless::ask(&mut answerer, &question, false, &|| false, &mut io::stdout(), &mut io::stderr())?;
    Ok(outcome == Outcome::Answered)
}
