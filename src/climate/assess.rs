//! Judges a snapshot by the targets of the growth stage.
//!
//! Turns numbers into levels, and levels into the signal names that entries list. Does NOT find words for them (see
//! `text`), and needs no model.

use super::{Measure, NoData, Period, Quantity, Range, Reading, Snapshot, Stage, Targets, vpd};
use std::{collections::BTreeSet, time::SystemTime};

/// How a value stands to its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// There is a probe but no number to believe.
    Fault,
    /// Below the outer bound.
    VeryLow,
    /// Below the ideal.
    Low,
    /// Ideal, or nothing to judge by just now.
    Ok,
    /// Above the ideal.
    High,
    /// Above the outer bound.
    VeryHigh,
}

/// One measure, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessed {
    /// What was judged.
    pub measure: Measure,
    /// The number in the measure's unit, or why there is none.
    pub value: Result<f32, NoData>,
    /// When the number was measured; on a fault, when there was last a good one.
    pub at: Option<SystemTime>,
    /// The judgement; [`Level::Fault`] exactly when there is no number.
    pub level: Level,
    /// What it was judged by; none where nothing is asked just now (light at night, low light where the day's sum is known).
    pub range: Option<Range>,
}

/// A whole snapshot, judged. Quantities without a probe are not in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// The stage it was judged for.
    pub stage: Stage,
    /// The time of day it was judged for.
    pub period: Period,
    /// In the order in which measures are shown.
    pub items: Vec<Assessed>,
    /// Dew point of the air in °C, when temperature and humidity are known.
    pub dew_point: Option<f32>,
}

/// Judges `snapshot`, each number as it is shown, by the ranges of `stage` and `period`. Vapour pressure deficit and dew point are derived when air
/// temperature and humidity are both known.
pub fn assess(snapshot: &Snapshot, targets: &Targets, stage: Stage, period: Period) -> Assessment {
    let air = air(snapshot);
    let items = Measure::all()
        .filter_map(|measure| {
            let (value, at) = match measure {
                Measure::Read(quantity) => match snapshot.get(quantity) {
                    Err(NoData::NotConfigured) => return None,
                    Ok(reading) => (Ok(reading.value), Some(reading.at)),
                    Err(reason) => (Err(reason.clone()), snapshot.last_good(quantity)),
                },
                Measure::Vpd => {
                    let (temperature, humidity) = air?;
                    let older = temperature.at.min(humidity.at);
                    (Ok(vpd::deficit(temperature.value, humidity.value)), Some(older))
                }
            };
            let mut range = targets.range(measure, stage, period);
            let mut level = match (&value, range) {
                (Err(_), _) => Level::Fault,
                (Ok(_), None) => Level::Ok,
                (Ok(value), Some(range)) => range.level(measure.rounded(*value)),
            };
            if measure == Measure::Read(Quantity::LightPpfd) && matches!(level, Level::VeryLow | Level::Low) {
                // Low light of a moment may be a cloud or the low sun; a dark day is another matter. Where the day's sum is
                // known it alone tells; else the moment is a hint, never an alarm. Fierce light burns at once and stays
                // judged by the moment.
                (level, range) = match snapshot.value(Quantity::Dli) {
                    Some(_) => (Level::Ok, None),
                    None => (Level::Low, range),
                };
            }
            Some(Assessed { measure, value, at, level, range })
        })
        .collect();
    let dew_point = air.and_then(|(temperature, humidity)| vpd::dew_point(temperature.value, humidity.value));
    Assessment { stage, period, items, dew_point }
}

/// Air temperature and humidity, if both are known.
fn air(snapshot: &Snapshot) -> Option<(Reading, Reading)> {
    let good = |quantity| snapshot.get(quantity).as_ref().ok().copied();
    Some((good(Quantity::AirTemperature)?, good(Quantity::RelativeHumidity)?))
}

impl Range {
    /// The level of `value` (a finite number). A value on a bound belongs to the better side.
    pub fn level(&self, value: f32) -> Level {
        match value {
            _ if value < self.low => Level::VeryLow,
            _ if value < self.ideal_low => Level::Low,
            _ if value <= self.ideal_high => Level::Ok,
            _ if value <= self.high => Level::High,
            _ => Level::VeryHigh,
        }
    }
}

impl Assessed {
    /// How pressing it is, for sorting: far out of range, then faults, then merely out of range, then the rest; among
    /// equals by the distance from the ideal in widths of the ideal.
    fn urgency(&self) -> (u8, f32) {
        let rank = match self.level {
            Level::VeryLow | Level::VeryHigh => 3,
            Level::Fault => 2,
            Level::Low | Level::High => 1,
            Level::Ok => 0,
        };
        let distance = match (&self.value, self.range) {
            (Ok(value), Some(range)) => {
                (range.ideal_low - value).max(value - range.ideal_high) / (range.ideal_high - range.ideal_low)
            }
            _ => 0.0,
        };
        (rank, distance)
    }
}

/// Alarms and what is then not advised on, since it would be the opposite: against the cold all is closed and screens are drawn,
/// too much CO2 or too little needs open vents, too little light open screens; salt is washed out with water, and what is dry is
/// watered though its roots are cold. People go before plants; the first that holds counts.
const OPPOSED: [((Measure, Level), (Measure, Level)); 5] = {
    let [air, co2, ec] = [Quantity::AirTemperature, Quantity::Co2, Quantity::Ec];
    let [root, moisture] = [Quantity::RootTemperature, Quantity::SubstrateMoisture];
    [
        ((Measure::Read(co2), Level::VeryHigh), (Measure::Read(air), Level::VeryLow)),
        ((Measure::Read(air), Level::VeryLow), (Measure::Read(co2), Level::VeryLow)),
        ((Measure::Read(air), Level::VeryLow), (Measure::Read(Quantity::Dli), Level::VeryLow)),
        ((Measure::Read(ec), Level::VeryHigh), (Measure::Read(moisture), Level::VeryHigh)),
        ((Measure::Read(moisture), Level::VeryLow), (Measure::Read(root), Level::VeryLow)),
    ]
};

impl Assessment {
    /// The judgement of `measure`; none without a probe for it.
    pub fn get(&self, measure: Measure) -> Option<&Assessed> {
        self.items.iter().find(|item| item.measure == measure)
    }

    /// Everything that is not as it should be, most serious first.
    pub fn problems(&self) -> Vec<&Assessed> {
        let mut problems: Vec<_> = self.items.iter().filter(|item| item.level != Level::Ok).collect();
        problems.sort_by(|a, b| {
            let ((rank_a, far_a), (rank_b, far_b)) = (a.urgency(), b.urgency());
            rank_b.cmp(&rank_a).then(far_b.total_cmp(&far_a))
        });
        problems
    }

    /// What is far out of range and to be acted on: what people breathe first, then the most serious; the light of a whole day
    /// last, since what stands in the house now cannot wait.
    pub fn alarms(&self) -> Vec<&Assessed> {
        let far = |item: &&Assessed| matches!(item.level, Level::VeryLow | Level::VeryHigh);
        let mut alarms: Vec<&Assessed> = self.problems().into_iter().filter(far).collect();
        let [temperature, humidity, co2] =
            [Quantity::AirTemperature, Quantity::RelativeHumidity, Quantity::Co2].map(Measure::Read);
        let is = |item: &Assessed, measure, level| item.measure == measure && item.level == level;
        // Warmer than the middle of what is right for it.
        let warm = self.get(temperature).is_some_and(|item| match (&item.value, item.range) {
            (Ok(value), Some(range)) => item.measure.rounded(*value) > (range.ideal_low + range.ideal_high) / 2.0,
            _ => false,
        });
        if warm || alarms.iter().any(|item| item.measure == temperature) {
            // Heat and open vents dry the air, but heat is wrong in a house that is warm already, open vents in one far too cold.
            alarms.retain(|item| !is(item, humidity, Level::VeryHigh) && !is(item, Measure::Vpd, Level::VeryLow));
        }
        for ((measure, level), (against, other)) in OPPOSED {
            if alarms.iter().any(|item| is(item, measure, level)) {
                alarms.retain(|item| !is(item, against, other));
            }
        }
        if alarms.iter().any(|item| [temperature, humidity].contains(&item.measure)) {
            alarms.retain(|item| item.measure != Measure::Vpd);
        }
        alarms.sort_by_key(|item| (!is(item, co2, Level::VeryHigh), item.measure == Measure::Read(Quantity::Dli)));
        alarms
    }

    /// Names such as `ec_high` for what is out of range, most serious first: the vocabulary of the entries' `signals`.
    /// Air temperature and humidity also give a second name with the time of day, such as `rh_high_night`, where that is
    /// known.
    pub fn signals(&self) -> Vec<String> {
        let mut names = Vec::new();
        for name in self.problems().into_iter().flat_map(|item| self.signals_of(item)) {
            // Light has two measures with one name.
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Those of one item, the one that tells more last.
    pub fn signals_of(&self, item: &Assessed) -> Vec<String> {
        let side = match item.level {
            Level::VeryLow | Level::Low => "low",
            Level::High | Level::VeryHigh => "high",
            Level::Fault | Level::Ok => return Vec::new(),
        };
        names_of(item.measure, side, self.period).collect()
    }
}

/// The signals of `measure` out of range on one `side`.
fn names_of(measure: Measure, side: &str, period: Period) -> impl Iterator<Item = String> {
    let name = format!("{}_{side}", measure.signal());
    let by_time =
        matches!(measure, Measure::Read(Quantity::AirTemperature) | Measure::Read(Quantity::RelativeHumidity));
    let time = match period {
        Period::Day => Some("day"),
        Period::Night => Some("night"),
        Period::Unknown => None,
    };
    let second = time.filter(|_| by_time).map(|time| format!("{name}_{time}"));
    [name].into_iter().chain(second)
}

/// Every name that [`Assessment::signals`] can give, and so every one that an entry may list.
pub fn signal_names() -> BTreeSet<String> {
    let sides = Measure::all().flat_map(|measure| ["low", "high"].map(|side| (measure, side)));
    sides
        .flat_map(|(measure, side)| {
            [Period::Day, Period::Night].into_iter().flat_map(move |period| names_of(measure, side, period))
        })
        .collect()
}
