//! English for the greenhouse: assessed readings, `--reading`, `assistant.toml`, replay files.

use super::say;
use crate::{
    climate::{Assessed, Assessment, Level, Measure, NoData, Period, Quantity, ReadingError, Stage},
    config::{Allowed, ConfigError, Problem},
    sensors::{ReplayError, SensorError},
    text::Msg,
};
use std::time::Duration;

/// "EC 6.2 mS/cm: far above 2.5–3.5." `age` is that of the number, or on a fault of the last good one.
pub fn assessed(item: &Assessed, age: Option<Duration>) -> String {
    let name = at_start(&say(&Msg::Measure(item.measure)));
    match (&item.value, item.range) {
        (Err(reason), _) => {
            let last = match age {
                Some(age) => format!("last good reading {} ago", say(&Msg::Age(age))),
                None => "no good reading so far".into(),
            };
            let what = match reason {
                NoData::NotConfigured => "no probe is set up for it",
                NoData::NotAnswering(_) => "the probe does not answer",
                NoData::Implausible(_) => "the probe reports what cannot be true",
                NoData::Stale => "the last reading is too old to go by",
            };
            format!("Sensor fault, {}: {what} ({last}).", say(&Msg::Measure(item.measure)))
        }
        (Ok(value), None) => {
            format!("{name} {}: {}.", say(&Msg::Value(item.measure, *value)), say(&Msg::NoTarget))
        }
        (Ok(value), Some(range)) => {
            let how = side(item.level);
            let digits = item.measure.decimals();
            let value = say(&Msg::Value(item.measure, *value));
            format!("{name} {value}: {how} {:.digits$}–{:.digits$}.", range.ideal_low, range.ideal_high)
        }
    }
}

fn side(level: Level) -> &'static str {
    match level {
        Level::VeryLow => "far below",
        Level::Low => "below",
        Level::Ok | Level::Fault => "within",
        Level::High => "above",
        Level::VeryHigh => "far above",
    }
}

/// "Humidity far above its range: what to do".
pub fn advised(measure: Measure, level: Level) -> String {
    format!("{} {} its range: what to do", at_start(&say(&Msg::Measure(measure))), side(level))
}

/// "CO2 is not measured here. 3 of 9 measured values are out of range. 1 sensor gives no reading." What has no target just now is neither.
pub fn state(assessment: &Assessment, unmeasured: &[Measure]) -> String {
    let lacking = |measure: &Measure| format!("{} is not measured here. ", at_start(&say(&Msg::Measure(*measure))));
    let lacking: String = unmeasured.iter().map(lacking).collect();
    if assessment.items.is_empty() {
        return lacking.trim_end().into();
    }

    let faults = assessment.items.iter().filter(|item| item.level == Level::Fault).count();
    let judged = assessment.items.iter().filter(|item| item.range.is_some() && item.level != Level::Fault);
    let judged: Vec<Level> = judged.map(|item| item.level).collect();
    let out = judged.iter().filter(|level| **level != Level::Ok).count();
    let values = match (out, judged.len()) {
        (0, 0) if faults > 0 => "There is nothing to judge.".into(),
        (0, 0) => "Nothing that is measured has a target just now.".into(),
        (0, 1) => "What is measured is within its range.".into(),
        (0, all) => format!("All {all} measured values are within their ranges."),
        (1, all) => format!("1 of {all} measured values is out of range."),
        (out, all) => format!("{out} of {all} measured values are out of range."),
    };
    match faults {
        0 => lacking + &values,
        1 => format!("{lacking}{values} 1 sensor gives no reading."),
        _ => format!("{lacking}{values} {faults} sensors give no reading."),
    }
}

/// Short, for it stands below every explanation.
pub fn judged_for(stage: Stage, period: Period) -> String {
    let stage = match stage {
        Stage::Seedling => "seedlings",
        Stage::Vegetative => "vegetative growth",
        Stage::Flowering => "flowering",
        Stage::Fruiting => "fruiting",
        Stage::Ripening => "ripening",
    };
    let period = match period {
        Period::Day => "by day",
        Period::Night => "by night",
        Period::Unknown => "day or night (time of day unknown)",
    };
    format!("Judged for {stage}, {period}.")
}

pub fn reading_error(error: &ReadingError) -> String {
    let name = |quantity: &Quantity| match quantity.unit() {
        "" => quantity.name().to_owned(),
        unit => format!("{} ({unit})", quantity.name()),
    };
    let names = || Quantity::ALL.iter().map(name).collect::<Vec<_>>().join(", ");
    match error {
        ReadingError::NoEquals(given) => {
            format!("A reading is written NAME=VALUE, such as ec=3.1; \"{given}\" has no \"=\". Names: {}.", names())
        }
        ReadingError::UnknownName(given) => format!("There is no reading named \"{given}\". Names: {}.", names()),
        ReadingError::NotANumber(quantity, given) => {
            format!("{} needs a number, such as {}=3.1; \"{given}\" is none.", name(quantity), quantity.name())
        }
        ReadingError::OutOfRange(quantity, value) => {
            let limits = quantity.limits();
            format!("{} cannot be {value}: it lies between {} and {}.", name(quantity), limits.min, limits.max)
        }
    }
}

pub fn config_error(error: &ConfigError) -> String {
    let path = error.path.display();
    let place = error.line.map_or_else(|| path.to_string(), |line| format!("{path}, line {line}"));
    match &error.problem {
        Problem::NotReadable(reason) => {
            format!("The settings in {place} cannot be read: {reason}. Check the path and who may read the file.")
        }
        Problem::Toml(detail) => format!("{place}: {detail}. Correct that line and start again."),
        Problem::NotAllowed { key, given, allowed } => {
            let allowed = match allowed {
                Allowed::OneOf(words) => words.join(", "),
                Allowed::FromTo(min, max) => format!("{min} to {max}"),
                Allowed::Times => {
                    "two different times, when day begins and ends, such as [\"06:00\", \"20:00\"]".into()
                }
                Allowed::Addresses(min, max) => format!("{min:#04x} to {max:#04x}"),
            };
            format!("{place}: {key} = {given} is not allowed. Allowed: {allowed}.")
        }
        Problem::Missing(key) => format!("{place}: this sensor needs the key {key}."),
        Problem::Useless(key) => format!("{place}: this kind of sensor has no {key}. Remove the line."),
    }
}

pub fn sensor_error(error: &SensorError) -> String {
    match error {
        SensorError::Replay(error) => replay_error(error),
        SensorError::Twice { quantity, first, second } => format!(
            "assistant.toml: two sensors ({first}; {second}) measure the {}. Keep one [[sensor]] of the two, so that it \
             is clear which number is shown.",
            say(&Msg::Quantity(*quantity))
        ),
    }
}

fn replay_error(error: &ReplayError) -> String {
    match error {
        ReplayError::NotReadable(path, reason) => {
            format!("The recorded day {} cannot be read: {reason}. Check `file` in assistant.toml.", path.display())
        }
        ReplayError::Header(path) => format!(
            "{}, line 1: expected \"time\" and then different names of readings, separated by commas. Names: {}.",
            path.display(),
            Quantity::ALL.map(Quantity::name).join(", ")
        ),
        ReplayError::Line(path, line) => format!(
            "{}, line {line}: expected HH:MM, later than the line before, and as many numbers (or blanks) as line 1 \
             has names.",
            path.display()
        ),
        ReplayError::Empty(path) => format!("{} has no line with readings.", path.display()),
    }
}

/// With a capital, as a sentence starts; names such as pH keep their form.
fn at_start(name: &str) -> String {
    let mut letters = name.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_uppercase().chain(letters).collect(),
        _ => name.into(),
    }
}
