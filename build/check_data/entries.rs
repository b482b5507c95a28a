//! Checks of single entries: how many, how long, with what sources, signals and neighbours.
//!
//! Turns entries into complaints. Does NOT compare their wording (see `likeness`) and does not read it (see `wording`).

use super::likeness::word_set;
use std::collections::{BTreeSet, HashSet};
use tomato_assistant::{
    climate::signal_names,
    knowledge::{Category, Entry, sentences::sentences},
};

/// How many entries each category has: the data set's design, not a minimum.
pub const COUNTS: [(Category, usize); 5] = [
    (Category::DiseaseManagement, 166),
    (Category::EnvironmentalControl, 125),
    (Category::NutritionGrowth, 83),
    (Category::EquipmentSensors, 20),
    (Category::Troubleshooting, 21),
];

/// What stands as the title of a source that nobody could open.
const CONSENSUS: &str = "general agronomy consensus";

/// Entries of `category`.
pub fn count(entries: &[Entry], category: Category) -> usize {
    entries.iter().filter(|entry| entry.category == category).count()
}

/// Every category has exactly its [`COUNTS`].
pub fn counts(entries: &[Entry]) -> Vec<String> {
    COUNTS
        .iter()
        .map(|&(category, wanted)| (category.name(), count(entries, category), wanted))
        .filter(|(_, found, wanted)| found != wanted)
        .map(|(name, found, wanted)| format!("{name}: {found} entries, must be {wanted}"))
        .collect()
}

/// Answers have 60 to 120 words: enough for cause, cure and prevention, short enough for a small screen. A number and
/// its unit count as two.
pub fn lengths(entries: &[Entry]) -> Vec<String> {
    entries
        .iter()
        .map(|entry| (&entry.id, entry.output.split_whitespace().count()))
        .filter(|(_, words)| !(60..=120).contains(words))
        .map(|(id, words)| format!("{id}: {words} words in the answer, must be 60 to 120"))
        .collect()
}

/// At least four paraphrases, none in the same words as another or as the question itself.
pub fn paraphrases(entries: &[Entry]) -> Vec<String> {
    let mut complaints = Vec::new();
    for entry in entries {
        if entry.paraphrases.len() < 4 {
            complaints.push(format!("{}: {} paraphrases, must be at least 4", entry.id, entry.paraphrases.len()));
        }
        let mut seen = HashSet::from([word_set(&entry.instruction)]);
        let again = entry.paraphrases.iter().filter(|text| !seen.insert(word_set(text)));
        complaints.extend(again.map(|text| format!("{}: the same words twice: {text:?}", entry.id)));
    }
    complaints
}

/// Every entry has a source with title and address; at most one in five rests on consensus alone.
pub fn sources(entries: &[Entry]) -> Vec<String> {
    let mut complaints = Vec::new();
    for entry in entries {
        if entry.sources.is_empty() {
            complaints.push(format!("{}: no source", entry.id));
        }
        for source in entry.sources.iter().filter(|source| source.title != CONSENSUS) {
            if source.title.trim().is_empty() || source.publisher.trim().is_empty() || !source.url.starts_with("http") {
                complaints.push(format!("{}: source {:?} lacks title, publisher or address", entry.id, source.title));
            }
        }
    }
    let unsourced = on_consensus(entries).len();
    if unsourced * 5 > entries.len() {
        complaints.push(format!("{unsourced} of {} entries rest on consensus alone, at most 20 %", entries.len()));
    }
    complaints
}

/// Ids of the entries for which no source could be opened.
pub fn on_consensus(entries: &[Entry]) -> Vec<&str> {
    let alone = |entry: &&Entry| entry.sources.iter().all(|source| source.title == CONSENSUS);
    entries.iter().filter(alone).map(|entry| entry.id.as_str()).collect()
}

/// Every signal is one that assessed readings can give, and stands once.
pub fn signals(entries: &[Entry]) -> Vec<String> {
    let known = signal_names();
    let mut complaints = Vec::new();
    for entry in entries {
        let mut seen = BTreeSet::new();
        for signal in &entry.signals {
            if !known.contains(signal) {
                complaints.push(format!("{}: no reading gives the signal {signal:?}", entry.id));
            } else if !seen.insert(signal) {
                complaints.push(format!("{}: signal {signal:?} twice", entry.id));
            }
        }
    }
    complaints
}

/// Remedies are for signals that assessed readings can give, in the order of their entry's sentences, with the warnings that
/// belong to these; each reading has one for either side, at any time of day.
pub fn remedies(entries: &[Entry]) -> Vec<String> {
    let mut wanted = signal_names();
    let known = wanted.clone();
    wanted.retain(|signal| !signal.ends_with("_day") && !signal.ends_with("_night"));
    let mut complaints = Vec::new();
    for (entry, remedy) in entries.iter().flat_map(|entry| entry.remedies.iter().map(move |remedy| (entry, remedy))) {
        if !known.contains(&remedy.signal) {
            complaints.push(format!("{}: no reading gives the remedy's signal {:?}", entry.id, remedy.signal));
        }
        let mut sentences = sentences(&entry.output);
        if !remedy.sentences.iter().all(|wanted| sentences.any(|sentence| sentence == wanted)) {
            complaints.push(format!("{}: the remedy for {} is not in the answer's order", entry.id, remedy.signal));
        }
        let says = |sentence: &String| remedy.sentences.contains(sentence);
        if entry.warnings.iter().any(|warning| warning.with.iter().any(says) && !says(&warning.sentence)) {
            complaints.push(format!("{}: the remedy for {} lacks a warning", entry.id, remedy.signal));
        }
        wanted.remove(&remedy.signal);
    }
    complaints.extend(wanted.into_iter().map(|signal| format!("no entry has a remedy for {signal}")));
    complaints
}

/// Related entries exist, stand once, and are others.
pub fn related(entries: &[Entry]) -> Vec<String> {
    let ids: BTreeSet<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    let mut complaints = Vec::new();
    for entry in entries {
        let mut seen = BTreeSet::from([entry.id.as_str()]);
        for id in &entry.see_also {
            if !ids.contains(id.as_str()) {
                complaints.push(format!("{}: see_also names {id:?}, which does not exist", entry.id));
            } else if !seen.insert(id) {
                complaints.push(format!("{}: see_also names {id:?}, itself or twice", entry.id));
            }
        }
    }
    complaints
}

/// The ids between backticks in the tables below `## Coverage` are entries, and every entry stands there; those below
/// `## Not covered` are entries too.
pub fn coverage(entries: &[Entry], readme: &str) -> Vec<String> {
    let ids: BTreeSet<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    let covered = in_tables(readme, "## Coverage");
    let unknown = covered.iter().copied().chain(in_tables(readme, "## Not covered")).filter(|id| !ids.contains(id));
    let mut complaints: Vec<_> =
        unknown.map(|id| format!("data/README.md: the coverage list names {id:?}, which does not exist")).collect();
    let missing = ids.iter().filter(|id| !covered.contains(*id));
    complaints.extend(missing.map(|id| format!("data/README.md: the coverage list lacks {id}")));
    complaints
}

/// What stands between backticks in the table rows from `heading` to the next heading of its level.
fn in_tables<'a>(readme: &'a str, heading: &str) -> BTreeSet<&'a str> {
    let section =
        readme.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "));
    section.filter(|line| line.starts_with('|')).flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}
