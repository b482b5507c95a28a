//! Misspelt words become what was meant; everything else in a question stays as it was typed.

use std::borrow::Cow;
use tomato_assistant::knowledge::{Knowledge, spelling::Spelling};

/// General words, the most common first.
const GENERAL: [&str; 12] =
    ["the", "of", "in", "what", "this", "with", "how", "when", "should", "why", "friend", "kitchen"];

fn real() -> Knowledge {
    Knowledge::parse(include_str!("../data/tomato_qa_dataset.json")).unwrap()
}

fn spelling() -> Spelling {
    Spelling::new(real().entries(), GENERAL.into_iter())
}

#[test]
fn slips_of_finger_and_ear_are_mended() {
    let spelling = spelling();
    for (typed, meant) in [
        // A letter left out, added, doubled, changed; two swapped; the key beside; by ear.
        ("Blosom end rot", "blossom end rot"),
        ("teh plnats wilt", "the plants wilt"),
        ("yelow leaaves", "yellow leaves"),
        ("whst is thid", "what is this"),
        ("moisture sencor", "moisture sensor"),
        // A forgotten space, capitals, what stands around the word.
        ("white spots inthe greenhouse", "white spots in the greenhouse"),
        ("YELOW LEAVES", "yellow LEAVES"),
        ("humdity?! (temprature, 35C)", "humidity?! (temperature, 35C)"),
        // General words are known and become known ones, too.
        ("my frend in the kichen", "my friend in the kitchen"),
    ] {
        assert_eq!(spelling.mend(typed), meant);
    }
}

#[test]
fn what_is_known_or_no_english_word_stays() {
    let spelling = spelling();
    for text in [
        "Why do the leaves curl?",
        // A form of a known word, a keyword, a possessive.
        "sprayed bottles of pseudoidium for the plant's stem",
        // Names in capitals, numbers and units, two letters.
        "is ToBRFV or TXXV in the EC 3.5mS hs",
        // What growers wrote, where the likeliest word is not near enough to be sure.
        "blak spots",
        // Nothing near.
        "zzyzx qwrtpsdfg",
        "잎이 노랗게 변해요",
        "Blätter größer żółte",
        "",
        " \u{301}\u{200d}👩‍🌾\u{0} ",
    ] {
        assert!(matches!(spelling.mend(text), Cow::Borrowed(same) if same == text), "{text:?}");
    }
    let long = format!("{} {}", "a".repeat(5000), "blosom".repeat(500));
    assert_eq!(spelling.mend(&long), long);
}

#[test]
fn reviewed_text_is_never_changed() {
    let spelling = spelling();
    for entry in real().entries() {
        for text in [&entry.instruction, &entry.input, &entry.output] {
            assert_eq!(&spelling.mend(text), text, "{}", entry.id);
        }
    }
}

#[test]
fn a_name_is_not_taken_apart_into_a_rare_word_and_a_small_one() {
    let others: Vec<String> = (0..20_000).map(|number| format!("word{number}")).collect();
    let general = |last| ["in", "or", "the"].into_iter().chain(others.iter().map(String::as_str)).chain([last]);
    let with = |last| Spelling::new(&[], general(last)).mend("confidor inthe").into_owned();
    assert_eq!((with("confid"), with("confidor")), ("confidor in the".into(), "confidor in the".into()));
}

#[test]
fn without_any_word_nothing_is_mended() {
    assert_eq!(Spelling::new(&[], std::iter::empty()).mend("blosom end rot"), "blosom end rot");
}
