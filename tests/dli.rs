//! Daily light integral: sums, gaps and jumps of `LightDay`, where the number comes from, how it is judged and told.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};
use tomato_assistant::{
    answer::readings::climate_note,
    climate::{
        Assessment, Level, LightDay, Measure, NoData, Period, Quantity, Reading, ReadingError, Snapshot, Stage,
        Targets, assess,
    },
    sensors::{Poller, Probe, Replay, poll},
    text::{Lang, Msg},
};

const DLI: Measure = Measure::Read(Quantity::Dli);
const LIGHT: Measure = Measure::Read(Quantity::LightPpfd);

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// Readings every `step` minutes from `from` to `to`, both included.
fn feed(day: &mut LightDay, from: u64, to: u64, step: usize, ppfd: impl Fn(u64) -> f32) {
    (from..=to).step_by(step).for_each(|minute| day.add(minutes(minute), ppfd(minute)));
}

/// What is known at the last of the readings from minute 0 to `to`.
fn sum(to: u64, step: usize, ppfd: impl Fn(u64) -> f32) -> Option<f32> {
    let mut day = LightDay::default();
    feed(&mut day, 0, to, step, ppfd);
    day.sum(minutes(to))
}

/// A sun that climbs in a straight line from 6 to 12 o'clock and sinks until 18: 1000 µmol/m²/s at noon.
fn sun(minute: u64) -> f32 {
    let from_noon = (minute % 1440).abs_diff(720);
    (1000.0 * (1.0 - from_noon as f32 / 360.0)).max(0.0)
}

fn near(value: Option<f32>, expected: f32) -> bool {
    value.is_some_and(|value| (value - expected).abs() < 0.001)
}

#[test]
fn the_light_of_a_day_is_summed() {
    // 200 µmol/m²/s x 86,400 s.
    assert!(near(sum(1440, 1, |_| 200.0), 17.28));
    // A triangle: half of 12 hours x 1000 µmol/m²/s, however often the probe is read.
    for step in [1, 4, 10, 30] {
        assert!(near(sum(1440, step, sun), 21.6), "{step}: {:?}", sum(1440, step, sun));
    }
    assert!(near(sum(1440, 10, |_| 0.0), 0.0));
}

#[test]
fn only_the_last_24_hours_count() {
    // Steps that do not divide the day, so that its beginning lies within what is kept as one sum.
    for step in [1, 7, 25] {
        let bright_then_dark = |minute| if minute <= 1450 { 500.0 } else { 0.0 };
        assert!(near(sum(1450 + 2 * 1450, step, bright_then_dark), 0.0), "{step}");
        assert!(near(sum(10 * 1450, step, |_| 200.0), 17.28), "{step}");
    }
    // Any 24 hours of days alike bring the same.
    for minute in (2880..4320).step_by(60) {
        assert!(near(sum(minute, 10, sun), 21.6), "{minute}: {:?}", sum(minute, 10, sun));
    }
}

#[test]
fn without_23_hours_there_is_no_sum() {
    assert_eq!(LightDay::default().sum(minutes(0)), None);
    assert_eq!(sum(0, 1, |_| 200.0), None);
    assert_eq!(sum(23 * 60 - 1, 1, |_| 200.0), None);
    // What came in, not what may have come in before.
    assert!(near(sum(23 * 60, 1, |_| 200.0), 16.56));
}

#[test]
fn a_gap_of_half_an_hour_is_bridged_and_no_more() {
    let after_gap = |gap: u64, to: u64| {
        let mut day = LightDay::default();
        feed(&mut day, 0, 2000, 10, |_| 200.0);
        feed(&mut day, 2000 + gap, to, 10, |_| 200.0);
        day.sum(minutes(to))
    };
    assert!(near(after_gap(30, 2050), 17.28));
    assert_eq!(after_gap(31, 2051), None);
    assert_eq!(after_gap(40, 2040 + 23 * 60 - 10), None);
    assert!(near(after_gap(40, 2040 + 23 * 60), 16.56));

    let mut day = LightDay::default();
    feed(&mut day, 0, 2000, 10, |_| 200.0);
    assert!(near(day.sum(minutes(2030)), 17.28));
    assert_eq!(day.sum(minutes(2031)), None);
}

#[test]
fn readings_that_cannot_be_true_are_gaps() {
    for bad in [f32::NAN, f32::INFINITY, -1.0, 3000.1] {
        let glitch = |from: u64, to| move |minute: u64| if (from..to).contains(&minute) { bad } else { 200.0 };
        assert!(near(sum(1500, 10, glitch(1000, 1020)), 17.28), "{bad}");
        assert_eq!(sum(1500, 10, glitch(1000, 1030)), None, "{bad}");
        assert_eq!(sum(1500, 10, |_| bad), None);
    }
}

#[test]
fn a_clock_that_jumps_makes_no_light() {
    for jump in [1_000_000, 5_000_000, 5_000_031] {
        let mut day = LightDay::default();
        let begin = 5_000_000 - 1440;
        feed(&mut day, begin, 5_000_000, 10, |_| 1000.0);
        assert!(near(day.sum(minutes(5_000_000)), 86.4));
        // The same moment twice is nothing new; years back or half an hour ahead, and the day begins anew.
        day.add(minutes(jump), 0.0);
        let known = (jump == 5_000_000).then_some(86.4);
        assert_eq!(day.sum(minutes(jump)).map(f32::round), known.map(f32::round), "{jump}");
        feed(&mut day, jump + 10, jump + 23 * 60, 10, |_| 0.0);
        assert!(day.sum(minutes(jump + 23 * 60)).is_some_and(|sum| sum < 10.0), "{jump}");
    }
    // Asked for a time before the last reading: its age is unknown.
    let mut day = LightDay::default();
    feed(&mut day, 0, 1440, 10, |_| 200.0);
    assert_eq!(day.sum(minutes(1439)), None);
}

fn snapshot(readings: &[(Quantity, f32)]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for &(quantity, value) in readings {
        snapshot.set(quantity, Ok(Reading { value, at: SystemTime::UNIX_EPOCH }));
    }
    snapshot
}

fn fruiting(light: Option<f32>, dli: Option<f32>) -> Assessment {
    let readings: Vec<_> = light.map(|value| (Quantity::LightPpfd, value)).into_iter().collect();
    let readings = [readings, dli.map(|value| (Quantity::Dli, value)).into_iter().collect()].concat();
    let (snapshot, targets) = (snapshot(&readings), include_str!("../data/targets.toml"));
    assess(&snapshot, &Targets::parse(targets).unwrap(), Stage::Fruiting, Period::of(&snapshot))
}

fn level(assessment: &Assessment, measure: Measure) -> Level {
    assessment.get(measure).unwrap().level
}

#[test]
fn the_days_light_is_judged_by_day_and_by_night() {
    use Level::*;
    for light in [0.0, 500.0] {
        let levels =
            [11.9, 12.0, 19.9, 20.0, 30.0, 30.1, 40.0, 40.1].map(|dli| level(&fruiting(Some(light), Some(dli)), DLI));
        assert_eq!(levels, [VeryLow, Low, Low, Ok, Ok, High, High, VeryHigh], "{light}");
    }
    assert_eq!(fruiting(Some(0.0), Some(8.0)).signals(), ["light_low"]);
    assert_eq!(fruiting(None, Some(45.0)).signals(), ["light_high"]);
    assert!(fruiting(None, None).get(DLI).is_none());
}

#[test]
fn a_cloud_is_no_dark_day() {
    // The day is known and good: the cloud is nothing.
    let cloud = fruiting(Some(30.0), Some(25.0));
    assert_eq!((level(&cloud, LIGHT), cloud.get(LIGHT).unwrap().range), (Level::Ok, None));
    assert!(cloud.signals().is_empty() && cloud.problems().is_empty());
    // The day is known and dark: it is told once, and as the day's.
    let dark = fruiting(Some(30.0), Some(8.0));
    assert_eq!((dark.signals(), dark.problems().len()), (vec!["light_low".into()], 1));
    assert_eq!(dark.problems()[0].measure, DLI);
    // Only the moment is known: worth a look, no more.
    for light in [10.0, 49.9, 199.0] {
        let moment = fruiting(Some(light), None);
        assert_eq!((level(&moment, LIGHT), moment.signals()), (Level::Low, vec!["light_low".into()]));
    }
    // Fierce light burns, whatever the day brought.
    assert_eq!(level(&fruiting(Some(1700.0), Some(25.0)), LIGHT), Level::VeryHigh);
    assert_eq!(fruiting(Some(1700.0), Some(45.0)).signals(), ["light_high"]);
    assert_eq!(fruiting(Some(1700.0), Some(8.0)).signals(), ["light_low", "light_high"]);
}

#[test]
fn a_sum_that_cannot_be_is_a_fault_and_the_moment_counts_again() {
    let fault = fruiting(Some(30.0), Some(172.8));
    assert_eq!((level(&fault, DLI), level(&fault, LIGHT)), (Level::Fault, Level::Low));
    let told = climate_note(&fault, &[], SystemTime::UNIX_EPOCH, Lang::En);
    assert!(told.starts_with("Sensor fault, daily light (DLI): the probe reports what cannot be true"), "{told}");
}

#[test]
fn the_grower_is_told_in_words() {
    let note =
        |light, dli, asked: &[Measure]| climate_note(&fruiting(light, dli), asked, SystemTime::UNIX_EPOCH, Lang::En);
    assert_eq!(note(Some(0.0), Some(9.24), &[]), "Daily light (DLI) 9.2 mol/m²/day: far below 20.0–30.0.");
    assert_eq!(
        note(Some(30.0), Some(24.0), &[LIGHT, DLI]),
        "Light 30 µmol/m²/s: no target just now. Daily light (DLI) 24.0 mol/m²/day: within 20.0–30.0."
    );
    assert_eq!(Lang::En.say(&Msg::ShortValue(DLI, 26.379)), "26.4 mol");
}

#[test]
fn questions_about_the_days_light_name_it() {
    let named = |question| Lang::En.measures_named(question);
    for question in
        ["What DLI do tomatoes need?", "Is my light sum too low?", "daily light integral?", "Daily-light ok?"]
    {
        assert_eq!(named(question), [DLI], "{question}");
    }
    assert_eq!(named("Do they get enough light?"), [LIGHT, DLI]);
    assert_eq!(named("Which PPFD, and which DLI?"), [LIGHT, DLI]);
    assert!(named("the sum of my work").is_empty());
    assert!(named("What do the sensors say?").contains(&DLI));
}

#[test]
fn a_typed_sum_is_taken_or_refused() {
    assert_eq!(Quantity::parse_assignment("dli=14"), Ok((Quantity::Dli, 14.0)));
    assert_eq!(Quantity::parse_assignment("dli=101"), Err(ReadingError::OutOfRange(Quantity::Dli, 101.0)));
    let said = Lang::En.say(&Msg::ReadingError(&ReadingError::OutOfRange(Quantity::Dli, 101.0)));
    assert!(said.contains("dli (mol/m²/day) cannot be 101: it lies between 0 and 100"), "{said}");
}

/// What a replay of `text` says at noon.
fn played(text: &str) -> Snapshot {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("day.csv");
    std::fs::write(&file, text).unwrap();
    let mut replay = Replay::open(&file, 3600.0, 12 * 60).unwrap();
    let snapshot = std::sync::Mutex::new(Snapshot::default());
    poll(&mut replay, &snapshot);
    snapshot.into_inner().unwrap()
}

#[test]
fn a_recorded_day_has_the_light_of_that_day_from_the_start() {
    let recorded = include_str!("../data/greenhouse-day.csv");
    // The trapezoids of the file from midnight to midnight, summed by another program.
    assert!(near(played(recorded).value(Quantity::Dli), 26.379));
    // Half an hour apart; the last line leaves half an hour until midnight.
    let lit = |lines: u32, header: &str, cells: &str| {
        let line = |half: u32| format!("{:02}:{:02},{cells}\n", half / 2, half % 2 * 30);
        format!("time,{header}\n{}", (0..lines).map(line).collect::<String>())
    };
    assert!(near(played(&lit(48, "light_ppfd", "100")).value(Quantity::Dli), 8.64));
    // More than an hour is missing before midnight: no sum, and nothing that is at fault for it.
    assert!(near(played(&lit(47, "light_ppfd", "100")).value(Quantity::Dli), 8.28));
    assert_eq!(played(&lit(46, "light_ppfd", "100")).get(Quantity::Dli), &Err(NoData::NotConfigured));
    // The climate computer's own sum, recorded beside the light.
    assert_eq!(played(&lit(48, "light_ppfd,dli", "100,14")).value(Quantity::Dli), Some(14.0));
}

/// A light probe in steady light.
struct Lamp(Vec<(Quantity, f32)>);

impl Probe for Lamp {
    fn name(&self) -> String {
        "lamp".into()
    }

    fn quantities(&self) -> Vec<Quantity> {
        self.0.iter().map(|(quantity, _)| *quantity).collect()
    }

    fn read(&mut self) -> Vec<(Quantity, Result<f32, NoData>)> {
        self.0.iter().map(|&(quantity, value)| (quantity, Ok(value))).collect()
    }
}

/// Each look at it is a minute later than the one before.
fn hasty() -> Duration {
    static LOOKS: AtomicU64 = AtomicU64::new(0);
    minutes(LOOKS.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn the_poller_sums_up_the_light_that_its_probes_measure() {
    let start = |lamps: &[(Quantity, f32)]| {
        let probes: Vec<Box<dyn Probe>> = vec![Box::new(Lamp(lamps.to_vec()))];
        Poller::start_by(hasty, probes, Duration::from_millis(1), Duration::from_secs(3600)).unwrap()
    };
    let poller = start(&[(Quantity::LightPpfd, 200.0)]);
    let known = loop {
        std::thread::sleep(Duration::from_millis(5));
        let snapshot = poller.snapshot();
        if let Ok(sum) = *snapshot.get(Quantity::Dli) {
            break (sum, snapshot.last_good(Quantity::LightPpfd));
        }
    };
    assert!((16.0..17.5).contains(&known.0.value), "{known:?}");
    assert_eq!(Some(known.0.at), known.1);
    drop(poller);

    // A probe that brings a sum is believed, and without light there is none.
    let own = start(&[(Quantity::LightPpfd, 200.0), (Quantity::Dli, 9.0)]);
    let none = start(&[(Quantity::Ec, 3.0)]);
    let begun = hasty();
    while hasty() < begun + minutes(26 * 60) {
        std::thread::sleep(Duration::from_micros(100));
    }
    assert_eq!(own.snapshot().value(Quantity::Dli), Some(9.0));
    assert_eq!(none.snapshot().get(Quantity::Dli), &Err(NoData::NotConfigured));
}
