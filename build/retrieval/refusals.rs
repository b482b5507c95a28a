//! How many questions are refused: of those with an answer, and of each kind of the others.
//!
//! Turns what was asked into lines, and holds it against the recipe's gates. Does NOT search.

use std::fmt::Write;

use super::{
    super::{
        questions::{Question, Why},
        recipe,
    },
    Asked, RetrievalError, SHIPPED, found,
};

/// Those of `gates` that are missed, each with its figure; `refuse` in the order of [`Why::ALL`]. What was not asked at all is found
/// by none.
pub fn missed(gates: &recipe::Gates, real: &[Asked], refuse: &[Vec<Asked>; Why::ALL.len()]) -> Vec<String> {
    let share = |asked: &[Asked], is: &dyn Fn(&Asked) -> bool| {
        100.0 * asked.iter().filter(|one| is(one)).count() as f64 / asked.len().max(1) as f64
    };
    let mut missed = Vec::new();
    for (gate, readings, least) in [("found", false, gates.found), ("found_by_readings", true, gates.found_by_readings)]
    {
        let of: Vec<&Asked> = real.iter().filter(|one| one.readings == readings).collect();
        let share = found(&of, true, SHIPPED, 2);
        if share < least {
            let (count, which) = (of.len(), if readings { "with" } else { "without" });
            missed.push(format!(
                "{gate}: for {share:.1} % of {count} questions {which} readings an accepted entry is among the first two, \
                 at least {least} % must be"
            ));
        }
    }
    // Where the readings answer instead of the entries, that is as bad.
    let (lost, most, count) = (share(real, &|one| one.refused.is_some() || one.state), gates.real_refused, real.len());
    if lost > most {
        missed
            .push(format!("real_refused: {lost:.1} % of {count} real questions are refused, at most {most} % may be"));
    }
    let bars = [gates.off_topic_refused, gates.harmful_refused, gates.unanswerable_refused];
    for ((name, _), (asked, least)) in REASONS.iter().zip(refuse.iter().zip(bars)) {
        let (share, count) = (share(asked, &|one| one.refused.is_some()), asked.len());
        if share < least {
            let gate = name.replace(' ', "_");
            missed.push(format!(
                "{gate}_refused: {share:.1} % of {count} questions that are {name} are refused, at least {least} % must be"
            ));
        }
    }
    missed
}

/// What questions to be refused are called, in the order of [`Why::ALL`].
const REASONS: [(&str, Why); Why::ALL.len()] =
    [("off topic", Why::OffTopic), ("harmful", Why::Unsafe), ("unanswerable", Why::Unanswerable)];

/// How many real questions are refused, and of each kind of those that should be. Gives back these, in the order of [`Why::ALL`].
pub fn refusals(
    report: &mut String,
    real: &[Asked],
    refuse: &[&Question],
    ask: &mut impl FnMut(&Question) -> Result<Asked, RetrievalError>,
) -> Result<[Vec<Asked>; Why::ALL.len()], RetrievalError> {
    let mut all = [const { Vec::new() }; Why::ALL.len()];
    let refused = |asked: &[Asked]| asked.iter().filter(|one| one.refused.is_some()).count();
    let _ = writeln!(report, "  refused: {} of {} real questions", refused(real), real.len());
    let state = real.iter().filter(|one| one.state).count();
    let _ = writeln!(report, "  taken for questions for how the greenhouse stands: {state} of {}", real.len());
    for ((name, why), all) in REASONS.into_iter().zip(&mut all) {
        let questions = refuse.iter().filter(|question| question.why == Some(why));
        let asked = questions.map(|question| ask(question)).collect::<Result<Vec<_>, _>>()?;
        if !asked.is_empty() {
            let rightly = asked.iter().filter(|one| one.refused == Some(why)).count();
            let line = format!("  refused: {} of {} {name}, {rightly} for that reason", refused(&asked), asked.len());
            let _ = writeln!(report, "{line}");
        }
        *all = asked;
    }
    Ok(all)
}
