//! `performance_report.json`: what was measured, summed up, and every answer.
//!
//! Turns scored answers into figures and a table. Does NOT ask or score.

use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write};
use tomato_assistant::{
    answer::{Advice, Considered, Further},
    knowledge::Category,
};

use super::{
    super::questions::{Kind, Why},
    score::{SHORT, Score},
};

/// The project document's goals: megabytes of the model, seconds of an answer.
const DOCUMENT_MEGABYTES: f64 = 6000.0;
const DOCUMENT_SECONDS: f64 = 10.0;
/// Ours: megabytes (10^6 bytes) of the whole bundle.
const MEGABYTES: f64 = 100.0;

/// One question with its answer.
#[derive(Clone, Debug, Serialize)]
pub struct Answered {
    /// Of the question.
    pub id: String,
    /// `validation`, `test`, `narrow`, `development`, `narrow development`, or a way of asking the test questions.
    pub set: String,
    /// What decides the answer.
    pub kind: Kind,
    /// Why it should be refused.
    pub why: Option<Why>,
    /// Where it belongs.
    pub category: Option<Category>,
    /// As asked.
    pub question: String,
    /// The answer, as shown.
    pub text: String,
    /// What other entries add, shown below.
    pub further: Vec<Further>,
    /// What code said about the readings.
    pub readings_note: String,
    /// Ids of the entries cited, best first.
    pub references: Vec<String>,
    /// Why it was refused, if it was.
    pub refused: Option<Why>,
    /// The readings alone answered it.
    pub by_readings: bool,
    /// It says that it is only the nearest.
    pub nearest_only: bool,
    /// It is a whole entry, since the model cannot choose.
    pub fallback: bool,
    /// Facts that were not told.
    pub missing: Vec<String>,
    /// The rest of the answer's entry, shown below that.
    pub more: String,
    /// What is told about readings far out of range.
    pub advice: Vec<Advice>,
    /// What all that was shown is worth.
    pub score: Score,
    /// What the chosen sentences alone are worth, those of other entries included.
    pub direct: Score,
    /// What the best entry as it stands would have been worth.
    pub entry_alone: Score,
    /// Seconds to the first generated token; 0 when nothing was generated.
    pub first_word_s: f64,
    /// Seconds to the last word.
    pub total_s: f64,
    /// Tokens read.
    pub tokens: usize,
    /// What was read, and how it was judged.
    pub considered: Vec<Considered>,
    /// Memory when it was done, MiB.
    pub rss_mib: f64,
    /// Highest so far, MiB.
    pub peak_mib: f64,
}

/// A figure held against a goal.
#[derive(Clone, Debug, Serialize)]
pub struct Goal {
    /// What is measured, with its unit.
    pub name: &'static str,
    /// At most this.
    pub limit: f64,
    /// Measured.
    pub value: f64,
    /// Whether it holds.
    pub met: bool,
}

/// Mean, median and highest of a figure.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Spread {
    /// Sum by count.
    pub mean: f64,
    /// Half are not above.
    pub median: f64,
    /// Highest.
    pub max: f64,
}

/// Answers summed up.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Questions that have an answer.
    pub real: usize,
    /// Of these, refused all the same.
    pub real_refused: usize,
    /// Questions that should be refused.
    pub refusals: usize,
    /// Of these, refused.
    pub refused: usize,
    /// Facts asked for.
    pub facts: usize,
    /// Facts told.
    pub told: usize,
    /// Answers that tell all facts.
    pub complete: usize,
    /// Answers that tell all facts in their first 45 words.
    pub early: usize,
    /// Of these, answers that end there.
    pub short: usize,
    /// Words of answers to real questions.
    pub words: usize,
    /// Numbers from nowhere.
    pub unsupported_numbers: usize,
    /// Empty or looping answers.
    pub degenerate: usize,
}

impl Summary {
    fn add(&mut self, answer: &Answered, score: &Score) {
        self.unsupported_numbers += score.unsupported.len();
        self.degenerate += usize::from(score.degenerate);
        if answer.kind == Kind::Refuse {
            self.refusals += 1;
            self.refused += usize::from(answer.refused.is_some());
            return;
        }
        self.real += 1;
        self.real_refused += usize::from(answer.refused.is_some());
        self.facts += score.facts;
        self.told += score.told;
        self.complete += usize::from(score.told == score.facts);
        self.early += usize::from(score.early);
        self.short += usize::from(score.early && score.words <= SHORT);
        self.words += score.words;
    }

    /// Facts told for each hundred words.
    pub fn facts_per_hundred_words(&self) -> f64 {
        100.0 * self.told as f64 / self.words.max(1) as f64
    }
}

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What the bundle calls itself.
    pub bundle: String,
    /// Bytes of each file.
    pub files: BTreeMap<String, u64>,
    /// Megabytes of all files, 10^6 bytes.
    pub megabytes: f64,
    /// The project document's goals, then ours.
    pub goals: Vec<Goal>,
    /// Seconds from question to last word.
    pub response_s: Spread,
    /// Seconds from question to first generated token, of answers that generated any.
    pub first_word_s: Spread,
    /// MiB resident after each answer.
    pub memory_mib: Spread,
    /// Highest MiB resident ever.
    pub peak_mib: f64,
    /// Answers that are whole entries, since the model cannot choose.
    pub fallbacks: usize,
    /// As answered: by set, kind (`test/readings`) and category.
    pub answers: BTreeMap<String, Summary>,
    /// The chosen sentences alone, in the same groups.
    pub direct: BTreeMap<String, Summary>,
    /// The entry that the search found best, as it stands, in the same groups.
    pub entries_alone: BTreeMap<String, Summary>,
    /// Every question.
    pub details: Vec<Answered>,
}

impl Report {
    /// Sums up `details`, which a bundle of `files` gave.
    pub fn new(bundle: &str, files: BTreeMap<String, u64>, details: Vec<Answered>) -> Self {
        let [mut answers, mut direct, mut entries_alone] = [(); 3].map(|()| BTreeMap::<String, Summary>::new());
        for one in &details {
            for group in groups(one) {
                answers.entry(group.clone()).or_default().add(one, &one.score);
                direct.entry(group.clone()).or_default().add(one, &one.direct);
                entries_alone.entry(group).or_default().add(one, &one.entry_alone);
            }
        }
        let of = |value: fn(&Answered) -> f64| details.iter().map(value).collect::<Vec<_>>();
        let response_s = spread(of(|one| one.total_s));
        let megabytes = files.values().sum::<u64>() as f64 / 1e6;
        let goal = |name, limit, value| Goal { name, limit, value, met: value <= limit };
        let goals = vec![
            goal("model and data, MB (document)", DOCUMENT_MEGABYTES, megabytes),
            goal("mean answer, s (document)", DOCUMENT_SECONDS, response_s.mean),
            goal("slowest answer, s", DOCUMENT_SECONDS, response_s.max),
            goal("whole bundle, MB", MEGABYTES, megabytes),
        ];
        Self {
            bundle: bundle.into(),
            files,
            megabytes,
            goals,
            response_s,
            first_word_s: spread(details.iter().filter(|one| one.tokens > 0).map(|one| one.first_word_s).collect()),
            memory_mib: spread(of(|one| one.rss_mib)),
            peak_mib: details.iter().map(|one| one.peak_mib).fold(0.0, f64::max),
            fallbacks: details.iter().filter(|one| one.fallback).count(),
            answers,
            direct,
            entries_alone,
            details,
        }
    }

    /// What was told, as text.
    pub fn told(&self) -> String {
        sums(&[("answered", &self.answers)])
    }

    /// All figures as text.
    pub fn table(&self) -> String {
        let mut text =
            sums(&[("answered", &self.answers), ("direct part", &self.direct), ("entry alone", &self.entries_alone)]);
        let Spread { mean, median, max } = self.response_s;
        let real_refused: usize =
            self.details.iter().filter(|one| one.kind != Kind::Refuse && one.refused.is_some()).count();
        let _ = writeln!(
            text,
            "\nreal questions refused {real_refused}; whole entries for want of a trained model {} of {}; answer {mean:.1} s \
             mean, {median:.1} median, {max:.1} slowest; first word {:.1} s median; memory {:.0} MiB mean, peak {:.0}; \
             bundle {:.1} MB",
            self.fallbacks,
            self.details.len(),
            self.first_word_s.median,
            self.memory_mib.mean,
            self.peak_mib,
            self.megabytes
        );
        for goal in &self.goals {
            let met = if goal.met { "met" } else { "NOT MET" };
            let _ = writeln!(text, "{:<34} {:>8.2}, at most {:>6}: {met}", goal.name, goal.value, goal.limit);
        }
        text
    }
}

/// Lines of figures, one a group, under a line that names them.
fn sums(of: &[(&str, &BTreeMap<String, Summary>)]) -> String {
    let mut text = format!(
        "{:<46} {:>6} {:>12} {:>12} {:>12} {:>10} {:>6} {:>8} {:>9} {:>9} {:>11}\n",
        "",
        "asked",
        "facts told",
        "all facts",
        "in 45 words",
        "and short",
        "words",
        "f/100 w",
        "real ref.",
        "refused",
        "unsupported"
    );
    for (name, groups) in of {
        for (group, sum) in groups.iter() {
            let share = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
            let _ = writeln!(
                text,
                "{:<46} {:>6} {:>10.1} % {:>10.1} % {:>10.1} % {:>8.1} % {:>6.0} {:>8.2} {:>9} {:>5}/{:<3} {:>11}",
                format!("{name}, {group}"),
                sum.real,
                share(sum.told, sum.facts),
                share(sum.complete, sum.real),
                share(sum.early, sum.real),
                share(sum.short, sum.real),
                sum.words as f64 / sum.real.max(1) as f64,
                sum.facts_per_hundred_words(),
                sum.real_refused,
                sum.refused,
                sum.refusals,
                sum.unsupported_numbers,
            );
        }
    }
    text
}

/// The groups an answer counts in.
fn groups(one: &Answered) -> Vec<String> {
    let kind = match one.kind {
        Kind::Plain => "plain",
        Kind::Readings => "readings",
        Kind::Refuse => "refuse",
    };
    let mut groups = vec![one.set.clone(), format!("{}/{kind}", one.set)];
    groups.extend(one.category.map(|category| format!("{}/{}", one.set, category.name())));
    groups
}

fn spread(mut values: Vec<f64>) -> Spread {
    values.sort_by(f64::total_cmp);
    let count = values.len();
    match count {
        0 => Spread::default(),
        _ => Spread {
            mean: values.iter().sum::<f64>() / count as f64,
            median: values[count / 2],
            max: values[count - 1],
        },
    }
}
