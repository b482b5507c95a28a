//! What is good for a tomato: `targets.toml` -> for each measure, growth stage and time of day a [`Range`].
//!
//! Does NOT read files (the bundle carries the text) and does NOT judge (see `assess`).

use super::{Measure, Period, Quantity, limits::Table};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Growth stage of the crop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// From emergence until planting out.
    Seedling,
    /// From planting out until the first truss flowers.
    Vegetative,
    /// First trusses in flower.
    Flowering,
    /// Fruit swelling; what an unset config means, for most of a crop's life is spent here.
    #[default]
    Fruiting,
    /// Fruit colouring, harvest.
    Ripening,
}

impl Stage {
    /// All stages in the order of life.
    pub const ALL: [Stage; 5] =
        [Stage::Seedling, Stage::Vegetative, Stage::Flowering, Stage::Fruiting, Stage::Ripening];

    /// The name in the config and in `targets.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Seedling => "seedling",
            Stage::Vegetative => "vegetative",
            Stage::Flowering => "flowering",
            Stage::Fruiting => "fruiting",
            Stage::Ripening => "ripening",
        }
    }

    /// The stage with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

/// Bounds in the measure's unit: `low <= ideal_low < ideal_high <= high`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(from = "[f32; 4]")]
pub struct Range {
    /// Below it: very low.
    pub low: f32,
    /// The ideal starts here.
    pub ideal_low: f32,
    /// The ideal ends here.
    pub ideal_high: f32,
    /// Above it: very high.
    pub high: f32,
}

impl Range {
    /// The range that holds both: ideal is what is ideal by either.
    fn or(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            ideal_low: self.ideal_low.min(other.ideal_low),
            ideal_high: self.ideal_high.max(other.ideal_high),
            high: self.high.max(other.high),
        }
    }
}

impl From<[f32; 4]> for Range {
    fn from([low, ideal_low, ideal_high, high]: [f32; 4]) -> Self {
        Self { low, ideal_low, ideal_high, high }
    }
}

/// Where a range comes from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Who says so.
    pub publisher: String,
    /// Where it can be read; none for what is common knowledge.
    pub url: Option<String>,
    /// What was read there.
    pub says: String,
}

/// Why `targets.toml` is refused.
#[derive(Debug, thiserror::Error)]
pub enum TargetsError {
    /// Not TOML, a key too many or too few, a wrong type.
    #[error("targets.toml: {0}")]
    Toml(#[from] toml::de::Error),
    /// Bounds in the wrong order, or outside of what can be measured.
    #[error("targets.toml: {measure}, {stage}: [low, ideal_low, ideal_high, high] must rise and lie in {min} to {max}")]
    Bounds {
        /// Key of the measure.
        measure: &'static str,
        /// Key of the stage.
        stage: &'static str,
        /// Lowest allowed.
        min: f32,
        /// Highest allowed.
        max: f32,
    },
    /// A measure must have either `always`, or `day` with or without `night`.
    #[error("targets.toml: {0}: give either `always`, or `day` with or without `night`")]
    Times(&'static str),
    /// A `source` that `[sources]` lacks, or none.
    #[error("targets.toml: {0}: `source` must list names that stand under [sources]")]
    Source(&'static str),
    /// Limits that are not those of this program, which checks readings by its own.
    #[error("targets.toml: limits: {name} must be [{min}, {max}], as this program was built with", name = .0.name(),
            min = .0.limits().min, max = .0.limits().max)]
    Limits(Quantity),
}

/// Ranges of all measures, with their sources.
#[derive(Clone, Debug)]
pub struct Targets {
    rows: BTreeMap<Measure, Row>,
    sources: BTreeMap<String, Source>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sources: BTreeMap<String, Source>,
    limits: Table,
    air_temperature: Row,
    relative_humidity: Row,
    co2: Row,
    light_ppfd: Row,
    root_temperature: Row,
    ph: Row,
    ec: Row,
    substrate_moisture: Row,
    dli: Row,
    vpd: Row,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    source: Vec<String>,
    always: Option<Stages>,
    day: Option<Stages>,
    night: Option<Stages>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stages {
    seedling: Range,
    vegetative: Range,
    flowering: Range,
    fruiting: Range,
    ripening: Range,
}

impl Stages {
    fn of(&self, stage: Stage) -> Range {
        match stage {
            Stage::Seedling => self.seedling,
            Stage::Vegetative => self.vegetative,
            Stage::Flowering => self.flowering,
            Stage::Fruiting => self.fruiting,
            Stage::Ripening => self.ripening,
        }
    }
}

impl Targets {
    /// Parses and validates the text of `targets.toml`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its key; see [`TargetsError`].
    pub fn parse(text: &str) -> Result<Self, TargetsError> {
        let file: File = toml::from_str(text)?;
        let rows = [
            (Measure::Read(Quantity::AirTemperature), file.air_temperature),
            (Measure::Read(Quantity::RelativeHumidity), file.relative_humidity),
            (Measure::Read(Quantity::Co2), file.co2),
            (Measure::Read(Quantity::LightPpfd), file.light_ppfd),
            (Measure::Read(Quantity::RootTemperature), file.root_temperature),
            (Measure::Read(Quantity::Ph), file.ph),
            (Measure::Read(Quantity::Ec), file.ec),
            (Measure::Read(Quantity::SubstrateMoisture), file.substrate_moisture),
            (Measure::Read(Quantity::Dli), file.dli),
            (Measure::Vpd, file.vpd),
        ];
        if let Some(quantity) = file.limits.foreign() {
            return Err(TargetsError::Limits(quantity));
        }
        known("limits", &file.limits.source, &file.sources)?;
        rows.iter().try_for_each(|(measure, row)| row.check(*measure, &file.sources))?;
        let rows = BTreeMap::from(rows);
        Ok(Self { rows, sources: file.sources })
    }

    /// The range to judge by; none where there is nothing to judge (light at night). At an unknown time of day that is what
    /// day or night allows, and nothing where either of them asks nothing.
    pub fn range(&self, measure: Measure, stage: Stage, period: Period) -> Option<Range> {
        let row = self.rows.get(&measure)?;
        let of = |stages: &Option<Stages>| stages.as_ref().or(row.always.as_ref()).map(|stages| stages.of(stage));
        match period {
            Period::Day => of(&row.day),
            Period::Night => of(&row.night),
            Period::Unknown => of(&row.day).zip(of(&row.night)).map(|(day, night)| day.or(night)),
        }
    }

    /// Where the ranges of `measure` come from.
    pub fn sources(&self, measure: Measure) -> impl Iterator<Item = &Source> {
        self.rows.get(&measure).into_iter().flat_map(|row| &row.source).filter_map(|name| self.sources.get(name))
    }
}

/// `table` names sources, and they exist.
fn known(table: &'static str, names: &[String], sources: &BTreeMap<String, Source>) -> Result<(), TargetsError> {
    match names.is_empty() || names.iter().any(|name| !sources.contains_key(name)) {
        true => Err(TargetsError::Source(table)),
        false => Ok(()),
    }
}

impl Row {
    fn check(&self, measure: Measure, sources: &BTreeMap<String, Source>) -> Result<(), TargetsError> {
        if self.always.is_some() == self.day.is_some() || (self.always.is_some() && self.night.is_some()) {
            return Err(TargetsError::Times(measure.name()));
        }
        known(measure.name(), &self.source, sources)?;
        // A vapour pressure deficit above 10 kPa would need 46 °C and bone-dry air.
        let (min, max) = match measure {
            Measure::Read(quantity) => (quantity.limits().min, quantity.limits().max),
            Measure::Vpd => (0.0, 10.0),
        };
        for stages in [&self.always, &self.day, &self.night].into_iter().flatten() {
            for stage in Stage::ALL {
                let Range { low, ideal_low, ideal_high, high } = stages.of(stage);
                // Written so that NaN fails.
                let rises =
                    min <= low && low <= ideal_low && ideal_low < ideal_high && ideal_high <= high && high <= max;
                if !rises {
                    return Err(TargetsError::Bounds { measure: measure.name(), stage: stage.name(), min, max });
                }
            }
        }
        Ok(())
    }
}
