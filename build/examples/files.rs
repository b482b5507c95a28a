//! The repository's files that examples are made from.
//!
//! Turns them into [`Material`]. Does NOT know what is made of it.

use std::collections::BTreeMap;
use tomato_assistant::{
    climate::{Targets, TargetsError},
    knowledge::Knowledge,
};

use super::{
    super::{
        questions::{self, BROAD, NARROW, Narrow, QuestionsError, REFUSED, Refused, SENTENCES},
        sources::{CLIMATE, ENTRIES, Sources, SourcesError},
    },
    Material,
};

/// Why there are no examples.
#[derive(Debug, thiserror::Error)]
pub enum ExamplesError {
    /// The repository's files cannot be used.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// The target ranges cannot be used.
    #[error(transparent)]
    Targets(#[from] TargetsError),
    /// A question set cannot be used.
    #[error(transparent)]
    Questions(#[from] QuestionsError),
    /// A question is about an entry that is not there.
    #[error(
        "{file}: the question {question:?} is about the entry {entry:?}, which is not among the curated entries. Mend the \
         id there or take the question out; pipeline check-data lists all such questions"
    )]
    UnknownEntry {
        /// The question set, below the repository's root.
        file: &'static str,
        /// As asked.
        question: String,
        /// The id that no entry has.
        entry: String,
    },
}

/// Counts up when the same files make other examples.
const REVISION: u32 = 4;

/// What examples are made from, as inputs of a stage.
pub fn inputs(sources: &Sources) -> BTreeMap<String, String> {
    let mut inputs = sources.inputs(&[ENTRIES, CLIMATE, NARROW, SENTENCES, BROAD, REFUSED]);
    inputs.insert("build/examples.rs".into(), format!("r{REVISION}"));
    inputs
}

/// What was read.
pub struct Files {
    /// The curated entries.
    pub knowledge: Knowledge,
    targets: Targets,
    narrow: Vec<Narrow>,
    sentences: Vec<Narrow>,
    broad: Vec<Narrow>,
    refused: Vec<Refused>,
}

impl Files {
    /// Reads them.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn read(sources: &Sources) -> Result<Self, ExamplesError> {
        Ok(Self {
            knowledge: sources.knowledge()?,
            targets: Targets::parse(&sources.read(CLIMATE)?)?,
            narrow: questions::load(&sources.path(NARROW))?,
            sentences: questions::load(&sources.path(SENTENCES))?,
            broad: questions::load(&sources.path(BROAD))?,
            refused: questions::load(&sources.path(REFUSED))?,
        })
    }

    /// What examples are made from.
    pub fn material(&self) -> Material<'_> {
        Material {
            entries: self.knowledge.entries(),
            targets: &self.targets,
            narrow: &self.narrow,
            sentences: &self.sentences,
            broad: &self.broad,
            refused: &self.refused,
        }
    }
}
