//! The clock on the wall: the hours of the config -> the time of day now.
//!
//! Local time, summer time included. Does NOT know whether the clock is right; who sets the hours answers for that.

use crate::climate::{DayHours, Period};

/// Day or night by the system's clock; unknown without `hours`, or where the system does not know its time zone.
pub fn period_now(hours: Option<DayHours>) -> Period {
    let now = time::OffsetDateTime::now_local().ok();
    let minute = |now: time::OffsetDateTime| u32::from(now.hour()) * 60 + u32::from(now.minute());
    hours.zip(now).map_or(Period::Unknown, |(hours, now)| hours.period(minute(now)))
}
