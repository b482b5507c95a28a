//! Climate: limits, vapour pressure against published values, staleness, targets, levels, signals.

use std::time::{Duration, SystemTime};
use tomato_assistant::climate::{
    Level, Measure, NoData, Period, Quantity, Reading, ReadingError, Snapshot, Stage, Targets, assess, vpd,
};

pub const TARGETS: &str = include_str!("../data/targets.toml");

pub fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

pub fn snapshot(readings: &[(Quantity, f32)]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for &(quantity, value) in readings {
        snapshot.set(quantity, Ok(Reading { value, at: noon() }));
    }
    snapshot
}

pub fn signals(readings: &[(Quantity, f32)], stage: Stage, period: Period) -> Vec<String> {
    assess(&snapshot(readings), &Targets::parse(TARGETS).unwrap(), stage, period).signals()
}

/// 15.0 and 24.5 °C: example 3 of FAO 56. The others: vapour pressure of water, CRC Handbook of Chemistry and Physics.
#[test]
fn saturation_pressure_agrees_with_published_tables() {
    for (celsius, kilopascal, tolerance) in [
        (15.0, 1.705, 0.0005),
        (24.5, 3.075, 0.0005),
        (0.0, 0.6113, 0.002),
        (10.0, 1.2282, 0.002),
        (20.0, 2.3393, 0.003),
        (30.0, 4.2470, 0.006),
        (40.0, 7.3849, 0.011),
    ] {
        let computed = vpd::saturation_pressure(celsius);
        assert!((computed - kilopascal).abs() <= tolerance, "{celsius} °C: {computed} instead of {kilopascal} kPa");
    }
}

#[test]
fn deficit_and_dew_point_agree_with_published_values() {
    assert!((vpd::deficit(25.0, 60.0) - 1.27).abs() < 0.005);
    assert_eq!(vpd::deficit(20.0, 100.0), 0.0);
    // Psychrometric tables: 25 °C and 60 % -> 16.7 °C; 20 °C and 50 % -> 9.3 °C.
    assert!((vpd::dew_point(25.0, 60.0).unwrap() - 16.7).abs() < 0.05);
    assert!((vpd::dew_point(20.0, 50.0).unwrap() - 9.3).abs() < 0.05);
    assert!((vpd::dew_point(18.0, 100.0).unwrap() - 18.0).abs() < 0.001);
    assert_eq!(vpd::dew_point(18.0, 0.0), None);
}

#[test]
fn what_cannot_be_true_never_becomes_a_number() {
    for quantity in Quantity::ALL {
        let limits = quantity.limits();
        for value in [limits.min - 0.1, limits.max + 0.1, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let snapshot = snapshot(&[(quantity, value)]);
            assert!(matches!(snapshot.get(quantity), Err(NoData::Implausible(_))), "{} {value}", quantity.name());
            assert_eq!(snapshot.last_good(quantity), None);
        }
        for value in [limits.min, limits.max] {
            assert_eq!(snapshot(&[(quantity, value)]).value(quantity), Some(value));
        }
    }
}

/// The limits of `targets.toml`, read here by other code, are those that readings are held to; and they make sense.
#[test]
fn limits_come_from_the_targets() {
    let file: toml::Table = toml::from_str(TARGETS).unwrap();
    let table = file["limits"].as_table().unwrap();
    assert_eq!(table.len(), Quantity::ALL.len() + 1, "a quantity without limits, or limits without a quantity");
    for quantity in Quantity::ALL {
        let [min, max] = [0, 1].map(|end| table[quantity.name()][end].as_float().unwrap() as f32);
        assert_eq!((quantity.limits().min, quantity.limits().max), (min, max), "{}", quantity.name());
        assert!(min < max && min.is_finite() && max.is_finite());
    }
    for name in table["source"].as_array().unwrap() {
        assert!(file["sources"].get(name.as_str().unwrap()).is_some(), "{name}");
    }
}

/// People die of 40,000 ppm; it must alarm, not read as a broken probe.
#[test]
fn a_lethal_leak_is_a_reading() {
    for period in [Period::Day, Period::Night] {
        for ppm in [5_000.0, 20_001.0, 40_000.0] {
            let taken = snapshot(&[(Quantity::Co2, ppm)]);
            let leak = assess(&taken, &Targets::parse(TARGETS).unwrap(), Stage::Fruiting, period);
            assert_eq!(leak.get(Quantity::Co2.into()).unwrap().level, Level::VeryHigh, "{ppm}");
            assert_eq!(leak.signals(), ["co2_high"]);
        }
    }
    assert!(matches!(snapshot(&[(Quantity::Co2, 40_001.0)]).get(Quantity::Co2), Err(NoData::Implausible(_))));
}

#[test]
fn readings_expire_and_keep_the_time_of_the_last_good_one() {
    let max_age = Duration::from_secs(60);
    let mut taken = snapshot(&[(Quantity::Ec, 3.0)]);
    taken.settle(noon() + max_age, max_age);
    assert_eq!(taken.value(Quantity::Ec), Some(3.0));
    let later = noon() + Duration::from_secs(61);
    taken.settle(later, max_age);
    assert_eq!(taken.get(Quantity::Ec), &Err(NoData::Stale));
    assert_eq!(taken.get(Quantity::Ph), &Err(NoData::NotConfigured));
    assert_eq!(taken.age(Quantity::Ec, later), Some(Duration::from_secs(61)));
}

#[test]
fn a_clock_set_back_does_not_keep_a_reading_alive() {
    let mut taken = snapshot(&[(Quantity::Ec, 3.0)]);
    taken.settle(noon() - Duration::from_secs(3600), Duration::from_secs(60));
    assert_eq!(taken.get(Quantity::Ec), &Err(NoData::Stale));
}

/// The last good one stands in with its own time; when it is too old, the reason of the fault is told.
#[test]
fn a_missed_reading_is_bridged_until_the_last_good_one_is_old() {
    let max_age = Duration::from_secs(60);
    let lost = Err(NoData::NotAnswering("NACK".into()));
    let mut missed = snapshot(&[(Quantity::Ec, 3.0)]);
    missed.set(Quantity::Ec, lost.clone());
    missed.set(Quantity::Ph, lost.clone());
    let settled = |now| {
        let mut taken = missed.clone();
        taken.settle(now, max_age);
        assert_eq!(taken.get(Quantity::Ph), &lost, "there was never a good one");
        taken.get(Quantity::Ec).clone()
    };
    assert_eq!(settled(noon() + max_age), Ok(Reading { value: 3.0, at: noon() }));
    assert_eq!(settled(noon() + max_age + Duration::from_secs(1)), lost);
    assert_eq!(settled(noon() - Duration::from_secs(3600)), lost, "the clock was set back");
}

#[test]
fn assignments_are_read_or_refused_with_the_reason() {
    let parse = Quantity::parse_assignment;
    assert_eq!(parse("ec=6.2"), Ok((Quantity::Ec, 6.2)));
    assert_eq!(parse(" air_temperature = -3.5 "), Ok((Quantity::AirTemperature, -3.5)));
    assert_eq!(parse("ec 6.2"), Err(ReadingError::NoEquals("ec 6.2".into())));
    assert_eq!(parse("EC=6.2"), Err(ReadingError::UnknownName("EC".into())));
    assert_eq!(parse("vpd=1"), Err(ReadingError::UnknownName("vpd".into())));
    assert_eq!(parse("ph=six"), Err(ReadingError::NotANumber(Quantity::Ph, "six".into())));
    assert_eq!(parse("ph=NaN"), Err(ReadingError::NotANumber(Quantity::Ph, "NaN".into())));
    assert_eq!(parse("ph=inf"), Err(ReadingError::NotANumber(Quantity::Ph, "inf".into())));
    assert_eq!(parse("ph="), Err(ReadingError::NotANumber(Quantity::Ph, String::new())));
    assert_eq!(parse("ph=15"), Err(ReadingError::OutOfRange(Quantity::Ph, 15.0)));
    assert_eq!(parse("co2=1e30"), Err(ReadingError::OutOfRange(Quantity::Co2, 1e30)));
}

#[test]
fn names_lead_back_to_their_quantity() {
    for quantity in Quantity::ALL {
        assert_eq!(Quantity::from_name(quantity.name()), Some(quantity));
        // The names of the command line are those of serde, so of JSON.
        assert_eq!(serde_json::to_value(quantity).unwrap(), quantity.name());
    }
    for stage in Stage::ALL {
        assert_eq!(Stage::from_name(stage.name()), Some(stage));
    }
}

#[test]
fn every_target_has_a_source_that_can_be_looked_up() {
    let targets = Targets::parse(TARGETS).unwrap();
    for measure in Measure::all() {
        assert!(targets.sources(measure).count() > 0, "{}", measure.name());
        for source in targets.sources(measure) {
            let consensus = source.publisher == "general agronomy consensus";
            assert_eq!(source.url.is_none(), consensus, "{}", source.publisher);
            assert!(source.url.iter().all(|url| url.starts_with("http")) && !source.says.is_empty());
        }
        for stage in Stage::ALL {
            assert!(targets.range(measure, stage, Period::Day).is_some());
        }
    }
    let light = Measure::Read(Quantity::LightPpfd);
    assert_eq!(targets.range(light, Stage::Fruiting, Period::Night), None);
}

#[test]
fn broken_targets_are_refused_with_the_key() {
    let cases = [
        ("[ec.always]", "[ec.allways]", "unknown field `allways`"),
        ("[ec.always]", "[ec.day]\nripeness = [1, 2, 3, 4]", "unknown field `ripeness`"),
        ("[ec.always]\nseedling   = [0.5, 1.2, 2.2, 3.0]", "[ec.always]", "missing field `seedling`"),
        ("[0.5, 1.2, 2.2, 3.0]", "[0.5, 2.2, 1.2, 3.0]", "ec, seedling"),
        ("[0.5, 1.2, 2.2, 3.0]", "[0.5, 1.2, 1.2, 3.0]", "ec, seedling"),
        ("[0.5, 1.2, 2.2, 3.0]", "[0.5, nan, 2.2, 3.0]", "ec, seedling"),
        ("[0.5, 1.2, 2.2, 3.0]", "[0.5, 1.2, 2.2, 30.0]", "0 to 20"),
        ("[0.5, 1.2, 2.2, 3.0]", "[0.5, 1.2, 2.2]", "invalid length"),
        (
            "source = [\"cultilene\", \"grodan\", \"consensus\"]",
            "source = [\"nobody\"]",
            "substrate_moisture: `source`",
        ),
        ("[co2.day]", "[co2.night]", "duplicate key"),
        ("[vpd.day]", "[vpd.always]", "vpd: give either"),
        ("[50.0, 40000.0]", "[50.0, 20000.0]", "co2 must be [50, 40000]"),
        ("[50.0, 40000.0]", "[50.0]", "invalid length"),
        ("dli                = [0.0, 100.0]", "", "limits: dli must be [0, 100]"),
        ("dli                = [0.0, 100.0]", "dew = [0.0, 100.0]", "unknown variant `dew`"),
        ("source = [\"sht4x\", ", "source = [\"nobody\", ", "limits: `source`"),
    ];
    for (from, to, words) in cases {
        assert!(TARGETS.contains(from), "{from}");
        let error = Targets::parse(&TARGETS.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(words), "{to}: {error}");
    }
}

#[test]
fn levels_change_at_the_bounds_and_a_bound_is_on_the_good_side() {
    let range = Targets::parse(TARGETS).unwrap().range(Quantity::Ec.into(), Stage::Fruiting, Period::Day).unwrap();
    let levels = [1.79, 1.8, 2.49, 2.5, 3.5, 3.51, 5.0, 5.01].map(|value| range.level(value));
    use Level::*;
    assert_eq!(levels, [VeryLow, Low, Low, Ok, Ok, High, High, VeryHigh]);
}

#[test]
fn a_number_is_judged_as_it_is_shown() {
    let targets = Targets::parse(TARGETS).unwrap();
    let level = |quantity: Quantity, value| {
        let judged = assess(&snapshot(&[(quantity, value)]), &targets, Stage::Fruiting, Period::Day);
        judged.get(quantity.into()).unwrap().level
    };
    assert_eq!([3.53, 3.56].map(|ec| level(Quantity::Ec, ec)), [Level::Ok, Level::High]);
    assert_eq!([80.3, 80.6].map(|rh| level(Quantity::RelativeHumidity, rh)), [Level::Ok, Level::High]);
    // Words round this half down, `f32::round` would round it up.
    assert_eq!(level(Quantity::RelativeHumidity, 80.5), Level::Ok);
    // So every bound must be a number that can be shown.
    for (measure, stage) in Measure::all().flat_map(|measure| Stage::ALL.map(|stage| (measure, stage))) {
        for range in [Period::Day, Period::Night].into_iter().filter_map(|at| targets.range(measure, stage, at)) {
            for bound in [range.low, range.ideal_low, range.ideal_high, range.high] {
                assert_eq!(measure.rounded(bound), bound, "{}", measure.name());
            }
        }
    }
}

#[test]
fn signals_name_what_is_out_of_range_most_serious_first() {
    let fruiting = |readings: &[(Quantity, f32)], period| signals(readings, Stage::Fruiting, period);
    assert_eq!(fruiting(&[(Quantity::Ec, 3.0), (Quantity::Ph, 6.0)], Period::Day), Vec::<String>::new());
    assert_eq!(
        fruiting(&[(Quantity::Ph, 6.8), (Quantity::Ec, 6.2), (Quantity::LightPpfd, 20.0)], Period::Day),
        ["ec_high", "ph_high", "light_low"]
    );
    assert_eq!(
        fruiting(&[(Quantity::AirTemperature, 17.0), (Quantity::RelativeHumidity, 96.0)], Period::Night),
        ["rh_high", "rh_high_night", "vpd_low"]
    );
    assert_eq!(
        fruiting(&[(Quantity::AirTemperature, 8.0)], Period::Day),
        ["air_temperature_low", "air_temperature_low_day"]
    );
    assert!(fruiting(&[(Quantity::LightPpfd, 0.0)], Period::Night).is_empty());
}

#[test]
fn alarms_are_far_out_of_range_and_none_is_told_twice() {
    let alarms = |readings: &[(Quantity, f32)]| {
        let assessment = assess(&snapshot(readings), &Targets::parse(TARGETS).unwrap(), Stage::Fruiting, Period::Night);
        let alarms: Vec<_> = assessment.alarms().into_iter().map(|item| assessment.signals_of(item)).collect();
        alarms.concat()
    };
    assert!(alarms(&[(Quantity::Ec, 3.6), (Quantity::Ph, 6.0)]).is_empty());
    assert_eq!(alarms(&[(Quantity::Ph, 8.0), (Quantity::Ec, 9.0)]), ["ec_high", "ph_high"]);
    // The light of a day can wait, however far off it is.
    let bright = alarms(&[(Quantity::Dli, 79.0), (Quantity::AirTemperature, 29.0)]);
    assert_eq!((bright[0].as_str(), bright.last().map(String::as_str)), ("air_temperature_high", Some("light_high")));
    // Heat and open vents help against humid air, but not in a house that is far too cold, or warm.
    for (celsius, told) in [(17.0, true), (22.0, false), (35.0, false)] {
        let humid = alarms(&[(Quantity::AirTemperature, celsius), (Quantity::RelativeHumidity, 97.0)]);
        assert_eq!(humid.iter().any(|signal| signal == "rh_high" || signal == "vpd_low"), told, "{celsius}: {humid:?}");
    }
    let cold = [(Quantity::AirTemperature, 8.0), (Quantity::RelativeHumidity, 96.0)];
    assert_eq!(alarms(&cold), ["air_temperature_low", "air_temperature_low_night"]);
    let dry = [(Quantity::AirTemperature, 8.0), (Quantity::RelativeHumidity, 20.0)];
    assert!(alarms(&dry).contains(&"rh_low".into()));
    // Nor where it is warmer than the middle of what is right, were it within its range.
    let warmer = [(Quantity::AirTemperature, 18.5), (Quantity::RelativeHumidity, 97.0)];
    assert!(alarms(&warmer).is_empty(), "{:?}", alarms(&warmer));
    // Cold wants everything closed, too much CO2 everything open: no answer says both.
    let [foul, starved] = [5000.0, 100.0].map(|ppm| [(Quantity::AirTemperature, 8.0), (Quantity::Co2, ppm)]);
    assert_eq!(alarms(&foul), ["co2_high"]);
    assert_eq!(alarms(&starved), ["air_temperature_low", "air_temperature_low_night"]);
    let dark = [(Quantity::AirTemperature, 8.0), (Quantity::Dli, 2.0)];
    assert_eq!(alarms(&dark), ["air_temperature_low", "air_temperature_low_night"]);
    assert_eq!(alarms(&[(Quantity::Ec, 19.0), (Quantity::SubstrateMoisture, 95.0)]), ["ec_high"]);
    let parched = [(Quantity::RootTemperature, 6.0), (Quantity::SubstrateMoisture, 10.0)];
    assert_eq!(alarms(&parched), ["substrate_moisture_low"]);
    // What people breathe comes first.
    assert_eq!(alarms(&[(Quantity::Ec, 19.0), (Quantity::Co2, 5000.0)]), ["co2_high", "ec_high"]);
    // The deficit is low because the humidity is high.
    let humid = [(Quantity::AirTemperature, 17.0), (Quantity::RelativeHumidity, 96.0)];
    assert_eq!(alarms(&humid), ["rh_high", "rh_high_night"]);
    // Neither alone is far off.
    let both = [(Quantity::AirTemperature, 21.5), (Quantity::RelativeHumidity, 50.0)];
    assert_eq!(alarms(&both), ["vpd_high"]);
}

#[test]
fn the_same_reading_means_different_things_at_different_stages_and_times() {
    assert_eq!(signals(&[(Quantity::Ec, 3.3)], Stage::Fruiting, Period::Day), Vec::<String>::new());
    assert_eq!(signals(&[(Quantity::Ec, 3.3)], Stage::Seedling, Period::Day), ["ec_high"]);
    let warm = [(Quantity::AirTemperature, 23.0)];
    assert!(signals(&warm, Stage::Fruiting, Period::Day).is_empty());
    assert_eq!(signals(&warm, Stage::Fruiting, Period::Night)[1], "air_temperature_high_night");
}

#[test]
fn faults_are_not_signals_and_nothing_is_derived_from_them() {
    let mut taken = snapshot(&[(Quantity::AirTemperature, 22.0), (Quantity::RelativeHumidity, 70.0)]);
    let targets = Targets::parse(TARGETS).unwrap();
    let good = assess(&taken, &targets, Stage::Fruiting, Period::Day);
    assert!((good.get(Measure::Vpd).unwrap().value.clone().unwrap() - 0.79).abs() < 0.01);
    assert!((good.dew_point.unwrap() - 16.3).abs() < 0.1);

    taken.set(Quantity::RelativeHumidity, Ok(Reading { value: 119.0, at: noon() }));
    let bad = assess(&taken, &targets, Stage::Fruiting, Period::Day);
    assert_eq!(bad.get(Measure::Vpd), None);
    assert_eq!(bad.dew_point, None);
    assert_eq!(bad.get(Quantity::RelativeHumidity.into()).unwrap().level, Level::Fault);
    assert_eq!(bad.get(Quantity::RelativeHumidity.into()).unwrap().at, Some(noon()));
    assert_eq!(bad.get(Quantity::Ec.into()), None);
    assert_eq!(bad.problems().len(), 1);
    assert!(bad.signals().is_empty());
}

mod words {
    //! What the grower is told.
    use super::*;
    use tomato_assistant::{
        answer::readings::climate_note,
        text::{Lang, Msg},
    };

    fn note(readings: &[(Quantity, f32)], asked: &[Measure]) -> String {
        let targets = Targets::parse(TARGETS).unwrap();
        let snapshot = snapshot(readings);
        let assessment = assess(&snapshot, &targets, Stage::Fruiting, Period::of(&snapshot));
        climate_note(&assessment, asked, noon(), Lang::En)
    }

    #[test]
    fn the_note_tells_what_is_out_of_range_most_serious_first() {
        assert_eq!(
            note(&[(Quantity::Ph, 6.8), (Quantity::Ec, 6.2), (Quantity::Co2, 600.0)], &[]),
            "EC 6.2 mS/cm: far above 2.5–3.5. pH 6.8: above 5.5–6.5."
        );
        assert_eq!(note(&[(Quantity::Ec, 3.0)], &[]), "");
        assert_eq!(note(&[], &[]), "");
    }

    #[test]
    fn the_note_answers_what_was_asked_about() {
        let asked = [Quantity::Ec.into(), Quantity::Co2.into(), Quantity::LightPpfd.into()];
        assert_eq!(
            note(&[(Quantity::Ec, 3.0), (Quantity::LightPpfd, 0.0)], &asked),
            "EC 3.0 mS/cm: within 2.5–3.5. Light 0 µmol/m²/s: no target just now.",
            "CO2 is not measured, so nothing is said of it"
        );
        // Out of range and asked about: told once.
        assert_eq!(note(&[(Quantity::Ec, 6.2)], &asked[..1]).matches("EC").count(), 1);
    }

    #[test]
    fn a_fault_is_called_a_fault_with_the_age_of_the_last_good_reading() {
        let mut taken = snapshot(&[(Quantity::Ph, 6.0), (Quantity::Ec, 6.2)]);
        taken.set(Quantity::Ph, Ok(Reading { value: 14.0, at: noon() }));
        taken.set(Quantity::Co2, Err(NoData::NotAnswering("NACK".into())));
        let assessment = assess(&taken, &Targets::parse(TARGETS).unwrap(), Stage::Fruiting, Period::Day);
        assert_eq!(
            climate_note(&assessment, &[], noon() + Duration::from_secs(300), Lang::En),
            "EC 6.2 mS/cm: far above 2.5–3.5. \
             Sensor fault, CO2: the probe does not answer (no good reading so far). \
             Sensor fault, pH: the probe reports what cannot be true (last good reading 5 min ago)."
        );
    }

    #[test]
    fn a_refused_reading_says_what_is_allowed() {
        let said = |text| Lang::En.say(&Msg::ReadingError(&Quantity::parse_assignment(text).unwrap_err()));
        let unknown = said("humidity=50");
        assert!(unknown.contains("\"humidity\"") && Quantity::ALL.iter().all(|q| unknown.contains(q.name())));
        assert!(said("relative_humidity").contains("NAME=VALUE"));
        assert!(said("ec=NaN").contains("ec (mS/cm) needs a number"));
        assert!(said("relative_humidity=140").contains("cannot be 140: it lies between 0 and 100"));
    }
}
