//! Where a model is trained and measured: on the processor, or on a graphics processor that the program was built for.
//!
//! Turns the choice on the command line into candle's device. Does NOT know what is computed.

use candle_core::{Device, Error};
use clap::ValueEnum;

use super::heap;

/// The kinds of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// All that the appliance has, and what the shipped adapters were trained on
    Cpu,
    /// NVIDIA's; needs a program built with --features cuda
    Cuda,
    /// Apple's; needs a program built with --features metal
    Metal,
}

/// Why a device cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The program has no code for it.
    #[error(
        "this program was built without {0}; build one that has it: cargo run --release --features {0} --bin pipeline -- …"
    )]
    NotBuilt(&'static str),
    /// There is none, or its driver refuses.
    #[error("no {kind} device can be used: {cause}. Without --device the processor is taken")]
    None {
        /// What was asked for.
        kind: &'static str,
        /// What the driver says.
        cause: String,
    },
}

/// The first device of this kind, for work that lasts: on the processor freed memory is kept for its next tensor.
///
/// # Errors
/// [`DeviceError`].
pub fn open(kind: Kind) -> Result<Device, DeviceError> {
    let (name, opened) = match kind {
        Kind::Cpu => {
            heap::keep();
            return Ok(Device::Cpu);
        }
        // One stream for all threads: each with its own, as in `new_cuda`, would not wait for what another one has begun.
        Kind::Cuda => ("cuda", Device::new_cuda_with_stream(0)),
        Kind::Metal => ("metal", Device::new_metal(0)),
    };
    opened.map_err(|error| match error {
        Error::NotCompiledWithCudaSupport | Error::NotCompiledWithMetalSupport => DeviceError::NotBuilt(name),
        error => DeviceError::None { kind: name, cause: error.to_string() },
    })
}
