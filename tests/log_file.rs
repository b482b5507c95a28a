//! The log: it never grows past its cap, keeps the latest half, and goes on after its file was lost.

use std::{fs, io::Write};
use tomato_assistant::log_file::CappedFile;

#[test]
fn both_files_stay_within_the_cap_and_hold_the_latest_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/log.txt");
    let mut log = CappedFile::open(&path, 100).unwrap();
    for number in 0..50 {
        log.write_all(format!("line {number:02}\n").as_bytes()).unwrap();
    }
    let [old, new] = [path.with_file_name("log.txt.old"), path].map(|path| fs::read_to_string(path).unwrap());
    assert!(old.len() + new.len() <= 100 && (old + &new).ends_with("line 48\nline 49\n"));
}

/// As after a turn that renamed the file and could not open the next.
#[test]
fn a_log_whose_file_is_gone_begins_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.txt");
    let mut log = CappedFile::open(&path, 100).unwrap();
    log.write_all(&[b'a'; 50]).unwrap();
    fs::rename(&path, folder.path().join("log.txt.old")).unwrap();
    log.write_all(b"goes on\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "goes on\n");
}
