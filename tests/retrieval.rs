//! The curated Q&A is checked when it is read, and questions find their entries.

use serde_json::{Value, json};
use tomato_assistant::knowledge::{
    Category, Entry, Knowledge,
    projection::Projection,
    refusal::Kinds,
    retrieval::{Found, Hit, Index, Near, Query},
    terms,
    vectors::{Vectors, asked, texts},
};

pub fn entry(id: &str, category: Category, question: &str) -> Value {
    json!({
        "id": id, "category": category, "instruction": question, "input": "", "output": "Ask an adviser.",
        "paraphrases": ["one", "two", "three"], "keywords": [], "signals": [],
        "sources": [{"title": "t", "publisher": "p", "url": ""}],
    })
}

pub fn parse(entries: &[Value]) -> Result<Knowledge, String> {
    Knowledge::parse(&Value::from(entries.to_vec()).to_string()).map_err(|error| error.to_string())
}

fn search(entries: &[Entry], question: &str, category: Option<Category>, signals: &[&str]) -> Vec<Hit> {
    let signals: Vec<String> = signals.iter().map(|signal| signal.to_string()).collect();
    Index::new(entries, None).search(&Query { text: question, category, signals: &signals, vector: None }).hits
}

fn ids<'a>(entries: &'a [Entry], hits: &[Hit]) -> Vec<&'a str> {
    hits.iter().map(|hit| entries[hit.index].id.as_str()).collect()
}

fn real() -> Knowledge {
    Knowledge::parse(include_str!("../data/tomato_qa_dataset.json")).unwrap()
}

#[test]
fn every_fault_of_an_entry_is_named() {
    let good = || entry("good", Category::Troubleshooting, "Why?");
    parse(&[good()]).unwrap();
    let source = json!({"title": "t", "publisher": "p", "url": "", "page": 3});
    let remedy = json!({"signal": "ec_high", "sentences": ["Ask an adviser."]});
    for (key, value, expected) in [
        ("id", json!(" "), "\" \": its id is empty or used twice"),
        ("instruction", json!("\n"), "\"good\": question or answer is empty"),
        ("output", json!(""), "\"good\": question or answer is empty"),
        ("paraphrases", json!(["a", "b"]), "\"good\": fewer than three paraphrases"),
        ("paraphrases", json!(["a", "b", " "]), "\"good\": fewer than three paraphrases, or an empty one"),
        ("sources", json!([]), "\"good\": no source"),
        ("remedies", json!([{"signal": "ec_high", "sentences": []}]), "\"good\": a remedy has no sentence, or one"),
        ("remedies", json!([{"signal": "ec_high", "sentences": ["No."]}]), "or one that the answer does not hold"),
        ("remedies", json!([remedy, remedy]), "\"good\": another remedy is for the same signal"),
        (
            "details",
            json!([{"question": "Who?", "sentences": [9]}]),
            "\"good\": a question about a detail is empty, or",
        ),
        ("details", json!([{"question": "Who?", "sentences": []}]), "or names no sentence of the answer"),
        ("details", json!([{"question": " ", "sentences": [0]}]), "a question about a detail is empty"),
        ("see_also", json!(["nobody"]), "\"good\": see_also names an unknown entry"),
        ("category", json!("cooking"), "unknown variant `cooking`, expected one of `disease_management`"),
        ("output", json!(3), "invalid type: integer `3`"),
        ("sources", json!([source]), "unknown field `page`"),
        ("anser", json!("typo"), "unknown field `anser`"),
    ] {
        let mut bad = good();
        bad[key] = value;
        let said = parse(&[bad]).unwrap_err();
        assert!(said.contains(expected), "{said}");
    }
    assert!(parse(&[good(), good()]).unwrap_err().contains("\"good\": its id is empty or used twice"));
    assert!(parse(&[]).unwrap_err().contains("no entries"));
    for text in ["", "{}", "[{]", "\u{0}"] {
        assert!(Knowledge::parse(text).unwrap_err().to_string().contains("cannot be read"), "{text:?}");
    }
    let mut lacking = good();
    lacking.as_object_mut().unwrap().remove("signals");
    assert!(parse(&[lacking]).unwrap_err().contains("missing field `signals`"));
}

#[test]
fn entries_are_listed_by_category_then_as_in_the_file() {
    let mut rows: Vec<Value> = Vec::new();
    for (number, category) in Category::ALL.iter().rev().chain(&Category::ALL).enumerate() {
        rows.push(entry(&format!("{number}"), *category, "Why?"));
    }
    let knowledge = parse(&rows).unwrap();
    let order: Vec<&str> = knowledge.entries().iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(order, ["4", "5", "3", "6", "2", "7", "1", "8", "0", "9"]);
    for category in Category::ALL {
        assert_eq!(Category::from_name(category.name()), Some(category));
        assert_eq!(json!(category), json!(category.name()));
    }
    assert_eq!(Category::from_name("Troubleshooting"), None);
}

/// Questions in words of their own: none is a paraphrase in the data.
#[test]
fn fresh_questions_find_their_entry_in_the_real_data() {
    let knowledge = real();
    let index = Index::new(knowledge.entries(), None);
    let mut missed = Vec::new();
    for (question, expected) in [
        ("there is a black leathery patch under my tomatoes at the blossom end", "disease-blossom-end-rot-act"),
        ("what VPD is right for a tomato crop?", "environment-vpd-range"),
        ("Which wasp eats greenhouse whitefly, Encarsia?", "disease-whitefly-encarsia"),
        ("lumps all over the roots, nematodes?", "disease-root-knot-nematode-identify"),
        ("calibrating the pH electrode, how often?", "equipment-ph-probe-calibration"),
        ("convert lux to micromol", "environment-lux-conversion"),
        ("wilting at noon but fine again in the evening", "troubleshooting-midday-wilting"),
        ("which iron chelate works at high pH, EDDHA or DTPA?", "nutrition-iron-chelate-choice"),
        ("Is too much epsom salt bad?", "nutrition-magnesium-excess"),
        ("bumblebee hive for pollinating", "nutrition-pollination-bumblebees"),
        ("heavy snow on the greenhouse roof tonight", "environment-snow-load"),
        ("liquid co2 tank leaks, what to do", "environment-co2-tank-leak"),
        ("woolly white mealybugs in the leaf axils", "disease-mealybug"),
    ] {
        let hits = index.search(&Query { text: question, ..Query::default() }).hits;
        let found: Vec<&str> = ids(knowledge.entries(), &hits[..hits.len().min(2)]);
        if !found.contains(&expected) {
            missed.push(format!("{question}: {found:?}, not {expected}"));
        }
        let share = 0.0..=1.001;
        assert!(hits.iter().all(|hit| share.contains(&hit.parts.words) && share.contains(&hit.parts.fragments)));
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn nothing_to_search_for_finds_nothing() {
    let knowledge = real();
    let index = Index::new(knowledge.entries(), None);
    for question in ["", "  ", "🍅🍅", "what is the", "?!", "qqxjjq"] {
        assert!(index.search(&Query { text: question, ..Query::default() }).hits.is_empty(), "{question:?}");
    }
}

#[test]
fn ties_are_in_list_order_every_time() {
    let rows: Vec<Value> =
        (0..20).map(|n| entry(&format!("{n:02}"), Category::Troubleshooting, "Why does the pump hum?")).collect();
    let knowledge = parse(&rows).unwrap();
    let expected: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
    for _ in 0..5 {
        assert_eq!(ids(knowledge.entries(), &search(knowledge.entries(), "pump hum", None, &[])), expected);
    }
    let (real, question) = (real(), "yellow leaves and slow growth in cold nights with high humidity");
    let first = search(real.entries(), question, None, &["ec_high"]);
    let again = search(real.entries(), question, None, &["ec_high"]);
    assert!(first.len() > 50 && ids(real.entries(), &first) == ids(real.entries(), &again));
}

#[test]
fn the_category_asked_from_comes_first_among_equals() {
    let categories = [Category::EnvironmentalControl, Category::EquipmentSensors, Category::Troubleshooting];
    let rows = categories.map(|category| entry(category.name(), category, "Why does the pump hum?"));
    let knowledge = parse(&rows).unwrap();
    for category in categories {
        let hits = search(knowledge.entries(), "pump", Some(category), &[]);
        assert_eq!(ids(knowledge.entries(), &hits)[0], category.name());
        assert!(hits[0].score > hits[1].score && hits[0].parts == hits[1].parts);
    }
    // A boost, no filter: a far better entry of another category still wins.
    let hits = search(real().entries(), "late blight on my fruit", Some(Category::EquipmentSensors), &[]);
    assert!(ids(real().entries(), &hits)[0].starts_with("disease-late-blight"));
}

#[test]
fn readings_bring_their_entries_forward() {
    let mut rows: Vec<Value> =
        ["plain", "one", "two"].map(|id| entry(id, Category::Troubleshooting, "Why does the crop suffer?")).into();
    rows[1]["signals"] = json!(["ec_high"]);
    rows[2]["signals"] = json!(["ec_high", "ph_low"]);
    let knowledge = parse(&rows).unwrap();
    let order = |signals: &[&str]| {
        let hits = search(knowledge.entries(), "crop", None, signals);
        ids(knowledge.entries(), &hits).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(order(&[]), ["plain", "one", "two"]);
    assert_eq!(order(&["ec_high"]), ["one", "two", "plain"]);
    assert_eq!(order(&["ph_low", "ec_high", "rh_high"]), ["two", "one", "plain"]);
    assert_eq!(order(&["ec_low"]), ["plain", "one", "two"]);
}

#[test]
fn hangul_is_found_with_another_particle() {
    let rows = [
        entry("light", Category::EnvironmentalControl, "온실 조명을 언제 켜나요?"),
        entry("calcium", Category::NutritionGrowth, "토마토에 칼슘이 부족하면 어떻게 되나요?"),
    ];
    let knowledge = parse(&rows).unwrap();
    // The second one in letters taken apart (NFD), as some keyboards and files have them.
    for question in
        ["칼슘을 얼마나 주나요?", "\u{110f}\u{1161}\u{11af}\u{1109}\u{1172}\u{11b7}\u{110b}\u{1173}\u{11af}", "칼슘"]
    {
        assert_eq!(ids(knowledge.entries(), &search(knowledge.entries(), question, None, &[]))[0], "calcium");
    }
    assert!(search(knowledge.entries(), "비료", None, &[]).is_empty());
}

#[test]
fn typing_errors_still_find_the_entry() {
    let knowledge = real();
    let index = Index::new(knowledge.entries(), None);
    for (question, expected) in [
        ("blosom end rott", "disease-blossom-end-rot-act"),
        ("powdery mildue on leafs", "disease-powdery-mildew-identify-act"),
        ("nemattodes", "disease-root-knot-nematode-identify"),
        ("bumbelbees polination hive", "nutrition-pollination-bumblebees"),
    ] {
        let found = index.search(&Query { text: question, ..Query::default() });
        let found = ids(knowledge.entries(), &found.hits[..3]);
        assert!(found.contains(&expected), "{question}: {found:?}");
    }
}

#[test]
fn a_question_about_an_entry_finds_it_unless_it_is_its_own_already() {
    let rows = [
        entry("aphids", Category::DiseaseManagement, "What are these aphids on the young shoots?"),
        entry("salt", Category::NutritionGrowth, "Why do my plants wilt in salty slabs?"),
    ];
    let mut knowledge = parse(&rows).unwrap();
    let found = |knowledge: &Knowledge| {
        let index = Index::new(knowledge.entries(), None);
        let hits = index.search(&Query { text: "honeydew dripping", ..Query::default() }).hits;
        hits.into_iter().find(|hit| hit.parts.words > 0.0).map(|hit| hit.index)
    };
    assert_eq!(found(&knowledge), None);
    let before = texts(&knowledge.entries()[0]);
    assert!(knowledge.add_question("aphids", "Who lets honeydew drip?", &[], false));
    assert!(knowledge.add_question("aphids", " who lets HONEYDEW drip?", &[], false), "the same again");
    assert!(knowledge.add_question("aphids", "what are these aphids on the young shoots?", &[], false), "its own");
    assert!(!knowledge.add_question("lice", "Who lets honeydew drip?", &[], false));
    assert_eq!((found(&knowledge), knowledge.entries()[0].questions.len()), (Some(0), 1));
    // It is embedded after the other questions, before the passages.
    let after = texts(&knowledge.entries()[0]);
    let place = asked(&knowledge.entries()[0]) - 1;
    assert_eq!((after.len(), after[place].as_str()), (before.len() + 1, "Who lets honeydew drip?"));
    assert_eq!([&after[..place], &after[place + 1..]].concat(), before);
}

/// Two entries with vectors of their own: the first entry's texts along the first axis, the second's along the second.
pub fn by_meaning(question: &str, vector: [f32; 3], signals: &[&str]) -> Found {
    with_kinds(question, vector, signals, &Kinds::none(3))
}

pub fn with_kinds(question: &str, vector: [f32; 3], signals: &[&str], kinds: &Kinds) -> Found {
    let mut rows = [
        entry("aphids", Category::DiseaseManagement, "What are these aphids on the young shoots of my crop?"),
        entry("salt", Category::NutritionGrowth, "Why do my plants wilt in salty slabs now?"),
    ];
    rows[1]["signals"] = json!(["ec_high"]);
    let knowledge = parse(&rows).unwrap();
    let along = |axis: [f32; 3], entry: &Entry| vec![axis.to_vec(); texts(entry).len()];
    let [first, second] = [0, 1].map(|place| &knowledge.entries()[place]);
    let vectors = [along([1.0, 0.0, 0.0], first), along([0.0, 1.0, 0.0], second)].concat();
    let signals: Vec<String> = signals.iter().map(|signal| signal.to_string()).collect();
    let query = Query { text: question, vector: Some(&vector), category: None, signals: &signals };
    Index::new(knowledge.entries(), Some(Vectors::quantize(&vectors, Projection::identity(3), kinds))).search(&query)
}

#[test]
fn an_entry_is_as_near_as_its_four_nearest_questions() {
    let mut knowledge = parse(&[entry("aphids", Category::DiseaseManagement, "What are these aphids?")]).unwrap();
    assert!(
        knowledge.add_question("aphids", "four", &[], false) && knowledge.add_question("aphids", "five", &[], false)
    );
    let of = |cosine: f32| vec![cosine, (1.0 - cosine * cosine).sqrt(), 0.0];
    let asked = [0.1, 0.9, 0.5, 0.7, 0.3, 0.8].map(of);
    let passages = [of(0.0), of(0.0)];
    let vectors = Vectors::quantize(&[&asked[..], &passages].concat(), Projection::identity(3), &Kinds::none(3));
    let query = Query { text: "lice", vector: Some(&[1.0, 0.0, 0.0]), ..Query::default() };
    let near = Index::new(knowledge.entries(), Some(vectors)).search(&query).hits[0].parts.asked;
    assert!((near - (0.9 + 0.8 + 0.7 + 0.5) / 4.0).abs() < 0.01, "{near}");
}

#[test]
fn a_sentence_is_as_near_as_the_nearest_question_that_it_is_known_to_answer() {
    let mut row = entry("aphids", Category::DiseaseManagement, "What are these aphids?");
    row["output"] = json!("They are lice. Spare the ladybirds. Call an adviser.");
    let mut knowledge = parse(&[row]).unwrap();
    for (question, answer) in [
        ("who eats them?", "Spare the ladybirds."),
        ("who helps?", "Call an adviser."),
        ("whom to call?", "Call an adviser."),
    ] {
        assert!(knowledge.add_question("aphids", question, &[answer.into()], question.contains("eats")));
    }
    assert!(knowledge.add_question("aphids", "four", &[], false));
    let own = &knowledge.entries()[0];
    assert_eq!(
        (own.details.len(), own.details[2].sentences.as_slice(), own.questions.as_slice()),
        (3, &[2][..], &["four".to_owned()][..])
    );
    assert_eq!(
        own.asked().skip(own.paraphrases.len() + 1).collect::<Vec<_>>(),
        ["four", "who eats them?", "who helps?", "whom to call?"]
    );
    let of = |cosine: f32| vec![cosine, (1.0 - cosine * cosine).sqrt(), 0.0];
    let asked = std::iter::repeat_n(of(0.9), asked(own) - 3).chain([0.4, 0.5, 0.6].map(of));
    let rows: Vec<_> = asked.chain([0.1, 0.2, 0.3, 0.9].map(of)).collect();
    let vectors = Vectors::quantize(&rows, Projection::identity(3), &Kinds::none(3));
    let near = Index::new(knowledge.entries(), Some(vectors)).near(0, 3, &[1.0, 0.0, 0.0]);
    let is = |found: &[f32], wanted: [f32; 3]| found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 0.01);
    assert!(is(&near.asked, [0.0, 0.4 - 0.17, 0.6]) && is(&near.said, [0.1, 0.2, 0.3]), "{near:?}");
    let none = Near { asked: vec![0.0; 3], said: vec![0.0; 3] };
    assert_eq!(Index::new(knowledge.entries(), None).near(0, 3, &[]), none);
}

#[test]
fn words_that_say_nothing_are_in_order_to_be_found() {
    assert!(terms::STOP_WORDS.is_sorted() && terms::words("which of your THE leaves") == ["lea"]);
}

#[test]
fn meaning_finds_an_entry_without_a_word_in_common() {
    let found = by_meaning("green lice", [0.0, 0.9, 0.436], &[]);
    assert_eq!(found.hits[0].index, 1);
    assert!((found.hits[0].parts.asked - 0.9).abs() < 0.01 && (found.hits[0].parts.answered - 0.9).abs() < 0.01);
    let found = by_meaning("green lice", [0.9, 0.1, 0.0], &[]);
    assert_eq!(found.hits[0].index, 0);
}
