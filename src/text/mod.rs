//! Every word shown to a grower, one file per language.
//!
//! Turns a [`Msg`] into words. A language is one file with one function, so the compiler finds a missing message.
//! Does NOT know screens or terminals; nothing here may assume Latin text or one cell a character.

mod en;

use std::time::Duration;

use crate::{
    climate::{NoData, Quantity},
    knowledge::Source,
    stats::Stats,
};

/// A language the appliance can speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// English.
    #[default]
    En,
}

impl Lang {
    /// The words for `msg` in this language.
    pub fn say(self, msg: &Msg) -> String {
        match self {
            Lang::En => en::say(msg),
        }
    }
}

/// Everything the appliance can say.
#[derive(Clone, Debug)]
pub enum Msg<'a> {
    /// Name of the appliance.
    AppName,
    /// Name of a category.
    Category(crate::knowledge::Category),
    /// Name of a quantity.
    Quantity(Quantity),
    /// The question is empty.
    EmptyQuestion,
    /// Why there is no usable bundle, and what to do about it.
    Bundle(&'a crate::bundle::BundleError),
    /// A reference was left out because the question was long.
    ReferencesDropped(usize),
    /// Placeholder until more are needed.
    Verbatim(&'a str),

    // The screen.
    /// Short name of a quantity, for the readings strip.
    ShortQuantity(Quantity),
    /// A value with its unit.
    Value(Quantity, f32),
    /// A value with a unit short enough for the readings strip.
    ShortValue(Quantity, f32),
    /// How long ago a reading was taken, short.
    Age(Duration),
    /// How long ago a reading was taken, as a sentence.
    Measured(Duration),
    /// Why there is no reading, short.
    NoData(&'a NoData),
    /// What to do about it.
    Advice(&'a NoData),
    /// Short names of what no probe measures.
    NotMeasured(&'a [String]),
    /// Button: go back.
    Back,
    /// Button: stop the answer.
    Stop,
    /// Button: ask the same question again.
    Again,
    /// Button: ask what is typed.
    Send,
    /// Button: all readings.
    AllReadings,
    /// Number of questions in a category.
    Questions(usize),
    /// A category without questions.
    NoQuestions,
    /// In the empty input line.
    AskHere,
    /// A question was cut to this many characters.
    QuestionCut(usize),
    /// The window is too small: columns and rows needed.
    WindowTooSmall(u16, u16),
    /// More lines follow below.
    MoreBelow,
    /// State: the bundle is being opened, for so long.
    Loading(Duration),
    /// State: a question can be asked.
    Ready,
    /// State: the references are being read, for so long.
    Reading(Duration),
    /// State: words are coming, for so long.
    Answering(Duration),
    /// State: stop was asked for.
    Stopping,
    /// State: nothing can be answered.
    OutOfOrder,
    /// Time to the first words, while the rest is coming.
    FirstWords(Duration),
    /// What the last answer cost.
    Cost(&'a Stats),
    /// The question waits for the answerer.
    Queued,
    /// Heading: the curated entry can be read while waiting.
    ReadMeanwhile,
    /// In place of the answer while the prompt is read.
    ReadingPage,
    /// The answer is the curated entry, not the model's words.
    Fallback,
    /// The question is not about tomatoes.
    Declined,
    /// The answer was stopped.
    Stopped,
    /// Heading above what the readings say.
    ReadingsHeading,
    /// Heading above the references.
    ReferencesHeading,
    /// Heading of a curated entry.
    CuratedEntry,
    /// Heading above an entry's sources.
    SourcesHeading,
    /// One source of an entry.
    Source(&'a Source),
    /// The answerer panicked.
    AnswererCrashed,
    /// The answerer's thread is gone.
    WorkerGone,
    /// Standard output is no terminal.
    NeedsTerminal,
}
