//! The data in data/ passes every check, and each check complains about a small bad example.

use crate::stages::{
    check_data::{
        self, CheckError, Data, entries,
        likeness::{closest_entries, near_duplicates, shared_paraphrases},
        wording,
    },
    questions::{self, Question, QuestionsError},
};
use serde_json::{Value, json};
use std::{fs, path::Path};
use tempfile::tempdir;
use tomato_assistant::{climate::signal_names, knowledge::Entry};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A good entry, with the given fields replaced.
pub fn entry(id: &str, changes: Value) -> Entry {
    let mut entry = json!({
        "id": id, "category": "troubleshooting", "instruction": format!("What does {id} ask?"), "input": "",
        "output": "Leaf mould needs air above 85 % humidity. Vent early.",
        "paraphrases": ["one of them", "two of them", "three of them", "four of them"],
        "keywords": [], "signals": [], "see_also": [],
        "sources": [{"title": "Leaf mould", "publisher": "A ministry", "url": "https://example.org"}],
    });
    entry.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    serde_json::from_value(entry).unwrap()
}

/// Entries that differ in their answer only.
pub fn answering(outputs: &[&str]) -> Vec<Entry> {
    outputs.iter().map(|output| entry("a", json!({ "output": output }))).collect()
}

#[test]
fn the_data_passes_every_check() {
    let mut report = Vec::new();
    let result = check_data::run(root(), false, &mut report);
    let report = String::from_utf8(report).unwrap();
    assert!(result.is_ok(), "{report}");
    for part in [
        "166  disease_management",
        "test                    73        32      15",
        "closest entries",
        "hardest",
        "0 errors",
    ] {
        assert!(report.contains(part), "{part:?} in\n{report}");
    }
}

#[test]
fn one_fault_fails_the_run_and_is_named() {
    let mut data = Data::read(root()).unwrap();
    // Few are enough here, and quickly compared.
    data.entries.truncate(20);
    data.entries[7].output.push_str(" Keep it at 70 °F.");
    let report = check_data::check(&data, true);
    assert!(report.errors.iter().any(|error| error.contains("°F") && error.contains(&data.entries[7].id)));
    assert!(report.to_string().contains("°F"), "{report}");
    // So is one in each of the sets.
    assert!(!report.errors.iter().any(|error| error.contains("zebras")));
    let leaked = data.narrow_test[0].question.clone();
    data.broad[0].question = format!("{leaked} zebras");
    data.development[0].facts[0].sentence = "zebras".into();
    data.names[0] = "Zebras, zebras".into();
    let kept = data.narrow.iter().position(|question| question.entry == data.entries[0].id).unwrap();
    data.narrow[kept].answer[0] = "zebras".into();
    let errors = check_data::check(&data, true).errors;
    let narrow = format!("no sentence of {} is \"zebras\"", data.entries[0].id);
    let name = "names of products: \"Zebras, zebras\"";
    for words in ["is known from", "no sentence of its entries is \"zebras\"", &narrow, name] {
        assert!(errors.iter().any(|error| error.contains(words) && error.contains("zebras")), "{words}");
    }
    // Verbose changes what is shown, not what is found.
    assert_eq!(check_data::check(&data, false).errors, errors);
}

#[test]
fn files_that_are_missing_or_misspelt_are_named() {
    let dir = tempdir().unwrap();
    let error = Data::read(dir.path()).err().unwrap();
    assert!(matches!(error, CheckError::Io { .. }) && error.to_string().contains("tomato_qa_dataset.json"), "{error}");
    let path = dir.path().join("questions.json");
    let load = |text: &str| {
        fs::write(&path, text).unwrap();
        questions::load::<Question>(&path)
    };
    let good = r#"[{"id": "t", "category": null, "question": "q", "kind": "refuse", "why": "off_topic", "entries": [], "facts": []}]"#;
    assert_eq!(load(good).unwrap()[0].readings.len(), 0);
    for (from, to, expected) in [
        ("\"why\"", "\"reason\"", "unknown field `reason`"),
        ("refuse", "refused", "unknown variant `refused`"),
        ("off_topic", "off topic", "unknown variant `off topic`"),
        ("\"facts\": []", "\"readings\": {\"temp\": 3}, \"facts\": []", "unknown variant `temp`"),
    ] {
        let error = load(&good.replace(from, to)).unwrap_err();
        assert!(matches!(error, QuestionsError::Format { .. }));
        assert!(error.to_string().contains(expected) && error.to_string().contains("questions.json"), "{error}");
    }
}

#[test]
fn entries_are_counted_and_measured() {
    let few = entries::counts(&[entry("a", json!({}))]);
    assert_eq!(few.len(), 5);
    assert!(few.contains(&"troubleshooting: 1 entries, must be 21".into()), "{few:?}");
    let lengths = [59, 60, 120, 121].map(|words| "word ".repeat(words));
    let lengths = lengths.each_ref().map(String::as_str);
    assert_eq!(entries::lengths(&answering(&lengths)).len(), 2);
    assert_eq!(entries::paraphrases(&[entry("a", json!({"paraphrases": ["b", "c", "d"]}))]).len(), 1);
    assert_eq!(entries::paraphrases(&[entry("a", json!({"paraphrases": ["b", "c", "d", "D?"]}))]).len(), 1);
    assert_eq!(
        entries::paraphrases(&[entry("a", json!({"instruction": "b c", "paraphrases": ["C, b!", "d", "e", "f"]}))])
            .len(),
        1
    );
}

#[test]
fn sources_must_be_there_and_consensus_rare() {
    let consensus = json!({"sources": [{"title": "general agronomy consensus", "publisher": "", "url": ""}]});
    let of = |unsourced: usize| -> Vec<Entry> {
        (0..5).map(|n| entry("a", if n < unsourced { consensus.clone() } else { json!({}) })).collect()
    };
    assert!(entries::sources(&of(1)).is_empty());
    assert_eq!(entries::sources(&of(2)), ["2 of 5 entries rest on consensus alone, at most 20 %"]);
    let nowhere = json!({"sources": [{"title": "Leaf mould", "publisher": "A ministry", "url": ""}]});
    assert_eq!(entries::sources(&[entry("a", nowhere)]).len(), 1);
    assert!(!entries::sources(&[entry("a", json!({"sources": []}))]).is_empty());
}

#[test]
fn signals_are_those_that_readings_give() {
    for known in ["ec_high", "rh_high_night", "air_temperature_low_day", "vpd_low", "light_low"] {
        assert!(signal_names().contains(known), "{known}");
    }
    assert!(!signal_names().contains("ec_high_night"));
    let signals = |names: Value| entries::signals(&[entry("a", json!({ "signals": names }))]);
    assert!(signals(json!(["ec_high", "rh_low_day"])).is_empty());
    assert_eq!(signals(json!(["ec_hihg", "humidity_high", "ec_high_night"])).len(), 3);
    assert_eq!(signals(json!(["ec_high", "ec_high"])).len(), 1);
}

#[test]
fn every_reading_has_a_remedy_in_its_entrys_order() {
    let sentences = ["Leaf mould needs air above 85 % humidity.", "Vent early."];
    let remedies = |signal: &str, sentences: &[&str]| {
        let remedy = json!({ "signal": signal, "sentences": sentences });
        entries::remedies(&[entry("a", json!({ "remedies": [remedy] }))])
    };
    let all = remedies("rh_high_night", &sentences);
    assert!(all.contains(&"no entry has a remedy for rh_high".into()), "the time of day may be unknown: {all:?}");
    assert!(!all.iter().any(|missing| missing.contains("_day") || missing.contains("_night")), "{all:?}");
    let but_one = remedies("rh_high", &sentences);
    assert_eq!(but_one.len() + 1, all.len());
    assert_eq!(remedies("rh_high", &sentences[1..]), but_one);
    let turned = [sentences[1], sentences[0]];
    assert!(remedies("rh_high", &turned)[0].contains("not in the answer's order"));
    assert!(remedies("rh_hihg", &sentences)[0].contains("\"rh_hihg\""));
    let warning = json!({"sentence": sentences[0], "with": [sentences[1]]});
    let alone = json!({"signal": "rh_high", "sentences": [sentences[1]]});
    let of = entries::remedies(&[entry("a", json!({"remedies": [alone], "warnings": [warning]}))]);
    assert!(of[0].contains("lacks a warning"), "{of:?}");
}

#[test]
fn related_entries_exist_and_are_others() {
    let of = |ids: Value| entries::related(&[entry("a", json!({ "see_also": ids })), entry("b", json!({}))]);
    assert!(of(json!(["b"])).is_empty());
    assert_eq!(of(json!(["a", "c", "b", "b"])).len(), 3);
}

#[test]
fn the_coverage_list_names_every_entry_and_no_other() {
    let both = [entry("a", json!({})), entry("b", json!({}))];
    let list = "## Coverage\n### Leaves\n| mould | `a`, `b` |\nNot a row: `c`.\n## Not covered\n| mice | `b` |\n";
    assert!(entries::coverage(&both, list).is_empty());
    assert_eq!(entries::coverage(&both, &list.replace("`a`, ", "")).len(), 1);
    assert_eq!(entries::coverage(&both, &list.replace("mice | `b`", "mice | `c`")).len(), 1);
    assert_eq!(entries::coverage(&both, "no list").len(), 2);
}

#[test]
fn entries_that_ask_or_say_the_same_are_found() {
    let mut data = Data::read(root()).unwrap().entries;
    assert!(near_duplicates(&closest_entries(&data)).is_empty());
    // The same answer, its last sentence taken away, under another question.
    let mut copy = data[30].clone();
    copy.id = "copy".into();
    copy.instruction = "Something else entirely?".into();
    let sentences: Vec<_> = wording::sentences(&copy.output).collect();
    copy.output = sentences[..sentences.len() - 1].join(" ");
    copy.paraphrases[0] = data[31].paraphrases[0].to_uppercase();
    data.push(copy);
    let found = near_duplicates(&closest_entries(&data));
    assert!(found.len() == 1 && found[0].contains("copy") && found[0].contains(&data[30].id), "{found:?}");
    let shared = shared_paraphrases(&data);
    assert!(shared.iter().any(|line| line.starts_with(&data[31].id)), "{shared:?}");
}

#[test]
fn long_words_and_sentences_are_hard_to_read() {
    assert!(wording::reading_ease("Pick the bad leaves. Vent the house.") > 90.0);
    let hard =
        "Evapotranspiration-proportional fertigation necessitates continuous electrophysiological quantification.";
    assert!(wording::reading_ease(hard) < 0.0);
    assert_eq!(wording::readability(&answering(&["Pick the bad leaves.", hard])).len(), 1);
    let cut: Vec<_> = wording::sentences("Keep pH at 5.8. Is it? Yes!").collect();
    assert_eq!(cut, ["Keep pH at 5.8.", "Is it?", "Yes!"]);
}

#[test]
fn units_are_metric_and_spelt_the_house_way() {
    let good = "At 20 °C and 60 % hold 2.5 mS/cm, 200 ppm, 0.8 kPa, 300 µmol/m²/s, 20 mol/m²/day and 300 W/m²; lamps give \
                3 µmol per joule. Two degrees off, 45 degrees, one percent, a foot bath, 10 in winter.";
    assert_eq!(wording::units(&answering(&[good])), Vec::<String>::new());
    for bad in [
        "70 °F",
        "5 inches",
        "2 gallons",
        "3 lb",
        "4 oz",
        "an acre",
        "6 ft",
        "12-foot posts",
        "15 psi",
        "20°C",
        "20 ºC",
        "20 ° C",
        "20 degrees Celsius",
        "5 degrees cooler",
        "60%",
        "60 percent",
        "2.5 ms/cm",
        "2.5 MS/cm",
        "2 dS/m",
        "1 KPa",
        "200 PPM",
        "300 umol/m²/s",
        "300 μmol/m²/s",
        "300 µmol",
        "300 µmol/m2/s",
        "20 mol/m²/d",
        "300 W/m2",
        "40 m3",
    ] {
        let found = wording::units(&answering(&[bad]));
        assert!(!found.is_empty(), "{bad} passes");
    }
}

#[test]
fn doses_of_products_are_found_and_feed_is_not() {
    for dose in [
        "Use a fungicide at 2 ml per litre.",
        "Spray 1.5 kg/ha when the first spots show.",
        "Sprays of 30 g in 10 litres help.",
        "Dissolve 3 g copper sulfate per litre and spray 3 g per litre.",
        "Mix potassium bicarbonate, 5 g/l, with water.",
        "An insecticide, 250 ml per 100 l, works.",
        "Bleach diluted 1:10 kills it.",
        "A 2 % solution of soap kills aphids.",
        "Neem oil: 4 oz per gallon.",
    ] {
        assert_eq!(wording::doses(&answering(&[dose])).len(), 1, "{dose}");
    }
    let harmless = [
        "Give Epsom salt, 60 ppm through the drip, or a drench of 1.2–2.4 g per litre.",
        "Spray Epsom salt at 20 g per litre as foliar feed.",
        "Calcium nitrate: 100 g per 10 litres of stock.",
        "At 1:100 the injector takes 200 mL stock for 20 L of feed.",
        "Give 100 mL per plant. Then follow the fungicide's label.",
        "Use copper from the first spots; wait 3 days before picking.",
        "Keep copper in the feed at 0.05 ppm.",
        "Snow weighs 10 kg per square metre.",
    ];
    assert_eq!(wording::doses(&answering(&harmless)), Vec::<String>::new());
}
