//! Every point at which a power cut can stop an install or a rollback: a whole bundle is in place afterwards, the earlier one
//! beside it, and nothing else stays for good. What is not stopped is left alone.

use super::{beside, holds, place, write};
use std::{fs, path::Path, thread, time::Duration};
use tomato_assistant::bundle::{Bundle, BundleError, install, rollback};

/// What lies at the place itself and, by their suffixes, beside it.
type State = &'static [(&'static str, &'static str)];

/// The place itself.
const HERE: &str = "";

/// Leaves what was left of a bundle: a name for a whole one, "name!" for a damaged one, "name~" for one of which only a part was
/// copied or removed.
fn leave(installed: &Path, state: State) {
    for (suffix, content) in state {
        let dir = if *suffix == HERE { installed.to_owned() } else { beside(installed, suffix) };
        write(&dir, content.trim_end_matches(['!', '~']));
        match content.chars().last() {
            Some('!') => fs::write(dir.join("model.gguf"), "rot").unwrap(),
            Some('~') => ["manifest.json", "NOTICE"].iter().for_each(|name| fs::remove_file(dir.join(name)).unwrap()),
            _ => {}
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// After a cut that left `state`: what opens (if it is whole), and what lies there for a rollback.
fn check(state: State, opens: Option<&str>, earlier: Option<&str>) {
    let (_temp, _, installed) = place();
    leave(&installed, state);
    match opens {
        Some(content) => assert!(holds(&installed, content), "{state:?}"),
        None => assert!(Bundle::open(&installed).is_err(), "{state:?}"),
    }
    // Opened or not before, a rollback finds the earlier one, and a second one undoes it.
    for opened in [true, false] {
        let (temp, new, installed) = place();
        leave(&installed, state);
        if opened {
            let _ = Bundle::open(&installed);
            let left = names(temp.path());
            let whole = left.contains(&"installed".to_string());
            assert!(left.iter().all(|name| !name.ends_with("damaged")), "{state:?}: {left:?}");
            assert!(!whole || !left.contains(&"installed.incoming".to_string()), "{state:?}: {left:?}");
        }
        match (opens, earlier) {
            (_, None) => assert!(rollback(&installed).is_err(), "{state:?}"),
            (None, Some(earlier)) => {
                rollback(&installed).unwrap();
                assert!(holds(&installed, earlier), "{state:?}");
            }
            (Some(content), Some(earlier)) => {
                for expected in [earlier, content] {
                    rollback(&installed).unwrap();
                    assert!(holds(&installed, expected), "{state:?}");
                }
                assert!(!beside(&installed, "rolled-back").exists(), "{state:?}");
            }
        }
        // And whatever there is, it can be replaced, and only the earlier one stays beside it.
        write(&new, "new");
        install(&new, &installed).unwrap();
        assert!(holds(&installed, "new"), "{state:?}");
        let left = names(temp.path());
        assert!(left.iter().all(|n| ["installed", "installed.previous", "new"].contains(&n.as_str())), "{left:?}");
    }
}

#[test]
fn of_an_install_over_a_good_bundle() {
    // Copying; verified; the one before the last half removed, and removed.
    check(&[(HERE, "old"), ("previous", "older"), ("incoming", "next~")], Some("old"), Some("older"));
    check(&[(HERE, "old"), ("previous", "older"), ("incoming", "next")], Some("old"), Some("older"));
    check(&[(HERE, "old"), ("previous", "older~"), ("incoming", "next")], Some("old"), None);
    check(&[(HERE, "old"), ("incoming", "next")], Some("old"), None);
    // Between the renames: undone.
    check(&[("previous", "old"), ("incoming", "next")], Some("old"), None);
    check(&[(HERE, "next"), ("previous", "old")], Some("next"), Some("old"));
}

#[test]
fn of_an_install_over_a_damaged_bundle() {
    check(&[(HERE, "old!"), ("previous", "older"), ("incoming", "next~")], None, Some("older"));
    check(&[(HERE, "old!"), ("previous", "older"), ("incoming", "next")], None, Some("older"));
    check(&[(HERE, "old!"), ("incoming", "next")], None, None);
    // Between the renames: the new one is whole, and better than one that is older than the damaged one.
    check(&[("damaged", "old!"), ("incoming", "next")], Some("next"), None);
    check(&[("damaged", "old!"), ("previous", "older"), ("incoming", "next")], Some("next"), Some("older"));
    // The damaged one not yet removed, or half.
    check(&[(HERE, "next"), ("damaged", "old!"), ("previous", "older")], Some("next"), Some("older"));
    check(&[(HERE, "next"), ("damaged", "old~")], Some("next"), None);
}

#[test]
fn of_a_first_install() {
    check(&[("incoming", "next~")], None, None);
    check(&[("incoming", "next")], Some("next"), None);
    check(&[(HERE, "next")], Some("next"), None);
}

#[test]
fn of_a_rollback() {
    // What an even earlier stop left is half removed.
    check(&[(HERE, "next"), ("previous", "old"), ("rolled-back", "older~")], Some("next"), Some("old"));
    // After the first rename and after the second.
    check(&[("previous", "old"), ("rolled-back", "next")], Some("old"), Some("next"));
    check(&[(HERE, "old"), ("rolled-back", "next")], Some("old"), Some("next"));
    check(&[(HERE, "old"), ("previous", "next")], Some("old"), Some("next"));
}

/// A card that damages one file may damage two.
#[test]
fn a_damaged_bundle_is_better_than_none() {
    let (_temp, _, installed) = place();
    leave(&installed, &[("damaged", "old!"), ("incoming", "next!")]);
    assert_eq!(Bundle::text(&installed, "targets.toml").unwrap(), "old targets.toml");
    assert!(matches!(Bundle::open(&installed), Err(BundleError::Damaged { .. })));
}

#[test]
fn what_cannot_be_tidied_up_keeps_nobody_from_the_bundle() {
    let (_temp, new, installed) = place();
    leave(&installed, &[(HERE, "old")]);
    // Not a folder, so it cannot be removed as one.
    fs::write(beside(&installed, "damaged"), "").unwrap();
    assert!(holds(&installed, "old"));
    write(&new, "next");
    install(&new, &installed).unwrap();
    assert!(holds(&installed, "next"));
}

#[test]
fn beside_what_is_installed_from_nothing_is_removed() {
    let (_temp, new, installed) = place();
    write(&new, "next");
    write(&beside(&new, "damaged"), "somebody's");
    install(&new, &installed).unwrap();
    assert!(holds(&installed, "next") && beside(&new, "damaged").exists());
}

#[test]
fn what_another_program_is_installing_is_left_to_it() {
    let (temp, new, installed) = place();
    write(&new, "one");
    install(&new, &installed).unwrap();
    write(&beside(&installed, "incoming"), "half");
    write(&new, "two");
    let other = fs::File::open(temp.path()).unwrap();
    other.lock().unwrap();
    for refused in [install(&new, &installed), rollback(&installed)] {
        assert!(matches!(refused, Err(BundleError::Busy(_))));
    }
    assert!(holds(&installed, "one") && beside(&installed, "incoming").exists());
    // Between its two renames there is none for a moment.
    fs::rename(&installed, beside(&installed, "previous")).unwrap();
    let second = thread::spawn({
        let installed = installed.clone();
        move || {
            thread::sleep(Duration::from_millis(200));
            fs::rename(beside(&installed, "incoming"), installed).unwrap();
        }
    });
    assert!(holds(&installed, "half"));
    second.join().unwrap();
    drop(other);
    rollback(&installed).unwrap();
    assert!(holds(&installed, "one"));
}
