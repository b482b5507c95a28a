//! I2C on Linux: `/dev/i2c-N` as an embedded-hal bus. The ONLY file that names rppal.
//!
//! Two things rppal's own embedded-hal bus does not do: write-then-read is ONE transaction with a repeated start (rppal
//! sends a stop in between, where another process can slip in), and the device is opened at the first use and again
//! after an error, so hardware may come late or be unplugged and come back. Does NOT know any sensor.

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, Operation};

/// I2C bus number `number`, opened when it is first used.
pub struct Bus {
    number: u8,
    #[cfg(target_os = "linux")]
    device: Option<rppal::i2c::I2c>,
}

/// Why a transfer failed.
#[derive(Debug)]
pub enum BusError {
    /// `/dev/i2c-N` is absent, or this user may not open it.
    Open(String),
    /// The transfer broke off, most often because nobody answers at the address.
    Transfer(ErrorKind, String),
    /// A form of transfer that no driver here needs.
    Unsupported,
}

impl embedded_hal::i2c::Error for BusError {
    fn kind(&self) -> ErrorKind {
        match self {
            BusError::Transfer(kind, _) => *kind,
            BusError::Open(_) | BusError::Unsupported => ErrorKind::Other,
        }
    }
}

impl ErrorType for Bus {
    type Error = BusError;
}

#[cfg(target_os = "linux")]
impl Bus {
    /// The bus `/dev/i2c-{number}`. Opens nothing yet.
    pub fn new(number: u8) -> Self {
        Self { number, device: None }
    }

    fn device(&mut self) -> Result<&mut rppal::i2c::I2c, BusError> {
        let device = match self.device.take() {
            Some(device) => device,
            // `with_bus`, for `I2c::new` refuses every board that is not a known Raspberry Pi.
            None => rppal::i2c::I2c::with_bus(self.number)
                .map_err(|error| BusError::Open(format!("/dev/i2c-{}: {error}", self.number)))?,
        };
        Ok(self.device.insert(device))
    }
}

#[cfg(target_os = "linux")]
impl I2c for Bus {
    fn transaction(&mut self, address: u8, operations: &mut [Operation]) -> Result<(), BusError> {
        let device = self.device()?;
        let whole = |sent: usize, expected: usize| {
            let cut = || BusError::Transfer(ErrorKind::Bus, format!("{sent} of {expected} bytes"));
            (sent == expected).then_some(()).ok_or_else(cut)
        };
        let done = device.set_slave_address(address.into()).map_err(transfer).and_then(|()| match operations {
            [] => Ok(()),
            [Operation::Write(bytes)] => {
                device.write(bytes).map_err(transfer).and_then(|sent| whole(sent, bytes.len()))
            }
            [Operation::Read(bytes)] => {
                let expected = bytes.len();
                device.read(bytes).map_err(transfer).and_then(|got| whole(got, expected))
            }
            // One I2C_RDWR request: start, write, repeated start, read, stop. Named in full, for the trait has a
            // `write_read` too, and that one is the loop with the stop.
            [Operation::Write(bytes), Operation::Read(answer)] => {
                rppal::i2c::I2c::write_read(device, bytes, answer).map_err(transfer)
            }
            _ => Err(BusError::Unsupported),
        });
        if done.is_err() {
            self.device = None;
        }
        done
    }
}

/// Linux answers EREMOTEIO (121) or ENXIO (6) when no chip acknowledges its address.
#[cfg(target_os = "linux")]
fn transfer(error: rppal::i2c::Error) -> BusError {
    let kind = match &error {
        rppal::i2c::Error::Io(io) if matches!(io.raw_os_error(), Some(121 | 6)) => {
            ErrorKind::NoAcknowledge(embedded_hal::i2c::NoAcknowledgeSource::Unknown)
        }
        _ => ErrorKind::Other,
    };
    BusError::Transfer(kind, error.to_string())
}

#[cfg(not(target_os = "linux"))]
impl Bus {
    /// A bus that does not exist on this operating system; each transfer says so.
    pub fn new(number: u8) -> Self {
        Self { number }
    }
}

#[cfg(not(target_os = "linux"))]
impl I2c for Bus {
    fn transaction(&mut self, _address: u8, _operations: &mut [Operation]) -> Result<(), BusError> {
        Err(BusError::Open(format!("no I2C bus {} on this operating system", self.number)))
    }
}
