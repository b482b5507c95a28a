//! Stage `bundle`: model, tokenizer and the repository's data -> a bundle folder that the appliance opens.
//!
//! The curated entries are read through the appliance's own types and checked here, so that a device never meets bad
//! ones. Does NOT know where bundles are installed.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
};
use tomato_assistant::{
    bundle::{
        Bundle, BundleError, FileEntry, KNOWLEDGE, MANIFEST, MODEL, Manifest, NOTICE, Provenance, TARGETS, TOKENIZER,
        sha256, sha256_file,
    },
    knowledge::Entry,
};

use super::{
    artifact::{Artifact, ArtifactError, Origin, Stage, at},
    recipe,
};

/// This stage.
pub const STAGE: Stage = Stage { number: 3, name: "bundle", revision: 1 };

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// A file of the repository is not where it should be.
    #[error("{} is missing; run the pipeline in the folder that holds the repository", .0.display())]
    NotInRepository(PathBuf),
    /// The curated entries cannot be shipped.
    #[error("{}: {cause}", path.display())]
    Knowledge {
        /// The data set.
        path: PathBuf,
        /// What is wrong, with the entry's id.
        cause: String,
    },
    /// The disk refuses, or is full.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// What was written does not open.
    #[error(transparent)]
    Unusable(#[from] BundleError),
}

/// The files of the repository that go into a bundle.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Path in the repository -> SHA-256.
    hashes: BTreeMap<String, String>,
    root: PathBuf,
}

const ENTRIES: &str = "data/tomato_qa_dataset.json";
const CLIMATE: &str = "data/targets.toml";

impl Sources {
    /// Finds and hashes the files in the repository at `root`.
    ///
    /// # Errors
    /// [`AssembleError::NotInRepository`], or why a file cannot be read.
    pub fn find(root: &Path) -> Result<Sources, AssembleError> {
        let mut hashes = BTreeMap::new();
        for name in [ENTRIES, CLIMATE, NOTICE] {
            let path = root.join(name);
            if !path.is_file() {
                return Err(AssembleError::NotInRepository(path));
            }
            hashes.insert(name.to_string(), sha256_file(&path).map_err(at(&path))?);
        }
        Ok(Sources { hashes, root: root.to_owned() })
    }

    /// The parsed entries: at least one, ids unique, every `see_also` known.
    fn entries(&self) -> Result<Vec<Entry>, AssembleError> {
        let path = self.root.join(ENTRIES);
        let bytes = fs::read(&path).map_err(at(&path))?;
        check(&bytes).map_err(|cause| AssembleError::Knowledge { path, cause })
    }
}

fn check(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let entries: Vec<Entry> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if entries.is_empty() {
        return Err("it holds no entries".into());
    }
    let mut ids = HashSet::new();
    for entry in &entries {
        if !ids.insert(entry.id.as_str()) {
            return Err(format!("two entries have the id {:?}", entry.id));
        }
        for (what, text) in [("id", &entry.id), ("instruction", &entry.instruction), ("output", &entry.output)] {
            if text.trim().is_empty() {
                return Err(format!("entry {:?} has an empty {what}", entry.id));
            }
        }
    }
    for entry in &entries {
        if let Some(unknown) = entry.see_also.iter().find(|id| !ids.contains(id.as_str())) {
            return Err(format!("entry {:?} refers to {unknown:?}, which is no entry", entry.id));
        }
    }
    Ok(entries)
}

/// What this stage's folder is made from.
pub fn origin(table: &recipe::Bundle, provenance: &Provenance, model: &Artifact, sources: &Sources) -> Origin {
    let mut inputs = model.inputs();
    inputs.extend(sources.hashes.clone());
    Origin::new(&STAGE, &(table, provenance), inputs)
}

/// Assembles the bundle in `out`.
///
/// # Errors
/// [`AssembleError`].
pub fn run(
    table: &recipe::Bundle,
    provenance: &Provenance,
    model: &Artifact,
    sources: &Sources,
    out: &Path,
) -> Result<(), AssembleError> {
    let mut files = Vec::new();
    for name in [MODEL, TOKENIZER] {
        let (from, to) = (model.dir.join(name), out.join(name));
        // The same bytes under a second name, where the disk allows: they are never changed in place.
        fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop)).map_err(at(&to))?;
        let known = &model.record.files[name];
        files.push(FileEntry { name: name.into(), sha256: known.sha256.clone(), bytes: known.bytes });
    }
    let knowledge = serde_json::to_vec(&sources.entries()?).expect("entries hold strings only");
    let read = |name: &str| fs::read(sources.root.join(name)).map_err(at(&sources.root.join(name)));
    for (name, bytes) in [(KNOWLEDGE, knowledge), (TARGETS, read(CLIMATE)?), (NOTICE, read(NOTICE)?)] {
        let path = out.join(name);
        fs::write(&path, &bytes).map_err(at(&path))?;
        files.push(FileEntry { name: name.into(), sha256: sha256(&bytes), bytes: bytes.len() as u64 });
    }
    let manifest = Manifest::new(table.name.clone(), files, provenance.clone(), table.licences.clone());
    let path = out.join(MANIFEST);
    fs::write(&path, manifest.to_bytes()).map_err(at(&path))?;
    Bundle::open(out)?;
    Ok(())
}
