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

/// Why the sensors of the config cannot be used. The words for growers are `text::Msg::SensorError`.
#[derive(Debug)]
pub enum SensorError {
    /// A replay file that is missing or malformed.
    Replay(ReplayError),
    /// Two probes, by name, measure the same, so it would be chance which number is shown.
    Twice {
        /// What both measure.
        quantity: Quantity,
        /// Name of the one.
        first: String,
        /// Name of the other.
        second: String,
    },
}

/// Makes the probes of the config. Absent hardware is no error here: its probe says so at each reading, and comes to
/// life when the hardware does.
///
/// # Errors
/// [`SensorError`].
pub fn open(sensors: &[Sensor]) -> Result<Vec<Box<dyn Probe>>, SensorError> {
    let mut probes: Vec<Box<dyn Probe>> = Vec::new();
    for sensor in sensors {
        let probe: Box<dyn Probe> = match sensor {
            Sensor::Sht4x { bus, address } => Box::new(Sht4xProbe::new(Bus::new(*bus), *address, Sleep)),
            Sensor::Replay { file, speed, start_hour } => {
                Box::new(Replay::open(file, *speed, *start_hour * 60).map_err(SensorError::Replay)?)
            }
        };
        for other in &probes {
            if let Some(quantity) = probe.quantities().into_iter().find(|own| other.quantities().contains(own)) {
                return Err(SensorError::Twice { quantity, first: other.name(), second: probe.name() });
            }
        }
        probes.push(probe);
    }
    Ok(probes)
}
