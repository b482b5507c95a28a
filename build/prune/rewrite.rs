//! A checkpoint with a part changed, written beside the one it was made from.
//!
//! What does not change is copied number by number, but for a token table that is rounded; memory holds one piece of a tensor, so that a model of any size goes
//! through. Does NOT know why something changes.

use indicatif::ProgressBar;
use std::{collections::BTreeMap, fs, path::Path};

use super::{
    super::{
        artifact::at,
        blocks,
        checkpoint::{CONFIG, Checkpoint, TENSORS, TOKENIZER},
        config_json::Config,
        import::ImportError,
        recipe::BlockFormat,
        safetensors_file::Writer,
        size,
    },
    PruneError,
    smaller::Smaller,
    vocabulary::Cut,
};

/// The token table, as Hugging Face calls it.
const EMBEDDING: &str = "model.embed_tokens.weight";
/// Numbers held in memory at a time: 16 MiB as f32.
const PIECE: usize = 1 << 22;

/// What changes.
pub enum Change<'a> {
    /// No shape.
    None,
    /// Rows of the token table go, and the tokenizer is a smaller one.
    Rows(&'a Cut),
    /// Layers go, or get other matrices.
    Layers(&'a Smaller),
}

/// A Hugging Face folder and what its config says.
pub struct Source<'a> {
    /// Where it is.
    pub folder: &'a Path,
    /// Its shape.
    pub config: &'a Config,
    /// Format to which the token table is rounded on the way; None leaves it.
    pub embedding: Option<BlockFormat>,
}

impl Source<'_> {
    /// Writes into `out` what `change` makes of it, a model of the shape `config`. `bar` counts bytes of the weights.
    ///
    /// # Errors
    /// [`PruneError`].
    pub fn write(&self, config: &Config, change: &Change, out: &Path, bar: &ProgressBar) -> Result<(), PruneError> {
        let (from, to) = (self.folder.join(TOKENIZER), out.join(TOKENIZER));
        match change {
            Change::Rows(cut) => fs::write(&to, &cut.json).map_err(at(&to))?,
            _ => fs::copy(&from, &to).map(drop).map_err(at(&from))?,
        }
        let path = out.join(CONFIG);
        fs::write(&path, format!("{:#}\n", config.to_json())).map_err(at(&path))?;

        let mut tensors = Checkpoint::open(self.folder)?;
        let shapes: BTreeMap<String, Vec<usize>> = self.config.tensors().into_iter().collect();
        let width = self.config.intermediate_size.of(0) as usize;
        let mut writer = Writer::create(&out.join(TENSORS), &config.tensors())?;
        bar.reset();
        bar.set_length(4 * size::parameters(config));
        for (name, _) in config.tensors() {
            let mut append = |values: Vec<f32>| {
                if values.iter().any(|value| !value.is_finite()) {
                    return Err(PruneError::from(ImportError::NotFinite(name.clone())));
                }
                writer.append(&values)?;
                bar.inc(4 * values.len() as u64);
                Ok(())
            };
            let (original, new) = match change {
                Change::Layers(smaller) => (smaller.original(&name), smaller.changed(&name, width)?),
                _ => (name.clone(), None),
            };
            if let Some(values) = new {
                append(values)?;
                continue;
            }
            let shape = &shapes[&original];
            tensors.check(&original, shape)?;
            let columns = shape[shape.len() - 1];
            let rows = shape[..shape.len() - 1].iter().product();
            let step = (PIECE / columns).max(1);
            for first in (0..rows).step_by(step) {
                let values = tensors.piece(&original, first * columns, step.min(rows - first) * columns)?;
                let values = match change {
                    Change::Rows(cut) if name == EMBEDDING => gather(values, columns, first, &cut.rows),
                    _ => values,
                };
                append(match self.embedding {
                    Some(format) if name == EMBEDDING => blocks::rounded(&name, columns, format, &values)?,
                    _ => values,
                })?;
            }
        }
        writer.finish()?;
        bar.finish();
        Ok(())
    }
}

/// Those rows of a piece that begins at row `first` which are in `kept` (ascending).
fn gather(values: Vec<f32>, columns: usize, first: usize, kept: &[u32]) -> Vec<f32> {
    let begin = kept.partition_point(|&row| (row as usize) < first);
    let end = kept.partition_point(|&row| (row as usize) < first + values.len() / columns);
    let row = |&row: &u32| &values[(row as usize - first) * columns..][..columns];
    kept[begin..end].iter().flat_map(row).copied().collect()
}
