//! What questions are answered from: curated entries, the index over them, the sentence encoder and the target ranges.
//!
//! Turns an opened bundle into these; everything but the language model. Does NOT search, judge or answer.

use crate::{
    bundle::Bundle,
    climate::{Targets, TargetsError},
    engine::{EngineError, sentence::SentenceEncoder},
    knowledge::{
        Category, Knowledge, KnowledgeError,
        retrieval::{Index, Query},
        spelling::Spelling,
        vectors::{Vectors, VectorsError},
    },
};
use std::{borrow::Cow, fs, path::Path, path::PathBuf};

/// Why no bundle can be answered from.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file of the bundle cannot be read.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The curated Q&A is faulty.
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
    /// The entries' vectors are faulty.
    #[error(transparent)]
    Vectors(#[from] VectorsError),
    /// The target ranges are faulty.
    #[error(transparent)]
    Targets(#[from] TargetsError),
    /// The model or its tokenizer cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The loaded parts of a bundle.
pub struct Library {
    /// The curated entries.
    pub knowledge: Knowledge,
    /// The index over them, with their vectors.
    pub index: Index,
    /// What gives a question its vector.
    pub encoder: SentenceEncoder,
    /// What mends a question's words.
    pub spelling: Spelling,
    /// What readings are judged by.
    pub targets: Targets,
}

/// A question as search and model read it.
pub struct Understood<'a> {
    /// With its misspelt words mended.
    pub text: Cow<'a, str>,
    /// Its vector.
    pub vector: Vec<f32>,
}

impl Library {
    /// Loads them, side by side what takes longest: the encoder, the index, the words.
    ///
    /// # Errors
    /// All of [`OpenError`].
    pub fn open(bundle: &Bundle) -> Result<Self, OpenError> {
        let (indexed, encoder) =
            rayon::join(|| index(bundle), || SentenceEncoder::open(&bundle.encoder(), &bundle.encoder_tokenizer()));
        let (knowledge, index, spelling) = indexed?;
        let targets = Targets::parse(&text(&bundle.targets())?)?;
        Ok(Self { knowledge, index, encoder: encoder?, spelling, targets })
    }

    /// Mends the words of `question` and gives it its vector.
    ///
    /// # Errors
    /// [`EngineError::Compute`].
    pub fn understand<'a>(&self, question: &'a str) -> Result<Understood<'a>, EngineError> {
        let text = self.spelling.mend(question);
        let vector = self.encoder.encode(&text)?;
        Ok(Understood { text, vector })
    }
}

impl Understood<'_> {
    /// To be held against the entries, asked from the list of `category` while the readings show `signals`.
    pub fn query<'a>(&'a self, category: Option<Category>, signals: &'a [String]) -> Query<'a> {
        Query { text: &self.text, vector: Some(&self.vector), category, signals }
    }
}

fn index(bundle: &Bundle) -> Result<(Knowledge, Index, Spelling), OpenError> {
    let knowledge = Knowledge::parse(&text(&bundle.knowledge())?)?;
    let path = bundle.vectors();
    let bytes = fs::read(&path).map_err(|cause| OpenError::Read { path, cause })?;
    let vectors = Vectors::parse(&bytes, knowledge.entries())?;
    let (entries, words) = (knowledge.entries(), text(&bundle.words())?);
    let (index, spelling) =
        rayon::join(|| Index::new(entries, Some(vectors)), || Spelling::new(entries, words.lines()));
    Ok((knowledge, index, spelling))
}

fn text(path: &Path) -> Result<String, OpenError> {
    fs::read_to_string(path).map_err(|cause| OpenError::Read { path: path.into(), cause })
}
