//! Stage `bundle`: model, encoder, vectors and the repository's data -> a bundle folder that the appliance opens.
//!
//! One above its budget or below its gates is refused. Does NOT know where bundles are installed.

use std::{cmp::Reverse, fs, path::Path};
use tomato_assistant::bundle::{
    Bundle, BundleError, ENCODER, ENCODER_TOKENIZER, FileEntry, KNOWLEDGE, MANIFEST, MODEL, Manifest, NOTICE,
    Provenance, TARGETS, TOKENIZER, VECTORS, WORDS, sha256,
};

use super::{
    artifact::{Artifact, ArtifactError, Origin, Stage, at},
    questions::DEVELOPMENT,
    recipe,
    retrieval::{self, RetrievalError},
    sources::{CLIMATE, SEARCHED, Sources, SourcesError},
};

/// This stage.
pub const STAGE: Stage = Stage { number: 10, name: "bundle", revision: 2 };

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// The repository's files cannot be used.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// The disk refuses, or is full.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// All files together are larger than the recipe allows.
    #[error(
        "the bundle takes {total} bytes, the recipe's [bundle] budget is {budget}: {parts}. Choose \"q4_0\" for more of \
         [quantize], fewer pieces as [prune] vocabulary or [encoder] vocabulary, fewer examples by [embed] apart, or raise the budget"
    )]
    OverBudget {
        /// Bytes of all files.
        total: u64,
        /// Bytes that the recipe allows.
        budget: u64,
        /// Name and bytes of each file, the largest first.
        parts: String,
    },
    /// It finds or refuses less than the recipe asks.
    #[error(
        "the bundle is below the recipe's [bundle.gates]: {}. pipeline retrieval shows the worst misses, of a bundle made \
         by a recipe without [bundle.gates]. Mend the entries or their paraphrases in data/, keep more of the encoder \
         ([encoder]), or lower the gates", .0.join("; ")
    )]
    BelowGates(Vec<String>),
    /// The gates cannot be measured.
    #[error(transparent)]
    Unmeasured(#[from] RetrievalError),
    /// What was written does not open.
    #[error(transparent)]
    Unusable(#[from] BundleError),
}

/// What earlier stages made.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// Of the quantize stage.
    pub model: &'a Artifact,
    /// Of the encoder stage.
    pub encoder: &'a Artifact,
    /// Of the embed stage.
    pub vectors: &'a Artifact,
}

impl Parts<'_> {
    /// The files that go into a bundle as they are.
    fn files(&self) -> [(&Artifact, &'static str); 6] {
        let Parts { model, encoder, vectors } = self;
        [
            (model, MODEL),
            (model, TOKENIZER),
            (encoder, ENCODER),
            (encoder, ENCODER_TOKENIZER),
            (encoder, WORDS),
            (vectors, VECTORS),
        ]
    }
}

/// What this stage's folder is made from.
pub fn origin(table: &recipe::Bundle, provenance: &Provenance, parts: Parts, sources: &Sources) -> Origin {
    let mut inputs = sources.inputs(&SEARCHED);
    inputs.extend(sources.inputs(&[CLIMATE, NOTICE]));
    if table.gates.is_some() {
        inputs.extend(sources.inputs(&[DEVELOPMENT]));
    }
    inputs.extend(parts.files().map(|(artifact, name)| (name.into(), artifact.record.files[name].sha256.clone())));
    Origin::new(&STAGE, &(table, provenance), inputs)
}

/// Assembles the bundle in `out`. With gates the development questions are then searched for in it, which takes seconds.
///
/// # Errors
/// [`AssembleError`].
pub fn run(
    table: &recipe::Bundle,
    provenance: &Provenance,
    parts: Parts,
    sources: &Sources,
    out: &Path,
) -> Result<(), AssembleError> {
    let mut files = Vec::new();
    for (artifact, name) in parts.files() {
        let (from, to) = (artifact.dir.join(name), out.join(name));
        // The same bytes under a second name, where the disk allows: they are never changed in place.
        fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop)).map_err(at(&to))?;
        let known = &artifact.record.files[name];
        files.push(FileEntry { name: name.into(), sha256: known.sha256.clone(), bytes: known.bytes });
    }
    let knowledge = serde_json::to_string(sources.searched()?.entries()).expect("entries hold strings only");
    for (name, text) in [(KNOWLEDGE, knowledge), (TARGETS, sources.read(CLIMATE)?), (NOTICE, sources.read(NOTICE)?)] {
        let path = out.join(name);
        fs::write(&path, &text).map_err(at(&path))?;
        files.push(FileEntry { name: name.into(), sha256: sha256(text.as_bytes()), bytes: text.len() as u64 });
    }
    let manifest = Manifest::new(table.name.clone(), files, provenance.clone(), table.licences.clone());
    let path = out.join(MANIFEST);
    let bytes = manifest.to_bytes();
    check_budget(table.budget, &manifest.files, bytes.len() as u64)?;
    fs::write(&path, bytes).map_err(at(&path))?;
    let bundle = Bundle::open(out)?;
    let below = match &table.gates {
        Some(gates) => retrieval::below(gates, &bundle, &sources.path(DEVELOPMENT))?,
        None => Vec::new(),
    };
    if below.is_empty() { Ok(()) } else { Err(AssembleError::BelowGates(below)) }
}

/// Errors when `files` and the manifest are larger than `budget`; all in bytes.
fn check_budget(budget: Option<u64>, files: &[FileEntry], manifest: u64) -> Result<(), AssembleError> {
    let mut sizes: Vec<(&str, u64)> = files.iter().map(|file| (file.name.as_str(), file.bytes)).collect();
    sizes.push((MANIFEST, manifest));
    let total = sizes.iter().map(|(_, bytes)| bytes).sum();
    match budget {
        Some(budget) if total > budget => {
            sizes.sort_by_key(|(_, bytes)| Reverse(*bytes));
            let parts: Vec<String> = sizes.iter().map(|(name, bytes)| format!("{name} {bytes}")).collect();
            Err(AssembleError::OverBudget { total, budget, parts: parts.join(", ") })
        }
        _ => Ok(()),
    }
}
