//! A bundle opens only as it was written, and installing always leaves a whole one.

mod power_cuts;

use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use tomato_assistant::{
    bundle::{Bundle, BundleError, FileEntry, MANIFEST, Manifest, Provenance, REQUIRED, install, rollback, sha256},
    text::{Lang, Msg},
};

fn manifest(files: Vec<FileEntry>) -> Manifest {
    let provenance = Provenance {
        base_model_sha256: "a".repeat(64),
        base_model_name: "tiny".into(),
        encoder_sha256: "c".repeat(64),
        recipe_sha256: "b".repeat(64),
        tool_version: "0.1.0".into(),
    };
    Manifest::new("test".into(), files, provenance, vec!["NOTICE".into()])
}

fn entry(name: &str, bytes: &[u8]) -> FileEntry {
    FileEntry { name: name.into(), sha256: sha256(bytes), bytes: bytes.len() as u64 }
}

/// A bundle whose files hold `content` and their own names.
fn write(dir: &Path, content: &str) {
    fs::create_dir_all(dir).unwrap();
    let files = REQUIRED.map(|name| {
        let bytes = format!("{content} {name}");
        fs::write(dir.join(name), &bytes).unwrap();
        entry(name, bytes.as_bytes())
    });
    fs::write(dir.join(MANIFEST), manifest(files.into()).to_bytes()).unwrap();
}

fn holds(dir: &Path, content: &str) -> bool {
    let bundle = Bundle::open(dir).unwrap();
    fs::read_to_string(bundle.model()).unwrap() == format!("{content} model.gguf")
}

fn beside(dir: &Path, suffix: &str) -> PathBuf {
    dir.with_extension(suffix)
}

fn place() -> (TempDir, PathBuf, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let (new, installed) = (temp.path().join("new"), temp.path().join("installed"));
    (temp, new, installed)
}

#[test]
fn opens_what_was_written() {
    let (_temp, new, _) = place();
    write(&new, "one");
    let bundle = Bundle::open(&new).unwrap();
    assert_eq!(bundle.manifest().name, "test");
    let curated = [bundle.knowledge(), bundle.targets(), bundle.notice()];
    let encoder = [bundle.encoder(), bundle.encoder_tokenizer(), bundle.vectors()];
    for path in [bundle.model(), bundle.tokenizer()].into_iter().chain(encoder).chain(curated) {
        assert!(path.is_file(), "{}", path.display());
    }
}

#[test]
fn every_byte_of_every_file_counts() {
    let (_temp, new, _) = place();
    write(&new, "one");
    for name in REQUIRED.into_iter().chain([MANIFEST]) {
        let good = fs::read(new.join(name)).unwrap();
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 1 << (position % 8);
            fs::write(new.join(name), bad).unwrap();
            assert!(Bundle::open(&new).is_err(), "{name} with byte {position} changed");
        }
        fs::write(new.join(name), good).unwrap();
    }
    Bundle::open(&new).unwrap();
}

#[test]
fn a_truncated_or_missing_file_is_named() {
    let (_temp, new, _) = place();
    for name in REQUIRED {
        write(&new, "one");
        let bytes = fs::read(new.join(name)).unwrap();
        fs::write(new.join(name), &bytes[..bytes.len() - 1]).unwrap();
        let error = Bundle::open(&new).unwrap_err();
        assert!(matches!(&error, BundleError::Damaged { file, .. } if file == name), "{error}");
        fs::remove_file(new.join(name)).unwrap();
        let error = Bundle::open(&new).unwrap_err();
        assert!(matches!(&error, BundleError::Damaged { file, .. } if file == name), "{error}");
        assert!(error.to_string().contains("missing"), "{error}");
    }
}

#[test]
fn a_folder_in_place_of_a_file_is_damage() {
    let (_temp, new, _) = place();
    write(&new, "one");
    fs::remove_file(new.join("NOTICE")).unwrap();
    fs::create_dir(new.join("NOTICE")).unwrap();
    assert!(matches!(Bundle::open(&new), Err(BundleError::Damaged { .. })));
}

#[test]
fn another_format_version_is_told_apart_from_damage() {
    let (_temp, new, _) = place();
    write(&new, "one");
    // A later version may have fields that this program has never heard of.
    fs::write(new.join(MANIFEST), r#"{"format_version": 10, "signature": "x"}"#).unwrap();
    assert!(matches!(Bundle::open(&new), Err(BundleError::Version { found: 10, .. })));
}

#[test]
fn other_folders_are_not_bundles() {
    let (temp, new, _) = place();
    assert!(matches!(Bundle::open(&new), Err(BundleError::Missing(_))));
    fs::create_dir(&new).unwrap();
    assert!(matches!(Bundle::open(&new), Err(BundleError::NotABundle { .. })));
    for text in ["", "{}", "[1, 2]", "\u{0}\u{1}", r#"{"format_version": 9, "name": "half"}"#] {
        fs::write(new.join(MANIFEST), text).unwrap();
        assert!(matches!(Bundle::open(&new), Err(BundleError::NotABundle { .. })), "{text:?}");
    }
    let file = temp.path().join("file");
    fs::write(&file, "a file").unwrap();
    assert!(matches!(Bundle::open(&file), Err(BundleError::NotABundle { .. })));
}

#[test]
fn a_manifest_cannot_reach_outside_its_folder() {
    let (temp, new, _) = place();
    fs::write(temp.path().join("outside"), "x").unwrap();
    for name in ["../outside", "..", ".", "", "/etc/hostname", "a/b", "a\\b", "c:x", "a\0b", MANIFEST, "model.gguf"] {
        write(&new, "one");
        let mut files = Bundle::open(&new).unwrap().manifest().files.clone();
        files.push(entry(name, b"x"));
        fs::write(new.join(MANIFEST), manifest(files).to_bytes()).unwrap();
        let error = Bundle::open(&new).unwrap_err();
        assert!(matches!(&error, BundleError::Damaged { file, .. } if file == name), "{name:?}: {error}");
    }
}

#[test]
fn a_manifest_must_list_what_the_appliance_needs() {
    let (_temp, new, _) = place();
    for name in REQUIRED {
        write(&new, "one");
        let mut files = Bundle::open(&new).unwrap().manifest().files.clone();
        files.retain(|entry| entry.name != name);
        fs::write(new.join(MANIFEST), manifest(files).to_bytes()).unwrap();
        assert!(matches!(Bundle::open(&new), Err(BundleError::Damaged { file, .. }) if file == name));
    }
}

#[test]
fn installs_and_rolls_back_and_forth() {
    let (temp, new, installed) = place();
    write(&new, "one");
    fs::write(new.join("record.json"), "not part of the bundle").unwrap();
    install(&new, &installed).unwrap();
    assert!(holds(&installed, "one") && !installed.join("record.json").exists());
    assert!(matches!(rollback(&installed), Err(BundleError::NothingEarlier(_))));
    write(&new, "two");
    install(&new, &installed).unwrap();
    assert!(holds(&installed, "two"));
    rollback(&installed).unwrap();
    assert!(holds(&installed, "one"));
    rollback(&installed).unwrap();
    assert!(holds(&installed, "two"));
    let mut left: Vec<_> = fs::read_dir(temp.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["installed", "installed.previous", "new"]);
}

#[test]
fn a_bad_bundle_keeps_the_old_one() {
    let (_temp, new, installed) = place();
    write(&new, "one");
    install(&new, &installed).unwrap();
    write(&new, "two");
    fs::write(new.join("tokenizer.json"), "two tokenizer.jsoN").unwrap();
    assert!(matches!(install(&new, &installed), Err(BundleError::Damaged { .. })));
    assert!(holds(&installed, "one"));
    assert!(!beside(&installed, "incoming").exists() && !beside(&installed, "previous").exists());
}

#[test]
fn a_damaged_bundle_is_replaced_and_not_kept_as_the_earlier_one() {
    let (_temp, new, installed) = place();
    for content in ["one", "two"] {
        write(&new, content);
        install(&new, &installed).unwrap();
    }
    fs::write(installed.join("model.gguf"), "rot").unwrap();
    write(&new, "three");
    install(&new, &installed).unwrap();
    assert!(holds(&installed, "three") && !beside(&installed, "damaged").exists());
    rollback(&installed).unwrap();
    assert!(holds(&installed, "one"));
}

#[test]
fn someone_elses_folder_is_never_replaced() {
    let (_temp, new, installed) = place();
    write(&new, "one");
    fs::create_dir(&installed).unwrap();
    fs::write(installed.join("thesis.txt"), "years of work").unwrap();
    assert!(matches!(install(&new, &installed), Err(BundleError::NotABundle { .. })));
    assert_eq!(fs::read_to_string(installed.join("thesis.txt")).unwrap(), "years of work");
    // An empty folder that an administrator has made is a place to install to.
    fs::remove_file(installed.join("thesis.txt")).unwrap();
    install(&new, &installed).unwrap();
    assert!(holds(&installed, "one"));
}

/// Whatever a failing card left of `manifest.json`.
#[test]
fn a_bundle_without_a_readable_manifest_is_damaged_and_can_be_replaced() {
    for left in [None, Some(""), Some("\u{0}\u{0}\u{0}"), Some(r#"{"format_version": 9, "name": "half"#), Some("{}")] {
        let (_temp, new, installed) = place();
        for content in ["one", "two"] {
            write(&new, content);
            install(&new, &installed).unwrap();
        }
        fs::remove_file(installed.join(MANIFEST)).unwrap();
        if let Some(text) = left {
            fs::write(installed.join(MANIFEST), text).unwrap();
        }
        // Some other file may be gone with it.
        fs::remove_file(installed.join("NOTICE")).unwrap();
        let error = Bundle::open(&installed).unwrap_err();
        assert!(matches!(&error, BundleError::Damaged { file, .. } if file == MANIFEST), "{left:?}: {error}");
        assert!(Lang::En.say(&Msg::Bundle(&error)).contains("is damaged: manifest.json "), "{error}");
        write(&new, "three");
        install(&new, &installed).unwrap();
        assert!(holds(&installed, "three"));
        rollback(&installed).unwrap();
        assert!(holds(&installed, "one"));
    }
}

#[test]
fn a_folder_that_only_resembles_a_bundle_is_never_replaced() {
    type Change = fn(&Path);
    let changes: [Change; 4] = [
        |dir| fs::write(dir.join("thesis.txt"), "years of work").unwrap(),
        |dir| fs::create_dir(dir.join(MANIFEST)).unwrap(),
        |dir| {
            fs::remove_file(dir.join("NOTICE")).unwrap();
            fs::create_dir(dir.join("NOTICE")).unwrap();
        },
        // A model that somebody fetched.
        |dir| REQUIRED[2..].iter().for_each(|name| fs::remove_file(dir.join(name)).unwrap()),
    ];
    for (number, change) in changes.iter().enumerate() {
        let (_temp, new, installed) = place();
        write(&new, "one");
        write(&installed, "theirs");
        fs::remove_file(installed.join(MANIFEST)).unwrap();
        change(&installed);
        let error = install(&new, &installed).unwrap_err();
        assert!(matches!(error, BundleError::NotABundle { .. } | BundleError::Io { .. }), "{number}: {error}");
        assert_eq!(fs::read_to_string(installed.join("model.gguf")).unwrap(), "theirs model.gguf", "{number}");
    }
}

/// The start of the process's own memory is a file that opens and cannot be read, like one on a failing card.
#[test]
#[cfg(target_os = "linux")]
fn a_bundle_whose_manifest_cannot_be_read_is_replaced() {
    let (_temp, new, installed) = place();
    write(&new, "one");
    write(&installed, "two");
    fs::remove_file(installed.join(MANIFEST)).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", installed.join(MANIFEST)).unwrap();
    assert!(matches!(Bundle::open(&installed), Err(BundleError::Io { .. })));
    install(&new, &installed).unwrap();
    assert!(holds(&installed, "one"));
}

#[test]
fn a_crash_between_the_renames_is_mended() {
    let (_temp, new, installed) = place();
    write(&new, "one");
    install(&new, &installed).unwrap();
    write(&new, "two");
    // As `install` leaves it after its first rename.
    fs::rename(&installed, beside(&installed, "previous")).unwrap();
    write(&beside(&installed, "incoming"), "two");
    assert!(holds(&installed, "one"));
    install(&new, &installed).unwrap();
    assert!(holds(&installed, "two") && !beside(&installed, "incoming").exists());
    // And a copy that was cut short, as before its first rename.
    fs::create_dir(beside(&installed, "incoming")).unwrap();
    fs::write(beside(&installed, "incoming").join("model.gguf"), "th").unwrap();
    assert!(holds(&installed, "two"));
    write(&new, "three");
    install(&new, &installed).unwrap();
    assert!(holds(&installed, "three"));
}

#[test]
fn the_text_of_a_file_needs_no_other_file_whole() {
    let (temp, new, installed) = place();
    write(&new, "one");
    fs::write(new.join("model.gguf"), "bad").unwrap();
    assert!(matches!(Bundle::open(&new), Err(BundleError::Damaged { file, .. }) if file == "model.gguf"));
    assert_eq!(Bundle::text(&new, "targets.toml").unwrap(), "one targets.toml");
    for bad in ["two targets.toml", "longer than it was"] {
        fs::write(new.join("targets.toml"), bad).unwrap();
        assert!(
            matches!(Bundle::text(&new, "targets.toml"), Err(BundleError::Damaged { file, .. }) if file == "targets.toml")
        );
    }
    assert!(matches!(Bundle::text(&new, "other.txt"), Err(BundleError::Damaged { .. })));
    assert!(matches!(Bundle::text(&temp.path().join("none"), "targets.toml"), Err(BundleError::Missing(_))));
    // An install that died between its renames is undone first, as when all is opened.
    write(&beside(&installed, "previous"), "old");
    assert_eq!(Bundle::text(&installed, "targets.toml").unwrap(), "old targets.toml");
}

#[test]
fn rollback_refuses_a_damaged_earlier_bundle() {
    let (_temp, new, installed) = place();
    for content in ["one", "two"] {
        write(&new, content);
        install(&new, &installed).unwrap();
    }
    fs::write(beside(&installed, "previous").join("NOTICE"), "rot").unwrap();
    assert!(matches!(rollback(&installed), Err(BundleError::Damaged { .. })));
    assert!(holds(&installed, "two"));
}

#[test]
fn a_place_that_cannot_be_written_says_so() {
    let (temp, new, _) = place();
    write(&new, "one");
    fs::write(temp.path().join("file"), "").unwrap();
    let error = install(&new, &temp.path().join("file/bundle")).unwrap_err();
    assert!(matches!(error, BundleError::Io { .. }), "{error}");
    let words = Lang::En.say(&Msg::Bundle(&error));
    assert!(words.contains("cannot be read or written") && words.contains("try again"), "{words}");
}

/// Needs the right to mount a small disk, so it says that it was skipped where there is none.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_keeps_the_old_bundle() {
    let (temp, new, _) = place();
    let disk = temp.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mounted =
        std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(&disk).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this user may not mount a small disk");
        return;
    }
    write(&new, "one");
    let installed = disk.join("installed");
    let first = install(&new, &installed);
    write(&new, &"two".repeat(50_000));
    let second = install(&new, &installed);
    let kept = Bundle::open(&installed).is_ok_and(|bundle| bundle.manifest().files[0].bytes < 100);
    let left: Vec<_> = fs::read_dir(&disk).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(std::process::Command::new("umount").arg(&disk).status().unwrap().success());
    first.unwrap();
    let error = second.unwrap_err();
    assert!(matches!(error, BundleError::NoSpace { needed, .. } if needed > 500_000), "{error}");
    assert!(Lang::En.say(&Msg::Bundle(&error)).contains("disk is full"));
    assert!(kept);
    assert_eq!(left, ["installed"]);
}
