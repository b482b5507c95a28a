//! Greenhouse climate: quantities, readings and what can be computed from them. Pure, no I/O, no clock.
//!
//! Turns numbers with a time into a [`Snapshot`], and a snapshot with [`Targets`] into an [`Assessment`]; does NOT know
//! where the numbers came from or how they are shown.

mod assess;
mod dli;
mod limits;
mod period;
mod quantity;
mod snapshot;
mod targets;
pub mod vpd;

pub use assess::{Assessed, Assessment, Level, assess, signal_names};
pub use dli::LightDay;
pub use limits::Limits;
pub use period::{DayHours, Period, minute_of_day};
pub use quantity::{Measure, Quantity, ReadingError};
pub use snapshot::{NoData, Reading, Snapshot};
pub use targets::{Range, Source, Stage, Targets, TargetsError};
