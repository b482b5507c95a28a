//! The time of day: what tells it, and that a night is not judged as a day.

use crate::climate::{TARGETS, noon, signals, snapshot};
use tomato_assistant::{
    answer::readings::explained,
    climate::{DayHours, NoData, Period, Quantity, Range, Reading, Snapshot, Stage, Targets, assess, minute_of_day},
    text::Lang,
    tui::widgets::readings::full,
};

const AIR: Quantity = Quantity::AirTemperature;

#[test]
fn light_tells_the_time_of_day_else_the_clock_else_nobody() {
    let period = |light| Period::of(&snapshot(&[(Quantity::LightPpfd, light)]));
    assert_eq!((period(0.0), period(9.9), period(10.0)), (Period::Night, Period::Night, Period::Day));
    let mut taken = Snapshot::default();
    assert_eq!(Period::of(&taken), Period::Unknown);
    // A light probe that fails after dark makes no day.
    taken.set(Quantity::LightPpfd, Err(NoData::NotAnswering("NACK".into())));
    assert_eq!(Period::of(&taken), Period::Unknown);
    taken.set_by_clock(Period::Night);
    assert_eq!(Period::of(&taken), Period::Night);
    taken.set(Quantity::LightPpfd, Ok(Reading { value: 500.0, at: noon() }));
    assert_eq!(Period::of(&taken), Period::Day);
}

#[test]
fn hours_of_day_may_pass_midnight() {
    use Period::*;
    let at = |begin, end, minutes: [&str; 4]| {
        let hours = DayHours::new(minute_of_day(begin).unwrap(), minute_of_day(end).unwrap()).unwrap();
        minutes.map(|minute| hours.period(minute_of_day(minute).unwrap()))
    };
    assert_eq!(at("06:00", "20:00", ["05:59", "06:00", "19:59", "20:00"]), [Night, Day, Day, Night]);
    assert_eq!(at("22:00", "14:30", ["21:59", "22:00", "00:00", "14:30"]), [Night, Day, Day, Night]);
    assert_eq!(at("00:00", "12:00", ["00:00", "11:59", "12:00", "23:59"]), [Day, Day, Night, Night]);
    assert_eq!((DayHours::new(360, 360), DayHours::new(0, 1440)), (None, None));
    assert_eq!(["6", "24:00", "06:60", "-1:00", ""].map(minute_of_day), [None; 5]);
}

/// 17 °C and 84 % are as a fruiting night should be; 26 °C is far too hot for it.
#[test]
fn a_night_is_not_judged_by_the_day() {
    let (good, hot) = ([(AIR, 17.0), (Quantity::RelativeHumidity, 84.0)], [(AIR, 26.0)]);
    let fruiting = |readings: &[(Quantity, f32)], period| signals(readings, Stage::Fruiting, period);
    assert_eq!(fruiting(&good, Period::Day).iter().filter(|name| name.ends_with("_day")).count(), 2);
    for period in [Period::Night, Period::Unknown] {
        assert_eq!(fruiting(&good, period), Vec::<String>::new());
    }
    assert_eq!(fruiting(&hot, Period::Night), ["air_temperature_high", "air_temperature_high_night"]);
    // What may be right by day is no alarm where nobody knows the time, and what is wrong at any time is no time's.
    assert_eq!(fruiting(&hot, Period::Unknown), Vec::<String>::new());
    assert_eq!(fruiting(&[(AIR, 33.0)], Period::Unknown), ["air_temperature_high"]);
}

#[test]
fn an_unknown_time_allows_what_day_or_night_allows() {
    let targets = Targets::parse(TARGETS).unwrap();
    let unknown = |measure| targets.range(measure, Stage::Fruiting, Period::Unknown);
    assert_eq!(unknown(AIR.into()), Some(Range::from([12.0, 16.0, 27.0, 32.0])));
    assert_eq!(unknown(Quantity::RelativeHumidity.into()), Some(Range::from([45.0, 60.0, 85.0, 90.0])));
    assert_eq!(unknown(Quantity::Ec.into()), targets.range(Quantity::Ec.into(), Stage::Fruiting, Period::Day));
    assert_eq!(unknown(Quantity::LightPpfd.into()), None);
}

#[test]
fn a_note_says_what_it_is_judged_for() {
    let judged = |period| {
        let assessment =
            assess(&snapshot(&[(Quantity::Ec, 6.2)]), &Targets::parse(TARGETS).unwrap(), Stage::Seedling, period);
        explained("EC 6.2 mS/cm.", &assessment, Lang::En)
    };
    assert_eq!(judged(Period::Day), "EC 6.2 mS/cm. Judged for seedlings, by day.");
    assert_eq!(judged(Period::Night), "EC 6.2 mS/cm. Judged for seedlings, by night.");
    let unknown = judged(Period::Unknown);
    assert!(unknown.ends_with("Judged for seedlings, day or night (time of day unknown)."), "{unknown}");
    let nothing = assess(&Snapshot::default(), &Targets::parse(TARGETS).unwrap(), Stage::Seedling, Period::Day);
    assert_eq!(explained("", &nothing, Lang::En), "");
}

#[test]
fn what_is_not_asked_for_at_night_is_not_called_good() {
    let night = snapshot(&[(Quantity::LightPpfd, 0.0), (AIR, 17.0)]);
    let judged = assess(&night, &Targets::parse(TARGETS).unwrap(), Stage::Fruiting, Period::of(&night));
    let rows = full(&judged, noon(), Lang::En);
    let value = |name| rows.iter().find(|row| row.name == name).unwrap().value.as_str();
    assert_eq!(value("light"), "0 µmol/m²/s  no target just now");
    assert_eq!(value("air temperature"), "17.0 °C  good");
}
