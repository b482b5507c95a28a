//! The log: a file that never grows past its cap, on a card that wears out.
//!
//! When the file is half as large as the cap it becomes `<name>.old` and a new one begins, so the latest half is always
//! there. Never writes to the screen. Does NOT know what is logged.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Starts logging to `path`, at level info. Both files together stay within `max_bytes`.
///
/// # Errors
/// A folder or file that cannot be written.
pub fn start(path: &Path, max_bytes: u64) -> io::Result<()> {
    let log = CappedFile::open(path, max_bytes)?;
    let config = simplelog::ConfigBuilder::new().set_time_format_rfc3339().build();
    simplelog::WriteLogger::init(simplelog::LevelFilter::Info, config, log).map_err(io::Error::other)
}

/// Where the log lies if the config does not say: in the user's state folder.
pub fn default_path() -> Option<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "tomato-assistant")?;
    Some(folders.state_dir().unwrap_or(folders.data_local_dir()).join("log.txt"))
}

/// A file, its size and half its cap.
pub struct CappedFile {
    path: PathBuf,
    file: File,
    written: u64,
    half: u64,
}

impl CappedFile {
    /// Opens `path` to append, making its folder where needed.
    ///
    /// # Errors
    /// A folder or file that cannot be written.
    pub fn open(path: &Path, max_bytes: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let written = file.metadata()?.len();
        Ok(Self { path: path.into(), file, written, half: (max_bytes / 2).max(1) })
    }

    fn turn_over(&mut self) -> io::Result<()> {
        let mut old = self.path.clone().into_os_string();
        old.push(".old");
        match fs::rename(&self.path, old) {
            // Moved already, by a turn whose new file could not be opened, or by somebody else: begin it now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            moved => moved?,
        }
        *self = Self::open(&self.path, self.half * 2)?;
        Ok(())
    }
}

impl Write for CappedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written > 0 && self.written + bytes.len() as u64 > self.half {
            self.turn_over()?;
        }
        let count = self.file.write(bytes)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
