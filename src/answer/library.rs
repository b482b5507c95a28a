//! What questions are answered from: curated entries, the index over them, the sentence encoder and the target ranges.
//!
//! Turns an opened bundle into these; everything but the language model. Does NOT search, judge or answer.

use crate::{
    bundle::Bundle,
    climate::{Targets, TargetsError},
    engine::{EngineError, sentence::SentenceEncoder},
    knowledge::{
        Knowledge, KnowledgeError,
        retrieval::Index,
        vectors::{Vectors, VectorsError},
    },
};
use std::{fs, path::Path, path::PathBuf};

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
    /// What readings are judged by.
    pub targets: Targets,
}

impl Library {
    /// Loads them, the encoder beside the rest: each takes about half of the time.
    ///
    /// # Errors
    /// All of [`OpenError`].
    pub fn open(bundle: &Bundle) -> Result<Self, OpenError> {
        let (indexed, encoder) =
            rayon::join(|| index(bundle), || SentenceEncoder::open(&bundle.encoder(), &bundle.encoder_tokenizer()));
        let (knowledge, index) = indexed?;
        let targets = Targets::parse(&text(&bundle.targets())?)?;
        Ok(Self { knowledge, index, encoder: encoder?, targets })
    }
}

fn index(bundle: &Bundle) -> Result<(Knowledge, Index), OpenError> {
    let knowledge = Knowledge::parse(&text(&bundle.knowledge())?)?;
    let path = bundle.vectors();
    let bytes = fs::read(&path).map_err(|cause| OpenError::Read { path, cause })?;
    let vectors = Vectors::parse(&bytes, knowledge.entries())?;
    let index = Index::new(knowledge.entries(), Some(vectors));
    Ok((knowledge, index))
}

fn text(path: &Path) -> Result<String, OpenError> {
    fs::read_to_string(path).map_err(|cause| OpenError::Read { path: path.into(), cause })
}
