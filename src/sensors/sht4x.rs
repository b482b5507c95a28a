//! Sensirion SHT4x: air temperature and humidity over I2C, at high precision (9 ms a measurement).
//!
//! Generic over the bus and the delay, so that tests drive it with recorded frames. Does NOT know Linux.

use super::Probe;
use crate::climate::{NoData, Quantity};
use embedded_hal::{delay::DelayNs, i2c::I2c};
use sht4x::{Address, Error, Precision, Sht4x};

/// By the datasheet the formula may leave 0 to 100 % near the ends, within the accuracy; those are cut to the limit.
/// At most 4 % (the widest tolerance of the family is 3.5 %): beyond that the sensor is at fault.
const OVERSHOOT: f32 = 4.0;

/// Milliseconds before the one other try. A glitch on the cable is over by then, and so is a measurement that the sensor
/// began though its answer was lost: while it measures it answers to nothing.
const RETRY_MS: u32 = 20;

/// One SHT4x.
pub struct Sht4xProbe<I, D> {
    driver: Sht4x<I, D>,
    address: u8,
    delay: D,
}

impl<I: I2c, D: DelayNs> Sht4xProbe<I, D> {
    /// The sensor at `address` (0x44 to 0x46) on `bus`. Nothing is sent yet.
    pub fn new(bus: I, address: Address, delay: D) -> Self {
        Self { driver: Sht4x::new_with_address(bus, address), address: address.into(), delay }
    }

    /// Gives the bus back.
    pub fn into_bus(self) -> I {
        self.driver.destroy()
    }
}

impl<I: I2c + Send, D: DelayNs + Send> Probe for Sht4xProbe<I, D> {
    fn name(&self) -> String {
        format!("sht4x at {:#04x}", self.address)
    }

    fn quantities(&self) -> Vec<Quantity> {
        vec![Quantity::AirTemperature, Quantity::RelativeHumidity]
    }

    fn read(&mut self) -> Vec<(Quantity, Result<f32, NoData>)> {
        let measured = self.driver.measure(Precision::High, &mut self.delay).or_else(|_| {
            self.delay.delay_ms(RETRY_MS);
            self.driver.measure(Precision::High, &mut self.delay)
        });
        let (temperature, humidity) = match measured {
            Ok(measured) => {
                let humidity: f32 = measured.humidity_percent().to_num();
                let humidity = match humidity {
                    _ if (-OVERSHOOT..=100.0 + OVERSHOOT).contains(&humidity) => humidity.clamp(0.0, 100.0),
                    _ => humidity,
                };
                (Ok(measured.temperature_celsius().to_num()), Ok(humidity))
            }
            Err(error) => {
                let reason = match error {
                    // The wires garble, whatever the sensor said: nothing that cleaning it would mend.
                    Error::Crc => NoData::NotAnswering("wrong checksum".into()),
                    Error::I2c(error) => NoData::NotAnswering(format!("{error:?}")),
                    other => NoData::NotAnswering(format!("{other:?}")),
                };
                (Err(reason.clone()), Err(reason))
            }
        };
        vec![(Quantity::AirTemperature, temperature), (Quantity::RelativeHumidity, humidity)]
    }
}

/// Waits by sleeping: each probe has a thread of its own.
pub struct Sleep;

impl DelayNs for Sleep {
    fn delay_ns(&mut self, nanoseconds: u32) {
        std::thread::sleep(std::time::Duration::from_nanos(nanoseconds.into()));
    }
}
