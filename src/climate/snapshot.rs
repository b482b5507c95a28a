//! Readings with their time, and the reasons why there are none.
//!
//! Keeps the promise that a missing reading is a reason, never a number: [`Snapshot::set`] turns what cannot be true
//! into [`NoData::Implausible`], [`Snapshot::settle`] turns what is too old into [`NoData::Stale`] and bridges a reading
//! that was missed. Does NOT know any clock: the time is handed in.

use super::{Period, Quantity};
use std::time::{Duration, SystemTime};

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
    /// The probe is configured but did not answer, or the wires garbled what it said; the words are the driver's, for the log.
    NotAnswering(String),
    /// The probe answered, but with what cannot be true: it is out of physical range.
    Implausible(String),
    /// The last good reading is too old to be shown as live.
    Stale,
}

/// The state of the greenhouse at one moment: for each quantity a reading or the reason why there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    readings: [Result<Reading, NoData>; Quantity::ALL.len()],
    last_good: [Option<Reading>; Quantity::ALL.len()],
    by_clock: Period,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            readings: std::array::from_fn(|_| Err(NoData::NotConfigured)),
            last_good: [None; Quantity::ALL.len()],
            by_clock: Period::Unknown,
        }
    }
}

impl Snapshot {
    /// The reading of `quantity`, or why there is none.
    pub fn get(&self, quantity: Quantity) -> &Result<Reading, NoData> {
        &self.readings[quantity as usize]
    }

    /// The number alone.
    pub fn value(&self, quantity: Quantity) -> Option<f32> {
        self.get(quantity).as_ref().ok().map(|reading| reading.value)
    }

    /// Replaces what is known of `quantity`. A number that cannot be true becomes [`NoData::Implausible`].
    pub fn set(&mut self, quantity: Quantity, reading: Result<Reading, NoData>) {
        let reading = reading.and_then(|reading| match quantity.is_plausible(reading.value) {
            true => Ok(reading),
            false => Err(NoData::Implausible(format!("{} {}", reading.value, quantity.unit()))),
        });
        if let Ok(good) = &reading {
            self.last_good[quantity as usize] = Some(*good);
        }
        self.readings[quantity as usize] = reading;
    }

    /// Tells what time of day it is by the clock.
    pub fn set_by_clock(&mut self, period: Period) {
        self.by_clock = period;
    }

    /// The time of day by the clock; unknown where no clock was asked.
    pub fn by_clock(&self) -> Period {
        self.by_clock
    }

    /// When there was last a good number, also after it was lost.
    pub fn last_good(&self, quantity: Quantity) -> Option<SystemTime> {
        self.last_good[quantity as usize].map(|good| good.at)
    }

    /// How long ago that was; zero if the clock was set back since.
    pub fn age(&self, quantity: Quantity, now: SystemTime) -> Option<Duration> {
        self.last_good(quantity).map(|at| now.duration_since(at).unwrap_or_default())
    }

    /// Turns readings older than `max_age` into [`NoData::Stale`]; until then the last good one stands in for one that was
    /// missed, since a single garbled transfer is no fault. A reading from further in the future than that is stale too:
    /// the clock was set back (a Pi has none that survives a power cut), so its age is unknown.
    pub fn settle(&mut self, now: SystemTime, max_age: Duration) {
        for (reading, last_good) in self.readings.iter_mut().zip(self.last_good) {
            let Some(good) = last_good else { continue };
            let apart = now.duration_since(good.at).unwrap_or_else(|future| future.duration());
            match reading {
                Ok(_) if apart > max_age => *reading = Err(NoData::Stale),
                Err(_) if apart <= max_age => *reading = Ok(good),
                _ => {}
            }
        }
    }
}
