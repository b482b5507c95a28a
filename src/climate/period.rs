//! Time of day as the crop feels it: light, else the clock -> [`Period`].
//!
//! Unknown rather than guessed: a night judged by the day's targets warns of what is right and is silent on what is wrong.
//! Does NOT read any clock: the caller knows the minute.

use super::{Quantity, Snapshot};

const MINUTES_A_DAY: u32 = 24 * 60;

/// Time of day as the crop feels it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Period {
    /// Light enough to grow, by sun or lamps.
    Day,
    /// Dark.
    Night,
    /// Neither light nor clock tells.
    #[default]
    Unknown,
}

impl Period {
    /// Day from 10 µmol/m²/s on (dusk: far below the light at which a leaf gains anything), night below. Where the light is
    /// not known, what the clock says, if the snapshot [was told](Snapshot::set_by_clock).
    pub fn of(snapshot: &Snapshot) -> Self {
        match snapshot.value(Quantity::LightPpfd) {
            Some(light) if light < 10.0 => Period::Night,
            Some(_) => Period::Day,
            None => snapshot.by_clock(),
        }
    }
}

/// When it is day by the clock. May pass midnight, as lamps do that burn when power is cheap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayHours {
    begin: u32,
    end: u32,
}

impl DayHours {
    /// Day from `begin` until before `end`, in minutes since midnight; none if they are the same or no minutes of a day.
    pub fn new(begin: u32, end: u32) -> Option<Self> {
        (begin != end && begin.max(end) < MINUTES_A_DAY).then_some(Self { begin, end })
    }

    /// The time of day at `minute` since midnight.
    pub fn period(&self, minute: u32) -> Period {
        // Both counted from the beginning, so that midnight is no case of its own.
        let since = |of: u32| (of + MINUTES_A_DAY - self.begin) % MINUTES_A_DAY;
        if since(minute) < since(self.end) { Period::Day } else { Period::Night }
    }
}

/// `HH:MM` -> minutes since midnight.
pub fn minute_of_day(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}
