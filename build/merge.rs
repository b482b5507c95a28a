//! Stage `merge`: a checkpoint and an adapter -> a checkpoint that is as if it had been trained whole, and the selection head
//! beside it.
//!
//! Reads the checkpoint in pieces; one matrix with its change is in memory at once. Does NOT know how the adapter was made.

use candle_core::{Device, Tensor};
use indicatif::ProgressBar;
use std::{collections::HashMap, fs, path::Path};

use super::{
    adapter::{Adapter, AdapterError},
    artifact::{self, Artifact, ArtifactError, Origin, Stage, at},
    checkpoint::{CONFIG, Checkpoint, TENSORS, TOKENIZER},
    config_json::Config,
    import::ImportError,
    safetensors_file::Writer,
    size,
};

/// This stage.
pub const STAGE: Stage = Stage { number: 5, name: "merge", revision: 1 };

/// The selection head's file beside a merged checkpoint, and its one tensor: (1 + kinds, hidden + 1).
pub const SELECTOR: &str = "selector.safetensors";
const SELECTOR_TENSOR: &str = "selector.weight";

/// Numbers that are copied at once where nothing changes.
const PIECE: usize = 1 << 22;

/// Why there is no merged checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// The checkpoint cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] ImportError),
    /// The adapter cannot be used, or is not one for this checkpoint.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// The disk refuses, or is full.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A matrix and its change do not fit.
    #[error("merging {name}: {cause}")]
    Compute {
        /// The matrix.
        name: String,
        /// What candle says.
        cause: candle_core::Error,
    },
}

/// What this stage's folder is made from.
pub fn origin(checkpoint: &Artifact, adapter: &Artifact) -> Origin {
    let mut inputs = checkpoint.inputs();
    inputs.extend(adapter.inputs());
    Origin::new(&STAGE, &(), inputs)
}

/// Adds the adapter in the folder `adapter` to the Hugging Face folder `checkpoint`, into `out`, its selection head beside it.
/// `bar` counts bytes written.
///
/// # Errors
/// [`MergeError`].
pub fn run(checkpoint: &Artifact, adapter: &Path, out: &Path, bar: &ProgressBar) -> Result<(), MergeError> {
    let adapter = Adapter::open(adapter)?;
    add(checkpoint, &adapter, out, bar)?;
    let compute = |cause| MergeError::Compute { name: SELECTOR_TENSOR.into(), cause };
    let head = adapter.selector().contiguous().map_err(compute)?;
    Ok(artifact::save(&out.join(SELECTOR), &HashMap::from([(SELECTOR_TENSOR.into(), head)]))?)
}

/// The same without a selection head.
///
/// # Errors
/// [`MergeError`].
pub fn add(checkpoint: &Artifact, adapter: &Adapter, out: &Path, bar: &ProgressBar) -> Result<(), MergeError> {
    adapter.fits(&checkpoint.record.files[TENSORS].sha256)?;
    let config = Config::read(&checkpoint.dir.join(CONFIG))?;
    let mut tensors = Checkpoint::open(&checkpoint.dir)?;
    let mut writer = Writer::create(&out.join(TENSORS), &config.tensors())?;
    bar.set_length(4 * size::parameters(&config));
    for (name, shape) in config.tensors() {
        let compute = |cause| MergeError::Compute { name: name.clone(), cause };
        let count = shape.iter().product();
        match adapter.change(&name).map_err(compute)? {
            Some(change) => {
                let weight = Tensor::from_vec(tensors.values(&name, &shape)?, shape.as_slice(), &Device::Cpu);
                let merged = weight.and_then(|weight| (weight + change)?.flatten_all()?.to_vec1::<f32>());
                writer.append(&merged.map_err(compute)?)?;
            }
            None => {
                tensors.check(&name, &shape)?;
                for first in (0..count).step_by(PIECE) {
                    writer.append(&tensors.piece(&name, first, PIECE.min(count - first))?)?;
                }
            }
        }
        bar.inc(4 * count as u64);
    }
    writer.finish()?;
    bar.finish();
    for name in [CONFIG, TOKENIZER] {
        let to = out.join(name);
        fs::copy(checkpoint.dir.join(name), &to).map_err(at(&to))?;
    }
    Ok(())
}

/// The selection head beside a checkpoint; None where it was not trained.
///
/// # Errors
/// A file that is none.
pub fn selector(checkpoint: &Path) -> candle_core::Result<Option<Tensor>> {
    let path = checkpoint.join(SELECTOR);
    if !path.exists() {
        return Ok(None);
    }
    match candle_core::safetensors::load(&path, &Device::Cpu)?.get(SELECTOR_TENSOR) {
        Some(head) if head.rank() == 2 => Ok(Some(head.clone())),
        Some(head) => candle_core::bail!("{} holds a {SELECTOR_TENSOR} of shape {:?}", path.display(), head.dims()),
        None => candle_core::bail!("{} holds no {SELECTOR_TENSOR}", path.display()),
    }
}
