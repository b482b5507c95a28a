//! Changing the installed bundle without ever being without one.
//!
//! ```text
//! copy to X.incoming, sync, verify │ X -> X.previous │ X.incoming -> X │ sync
//! ```
//! A stop before the first rename leaves X. One between the two leaves no X, but what it is made of: [`recover`] puts X.previous
//! back, or, where X was damaged, takes X.incoming. After the second it removes what was replaced, or names it as it should be.
//! One program at a time does any of this: it holds a lock on the folder that X is in, which goes with the process, however that
//! ends. Does NOT know what a bundle is for, nor who is using the old one (open files stay readable under their old name).

use super::{Bundle, BundleError, FileEntry, MANIFEST, manifest::seems_a_bundle};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// How often, and after which pauses, a program looks again that finds no bundle while another one installs (between two renames
/// there is none for a moment), or no right to install: one that was just started holds the lock of whoever starts it.
const LOOKS: usize = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// Copies the bundle in `from` to `to`; what was there stays as `to` + `.previous`, for [`rollback`].
///
/// # Errors
/// Every [`BundleError`]; `to` then holds what it held before. A folder at `to` that is no bundle is never replaced.
pub fn install(from: &Path, to: &Path) -> Result<(), BundleError> {
    // Not tidied: nothing is removed from the medium that it comes on. What another program is installing there is left to it.
    match lock(from) {
        Ok(None) => {}
        Ok(Some(_)) | Err(_) => restore(from)?,
    }
    let source = Bundle::verify(from)?;
    let folder = folder_of(to);
    fs::create_dir_all(folder).map_err(BundleError::io(folder))?;
    let _lock = take(to)?;
    mend(to)?;
    // A damaged bundle is not worth keeping, least of all in the place of a good earlier one.
    let keep_replaced = match Bundle::verify(to) {
        Ok(_) | Err(BundleError::Version { .. }) => true,
        Err(BundleError::Damaged { .. } | BundleError::Missing(_)) => false,
        Err(BundleError::NotABundle { .. }) if is_empty(to)? => false,
        // A failing card. Whoever may not read it may not replace it either.
        Err(BundleError::Io { source, .. })
            if source.kind() != io::ErrorKind::PermissionDenied && seems_a_bundle(to) =>
        {
            false
        }
        Err(other) => return Err(other),
    };
    let incoming = beside(to, "incoming");
    let copied = copy(&source, &incoming).and_then(|()| Bundle::verify(&incoming));
    if let Err(error) = copied {
        // The first error is the one to tell; what could not be removed is removed by the next install.
        let _ = fs::remove_dir_all(&incoming);
        return Err(error);
    }
    let replaced = beside(to, if keep_replaced { "previous" } else { "damaged" });
    swap_in(&incoming, to, &replaced)
}

/// Puts the bundle that the last [`install`] replaced back in its place, and the replaced one aside: a second
/// rollback undoes the first.
///
/// # Errors
/// [`BundleError::NothingEarlier`], or why the earlier bundle cannot be used; `to` then stays as it was.
pub fn rollback(to: &Path) -> Result<(), BundleError> {
    let _lock = exists(folder_of(to))?.then(|| take(to)).transpose()?;
    mend(to)?;
    let previous = beside(to, "previous");
    match Bundle::verify(&previous) {
        Err(BundleError::Missing(_)) => return Err(BundleError::NothingEarlier(to.to_owned())),
        earlier => earlier?,
    };
    swap_in(&previous, to, &beside(to, "rolled-back"))
}

/// Mends what a stopped install or rollback left, so that `to` is whole if it can be. What one that is not stopped does is not
/// touched.
pub(super) fn recover(to: &Path) -> Result<(), BundleError> {
    for _ in 0..LOOKS {
        match lock(to) {
            Ok(None) if exists(to)? => return Ok(()),
            Ok(None) => thread::sleep(PAUSE),
            // Whoever may not open the folder cannot change what is in it either.
            Ok(Some(_)) | Err(_) => return mend(to),
        }
    }
    Ok(())
}

fn mend(to: &Path) -> Result<(), BundleError> {
    restore(to)?;
    // A bundle that is there can be used, on a read-only disk too.
    let _ = tidy(to);
    Ok(())
}

/// Fills the place of `to` after a stop between the two renames.
fn restore(to: &Path) -> Result<(), BundleError> {
    if exists(to)? {
        return Ok(());
    }
    let [previous, damaged, incoming] = ["previous", "damaged", "incoming"].map(|suffix| beside(to, suffix));
    // A good bundle was moved to `previous`, by an install, or is about to come back from there, by a rollback. Beside a damaged
    // one it is older: then, or without any, the new one has been verified and only lacks its name.
    let earlier_first = exists(&previous)? && !exists(&damaged)?;
    if !earlier_first && Bundle::verify(&incoming).is_ok() {
        return rename(&incoming, to);
    }
    for left in [previous, damaged] {
        if exists(&left)? {
            return rename(&left, to);
        }
    }
    Ok(())
}

/// Ends what was stopped when `to` was whole again: gives what a rollback replaced its name, removes what was damaged and what was
/// only half copied.
fn tidy(to: &Path) -> Result<(), BundleError> {
    if !exists(to)? {
        return Ok(());
    }
    let (aside, previous) = (beside(to, "rolled-back"), beside(to, "previous"));
    if exists(&aside)? && !exists(&previous)? {
        rename(&aside, &previous)?;
    }
    remove(&beside(to, "damaged"))?;
    remove(&beside(to, "incoming"))
}

/// `from` becomes `to`; what `to` was becomes `replaced`. Restores `to` when the second rename fails.
fn swap_in(from: &Path, to: &Path, replaced: &Path) -> Result<(), BundleError> {
    let occupied = exists(to)?;
    if occupied {
        remove(replaced)?;
        rename(to, replaced)?;
    }
    if let Err(error) = rename(from, to) {
        if occupied {
            rename(replaced, to)?;
        }
        return Err(error);
    }
    // Done is done; what is left over is seen to when the bundle is opened.
    let _ = tidy(to);
    Ok(())
}

/// The right to change what lies at `to` and beside it, as long as the file is kept.
fn take(to: &Path) -> Result<File, BundleError> {
    for _ in 0..LOOKS {
        if let Some(lock) = lock(to)? {
            return Ok(lock);
        }
        thread::sleep(PAUSE);
    }
    Err(BundleError::Busy(to.to_owned()))
}

/// The same at once; None while another program has it.
fn lock(to: &Path) -> Result<Option<File>, BundleError> {
    let path = if cfg!(unix) { folder_of(to).to_owned() } else { beside(to, "lock") };
    let opened = if cfg!(unix) { File::open(&path) } else { File::create(&path) };
    let file = opened.map_err(BundleError::io(&path))?;
    match file.try_lock() {
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        // A file system without locks is as good as it gets.
        Ok(()) | Err(fs::TryLockError::Error(_)) => Ok(Some(file)),
    }
}

/// Copies the manifest and every file it lists, nothing else, and makes the disk hold them.
fn copy(source: &Bundle, incoming: &Path) -> Result<(), BundleError> {
    let listed = &source.manifest().files;
    let needed = listed.iter().map(|entry| entry.bytes).sum();
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BundleError::NoSpace { dir: path, needed },
            _ => BundleError::Io { path, source: error },
        }
    };
    remove(incoming)?;
    fs::create_dir_all(incoming).map_err(failed(incoming))?;
    let names = listed.iter().map(|FileEntry { name, .. }| name.as_str()).chain([MANIFEST]);
    for name in names {
        let target = incoming.join(name);
        let mut reader = File::open(source.dir().join(name)).map_err(BundleError::io(&source.dir().join(name)))?;
        let mut writer = File::create(&target).map_err(failed(&target))?;
        io::copy(&mut reader, &mut writer).map_err(failed(&target))?;
        writer.sync_all().map_err(failed(&target))?;
    }
    sync_folder(incoming).map_err(failed(incoming))
}

/// `/x/bundle` -> `/x/bundle.suffix`: in the same folder, so that renames between them are single steps.
fn beside(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    dir.with_file_name(name)
}

fn is_empty(dir: &Path) -> Result<bool, BundleError> {
    Ok(fs::read_dir(dir).map_err(BundleError::io(dir))?.next().is_none())
}

fn exists(path: &Path) -> Result<bool, BundleError> {
    path.try_exists().map_err(BundleError::io(path))
}

fn rename(from: &Path, to: &Path) -> Result<(), BundleError> {
    fs::rename(from, to).map_err(BundleError::io(from))?;
    let folder = folder_of(to);
    sync_folder(folder).map_err(BundleError::io(folder))
}

/// The folder that `dir` is in.
fn folder_of(dir: &Path) -> &Path {
    match dir.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn remove(dir: &Path) -> Result<(), BundleError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(BundleError::io(dir)),
    }
}

/// Makes renames and new names in `dir` survive a power cut.
#[cfg(unix)]
fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Windows (a build host at most) writes names through and cannot open a folder as a file.
#[cfg(not(unix))]
fn sync_folder(_dir: &Path) -> io::Result<()> {
    Ok(())
}
