//! Stage `quantize`: an f32 checkpoint -> `model.gguf` with quantized matrices, and the tokenizer beside it.
//!
//! The GGUF has ggml's tensor names and all metadata of llama.cpp's "gemma3", so both llama.cpp and the appliance open
//! it. Reads the checkpoint in pieces: memory holds the quantized model only. Does NOT know where the checkpoint is from.

use indicatif::ProgressBar;
use std::{fs, path::Path};
use tomato_assistant::{
    bundle::{MODEL, TOKENIZER},
    model::weights::{Weights, WeightsError, ggml_name},
};

use super::{
    artifact::{Artifact, ArtifactError, Origin, Stage, at},
    blocks::{self, BlocksError},
    checkpoint::{CONFIG, Checkpoint},
    config_json::Config,
    import::ImportError,
    metadata,
    recipe::{self, BlockFormat},
    size,
};

/// This stage.
pub const STAGE: Stage = Stage { number: 6, name: "quantize", revision: 2 };

/// Why there is no quantized model.
#[derive(Debug, thiserror::Error)]
pub enum QuantizeError {
    /// The checkpoint is not what the import stage leaves behind.
    #[error(transparent)]
    Checkpoint(#[from] ImportError),
    /// A tensor cannot be quantized or written.
    #[error(transparent)]
    Blocks(#[from] BlocksError),
    /// The disk refuses, or is full.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The appliance's own loader refuses the result.
    #[error("the quantized model does not open: {0}")]
    Unusable(#[from] WeightsError),
}

/// What this stage's folder is made from.
pub fn origin(table: &recipe::Quantize, checkpoint: &Artifact) -> Origin {
    Origin::new(&STAGE, table, checkpoint.inputs())
}

/// Reads the Hugging Face folder `checkpoint`, writes `model.gguf` and `tokenizer.json` into `out`. `bar` counts bytes of
/// f32 weights.
///
/// # Errors
/// [`QuantizeError`].
pub fn run(table: &recipe::Quantize, checkpoint: &Path, out: &Path, bar: &ProgressBar) -> Result<(), QuantizeError> {
    let config = Config::read(&checkpoint.join(CONFIG))?;
    let mut tensors = Checkpoint::open(checkpoint)?;
    let metadata = metadata::gguf(&config, table.ffn, checkpoint)?;
    let path = out.join(MODEL);

    let shapes = config.tensors();
    bar.set_length(4 * size::parameters(&config));
    let mut quantized = Vec::with_capacity(shapes.len());
    for (name, shape) in shapes {
        tensors.check(&name, &shape)?;
        let ggml = ggml_name(&name).ok_or_else(|| ImportError::Unsupported(format!("a tensor {name}")))?;
        let format = format_of(&ggml, table);
        let tensor = blocks::tensor(&name, &shape, format, |first, count| {
            let mut values = tensors.piece(&name, first, count)?;
            if format.is_none() {
                // A norm: GGUF files hold 1 + w.
                values.iter_mut().for_each(|value| *value += 1.0);
            }
            bar.inc(4 * count as u64);
            Ok(values)
        })?;
        quantized.push((ggml, tensor));
    }
    bar.finish();
    blocks::write(&path, &metadata, &quantized)?;
    drop(quantized);

    // One position is enough: this is about names, shapes and formats.
    let weights = Weights::gguf(&path)?;
    let config = weights.config()?;
    weights.load(config, 1)?;
    let tokenizer = out.join(TOKENIZER);
    fs::copy(checkpoint.join(TOKENIZER), &tokenizer).map_err(at(&tokenizer))?;
    Ok(())
}

/// The recipe's format for a matrix; None for a norm, which stays f32.
fn format_of(ggml: &str, table: &recipe::Quantize) -> Option<BlockFormat> {
    let part = ggml.rsplit('.').nth(1).unwrap_or_default();
    match part {
        "token_embd" => Some(table.embedding),
        "attn_q" | "attn_k" | "attn_v" | "attn_output" => Some(table.attention),
        "ffn_gate" | "ffn_up" | "ffn_down" => Some(table.ffn),
        _ => None,
    }
}
