//! firmware-config/: the files that go onto a device are the ones the program reads, and the system accepts.

use std::{path::PathBuf, process::Command};
use tomato_assistant::{
    climate::DayHours,
    config::{Config, Sensor},
};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("firmware-config").join(name)
}

#[test]
fn the_shipped_config_loads_and_says_what_its_comments_say() {
    let config = Config::load(&file("assistant.toml")).unwrap();
    assert_eq!(config.sensors, [Sensor::Sht4x { bus: 1, address: sht4x::Address::Address0x44 }]);
    // "Every key may be left out; the value shown is then used": all but the three with paths and sensors.
    let usual = Config { bundle: config.bundle.clone(), log_file: config.log_file.clone(), ..Config::default() };
    assert_eq!(Config { sensors: Vec::new(), ..config }, usual);
}

#[test]
fn the_examples_in_the_comments_load_too() {
    let text = std::fs::read_to_string(file("assistant.toml")).unwrap();
    let (before, rest) = text.split_once("\n[[sensor]]").unwrap();
    let (_, example) = rest.split_once("# [[sensor]]").unwrap();
    let example: String = example.lines().map(|line| line.trim_start_matches("# ").to_owned() + "\n").collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assistant.toml");
    std::fs::write(
        &path,
        format!("{}\n[[sensor]]{example}", before.replace("# threads =", "threads =").replace("# day =", "day =")),
    )
    .unwrap();
    let config = Config::load(&path).unwrap();
    assert_eq!(config.threads.unwrap().get(), 4);
    assert_eq!(config.day, DayHours::new(6 * 60, 20 * 60));
    assert!(matches!(&config.sensors[..], [Sensor::Replay { speed: 1.0, start_hour: 0, .. }]));
}

/// systemd complains on stderr about what it does not know and still answers 0, so silence is what is asked for. The
/// programs need not be installed here; one that is stands in for them.
#[test]
fn systemd_accepts_the_service() {
    let text = std::fs::read_to_string(file("assistant.service")).unwrap();
    assert!(text.contains("ExecStart=/usr/local/bin/assistant\n"));
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("assistant.service");
    let text = text.replace("/usr/local/bin/assistant", "/bin/sh").replace("/usr/bin/dmesg", "/bin/sh");
    std::fs::write(&unit, text).unwrap();
    match Command::new("systemd-analyze").arg("verify").arg(&unit).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("SKIPPED: systemd-analyze is not installed, so assistant.service was not verified");
        }
        Err(error) => panic!("{error}"),
        Ok(verified) => {
            let complaints = String::from_utf8_lossy(&verified.stderr).into_owned();
            assert!(verified.status.success() && complaints.is_empty(), "{complaints}");
        }
    }
}

#[test]
fn the_service_has_no_network_may_read_the_sensors_has_the_screen_and_always_comes_back() {
    let text = std::fs::read_to_string(file("assistant.service")).unwrap();
    for line in [
        "PrivateNetwork=yes",
        "IPAddressDeny=any",
        "SupplementaryGroups=i2c gpio",
        "DeviceAllow=char-i2c rw",
        "Restart=always",
        // Without this, five starts in ten seconds are systemd's own limit.
        "StartLimitIntervalSec=0",
        "NoNewPrivileges=yes",
        // "-": a screen with the kernel's messages on it is better than none; "+": only root may.
        "ExecStartPre=-+/usr/bin/dmesg -n 1",
    ] {
        assert!(text.lines().any(|have| have == line), "{line}");
    }
}

/// One key a line, comments apart: what the boot loader reads. The I2C pins must keep their pull-ups.
#[test]
fn the_boot_fragment_switches_i2c_on_and_leaves_its_pins_alone() {
    let text = std::fs::read_to_string(file("config.txt")).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(lines[0], "[all]");
    assert!(lines[1..].iter().all(|line| line.contains('=') && line.len() <= 98), "{lines:?}");
    assert!(lines.contains(&"dtparam=i2c_arm=on"));
    let pins = lines.iter().find_map(|line| line.strip_prefix("gpio=")).unwrap().split('=').next().unwrap();
    for range in pins.split(',') {
        let (first, last) = range.split_once('-').unwrap();
        let (first, last): (u8, u8) = (first.parse().unwrap(), last.parse().unwrap());
        assert!([0, 1, 2, 3, 14, 15].iter().all(|pin| !(first..=last).contains(pin)), "{range}");
    }
}
