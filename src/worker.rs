//! The answerer on its own thread: questions in, events out, one cancel flag.
//!
//! Does NOT know what is shown. Standard channels only.

use crate::answer::{Answer, Question};

/// What the worker reports, in order: `Ready` or `Failed` once, then for each question `Text`* and `Done` or `Failed`.
#[derive(Debug)]
pub enum Event {
    /// The bundle is loaded; questions are taken.
    Ready,
    /// More words of the answer under way.
    Text(String),
    /// The answer is complete.
    Done(Box<Answer>),
    /// It failed; the words are for the grower.
    Failed(String),
}

/// What the worker is asked.
#[derive(Debug)]
pub enum Request {
    /// Answer this.
    Ask(Box<Question>),
}
