//! Greenhouse climate: quantities, readings and what can be computed from them. Pure, no I/O.
//!
//! Turns numbers with a time into a [`Snapshot`]; does NOT know where they came from or how they are shown.

use std::time::SystemTime;

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
}

/// One number from one probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// In the unit of its [`Quantity`].
    pub value: f32,
    /// When it was measured.
    pub at: SystemTime,
}

/// Why there is no number. Never replaced by a number.
#[derive(Clone, Debug, PartialEq)]
pub enum NoData {
    /// No probe in the config measures it.
    NotConfigured,
    /// The probe is configured but did not answer; the words are the driver's, for the log.
    NotAnswering(String),
    /// The probe answered, but with what cannot be true (out of physical range, CRC error).
    Implausible(String),
    /// The last good reading is too old to be shown as live.
    Stale,
}

/// The state of the greenhouse at one moment: for each quantity a reading or the reason why there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    readings: [Result<Reading, NoData>; 8],
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { readings: std::array::from_fn(|_| Err(NoData::NotConfigured)) }
    }
}

impl Snapshot {
    /// The reading of `quantity`, or why there is none.
    pub fn get(&self, quantity: Quantity) -> &Result<Reading, NoData> {
        &self.readings[quantity as usize]
    }

    /// Replaces what is known of `quantity`.
    pub fn set(&mut self, quantity: Quantity, reading: Result<Reading, NoData>) {
        self.readings[quantity as usize] = reading;
    }
}
