//! What can be known: names and units of quantities and of what is derived from them.
//!
//! Turns `NAME=VALUE` as typed into a checked number. Does NOT know which numbers can be true (see `limits`) nor what is
//! good for a tomato (see `targets`).

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
    /// Daily light integral, mol/m²/day: the light of the last 24 hours. Typed in, recorded, or summed up from the light
    /// readings (see `dli`); no probe of its own measures it. Last, for it is what a small screen can best do without.
    Dli,
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
    pub const ALL: [Quantity; 9] = [
        Quantity::AirTemperature,
        Quantity::RelativeHumidity,
        Quantity::Co2,
        Quantity::LightPpfd,
        Quantity::RootTemperature,
        Quantity::Ph,
        Quantity::Ec,
        Quantity::SubstrateMoisture,
        Quantity::Dli,
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
            Quantity::Dli => "dli",
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
            Quantity::Dli => "mol/m²/day",
        }
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
            // The entries know one word for little light. The day's sum says it best; see `assess` for the moment's light.
            Measure::Read(Quantity::LightPpfd | Quantity::Dli) => "light",
            other => other.name(),
        }
    }

    /// Digits after the point that the probes' accuracy justifies.
    pub fn decimals(self) -> usize {
        match self {
            Measure::Read(
                Quantity::AirTemperature | Quantity::RootTemperature | Quantity::Ph | Quantity::Ec | Quantity::Dli,
            ) => 1,
            Measure::Vpd => 2,
            Measure::Read(_) => 0,
        }
    }

    /// `value` (a finite number) as it is shown. What is judged must be that: 3.53 is no "EC 3.5, above 2.5 to 3.5".
    pub fn rounded(self, value: f32) -> f32 {
        // By way of the words, so that both round a half in the same direction.
        format!("{value:.*}", self.decimals()).parse().unwrap_or(value)
    }
}

impl From<Quantity> for Measure {
    fn from(quantity: Quantity) -> Self {
        Measure::Read(quantity)
    }
}
