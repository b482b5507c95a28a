//! What can be measured: names, units, and the limits outside of which a number cannot be true.
//!
//! Turns `NAME=VALUE` as typed into a checked number. Does NOT know what is good for a tomato (see `targets`).

/// What the appliance can know about the greenhouse. The names are those of `--reading NAME=VALUE` and of the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Air temperature, °C.
    AirTemperature,
    /// Relative humidity of the air, %.
    RelativeHumidity,
    /// CO2 in the air, ppm by volume.
    Co2,
    /// Photosynthetic photon flux density, µmol/m²/s.
    LightPpfd,
    /// Temperature at the roots, °C.
    RootTemperature,
    /// Acidity of the nutrient solution.
    Ph,
    /// Electrical conductivity of the nutrient solution, mS/cm.
    Ec,
    /// Water content of the substrate, % by volume.
    SubstrateMoisture,
}

/// The closed interval in which a reading can be true, in the quantity's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Lowest value that can be true.
    pub min: f32,
    /// Highest value that can be true.
    pub max: f32,
}

/// Why a typed `NAME=VALUE` is refused. The words for growers are `text::Msg::Reading`.
#[derive(Clone, Debug, PartialEq)]
pub enum ReadingError {
    /// There is no `=`.
    NoEquals(String),
    /// No quantity has this name.
    UnknownName(String),
    /// What follows the `=` is not a finite number.
    NotANumber(Quantity, String),
    /// A number that cannot be true.
    OutOfRange(Quantity, f32),
}

impl Quantity {
    /// All quantities, in the order in which they are shown.
    pub const ALL: [Quantity; 8] = [
        Quantity::AirTemperature,
        Quantity::RelativeHumidity,
        Quantity::Co2,
        Quantity::LightPpfd,
        Quantity::RootTemperature,
        Quantity::Ph,
        Quantity::Ec,
        Quantity::SubstrateMoisture,
    ];

    /// The name on the command line, in the replay file's header and in `targets.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::AirTemperature => "air_temperature",
            Quantity::RelativeHumidity => "relative_humidity",
            Quantity::Co2 => "co2",
            Quantity::LightPpfd => "light_ppfd",
            Quantity::RootTemperature => "root_temperature",
            Quantity::Ph => "ph",
            Quantity::Ec => "ec",
            Quantity::SubstrateMoisture => "substrate_moisture",
        }
    }

    /// The quantity with this [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quantity| quantity.name() == name)
    }

    /// Symbol of the unit, the same in every language; empty for pH.
    pub fn unit(self) -> &'static str {
        match self {
            Quantity::AirTemperature | Quantity::RootTemperature => "°C",
            Quantity::RelativeHumidity | Quantity::SubstrateMoisture => "%",
            Quantity::Co2 => "ppm",
            Quantity::LightPpfd => "µmol/m²/s",
            Quantity::Ph => "",
            Quantity::Ec => "mS/cm",
        }
    }

    /// Physical limits: outside of them the probe is at fault, whatever the greenhouse does. Wide on purpose: a crop in
    /// danger must never be taken for a broken probe.
    pub fn limits(self) -> Limits {
        let (min, max) = match self {
            // An SHT4x works from -40 °C (Sensirion's datasheet); no glasshouse air passes 70 °C.
            Quantity::AirTemperature => (-40.0, 70.0),
            // By definition; probes that overshoot at saturation are cut to 100 by their driver.
            Quantity::RelativeHumidity => (0.0, 100.0),
            // A crop stops taking CO2 up well above 50 ppm, so 0 means "no measurement yet"; 2 % is the end of
            // greenhouse probes.
            Quantity::Co2 => (50.0, 20_000.0),
            // Full sun above the glass is about 2,200; lamps may add to it.
            Quantity::LightPpfd => (0.0, 3_000.0),
            Quantity::RootTemperature => (-20.0, 60.0),
            // Outside 1 to 13 nothing a plant stands in can be; a broken glass electrode often reads 0 or 14.
            Quantity::Ph => (1.0, 13.0),
            // Sea water is about 50 mS/cm; nutrient solution probes end at 20.
            Quantity::Ec => (0.0, 20.0),
            Quantity::SubstrateMoisture => (0.0, 100.0),
        };
        Limits { min, max }
    }

    /// Whether `value` can be true. NaN and infinities cannot.
    pub fn is_plausible(self, value: f32) -> bool {
        // Comparisons with NaN are false, so NaN needs no case of its own.
        value >= self.limits().min && value <= self.limits().max
    }

    /// Reads `NAME=VALUE`, the form of `--reading`.
    ///
    /// # Errors
    /// Each says what was wrong with it; see [`ReadingError`].
    pub fn parse_assignment(text: &str) -> Result<(Self, f32), ReadingError> {
        let (name, value) = text.split_once('=').ok_or_else(|| ReadingError::NoEquals(text.into()))?;
        let quantity = Self::from_name(name.trim()).ok_or_else(|| ReadingError::UnknownName(name.trim().into()))?;
        let not_a_number = || ReadingError::NotANumber(quantity, value.trim().into());
        let value: f32 = value.trim().parse().map_err(|_| not_a_number())?;
        match value {
            _ if !value.is_finite() => Err(not_a_number()),
            _ if !quantity.is_plausible(value) => Err(ReadingError::OutOfRange(quantity, value)),
            _ => Ok((quantity, value)),
        }
    }
}

/// What can be judged: a quantity that is measured, or one derived from two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// Measured by a probe.
    Read(Quantity),
    /// Vapour pressure deficit, kPa, from air temperature and humidity.
    Vpd,
}

impl Measure {
    /// All measures, in the order in which they are shown.
    pub fn all() -> impl Iterator<Item = Measure> {
        Quantity::ALL.into_iter().map(Measure::Read).chain([Measure::Vpd])
    }

    /// The key in `targets.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Read(quantity) => quantity.name(),
            Measure::Vpd => "vpd",
        }
    }

    /// Symbol of the unit.
    pub fn unit(self) -> &'static str {
        match self {
            Measure::Read(quantity) => quantity.unit(),
            Measure::Vpd => "kPa",
        }
    }

    /// The word that entries use in their `signals`, before `_low` or `_high`.
    pub fn signal(self) -> &'static str {
        match self {
            Measure::Read(Quantity::RelativeHumidity) => "rh",
            Measure::Read(Quantity::LightPpfd) => "light",
            other => other.name(),
        }
    }

    /// Digits after the point that the probes' accuracy justifies.
    pub fn decimals(self) -> usize {
        match self {
            Measure::Read(Quantity::AirTemperature | Quantity::RootTemperature | Quantity::Ph | Quantity::Ec) => 1,
            Measure::Vpd => 2,
            Measure::Read(_) => 0,
        }
    }
}

impl From<Quantity> for Measure {
    fn from(quantity: Quantity) -> Self {
        Measure::Read(quantity)
    }
}
