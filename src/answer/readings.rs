//! The sentences about the greenhouse's readings: [`Assessment`] -> what to tell the grower. By code, never by the model.
//!
//! Does NOT judge (see `climate`) and holds no words (see `text`).

use crate::{
    climate::{Assessed, Assessment, Measure},
    text::{Lang, Msg},
};
use std::time::SystemTime;

/// The note for people: below it stands for which stage and time of day it judges. The model is not told.
pub fn explained(note: &str, assessment: &Assessment, lang: Lang) -> String {
    let basis = lang.say(&Msg::JudgedFor(assessment.stage, assessment.period));
    if note.is_empty() { String::new() } else { [note, &basis].join(" ") }
}

/// What of the `asked` no probe measures. Light of the moment and of the day stand for each other.
pub fn unmeasured(assessment: &Assessment, asked: &[Measure]) -> Vec<Measure> {
    let is_measured = |measure: &Measure| assessment.items.iter().any(|item| item.measure.signal() == measure.signal());
    asked.iter().filter(|measure| !is_measured(measure)).copied().collect()
}

/// What is out of range or at fault, most serious first, then what was `asked` about and is fine. What no probe measures is
/// left out: "which temperature kills mould?" is no complaint about a missing probe. Empty when there is nothing to tell.
/// `now` gives the age of lost readings.
pub fn climate_note(assessment: &Assessment, asked: &[Measure], now: SystemTime, lang: Lang) -> String {
    let problems = assessment.problems();
    let fine = asked.iter().filter(|measure| problems.iter().all(|problem| problem.measure != **measure));
    let fine = fine.filter_map(|measure| assessment.get(*measure));
    let sentence = |item: &Assessed| {
        let age = item.at.map(|at| now.duration_since(at).unwrap_or_default());
        lang.say(&Msg::Assessed(item, age))
    };
    problems.iter().copied().chain(fine).map(sentence).collect::<Vec<_>>().join(" ")
}
