//! Readings in words: the strip's short cells and the readings page's full rows.
//!
//! Turns an `Assessment` into words with a role. Colour repeats what the words say, it never says more. Does NOT decide
//! what is out of range: `climate` does.

use std::time::{Duration, SystemTime};

use crate::{
    climate::{Assessed, Assessment, Level, Measure, NoData, Quantity},
    text::{Lang, Msg},
    tui::theme::Role,
};

/// One measure in words.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Its name.
    pub name: String,
    /// Value with unit, or why there is none; how it stands to its target if it is outside.
    pub value: String,
    /// What the value is.
    pub role: Role,
    /// Age of the reading and what else there is to know.
    pub remark: String,
}

/// What is measured, in cells as short as can be, and in one line of words what is not.
pub fn strip(assessment: &Assessment, now: SystemTime, lang: Lang) -> (Vec<Cell>, Option<String>) {
    let cell = |item: &Assessed| {
        let value = match &item.value {
            Ok(value) => lang.say(&Msg::ShortValue(item.measure, *value)),
            Err(reason) => lang.say(&Msg::NoData(reason)),
        };
        let value = [value, lang.say(&Msg::ShortLevel(item.level))].join(" ");
        let age = item.value.is_ok().then(|| age(item, now)).flatten();
        Cell {
            name: lang.say(&Msg::ShortMeasure(item.measure)),
            value: value.trim_end().into(),
            role: role(item.level),
            remark: age.map(|age| lang.say(&Msg::Age(age))).unwrap_or_default(),
        }
    };
    // The day's light has no probe that could be missed.
    let probed = unmeasured(assessment).filter(|measure| *measure != Measure::Read(Quantity::Dli));
    let missing: Vec<String> = probed.map(|quantity| lang.say(&Msg::ShortMeasure(quantity))).collect();
    let missing = (!missing.is_empty()).then(|| lang.say(&Msg::NotMeasured(&missing)));
    (assessment.items.iter().map(cell).collect(), missing)
}

/// Every measure in full words, measured or not.
pub fn full(assessment: &Assessment, now: SystemTime, lang: Lang) -> Vec<Cell> {
    let row = |item: &Assessed| {
        let age = age(item, now);
        let (value, remark) = match &item.value {
            Ok(value) => {
                // Nothing is asked just now, so "good" would say too much.
                let level = lang.say(&if item.range.is_some() { Msg::Level(item.level) } else { Msg::NoTarget });
                let range = item.range.map(|range| lang.say(&Msg::Target(item.measure, range)));
                let measured = age.map(|age| lang.say(&Msg::Measured(age)));
                let remark = [range, measured].into_iter().flatten().collect::<Vec<_>>().join(" ");
                ([lang.say(&Msg::Value(item.measure, *value)), level].join("  "), remark)
            }
            Err(reason) => {
                let last = age.map(|age| lang.say(&Msg::LastGood(age))).unwrap_or_default();
                (lang.say(&Msg::NoData(reason)), [lang.say(&Msg::Advice(reason)), last].join(" "))
            }
        };
        Cell { name: lang.say(&Msg::Measure(item.measure)), value, role: role(item.level), remark }
    };
    let absent = |measure| {
        let remark = match measure {
            Measure::Read(Quantity::Dli) => lang.say(&Msg::DayNeeded),
            _ => lang.say(&Msg::Advice(&NoData::NotConfigured)),
        };
        let value = lang.say(&Msg::NoData(&NoData::NotConfigured));
        Cell { name: lang.say(&Msg::Measure(measure)), value, role: Role::Quiet, remark }
    };
    let rows = assessment.items.iter().flat_map(|item| {
        // A grower who looks at the humidity wants to know when leaves get wet.
        let humidity = item.measure == Measure::Read(Quantity::RelativeHumidity);
        [Some(row(item)), humidity.then(|| dew_point(assessment, now, lang)).flatten()]
    });
    rows.flatten().chain(unmeasured(assessment).map(absent)).collect()
}

/// The dew point, while it is known. It has no target of its own.
fn dew_point(assessment: &Assessment, now: SystemTime, lang: Lang) -> Option<Cell> {
    // Known from the same two readings as the deficit, so it is as old.
    let age = assessment.get(Measure::Vpd).and_then(|item| age(item, now));
    let value = lang.say(&Msg::Value(Measure::Read(Quantity::AirTemperature), assessment.dew_point?));
    let remark = [Some(lang.say(&Msg::DewPointMeans)), age.map(|age| lang.say(&Msg::Measured(age)))];
    let remark = remark.into_iter().flatten().collect::<Vec<_>>().join(" ");
    Some(Cell { name: lang.say(&Msg::DewPoint), value, role: Role::Strong, remark })
}

/// How many measures are outside their range or without a believable number.
pub fn problems(assessment: &Assessment) -> usize {
    assessment.items.iter().filter(|item| item.level != Level::Ok).count()
}

/// Quantities that are not known.
fn unmeasured(assessment: &Assessment) -> impl Iterator<Item = Measure> {
    Quantity::ALL.into_iter().map(Measure::Read).filter(|measure| assessment.get(*measure).is_none())
}

/// Age of the number, or of the last good one. Zero if the clock was set back since.
fn age(item: &Assessed, now: SystemTime) -> Option<Duration> {
    item.at.map(|at| now.duration_since(at).unwrap_or_default())
}

fn role(level: Level) -> Role {
    match level {
        Level::Ok => Role::Strong,
        Level::Low | Level::High | Level::Fault => Role::Notice,
        Level::VeryLow | Level::VeryHigh => Role::Alarm,
    }
}
