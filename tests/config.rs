//! Config: every file under fixtures/config/valid loads, every one under invalid is refused with the words in its
//! first line.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tomato_assistant::{
    climate::{DayHours, Stage},
    config::{Config, Sensor},
    text::{Lang, Msg},
};

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config").join(folder);
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn valid(name: &str) -> Config {
    let path = fixtures("valid").into_iter().find(|path| path.ends_with(name)).unwrap();
    Config::load(&path).unwrap()
}

#[test]
fn invalid_files_are_refused_with_line_key_and_what_is_allowed() {
    let files = fixtures("invalid");
    assert!(files.len() >= 20);
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let expected = text.lines().next().unwrap().strip_prefix("# says: ").unwrap();
        let said = Lang::En.say(&Msg::ConfigError(&Config::load(&path).unwrap_err()));
        assert!(said.starts_with(&path.display().to_string()), "{said}");
        assert!(!said.trim_end().contains('\n'), "{said}");
        for words in expected.split(" | ") {
            assert!(said.contains(words), "{}: {words:?} is not in {said:?}", path.display());
        }
    }
}

#[test]
fn an_empty_file_means_the_defaults() {
    assert_eq!(valid("empty.toml"), Config::default());
    let usual = Config::default();
    assert_eq!((usual.stage, usual.sensors.len()), (Stage::Fruiting, 0));
    assert!(usual.stale_after > usual.poll);
}

#[test]
fn every_key_arrives_and_paths_are_relative_to_the_file() {
    let config = valid("all.toml");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config/valid");
    assert_eq!(config.bundle, Some(folder.join("bundles/now")));
    assert_eq!((config.stage, config.day), (Stage::Seedling, DayHours::new(5 * 60 + 30, 21 * 60)));
    assert_eq!((config.poll, config.stale_after), (Duration::from_secs(5), Duration::from_secs(10)));
    assert_eq!(config.threads.unwrap().get(), 2);
    assert_eq!((config.log_file, config.log_bytes), (Some("/var/log/tomato.log".into()), 64 * 1024));

    assert_eq!(valid("sht4x.toml").sensors, [Sensor::Sht4x { bus: 1, address: sht4x::Address::Address0x45 }]);
    // What they measure is only known when they are opened.
    assert_eq!(valid("same-twice.toml").sensors.len(), 2);
    let replay = valid("replay.toml");
    assert_eq!(replay.sensors, [Sensor::Replay { file: folder.join("day.csv"), speed: 2.0, start_hour: 0 }]);
    // A slow poll moves the default for staleness.
    assert_eq!(replay.stale_after, Duration::from_secs(600));
}

#[test]
fn a_named_file_must_exist_and_be_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assistant.toml");
    let said = Lang::En.say(&Msg::ConfigError(&Config::find(Some(&path)).unwrap_err()));
    assert!(said.contains(&path.display().to_string()) && said.contains("cannot be read"), "{said}");
    std::fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
    let said = Lang::En.say(&Msg::ConfigError(&Config::load(&path).unwrap_err()));
    assert!(said.contains("cannot be read"), "{said}");
}
