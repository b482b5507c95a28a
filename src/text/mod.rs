//! Every word shown to a grower, one file per language.
//!
//! Turns a [`Msg`] into words. A language is one file with one function, so the compiler finds a missing message.
//! Does NOT know screens or terminals; nothing here may assume Latin text or one cell a character.

mod en;

use std::time::Duration;

use crate::{
    climate::{Level, Measure, NoData, Period, Quantity, Range, Stage},
    knowledge::{Source, refusal::Why},
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
    /// All languages.
    pub const ALL: [Lang; 1] = [Lang::En];

    /// The name in the config and after `--lang`.
    pub fn name(self) -> &'static str {
        match self {
            Lang::En => "en",
        }
    }

    /// The language with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lang| lang.name() == name)
    }

    /// The words for `msg` in this language.
    pub fn say(self, msg: &Msg) -> String {
        match self {
            Lang::En => en::say(msg),
        }
    }

    /// The measures that `question` names in this language; all of them when it asks about sensors as such.
    pub fn measures_named(self, question: &str) -> Vec<Measure> {
        match self {
            Lang::En => en::measures_named(question),
        }
    }

    /// What a question for how the greenhouse stands asks about, in this language: nothing for all that is measured, None where
    /// one of its words asks for anything else.
    pub fn state_asked(self, question: &str) -> Option<Vec<Measure>> {
        match self {
            Lang::En => en::state_asked(question),
        }
    }

    /// Whether `sentence` of an entry in this language is not understood without the one before it.
    pub fn goes_on(self, sentence: &str) -> bool {
        match self {
            Lang::En => en::goes_on(sentence),
        }
    }
}

/// A key that stands on a button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Escape.
    Esc,
    /// The fifth function key.
    F5,
    /// Return.
    Enter,
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
    /// A bundle was installed in this folder.
    Installed(&'a std::path::Path),
    /// The earlier bundle is back in this folder.
    RolledBack(&'a std::path::Path),
    /// A reference was left out because the question was long.
    ReferencesDropped(usize),
    /// A bundle that is whole cannot be used; the log says why.
    BundleUnusable,
    /// Why a bundle that is whole cannot be answered from.
    CannotOpen(&'a crate::answer::OpenError),
    /// Why a question got no answer.
    NoAnswer(&'a crate::answer::AnswerError),

    // The greenhouse.
    /// A judged reading or a fault, as a sentence; with the age of the number or of the last good one.
    Assessed(&'a crate::climate::Assessed, Option<Duration>),
    /// Heading above what to do about a reading far out of range.
    Advised(Measure, Level),
    /// Whose targets and those of what time of day readings are judged by, as a sentence.
    JudgedFor(Stage, Period),
    /// A `--reading` is refused.
    ReadingError(&'a crate::climate::ReadingError),
    /// The config is refused.
    ConfigError(&'a crate::config::ConfigError),
    /// The sensors of the config cannot be used.
    SensorError(&'a crate::sensors::SensorError),

    // The screen.
    /// Name of what is measured or derived.
    Measure(Measure),
    /// The same, short, for the readings strip.
    ShortMeasure(Measure),
    /// A value with its unit.
    Value(Measure, f32),
    /// A value with a unit short enough for the readings strip.
    ShortValue(Measure, f32),
    /// How a value stands to its range.
    Level(Level),
    /// The same, short; empty when there is nothing to say.
    ShortLevel(Level),
    /// In place of that where nothing is asked just now.
    NoTarget,
    /// The ideal range.
    Target(Measure, Range),
    /// How many readings need a look.
    Problems(usize),
    /// How long ago a reading was taken, short.
    Age(Duration),
    /// How long ago a reading was taken, as a sentence.
    Measured(Duration),
    /// How long ago there was last a good reading, as a sentence.
    LastGood(Duration),
    /// Why there is no reading, short.
    NoData(&'a NoData),
    /// Why there is no daily light integral yet, as a sentence.
    DayNeeded,
    /// Name of the temperature at which the air wets surfaces.
    DewPoint,
    /// What it means, as a sentence.
    DewPointMeans,
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
    /// Below a button's words: the key that does the same.
    Key(Key),
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
    /// State: the bundle is being checked and loaded, for so long.
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
    /// The same for the bottom line of a narrow screen: about 57 cells.
    ShortCost(&'a Stats),
    /// The question waits until the bundle is open.
    QueuedLoading,
    /// The question waits until the one before has stopped.
    Queued,
    /// Heading: the curated entry can be read while there is no answer.
    ReadInstead,
    /// In place of the answer while the prompt is read.
    ReadingPage,
    /// Above an answer: the question as it was read, with its misspelt words mended.
    ReadAs(&'a str),
    /// Above an answer that no sentence clearly gives: what follows is only the nearest.
    NearestOnly,
    /// The answer is a whole curated entry: the model cannot choose.
    Fallback,
    /// Heading: the question gets no answer.
    Refused,
    /// In its place: why, and what the grower can do.
    Refusal(Why),
    /// To a question for how the greenhouse stands: how many readings are as they should be.
    State(&'a crate::climate::Assessment, &'a [Measure]),
    /// The same where it is not clear what is asked, and no entry fits.
    Unclear(&'a crate::climate::Assessment, &'a [Measure]),
    /// Heading above the entries to read instead.
    Nearest,
    /// The answer was stopped.
    Stopped,
    /// Heading above what the readings say, just now.
    ReadingsHeading,
    /// Heading above what the readings said when the question was asked, so long ago.
    ReadingsWhenAsked(Duration),
    /// Heading above the references where they cannot be tapped.
    Rests,
    /// Heading above what another entry adds: that entry's question, the case for which it was written.
    Further(&'a str),
    /// Heading above the rest of the entry that the answer is from.
    More,
    /// Heading above what the model read: what the search and the model gave each, and how near the question is to each sentence;
    /// chosen ones marked.
    Considered,
    /// A line of a batch file is not what it should be; the parser's words.
    BadLine(&'a str),
    /// Heading above the references.
    ReferencesHeading,
    /// Heading of a curated entry.
    CuratedEntry,
    /// Heading above an entry's sources.
    SourcesHeading,
    /// Heading above the entries that belong to this one.
    RelatedHeading,
    /// One source of an entry.
    Source(&'a Source),
    /// The answerer panicked and is opened again.
    AnswererCrashed,
    /// The answerer panicked this many times in a row and is given up.
    AnswererGone(u32),
    /// What still works though no question can be answered.
    StillThere,
    /// How to leave words that fill the screen.
    AnyKey,
    /// Standard output is no terminal.
    NeedsTerminal,
}
