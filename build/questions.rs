//! Question sets for measuring: what is asked, which entries answer it, which facts a right answer holds.
//!
//! Turns a JSON array into typed questions. Does NOT judge them (see `check_data`) and does NOT know who answers them.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};
use tomato_assistant::{
    climate::{Quantity, Reading, Snapshot, Stage},
    knowledge::{Category, Entry},
};

pub use tomato_assistant::knowledge::refusal::Why;

/// The 15 core questions, below the repository's root.
pub const VALIDATION: &str = "data/validation_questions.json";
/// The 120 questions that nothing is trained or tuned on.
pub const TEST: &str = "data/test_questions.json";
/// The test questions in other words.
pub const TEST_VARIANTS: &str = "data/test_variants.json";
/// 60 questions about details, each with its one fact, that nothing is trained or tuned on.
pub const NARROW_TEST: &str = "data/narrow_test_questions.json";
/// Questions for tuning: entries and refusals, no facts.
pub const DEVELOPMENT: &str = "data/development_questions.json";
/// The development questions in other words.
pub const DEVELOPMENT_VARIANTS: &str = "data/development_variants.json";
/// The sentences that answer each of them.
pub const DEVELOPMENT_ANSWERS: &str = "data/development_answers.json";

/// Questions about details, for tuning: written as those of [`NARROW_TEST`] were, and learnt from by nothing.
pub const NARROW_DEVELOPMENT: &str = "data/narrow_development_questions.json";

/// Everyday questions and such as are to be refused, for tuning: of people who saw no file of this project.
pub const REFUSALS: &str = "data/refusal_questions.json";

/// Questions that one or two sentences of an entry answer.
pub const NARROW: &str = "data/narrow_questions.json";

/// The same for each sentence that these ask nothing of.
pub const SENTENCES: &str = "data/sentence_questions.json";

/// Whole questions with the half of an entry that answers them.
pub const BROAD: &str = "data/broad_questions.json";
/// The entries' questions in quite other words, to be found by; some teach the model what whole questions are.
pub const WORDINGS: &str = "data/wordings.json";
/// Questions to learn refusing from.
pub const REFUSED: &str = "data/refused_questions.json";

/// What decides the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The words of the question alone.
    Plain,
    /// The readings that come with it.
    Readings,
    /// Nothing: the right answer is a polite refusal.
    Refuse,
}

/// Where a fact must stand to be called true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// In the answer of one of the question's entries.
    #[default]
    Entries,
    /// In the readings, held against the targets.
    Readings,
}

/// What a right answer must tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// The fact in plain words.
    pub sentence: String,
    /// Regular expressions; an answer tells the fact when any matches anywhere, upper or lower case.
    pub patterns: Vec<String>,
    /// Where it comes from.
    #[serde(default)]
    pub from: Basis,
}

/// One question with what is known of its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// `v-…` validation, `t-…` test, `d-…` development.
    pub id: String,
    /// Where it belongs; none for a refusal.
    pub category: Option<Category>,
    /// In the grower's words, typing errors and all.
    pub question: String,
    /// What decides the answer.
    pub kind: Kind,
    /// Why it is refused; on refusals only.
    pub why: Option<Why>,
    /// The growth stage the readings are judged by.
    pub stage: Option<Stage>,
    /// Readings at the time of asking, in each quantity's unit.
    #[serde(default)]
    pub readings: BTreeMap<Quantity, f32>,
    /// Ids of the entries that answer it, best first.
    pub entries: Vec<String>,
    /// What a right answer must tell.
    pub facts: Vec<Fact>,
}

impl Question {
    /// Its readings, measured at this moment.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (&quantity, &value) in &self.readings {
            snapshot.set(quantity, Ok(Reading { value, at: SystemTime::now() }));
        }
        snapshot
    }
}

/// A fact's pattern as it is searched in an answer.
///
/// # Errors
/// What is no regular expression.
pub fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).case_insensitive(true).build()
}

/// Why a question set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum QuestionsError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not the JSON expected; line and column are in the words.
    #[error("{}: {source}", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// What was expected, and where.
        source: serde_json::Error,
    },
    /// Another way of asking something that is not asked.
    #[error("{variants}: {id} is none of {set} that has an answer; correct the id")]
    NoQuestion {
        /// As it stands there.
        id: String,
        /// The file that it stands in.
        variants: String,
        /// The file that lacks it.
        set: String,
    },
}

/// Other ways of asking a question that has an answer; the same answer is right.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    /// Of the question.
    id: String,
    /// With typing errors.
    typo: String,
    /// In a few words.
    short: String,
    /// In quite other words.
    reworded: String,
}

/// A question about one entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Narrow {
    /// Id of the entry.
    pub entry: String,
    /// In the grower's words, typing errors and all.
    pub question: String,
    /// The sentences of the entry's answer that answer it, word for word: one or two for a detail.
    pub answer: Vec<String>,
}

/// An entry's question in other words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wording {
    /// Id of the entry.
    pub entry: String,
    /// In a grower's words.
    pub question: String,
}

impl From<Wording> for Narrow {
    /// A question of which nobody said which sentences answer it.
    fn from(Wording { entry, question }: Wording) -> Self {
        Self { entry, question, answer: Vec::new() }
    }
}

/// A question that nothing may answer, to learn refusing from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// As typed.
    pub question: String,
    /// Why.
    pub why: Why,
}

/// A question of which only is known whether it is to be refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sorted {
    /// As typed.
    question: String,
    /// Why it is to be refused, if it is.
    #[serde(default)]
    why: Option<Why>,
    /// It asks how the greenhouse stands, and nothing else.
    #[serde(default)]
    state: bool,
}

/// The sentences that answer a development question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// Of the question.
    pub id: String,
    /// Sentences of its entries, word for word.
    pub answer: Vec<String>,
}

/// The development questions of the repository at `root`, each with the sentences that answer it as its facts.
///
/// # Errors
/// [`QuestionsError`].
pub fn development(root: &Path) -> Result<Vec<Question>, QuestionsError> {
    let answers: Vec<Answered> = load(&root.join(DEVELOPMENT_ANSWERS))?;
    let mut questions: Vec<Question> = load(&root.join(DEVELOPMENT))?;
    for question in &mut questions {
        let own = answers.iter().filter(|answered| answered.id == question.id);
        question.facts = own.flat_map(|answered| &answered.answer).map(|sentence| verbatim(sentence)).collect();
    }
    Ok(questions)
}

/// The sentence as a fact.
fn verbatim(sentence: &str) -> Fact {
    Fact { sentence: sentence.into(), patterns: vec![regex::escape(sentence)], from: Basis::Entries }
}

/// The questions about details for tuning of the repository at `root`, each with the sentences that answer it as its facts.
/// `entries` give their categories.
///
/// # Errors
/// [`QuestionsError`].
pub fn narrow_development(root: &Path, entries: &[Entry]) -> Result<Vec<Question>, QuestionsError> {
    let question = |(number, narrow): (usize, Narrow)| Question {
        id: format!("dn-{:03}", number + 1),
        category: entries.iter().find(|entry| entry.id == narrow.entry).map(|entry| entry.category),
        question: narrow.question,
        kind: Kind::Plain,
        why: None,
        stage: None,
        readings: BTreeMap::new(),
        entries: vec![narrow.entry],
        facts: narrow.answer.iter().map(|sentence| verbatim(sentence)).collect(),
    };
    Ok(load(&root.join(NARROW_DEVELOPMENT))?.into_iter().enumerate().map(question).collect())
}

/// The questions of the repository at `root` that tell what is refused wrongly and what rightly, without entries; and those for how
/// the greenhouse stands.
///
/// # Errors
/// [`QuestionsError`].
pub fn refusals(root: &Path) -> Result<[Vec<Question>; 2], QuestionsError> {
    let question = |(number, Sorted { question, why, .. }): (usize, Sorted)| Question {
        id: format!("dr-{:03}", number + 1),
        category: None,
        question,
        kind: if why.is_some() { Kind::Refuse } else { Kind::Plain },
        why,
        stage: None,
        readings: BTreeMap::new(),
        entries: Vec::new(),
        facts: Vec::new(),
    };
    let (state, sorted): (Vec<_>, Vec<_>) =
        load(&root.join(REFUSALS))?.into_iter().enumerate().partition(|(_, sorted): &(usize, Sorted)| sorted.state);
    Ok([sorted, state].map(|questions| questions.into_iter().map(question).collect()))
}

/// The other ways of asking the questions of the file `set`, which the file `variants` holds, each with its name; both of the
/// repository at `root`.
///
/// # Errors
/// [`QuestionsError`].
pub fn variants(root: &Path, set: &str, variants: &str) -> Result<Vec<(&'static str, Question)>, QuestionsError> {
    let questions: Vec<Question> = load(&root.join(set))?;
    let mut all = Vec::new();
    for Variant { id, typo, short, reworded } in load(&root.join(variants))? {
        let found = questions.iter().find(|question| question.id == id && question.kind != Kind::Refuse);
        let Some(question) = found else {
            return Err(QuestionsError::NoQuestion { id, variants: variants.into(), set: set.into() });
        };
        let ways = [("typo", typo), ("short", short), ("reworded", reworded)];
        all.extend(ways.map(|(way, text)| (way, Question { question: text, ..question.clone() })));
    }
    Ok(all)
}

/// Reads the question set in `path`: [`Question`]s, [`Narrow`] or [`Refused`] ones.
///
/// # Errors
/// [`QuestionsError`], with the path and what to mend in it.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, QuestionsError> {
    let text = fs::read_to_string(path).map_err(|source| QuestionsError::Io { path: path.into(), source })?;
    serde_json::from_str(&text).map_err(|source| QuestionsError::Format { path: path.into(), source })
}
