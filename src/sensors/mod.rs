//! Probes and the loop that polls them: wires and files -> `climate::Snapshot`. One file a device family.
//!
//! Does NOT judge readings and never touches the screen; what went wrong goes to the log and into the snapshot.

mod bus;
mod clock;
mod poller;
mod replay;
mod sht4x;

pub use bus::{Bus, BusError};
pub use clock::period_now;
pub use poller::{Poller, THREAD_NAME, poll};
pub use replay::{Replay, ReplayError};
pub use sht4x::{Sht4xProbe, Sleep};

use crate::{
    climate::{NoData, Quantity},
    config::Sensor,
};

/// Something that measures. A probe answers with everything it measures at each call: a number, or why there is none.
pub trait Probe: Send {
    /// Short name for the log, such as `sht4x at 0x44 on /dev/i2c-1`.
    fn name(&self) -> String;

    /// What it measures; the same at each call.
    fn quantities(&self) -> Vec<Quantity>;

    /// Measures now, in the units of [`Quantity`]. May take a while; is called on a thread of its own.
    fn read(&mut self) -> Vec<(Quantity, Result<f32, NoData>)>;
}

/// Makes the probes of the config. Absent hardware is no error here: its probe says so at each reading, and comes to
/// life when the hardware does.
///
/// # Errors
/// A replay file that is missing or malformed.
pub fn open(sensors: &[Sensor]) -> Result<Vec<Box<dyn Probe>>, ReplayError> {
    sensors
        .iter()
        .map(|sensor| match sensor {
            Sensor::Sht4x { bus, address } => {
                Ok(Box::new(Sht4xProbe::new(Bus::new(*bus), *address, Sleep)) as Box<dyn Probe>)
            }
            Sensor::Replay { file, speed, start_hour } => {
                Ok(Box::new(Replay::open(file, *speed, *start_hour * 60)?) as Box<dyn Probe>)
            }
        })
        .collect()
}
