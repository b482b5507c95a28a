//! The sentences about the greenhouse's readings: [`Assessment`] -> what to tell the grower. By code, never by the model.
//!
//! Does NOT judge (see `climate`) and holds no words (see `text`).

use crate::{
    climate::{Assessment, Measure},
    text::{Lang, Msg},
};
use std::time::SystemTime;

/// The note for people: below it stands for which stage and time of day it judges. The model is not told.
pub fn explained(note: &str, assessment: &Assessment, lang: Lang) -> String {
    let basis = lang.say(&Msg::JudgedFor(assessment.stage, assessment.period));
    if note.is_empty() { String::new() } else { [note, &basis].join(" ") }
}

/// What is out of range or at fault, most serious first, then what was `asked` about and is fine or not measured.
/// Empty when there is nothing of either. `now` gives the age of lost readings.
pub fn climate_note(assessment: &Assessment, asked: &[Measure], now: SystemTime, lang: Lang) -> String {
    let problems = assessment.problems();
    let fine = asked.iter().filter(|measure| problems.iter().all(|problem| problem.measure != **measure));
    let sentence = |measure: &Measure| match assessment.get(*measure) {
        Some(item) => {
            let age = item.at.map(|at| now.duration_since(at).unwrap_or_default());
            lang.say(&Msg::Assessed(item, age))
        }
        None => lang.say(&Msg::NoProbe(*measure)),
    };
    let measures = problems.iter().map(|problem| &problem.measure).chain(fine);
    measures.map(sentence).collect::<Vec<_>>().join(" ")
}
