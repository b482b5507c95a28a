//! Checks of the question sets: form, facts, and that nothing they ask is known to what trains or searches.
//!
//! Turns questions into complaints. Does NOT answer them.

use super::{
    super::questions::{Basis, Kind, Narrow, Question, compile},
    likeness::{Asked, Pair, Vocabulary, closest_between},
};
use std::{
    collections::{HashMap, HashSet},
    ops::RangeInclusive,
};
use tomato_assistant::knowledge::{Category, Entry, sentences::sentences};

/// Share of all answers that a pattern may match before it proves nothing.
const TOO_COMMON: f64 = 0.4;

/// Questions of `kind`.
pub fn count(questions: &[Question], kind: Kind) -> usize {
    questions.iter().filter(|question| question.kind == kind).count()
}

/// 15 validation questions; 120 test questions, 15 of them to be refused and at least 30 decided by readings.
pub fn counts(validation: &[Question], test: &[Question]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut expect = |what: &str, found: usize, right: bool, wanted: &str| {
        if !right {
            complaints.push(format!("{what}: {found}, must be {wanted}"));
        }
    };
    expect("validation questions", validation.len(), validation.len() == 15, "15");
    expect("test questions", test.len(), test.len() == 120, "120");
    let (readings, refuse) = (count(test, Kind::Readings), count(test, Kind::Refuse));
    expect("test questions with readings", readings, readings >= 30, "at least 30");
    expect("test questions to be refused", refuse, refuse == 15, "15");
    complaints
}

/// A name is one word of small letters, and none stands twice, as an alphabetical list shows.
pub fn names(names: &[String]) -> Vec<String> {
    let wrong = names.iter().filter(|name| name.is_empty() || !name.bytes().all(|letter| letter.is_ascii_lowercase()));
    let unordered = names.windows(2).filter(|pair| pair[0] >= pair[1]).map(|pair| &pair[1]);
    wrong
        .chain(unordered)
        .map(|name| format!("names of products: {name:?} is no word of a to z, or not in order"))
        .collect()
}

/// What each kind of question must have and must not have; `facts`: how many all but refusals have.
pub fn forms(questions: &[Question], facts: RangeInclusive<usize>, entries: &[Entry]) -> Vec<String> {
    let ids: HashSet<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    let mut complaints = Vec::new();
    let mut seen = HashSet::new();
    for question in questions {
        let refuse = question.kind == Kind::Refuse;
        let readings = question.kind == Kind::Readings;
        let mut named = HashSet::new();
        let unknown = question.entries.iter().find(|id| !ids.contains(id.as_str()) || !named.insert(*id));
        let implausible = question.readings.iter().find(|(quantity, value)| !quantity.is_plausible(**value));
        let rules = [
            (seen.insert(&question.id), "its id is used twice".to_owned()),
            (!question.question.trim().is_empty(), "it asks nothing".into()),
            (question.why.is_some() == refuse, "`why` belongs to refusals, and to each of them".into()),
            (question.category.is_none() == refuse, "a category belongs to all but refusals".into()),
            (question.readings.is_empty() != readings, "readings belong to kind `readings`, and to each of it".into()),
            (question.stage.is_some() == readings, "a stage belongs to readings, and to each of them".into()),
            (question.entries.is_empty() == refuse, "entries belong to all but refusals".into()),
            (unknown.is_none(), format!("entry {unknown:?} does not exist or stands twice")),
            (implausible.is_none(), format!("reading {implausible:?} cannot be true")),
            (
                if refuse { question.facts.is_empty() } else { facts.contains(&question.facts.len()) },
                format!(
                    "{} facts, must be {} to {}, none in refusals",
                    question.facts.len(),
                    facts.start(),
                    facts.end()
                ),
            ),
        ];
        let broken = rules.into_iter().filter(|(holds, _)| !holds);
        complaints.extend(broken.map(|(_, fault)| format!("{}: {fault}", question.id)));
    }
    complaints
}

/// Every pattern compiles, asks for something, and is not found everywhere; every fact stands where it says.
pub fn facts(questions: &[Question], entries: &[Entry]) -> Vec<String> {
    let outputs: HashMap<&str, &str> = entries.iter().map(|entry| (entry.id.as_str(), entry.output.as_str())).collect();
    let mut complaints = Vec::new();
    for question in questions {
        let mut complain = |fault: String| complaints.push(format!("{}: {fault}", question.id));
        for fact in &question.facts {
            if fact.sentence.trim().is_empty() || fact.patterns.is_empty() {
                complain(format!("fact {:?} lacks its sentence or its patterns", fact.sentence));
            }
            let mut patterns = Vec::new();
            for pattern in &fact.patterns {
                match compile(pattern) {
                    Err(error) => complain(format!("pattern {pattern:?}: {error}")),
                    Ok(regex) if regex.is_match("") => complain(format!("pattern {pattern:?} matches anything")),
                    Ok(regex) => {
                        let found = outputs.values().filter(|output| regex.is_match(output)).count();
                        if found as f64 > TOO_COMMON * outputs.len() as f64 {
                            complain(format!("pattern {pattern:?} matches {found} of {} answers", outputs.len()));
                        }
                        patterns.push(regex);
                    }
                }
            }
            let told = |id: &String| {
                outputs.get(id.as_str()).is_some_and(|output| patterns.iter().any(|regex| regex.is_match(output)))
            };
            if fact.from == Basis::Entries && !question.entries.iter().any(told) {
                complain(format!("no listed entry tells that {:?}", fact.sentence));
            }
            if fact.from == Basis::Readings && question.kind != Kind::Readings {
                complain(format!("fact {:?} comes from readings, and there are none", fact.sentence));
            }
        }
    }
    complaints
}

/// Each entry has `least` of the `questions` (called `name`), each asked once and answered by so many sentences of the entry's own:
/// whole ones, since half of one would label none when the questions are learnt from.
pub fn labelled(
    name: &str,
    questions: &[Narrow],
    (least, count): (usize, RangeInclusive<usize>),
    entries: &[Entry],
) -> Vec<String> {
    let mut left: HashMap<&str, (usize, &str)> =
        entries.iter().map(|entry| (entry.id.as_str(), (least, entry.output.as_str()))).collect();
    let mut complaints = Vec::new();
    let mut seen = HashSet::new();
    for Narrow { entry, question, answer } in questions {
        let Some((missing, output)) = left.get_mut(entry.as_str()) else {
            complaints.push(format!("{name} question {question:?}: there is no entry {entry}"));
            continue;
        };
        *missing = missing.saturating_sub(1);
        let foreign = answer.iter().find(|said| !says(output, said));
        let (first, last) = (count.start(), count.end());
        let rules = [
            (
                !question.trim().is_empty() && seen.insert(question.to_lowercase()),
                "asks nothing, or is there twice".into(),
            ),
            (count.contains(&answer.len()), format!("{} sentences answer it, must be {first} to {last}", answer.len())),
            (foreign.is_none(), format!("no sentence of {entry} is {:?}", foreign.map_or("", String::as_str))),
        ];
        let broken = rules.into_iter().filter(|(holds, _)| !holds);
        complaints.extend(broken.map(|(_, fault)| format!("{name} question {question:?}: {fault}")));
    }
    let short = entries.iter().filter(|entry| left[entry.id.as_str()].0 > 0);
    complaints.extend(short.map(|entry| format!("{}: fewer than {least} {name} questions", entry.id)));
    complaints
}

/// Sentences that none of the `questions` asks about: only those that merely lead over to the next.
pub fn unasked(questions: &[&[Narrow]], entries: &[Entry]) -> Vec<String> {
    let asked: HashSet<(&str, &str)> = questions
        .iter()
        .copied()
        .flatten()
        .flat_map(|one| one.answer.iter().map(|sentence| (one.entry.as_str(), sentence.as_str())))
        .collect();
    let all = entries.iter().flat_map(|entry| sentences(&entry.output).map(|sentence| (entry.id.as_str(), sentence)));
    let left = all.filter(|place| !asked.contains(place));
    left.map(|(id, sentence)| format!("{id}: no question is about {sentence:?}")).collect()
}

/// Whether `sentence` is a whole one of `output`, to the full stop.
fn says(output: &str, sentence: &str) -> bool {
    sentences(output).any(|own| own == sentence)
}

/// Each development question that is no refusal has its answer, and the answer is sentences of its entries.
pub fn answered(questions: &[Question], entries: &[Entry]) -> Vec<String> {
    let outputs: HashMap<&str, &str> = entries.iter().map(|entry| (entry.id.as_str(), entry.output.as_str())).collect();
    let mut complaints = Vec::new();
    for question in questions {
        if (question.kind == Kind::Refuse) != question.facts.is_empty() {
            complaints.push(format!("{}: refusals have no answer, all others have one", question.id));
        }
        let known = |sentence: &str| {
            question.entries.iter().any(|id| outputs.get(id.as_str()).is_some_and(|output| says(output, sentence)))
        };
        let foreign = question.facts.iter().filter(|fact| !known(&fact.sentence));
        complaints
            .extend(foreign.map(|fact| format!("{}: no sentence of its entries is {:?}", question.id, fact.sentence)));
    }
    complaints
}

/// The `variants` of the `asked` questions: each that has an answer once in every way, and never in its own words.
pub fn variants(variants: &[(&str, Question)], asked: &[Question]) -> Vec<String> {
    let mut complaints = Vec::new();
    for question in asked.iter().filter(|question| question.kind != Kind::Refuse) {
        let own: Vec<_> = variants.iter().filter(|(_, variant)| variant.id == question.id).collect();
        let mut seen = HashSet::from([question.question.trim().to_lowercase(), String::new()]);
        if own.len() != 3 || !own.iter().all(|(_, variant)| seen.insert(variant.question.trim().to_lowercase())) {
            complaints
                .push(format!("{}: needs one of each kind of variant, none empty or twice the same", question.id));
        }
    }
    complaints
}

/// Questions that stand in another category than the entry that answers them best: no fault, but worth a look.
pub fn elsewhere(questions: &[Question], entries: &[Entry]) -> Vec<String> {
    let categories: HashMap<&str, Category> = entries.iter().map(|entry| (entry.id.as_str(), entry.category)).collect();
    let mut warnings = Vec::new();
    for question in questions {
        let best = question.entries.first().and_then(|id| Some((id, *categories.get(id.as_str())?)));
        if let (Some(own), Some((id, category))) = (question.category, best)
            && own != category
        {
            warnings.push(format!("{}: in {}, best answered by {id}", question.id, own.name()));
        }
    }
    warnings
}

/// Questions that nothing may know, and everything that could: entries with their paraphrases, questions for tuning.
pub struct Split<'a> {
    secret: Vec<Asked<'a>>,
    known: Vec<Asked<'a>>,
}

impl<'a> Split<'a> {
    /// The `secret` sets against `tuning`, the `labelled` questions and `others` to learn from, and `entries`.
    pub fn new(
        secret: &[&'a [Question]],
        tuning: &'a [Question],
        labelled: &[&'a [Narrow]],
        others: &'a [String],
        entries: &'a [Entry],
    ) -> Self {
        let mut vocabulary = Vocabulary::default();
        let mut ask = |question: &'a Question| vocabulary.asked(&question.id, &question.question);
        let secret = secret.iter().copied().flatten().map(&mut ask).collect();
        let mut known: Vec<_> = tuning.iter().map(&mut ask).collect();
        let labelled = labelled.iter().copied().flatten();
        known.extend(labelled.map(|labelled| vocabulary.asked(&labelled.entry, &labelled.question)));
        known.extend(others.iter().map(|text| vocabulary.asked("no entry", text)));
        known.extend(vocabulary.known(entries));
        Self { secret, known }
    }

    /// No secret question is known, or asked in another secret one.
    pub fn leakage(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for (index, asked) in self.secret.iter().enumerate() {
            let found = self.known.iter().chain(&self.secret[..index]).filter(|other| asked.is_known(other));
            complaints.extend(found.map(|other| {
                format!("{}: {:?} is known from {}: {:?}", asked.owner, asked.text, other.owner, other.text)
            }));
        }
        complaints
    }

    /// The `most` pairs of a secret question and a known one that come closest.
    pub fn closest(&self, most: usize) -> Vec<Pair> {
        closest_between(&self.secret, &self.known, most)
    }
}
