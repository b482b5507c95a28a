//! `manifest.json`: what a bundle holds, and whether it still does.
//!
//! Reads the disk, changes nothing on it. Does NOT know where bundles are installed.

use super::{BundleError, FORMAT_VERSION, MANIFEST, REQUIRED, sha256, sha256_file};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

/// No real manifest comes near this; reading stops here when the folder turns out to be something else. Bytes.
const MANIFEST_LIMIT: u64 = 1 << 20;

/// `manifest.json`. Holds no date, so the same inputs make the same bundle, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT_VERSION`] of the program that wrote it.
    pub format_version: u32,
    /// What people call this bundle, such as `tomato-270m`.
    pub name: String,
    /// Every other file of the bundle.
    pub files: Vec<FileEntry>,
    /// What it was made from.
    pub provenance: Provenance,
    /// One line for each part that has its own terms.
    pub licences: Vec<String>,
    /// SHA-256 of this manifest written with an empty seal: a damaged manifest is noticed too.
    seal: String,
}

/// One file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Plain file name, no folders.
    pub name: String,
    /// SHA-256 of the content, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
}

impl FileEntry {
    pub(super) fn check_size(&self, dir: &Path) -> Result<(), BundleError> {
        let path = dir.join(&self.name);
        let metadata = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BundleError::damaged(dir, &self.name, "is missing"));
            }
            metadata => metadata.map_err(BundleError::io(&path))?,
        };
        if !metadata.is_file() {
            return Err(BundleError::damaged(dir, &self.name, "is not an ordinary file"));
        }
        if metadata.len() != self.bytes {
            let why = format!("has {} bytes instead of {}", metadata.len(), self.bytes);
            return Err(BundleError::damaged(dir, &self.name, why));
        }
        Ok(())
    }

    pub(super) fn check_content(&self, dir: &Path) -> Result<(), BundleError> {
        let path = dir.join(&self.name);
        if sha256_file(&path).map_err(BundleError::io(&path))? != self.sha256 {
            return Err(BundleError::damaged(dir, &self.name, "is not as it was written (its SHA-256 differs)"));
        }
        Ok(())
    }
}

/// What a bundle was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// SHA-256 of the base model, as fetched.
    pub base_model_sha256: String,
    /// Its name, such as `gemma-3-270m`.
    pub base_model_name: String,
    /// SHA-256 of the sentence encoder's weights, as fetched.
    pub encoder_sha256: String,
    /// SHA-256 of the recipe file.
    pub recipe_sha256: String,
    /// Version of the pipeline.
    pub tool_version: String,
}

impl Manifest {
    /// A sealed manifest of [`FORMAT_VERSION`].
    pub fn new(name: String, files: Vec<FileEntry>, provenance: Provenance, licences: Vec<String>) -> Manifest {
        let mut manifest =
            Manifest { format_version: FORMAT_VERSION, name, files, provenance, licences, seal: String::new() };
        manifest.seal = manifest.expected_seal();
        manifest
    }

    /// The only byte sequence that is this manifest: indented JSON and a line feed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("strings and integers always serialize");
        bytes.push(b'\n');
        bytes
    }

    fn expected_seal(&self) -> String {
        sha256(&Manifest { seal: String::new(), ..self.clone() }.to_bytes())
    }

    /// That of the bundle in `dir`, with names that can be trusted.
    pub(super) fn of(dir: &Path) -> Result<Manifest, BundleError> {
        match fs::metadata(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BundleError::Missing(dir.to_owned())),
            metadata => metadata.map_err(BundleError::io(dir))?,
        };
        let manifest = Manifest::read(dir)?;
        manifest.check_names(dir)?;
        Ok(manifest)
    }

    fn read(dir: &Path) -> Result<Manifest, BundleError> {
        /// The part every version has had and will have.
        #[derive(Deserialize)]
        struct AnyVersion {
            format_version: u32,
        }
        let unreadable = |error: serde_json::Error| unlisted(dir, &format!("cannot be understood ({error})"));
        let path = dir.join(MANIFEST);
        let mut bytes = Vec::new();
        match File::open(&path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(unlisted(dir, "is missing"));
            }
            file => file.and_then(|file| file.take(MANIFEST_LIMIT + 1).read_to_end(&mut bytes)),
        }
        .map_err(BundleError::io(&path))?;
        let version: AnyVersion = serde_json::from_slice(&bytes).map_err(unreadable)?;
        if version.format_version != FORMAT_VERSION {
            return Err(BundleError::Version { dir: dir.to_owned(), found: version.format_version });
        }
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(unreadable)?;
        if manifest.seal != manifest.expected_seal() || manifest.to_bytes() != bytes {
            return Err(BundleError::damaged(dir, MANIFEST, "is not as it was written"));
        }
        Ok(manifest)
    }

    /// Whether the names can be trusted as file names, and all that is needed is listed.
    fn check_names(&self, dir: &Path) -> Result<(), BundleError> {
        let mut seen = HashSet::new();
        for FileEntry { name, .. } in &self.files {
            if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\', ':', '\0']) {
                return Err(BundleError::damaged(dir, name, "is not a plain file name"));
            }
            if name == MANIFEST || !seen.insert(name.as_str()) {
                return Err(BundleError::damaged(dir, name, "is listed where it may not be"));
            }
        }
        match REQUIRED.iter().find(|name| !seen.contains(*name)) {
            Some(name) => Err(BundleError::damaged(dir, name, "is not in the manifest")),
            None => Ok(()),
        }
    }
}

/// What a folder is whose manifest tells nothing: a damaged bundle, which may be replaced, or somebody's, which may not.
fn unlisted(dir: &Path, why: &str) -> BundleError {
    if seems_a_bundle(dir) {
        return BundleError::damaged(dir, MANIFEST, why);
    }
    BundleError::NotABundle { dir: dir.to_owned(), why: format!("{MANIFEST} {why}") }
}

/// Whether `dir` holds nothing but files with the names of a bundle's, and most of these: a folder with a `model.gguf` and its
/// `tokenizer.json` may be anybody's.
pub(super) fn seems_a_bundle(dir: &Path) -> bool {
    let Ok(found) = fs::read_dir(dir) else { return false };
    let mut known = 0;
    for file in found {
        let Ok(file) = file else { return false };
        let name = file.file_name();
        let required = REQUIRED.iter().any(|required| name == *required);
        if !(required || name == MANIFEST) || !file.path().is_file() {
            return false;
        }
        known += usize::from(required);
    }
    2 * known > REQUIRED.len()
}
