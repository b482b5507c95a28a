//! Parameter and size arithmetic: a `config.json` into numbers. Reads no weights.

use super::config_json::Config;

/// How many numbers the model holds. The head is the embedding table (tied), so it counts once.
pub fn parameters(config: &Config) -> u64 {
    config.tensors().iter().map(|(_, shape)| shape.iter().map(|&side| side as u64).product::<u64>()).sum()
}

/// Size of the weights in f32, in MiB (2^20 bytes, what the project document calls MB).
pub fn mebibytes_f32(config: &Config) -> f64 {
    parameters(config) as f64 * 4.0 / (1u64 << 20) as f64
}
