//! A Hugging Face folder as the import stage leaves it and later stages hand it on: the names of its files.

/// The shape of the model and its special tokens.
pub const CONFIG: &str = "config.json";
/// All tensors, f32.
pub const TENSORS: &str = "model.safetensors";
/// The tokenizer.
pub const TOKENIZER: &str = "tokenizer.json";
