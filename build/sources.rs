//! The repository's own files that a bundle is made from: curated entries, climate targets, list of
//! pieces, texts to calibrate and to measure with, the notice on licences.
//!
//! Turns a folder into known files with their hashes, and the entries into the appliance's own types, so that a device
//! never meets bad ones. Does NOT know what stages make of them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tomato_assistant::{
    bundle::{NOTICE, sha256_file},
    knowledge::{Knowledge, KnowledgeError, sentences::sentences},
};

use super::{
    artifact::{ArtifactError, at},
    questions::{self, Narrow, QuestionsError, Refused, Why, Wording},
};

/// The curated entries.
pub const ENTRIES: &str = "data/tomato_qa_dataset.json";
/// The climate targets.
pub const CLIMATE: &str = "data/targets.toml";
/// Pieces of the base's vocabulary, the most needed first.
pub const VOCABULARY: &str = "data/model/vocabulary.txt";

/// General English and Korean that models are watched over while they are made smaller.
pub const CALIBRATION_ENGLISH: &str = "data/text/calibration-english.txt";
/// The Korean one.
pub const CALIBRATION_KOREAN: &str = "data/text/calibration-korean.txt";
/// General English that nothing is made with: to measure on.
pub const HELD_OUT_ENGLISH: &str = "data/text/held-out-english.txt";

/// What people ask that has nothing to do with growing tomatoes, a line each.
pub const OFF_TOPIC: &str = "data/text/off-topic.txt";
/// What growers ask that must not be told.
pub const HARMFUL: &str = "data/text/harmful.txt";
/// What growers ask that nobody could know from entries and sensors.
pub const UNANSWERABLE: &str = "data/text/unanswerable.txt";
/// What growers ask that sounds like these two and has an answer.
pub const ANSWERABLE: &str = "data/text/answerable.txt";
/// What growers ask that the readings answer: how the greenhouse stands. Every sixth line is learnt from by nothing.
pub const STATE: &str = "data/text/state.txt";
/// What is told apart from the questions about the entries, a line each.
pub const TOLD_APART: [&str; 5] = [OFF_TOPIC, HARMFUL, UNANSWERABLE, ANSWERABLE, STATE];

/// Names of products, active principles and beneficials, a word a line, which are no slips of the keyboard.
pub const PRODUCTS: &str = "data/text/product-names.txt";

/// The adapter that is shipped, and what it is.
pub const ADAPTER: &str = "data/model/adapter_model.safetensors";
/// Its description.
pub const ADAPTER_CONFIG: &str = "data/model/adapter_config.json";

/// The sentence encoder's adapter that is shipped, and what it is.
pub const ENCODER_ADAPTER: &str = "data/model/encoder/adapter_model.safetensors";
/// Its description.
pub const ENCODER_ADAPTER_CONFIG: &str = "data/model/encoder/adapter_config.json";

/// How its training went; for `report.html` only.
pub const TRAINING: &str = "data/model/training.json";
/// What [`Sources::searched`] is made from.
pub const SEARCHED: [&str; 5] =
    [ENTRIES, questions::NARROW, questions::BROAD, questions::SENTENCES, questions::WORDINGS];

/// One of so many questions for how the greenhouse stands is kept to measure with.
const HELD: usize = 6;

const FILES: [&str; 17] = [
    ENTRIES,
    CLIMATE,
    VOCABULARY,
    NOTICE,
    ADAPTER,
    ADAPTER_CONFIG,
    questions::NARROW,
    questions::BROAD,
    questions::SENTENCES,
    questions::WORDINGS,
    questions::REFUSED,
    OFF_TOPIC,
    HARMFUL,
    UNANSWERABLE,
    ANSWERABLE,
    STATE,
    PRODUCTS,
];

/// Needed by some recipes only: where they are missing, what reads them says so.
const OTHERS: [&str; 6] = [
    CALIBRATION_ENGLISH,
    CALIBRATION_KOREAN,
    HELD_OUT_ENGLISH,
    questions::DEVELOPMENT,
    ENCODER_ADAPTER,
    ENCODER_ADAPTER_CONFIG,
];

/// Why they cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// A file of the repository is not where it should be.
    #[error("{} is missing; run the pipeline in the folder that holds the repository", .0.display())]
    NotInRepository(PathBuf),
    /// The curated entries cannot be shipped.
    #[error("{}: {cause}", path.display())]
    Knowledge {
        /// The data set.
        path: PathBuf,
        /// What is wrong, with the entry's id.
        cause: KnowledgeError,
    },
    /// A question set cannot be used.
    #[error(transparent)]
    Questions(#[from] QuestionsError),
    /// A question of nothing.
    #[error("{file}: {question:?} is about the entry {entry:?}, which is not there; correct its name in the file")]
    NoEntry {
        /// The question set.
        file: &'static str,
        /// The question.
        question: String,
        /// What it names.
        entry: String,
    },
    /// An answer of other words.
    #[error(
        "{file}: {question:?} is answered by {sentence:?}, which its entry does not say; copy the sentence from there"
    )]
    NoSentence {
        /// The question set.
        file: &'static str,
        /// The question.
        question: String,
        /// What it names.
        sentence: String,
    },
    /// A file cannot be read.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

/// The files, all there.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Path in the repository -> SHA-256.
    hashes: BTreeMap<String, String>,
    root: PathBuf,
}

/// The questions for how the greenhouse stands, the lines of `text`: those to learn from, and those to measure with.
pub fn state(text: &str) -> [Vec<String>; 2] {
    let (held, learnt): (Vec<_>, Vec<_>) = text.lines().enumerate().partition(|(line, _)| line % HELD == HELD - 1);
    [learnt, held].map(|lines| lines.into_iter().map(|(_, line)| line.into()).collect())
}

impl Sources {
    /// Finds and hashes the files in the repository at `root`.
    ///
    /// # Errors
    /// [`SourcesError::NotInRepository`], or why a file cannot be read.
    pub fn find(root: &Path) -> Result<Sources, SourcesError> {
        let mut hashes = BTreeMap::new();
        for name in FILES {
            let path = root.join(name);
            if !path.is_file() {
                return Err(SourcesError::NotInRepository(path));
            }
            hashes.insert(name.to_string(), sha256_file(&path).map_err(at(&path))?);
        }
        for (name, path) in OTHERS.map(|name| (name, root.join(name))) {
            if path.is_file() {
                hashes.insert(name.to_string(), sha256_file(&path).map_err(at(&path))?);
            }
        }
        Ok(Sources { hashes, root: root.to_owned() })
    }

    /// Those of `names` that are there, as inputs of a stage.
    pub fn inputs(&self, names: &[&str]) -> BTreeMap<String, String> {
        names.iter().filter_map(|name| Some((name.to_string(), self.hashes.get(*name)?.clone()))).collect()
    }

    /// Where one of them is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The text of one of them.
    ///
    /// # Errors
    /// [`SourcesError::Artifact`].
    pub fn read(&self, name: &str) -> Result<String, SourcesError> {
        let path = self.root.join(name);
        Ok(fs::read_to_string(&path).map_err(at(&path))?)
    }

    /// What is to be refused, in the order of [`Why::ALL`]: a file's own lines, and those of the questions to learn refusing from.
    ///
    /// # Errors
    /// [`SourcesError`].
    pub fn refused(&self) -> Result<[Vec<String>; 3], SourcesError> {
        let refused: Vec<Refused> = questions::load(&self.root.join(questions::REFUSED))?;
        let texts = |why: Why, file: &str| {
            let others = refused.iter().filter(|one| one.why == why).map(|one| one.question.clone());
            Ok::<_, SourcesError>(self.lines(file)?.into_iter().chain(others).collect::<Vec<_>>())
        };
        Ok([texts(Why::OffTopic, OFF_TOPIC)?, texts(Why::Unsafe, HARMFUL)?, texts(Why::Unanswerable, UNANSWERABLE)?])
    }

    /// The lines of a file of texts, one a line.
    ///
    /// # Errors
    /// [`SourcesError::Artifact`].
    pub fn lines(&self, name: &str) -> Result<Vec<String>, SourcesError> {
        Ok(self.read(name)?.lines().map(String::from).collect())
    }

    /// The entries, checked by the appliance's own rules and in its order, with the questions that the model learns from.
    ///
    /// # Errors
    /// [`SourcesError`].
    pub fn knowledge(&self) -> Result<Knowledge, SourcesError> {
        let path = self.root.join(ENTRIES);
        let mut knowledge =
            Knowledge::parse(&self.read(ENTRIES)?).map_err(|cause| SourcesError::Knowledge { path, cause })?;
        for file in [questions::NARROW, questions::BROAD, questions::SENTENCES] {
            self.add(&mut knowledge, file)?;
        }
        Ok(knowledge)
    }

    /// The same with their own questions in other words: what is searched.
    ///
    /// # Errors
    /// [`SourcesError`].
    pub fn searched(&self) -> Result<Knowledge, SourcesError> {
        let mut knowledge = self.knowledge()?;
        self.add(&mut knowledge, questions::WORDINGS)?;
        Ok(knowledge)
    }

    /// Adds the questions of `file`.
    fn add(&self, knowledge: &mut Knowledge, file: &'static str) -> Result<(), SourcesError> {
        let path = self.root.join(file);
        let questions: Vec<Narrow> = match file {
            questions::WORDINGS => questions::load::<Wording>(&path)?.into_iter().map(Narrow::from).collect(),
            _ => questions::load(&path)?,
        };
        for Narrow { entry, question, answer } in questions {
            // Of the half of an answer nothing can be said to be the detail.
            let answer = if file == questions::BROAD { &[][..] } else { &answer };
            let own = knowledge.entries().iter().find(|own| own.id == entry);
            let says =
                |said: &&String| !own.is_some_and(|own| sentences(&own.output).any(|sentence| sentence == *said));
            if let (Some(_), Some(sentence)) = (own, answer.iter().find(says)) {
                return Err(SourcesError::NoSentence { file, question, sentence: sentence.clone() });
            }
            if !knowledge.add_question(&entry, &question, answer, file == questions::SENTENCES) {
                return Err(SourcesError::NoEntry { file, question, entry });
            }
        }
        Ok(())
    }
}
