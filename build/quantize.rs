//! Stage `quantize`: an f32 checkpoint -> `model.gguf` with quantized matrices, and the tokenizer beside it.
//!
//! The GGUF has ggml's tensor names and all metadata of llama.cpp's "gemma3", so both llama.cpp and the appliance open
//! it. Reads the checkpoint in pieces: memory holds the quantized model only. Does NOT know where the checkpoint is from.

use candle_core::{Device, quantized::gguf_file::Value};
use indicatif::ProgressBar;
use std::{fs, path::Path};
use tomato_assistant::{
    bundle::{MODEL, TOKENIZER},
    model::{
        gemma3::Site,
        weights::{SELECTOR_KEY, Weights, WeightsError, ggml_name},
    },
};

use super::{
    artifact::{Artifact, ArtifactError, Origin, Stage, at},
    blocks::{self, BlocksError},
    calibration,
    checkpoint::{CONFIG, Checkpoint},
    compensate::{self, Compensation, Correlations},
    config_json::Config,
    dense::{Dense, DenseError, WINDOW},
    finetune::FinetuneError,
    import::ImportError,
    merge, metadata,
    recipe::{self, BlockFormat},
    size,
    sources::Sources,
};

/// This stage.
pub const STAGE: Stage = Stage { number: 6, name: "quantize", revision: 5 };

/// Why there is no quantized model.
#[derive(Debug, thiserror::Error)]
pub enum QuantizeError {
    /// The checkpoint is not what the import stage leaves behind.
    #[error(transparent)]
    Checkpoint(#[from] ImportError),
    /// The model cannot be watched over the calibration text.
    #[error(transparent)]
    Dense(#[from] DenseError),
    /// There is no calibration text.
    #[error("calibration: {0}")]
    Calibration(#[from] FinetuneError),
    /// The computation failed.
    #[error("calibration: {0}")]
    Compute(#[from] candle_core::Error),
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
pub fn origin(table: &recipe::Quantize, checkpoint: &Artifact, sources: &Sources) -> Origin {
    let mut inputs = checkpoint.inputs();
    if table.compensate {
        inputs.extend(calibration::inputs(sources));
    }
    Origin::new(&STAGE, table, inputs)
}

/// Reads the Hugging Face folder `checkpoint`, writes `model.gguf` and `tokenizer.json` into `out`. `bar` counts bytes of
/// f32 weights.
///
/// # Errors
/// [`QuantizeError`].
pub fn run(
    table: &recipe::Quantize,
    checkpoint: &Path,
    sources: &Sources,
    out: &Path,
    bar: &ProgressBar,
) -> Result<(), QuantizeError> {
    let config = Config::read(&checkpoint.join(CONFIG))?;
    let mut tensors = Checkpoint::open(checkpoint)?;
    let mut correlations = match table.compensate {
        true => {
            let dense = Dense::open(checkpoint, WINDOW, &Device::Cpu)?;
            compensate::observe(&dense.model, &calibration::windows(&dense, sources)?, |_| {})?
        }
        false => Correlations::new(),
    };
    let mut compensation: Option<((usize, Site), Compensation)> = None;
    let mut metadata = metadata::gguf(&config, table.ffn, checkpoint)?;
    if let Some(head) = merge::selector(checkpoint).map_err(ImportError::from)? {
        // In the metadata, since llama.cpp opens no file with tensors that it does not know.
        let head = head.flatten_all().and_then(|head| head.to_vec1()).map_err(ImportError::from)?;
        metadata.push((SELECTOR_KEY.into(), Value::Array(head.into_iter().map(Value::F32).collect())));
    }
    let path = out.join(MODEL);

    let shapes = config.tensors();
    bar.set_length(4 * size::parameters(&config));
    let mut quantized = Vec::with_capacity(shapes.len());
    for (name, shape) in shapes {
        tensors.check(&name, &shape)?;
        let ggml = ggml_name(&name).ok_or_else(|| ImportError::Unsupported(format!("a tensor {name}")))?;
        let format = format_of(&ggml, table);
        if let Some(site) = site_of(&ggml).filter(|_| table.compensate && format == Some(BlockFormat::Q4_0)) {
            // Matrices that read the same follow each other.
            if compensation.as_ref().is_none_or(|(known, _)| *known != site)
                && let Some(sums) = correlations.remove(&site)
            {
                compensation = Some((site, Compensation::new(&sums)?));
            }
            if let Some((_, compensation)) = compensation.as_ref().filter(|(known, _)| *known == site) {
                let bytes = compensation.q4_0(&tensors.values(&name, &shape)?);
                quantized.push((ggml, blocks::from_bytes(&name, &shape, bytes)?));
                bar.inc(4 * shape.iter().product::<usize>() as u64);
                continue;
            }
        }
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
    weights.selector(config.hidden)?;
    weights.load(config, 1)?;
    let tokenizer = out.join(TOKENIZER);
    fs::copy(checkpoint.join(TOKENIZER), &tokenizer).map_err(at(&tokenizer))?;
    Ok(())
}

/// What the matrix reads; None for what is no matrix of a layer.
fn site_of(ggml: &str) -> Option<(usize, Site)> {
    let (layer, part) = ggml.strip_prefix("blk.")?.split_once('.')?;
    let site = match part.strip_suffix(".weight")? {
        "attn_q" | "attn_k" | "attn_v" => Site::Attention,
        "attn_output" => Site::Output,
        "ffn_gate" | "ffn_up" => Site::Ffn,
        "ffn_down" => Site::Down,
        _ => return None,
    };
    Some((layer.parse().ok()?, site))
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
