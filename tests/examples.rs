//! Examples made from the real data: each sentence has its label, the right reference is right, and held-out entries are only
//! asked about where they may be.

use crate::{
    stages::{
        check_data::Data,
        examples::{Asked, Example, Examples, Kind, Material, Questions, Wanted, only},
        questions::{BROAD, NARROW, Narrow, SENTENCES},
        split::held_out,
    },
    tiny_bundle::sources,
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
    sync::OnceLock,
};
use tomato_assistant::{
    climate::{Targets, signal_names},
    knowledge::{
        Entry,
        refusal::{STATE, Why},
        sentences::sentences,
        verdict::{DETAIL, WHOLE},
    },
};

const SEED: u64 = 5;

struct Made {
    data: Data,
    targets: Targets,
    examples: Examples,
}

impl Made {
    fn material(&self) -> Material<'_> {
        material(&self.data, &self.targets)
    }

    fn all(&self) -> impl Iterator<Item = &Example> {
        self.examples.training.iter().chain(&self.examples.held_out)
    }

    fn entry(&self, example: &Example, reference: usize) -> &Entry {
        &self.data.entries[example.references[reference]]
    }

    /// The labels of each reference of `example`.
    fn labels<'a>(&self, example: &'a Example) -> Vec<&'a [Wanted]> {
        let mut rest = example.wanted.as_slice();
        let of = |reference: usize| {
            let (own, others) = rest.split_at(sentences(&self.entry(example, reference).output).count());
            rest = others;
            own
        };
        let labels = (0..example.references.len()).map(of).collect();
        assert!(rest.is_empty(), "more labels than sentences: {example:?}");
        labels
    }
}

fn material<'a>(data: &'a Data, targets: &'a Targets) -> Material<'a> {
    let Data { entries, narrow, sentences, broad, refused, .. } = data;
    Material { entries, targets, narrow, sentences, broad, refused }
}

/// All examples of the real data, made once.
fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let data = Data::read(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let targets = Targets::parse(include_str!("../data/targets.toml")).unwrap();
        let examples = material(&data, &targets).examples(SEED).unwrap();
        Made { data, targets, examples }
    })
}

#[test]
fn every_judged_part_has_its_label() {
    let made = made();
    let material = made.material();
    for example in made.all() {
        let parts = material.render(example);
        let judged: Vec<&str> = parts.iter().filter(|part| part.judged).map(|part| part.text.trim_end()).collect();
        assert_eq!(judged.len(), example.wanted.len(), "{example:?}");
        let own = example.references.iter().flat_map(|&place| sentences(&made.data.entries[place].output));
        assert_eq!(judged, own.collect::<Vec<_>>());
        assert!(!judged.is_empty() && example.references.len() <= 3);
        let different: HashSet<&usize> = example.references.iter().collect();
        assert_eq!(different.len(), example.references.len(), "an entry is there twice: {example:?}");
        assert!(parts[0].text.starts_with("Question: ") && parts[0].text.trim_end().ends_with(example.question.trim()));
    }
}

#[test]
fn a_labelled_question_wants_the_sentences_that_answer_it_and_no_others() {
    let made = made();
    let narrow = made.data.narrow.iter().chain(&made.data.sentences);
    let by_question = |asked: &'static Narrow| (asked.question.as_str(), asked);
    let labelled: [(Kind, HashMap<&str, &Narrow>); 2] = [
        (Kind::Narrow, narrow.map(by_question).collect()),
        (Kind::Broad, made.data.broad.iter().map(by_question).collect()),
    ];
    let mut found = 0;
    for (kind, asked) in &labelled {
        for example in made.all().filter(|example| example.kind == *kind) {
            let asked = asked[example.question.as_str()];
            let right = example.right.unwrap();
            assert_eq!(made.entry(example, right).id, asked.entry);
            for (reference, labels) in made.labels(example).into_iter().enumerate() {
                let texts = sentences(&made.entry(example, reference).output);
                for (text, label) in texts.zip(labels) {
                    let answers = reference == right && asked.answer.iter().any(|answer| answer == text);
                    assert_eq!(*label, if answers { Wanted::Yes } else { Wanted::No }, "{text} of {example:?}");
                }
            }
            let wanted = example.wanted.iter().filter(|label| **label == Wanted::Yes).count();
            assert_eq!(wanted, asked.answer.len(), "{example:?}");
            found += 1;
        }
    }
    assert!(found > 4000, "{found}");
}

#[test]
fn other_questions_want_their_reference_and_leave_its_sentences_open() {
    let made = made();
    let mut counts = BTreeMap::new();
    for example in made.all().filter(|example| matches!(example.kind, Kind::Paraphrase | Kind::Readings)) {
        // Where the readings' right one is missing, another answers in its place.
        let Some(right) = example.right else {
            assert_eq!(example.kind, Kind::Readings);
            assert!(example.wanted.contains(&Wanted::Open), "{example:?}");
            continue;
        };
        let entry = made.entry(example, right);
        for (reference, labels) in made.labels(example).into_iter().enumerate() {
            let other = made.entry(example, reference);
            // Readings may make more than one entry relevant; they are named in the line of the readings.
            let shared =
                example.kind == Kind::Readings && other.signals.iter().any(|signal| entry.signals.contains(signal));
            match reference == right {
                true => assert!(labels.iter().all(|label| *label == Wanted::Open)),
                false => assert!(labels.iter().all(|label| *label == Wanted::No || shared), "{example:?}"),
            }
        }
        match example.kind {
            Kind::Paraphrase => assert!(entry.paraphrases.contains(&example.question), "{example:?}"),
            _ => assert!(!example.readings.is_empty() && !entry.signals.is_empty(), "{example:?}"),
        }
        *counts.entry(format!("{:?}", example.kind)).or_insert(0) += 1;
    }
    assert!(counts["Paraphrase"] > 700 && counts["Readings"] > 200, "{counts:?}");
}

#[test]
fn each_question_is_of_the_kind_that_its_set_says() {
    let made = made();
    let why: HashMap<&str, Why> = made.data.refused.iter().map(|one| (one.question.as_str(), one.why)).collect();
    for example in made.all() {
        let expected = match example.kind {
            Kind::Narrow => only(DETAIL),
            Kind::Broad | Kind::Paraphrase => only(WHOLE),
            Kind::Refused => only(why[example.question.as_str()] as usize),
            Kind::Readings => 0..0,
            // What is missing does not change what is asked; a vague question for the readings is of no kind.
            Kind::Missing if example.readings.is_empty() => {
                assert!([only(DETAIL), only(WHOLE)].contains(&example.kinds), "{example:?}");
                continue;
            }
            Kind::Missing => continue,
        };
        assert_eq!(example.kinds, expected, "{example:?}");
    }
    assert!(made.all().any(|example| example.kind == Kind::Missing && example.kinds == only(DETAIL)));
}

#[test]
fn questions_alone_are_of_every_kind_and_none_is_in_both_parts() {
    let Questions { training, held_out } = Questions::read(sources(), SEED).unwrap();
    for kind in [Why::OffTopic as usize, Why::Unsafe as usize, Why::Unanswerable as usize, STATE, WHOLE] {
        let of = |part: &[Asked]| part.iter().filter(|asked| asked.kinds == only(kind)).count();
        assert!(of(&training) > 150 && of(&held_out) > 5, "{kind}: {} and {}", of(&training), of(&held_out));
    }
    // Near misses have an answer, a whole one or a detail.
    assert!(training.iter().any(|asked| asked.kinds == (WHOLE..DETAIL + 1)));
    let learnt: HashSet<&str> = training.iter().map(|asked| asked.question.as_str()).collect();
    assert!(held_out.iter().all(|asked| !learnt.contains(asked.question.as_str())));
    let again = Questions::read(sources(), SEED).unwrap();
    assert!(again.training == training && again.held_out == held_out);
}

#[test]
fn where_nothing_answers_nothing_is_wanted() {
    let made = made();
    let refused: HashSet<&str> = made.data.refused.iter().map(|refused| refused.question.as_str()).collect();
    let (mut missing, mut refusals) = (0, 0);
    for example in made.all().filter(|example| example.right.is_none() && example.kind != Kind::Readings) {
        assert!(example.wanted.iter().all(|label| *label == Wanted::No), "{example:?}");
        match example.kind {
            Kind::Refused => refusals += usize::from(refused.contains(example.question.as_str())),
            Kind::Missing => missing += 1,
            kind => panic!("{kind:?} without the right reference"),
        }
    }
    assert_eq!(refusals, made.data.refused.len());
    // About one in twelve of all the others.
    let others = made.all().count() - refusals;
    assert!((others / 16..others / 9).contains(&missing), "{missing} of {others}");
    // The entry that is missing is in none of them.
    let labelled = made.data.narrow.iter().chain(&made.data.sentences).chain(&made.data.broad);
    let owner: HashMap<&str, &str> = labelled.map(|asked| (asked.question.as_str(), asked.entry.as_str())).collect();
    for example in made.all().filter(|example| example.kind == Kind::Missing) {
        if let Some(owner) = owner.get(example.question.as_str()) {
            let ids = || (0..example.references.len()).map(|reference| made.entry(example, reference).id.as_str());
            assert!(ids().all(|id| id != *owner), "{example:?}");
        }
    }
}

#[test]
fn an_entry_that_the_readings_make_relevant_is_never_wrong() {
    let made = made();
    // Whatever is out of range, each of these is about it.
    let mut entries = made.data.entries[..100].to_vec();
    for entry in &mut entries {
        (entry.signals, entry.paraphrases) = (signal_names().into_iter().collect(), Vec::new());
    }
    let material =
        Material { entries: &entries, narrow: &[], sentences: &[], broad: &[], refused: &[], ..made.material() };
    let Examples { training, held_out } = material.examples(SEED).unwrap();
    let all = || training.iter().chain(&held_out);
    assert!(all().all(|example| example.kind == Kind::Readings));
    assert!(all().all(|example| example.wanted.iter().all(|label| *label == Wanted::Open)));
    let missing = all().filter(|example| example.right.is_none()).count();
    assert!(missing > 0 && missing < all().count() / 2, "{missing} of {}", all().count());
}

#[test]
fn a_question_about_no_entry_is_named() {
    let made = made();
    let stray = [Narrow { entry: "nobody".into(), question: "who?".into(), answer: Vec::new() }];
    let whole = || made.material();
    for (material, file) in [
        (Material { narrow: &stray, ..whole() }, NARROW),
        (Material { sentences: &stray, ..whole() }, SENTENCES),
        (Material { broad: &stray, ..whole() }, BROAD),
    ] {
        let error = material.examples(SEED).err().unwrap().to_string();
        assert!(error.starts_with(file) && error.contains("\"who?\"") && error.contains("\"nobody\""), "{error}");
        assert!(error.contains("Mend the id"), "{error}");
    }
}

#[test]
fn held_out_entries_are_asked_about_in_a_set_of_their_own() {
    let made = made();
    let labelled = made.data.narrow.iter().chain(&made.data.sentences).chain(&made.data.broad);
    let mut owners: HashMap<&str, HashSet<&str>> = HashMap::new();
    for asked in labelled {
        owners.entry(&asked.question).or_default().insert(&asked.entry);
    }
    for entry in &made.data.entries {
        entry.paraphrases.iter().for_each(|text| owners.entry(text).or_default().extend([entry.id.as_str()]));
    }
    let about = |example: &Example, held: bool| {
        let right = example.right.map(|right| held_out(&made.entry(example, right).id) == held);
        let owners = owners.get(example.question.as_str());
        right.unwrap_or(true) && owners.is_none_or(|owners| owners.iter().any(|id| held_out(id) == held))
    };
    assert!(made.examples.training.iter().all(|example| about(example, false)));
    let held = &made.examples.held_out;
    assert!(held.iter().filter(|example| example.kind != Kind::Refused).all(|example| about(example, true)));
    let share = held.len() as f64 / made.all().count() as f64;
    assert!((0.05..0.15).contains(&share), "{share}");
    // Each kind is both learnt and looked at.
    for kind in [Kind::Narrow, Kind::Broad, Kind::Paraphrase, Kind::Readings, Kind::Missing, Kind::Refused] {
        let counts = [&made.examples.training, held].map(|set| set.iter().filter(|one| one.kind == kind).count());
        assert!(counts.iter().all(|count| *count > 0), "{kind:?}: {counts:?}");
    }
}

#[test]
fn held_out_entries_are_not_read_while_learning() {
    let made = made();
    let read = |example: &&Example| example.references.iter().any(|&place| held_out(&made.data.entries[place].id));
    let training = &made.examples.training;
    let found = training.iter().filter(read).count();
    assert_eq!(found, 0, "of {} examples to learn from {found} hold an entry that is held out", training.len());
}

#[test]
fn the_same_seed_gives_the_same_examples() {
    let made = made();
    let text = |examples: &Examples| format!("{:?}{:?}", examples.training, examples.held_out);
    let again = made.material().examples(SEED).unwrap();
    assert!(text(&again) == text(&made.examples));
    // Another one gives others: other references beside the right one, in another order.
    let entries = &made.data.entries[..40];
    let few = Material { entries, narrow: &[], sentences: &[], broad: &[], refused: &[], ..made.material() };
    let few = |seed: u64| text(&few.examples(seed).unwrap());
    assert!(few(1) == few(1) && few(1) != few(2));
}
