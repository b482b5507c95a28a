//! The network: token ids in, logits out. Imports candle and nothing of ours.
//!
//! [`gemma3`] and [`encoder`] are the one definition of their mathematics, for training and inference, for every
//! precision.

pub mod cache;
pub mod config;
pub mod encoder;
pub mod gemma3;
pub mod gradient;
pub mod kernels;
pub mod linear;
pub mod ops;
pub mod selector;
pub mod weights;
