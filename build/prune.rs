//! Stage `prune`: a checkpoint -> a smaller checkpoint of the same form, by the groups that the recipe asks for.
//!
//! The vocabulary group cuts rows from the token table, which is the output head too. What no group touches is copied
//! number by number; memory holds one piece of a tensor. Does NOT know where the checkpoint is from, nor what comes after.

pub mod vocabulary;

use indicatif::ProgressBar;
use std::{collections::BTreeMap, fs, path::Path};

use self::vocabulary::{Cut, List, VocabularyError};
use super::{
    artifact::{Artifact, ArtifactError, Origin, Stage, at},
    checkpoint::{CONFIG, Checkpoint, TENSORS, TOKENIZER},
    config_json::{Config, TokenIds},
    import::ImportError,
    recipe,
    safetensors_file::Writer,
    size,
    sources::{ENTRIES, Sources, SourcesError, VOCABULARY},
};

/// This stage.
pub const STAGE: Stage = Stage { number: 3, name: "prune", revision: 1 };

/// The token table, as Hugging Face calls it.
const EMBEDDING: &str = "model.embed_tokens.weight";
/// Numbers held in memory at a time: 16 MiB as f32.
const PIECE: usize = 1 << 22;

/// Why there is no pruned checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] ImportError),
    /// The vocabulary cannot be cut.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// The repository's files cannot be used.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// The disk refuses, or is full.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Pruned {
    /// Of the smaller model.
    pub config: Config,
    /// Rows of the token table before.
    pub rows_before: u32,
    /// Texts of the entries that have the same tokens as before, and how many texts there are; None when all rows stay.
    pub same_tokens: Option<(usize, usize)>,
}

/// What this stage's folder is made from.
pub fn origin(table: &recipe::Prune, checkpoint: &Artifact, sources: &Sources) -> Origin {
    let mut inputs = checkpoint.inputs();
    if table.vocabulary.is_some() {
        inputs.extend(sources.inputs(&[VOCABULARY, ENTRIES]));
    }
    Origin::new(&STAGE, table, inputs)
}

/// Reads the Hugging Face folder `checkpoint`, writes another one into `out`. `bar` counts bytes of the weights written.
///
/// # Errors
/// [`PruneError`].
pub fn run(
    table: &recipe::Prune,
    checkpoint: &Path,
    sources: &Sources,
    out: &Path,
    bar: &ProgressBar,
) -> Result<Pruned, PruneError> {
    let whole = Config::read(&checkpoint.join(CONFIG))?;
    let path = checkpoint.join(TOKENIZER);
    let tokenizer = fs::read(&path).map_err(at(&path))?;
    let (mut config, mut same_tokens) = (whole.clone(), None);
    let cut = match table.vocabulary {
        Some(rows) => {
            let cut = vocabulary::cut(&tokenizer, &List::parse(&sources.read(VOCABULARY)?)?, rows)?;
            rename(&mut config, &cut)?;
            let knowledge = sources.knowledge()?;
            let texts: Vec<&str> =
                knowledge.entries().iter().flat_map(|entry| [&*entry.instruction, &*entry.output]).collect();
            same_tokens = Some((vocabulary::prove(&tokenizer, &cut, &texts)?, texts.len()));
            Some(cut)
        }
        None => None,
    };
    let write = |name: &str, bytes: &[u8]| {
        let path = out.join(name);
        fs::write(&path, bytes).map_err(at(&path))
    };
    write(TOKENIZER, cut.as_ref().map_or(&tokenizer, |cut| &cut.json))?;
    write(CONFIG, format!("{:#}\n", config.to_json()).as_bytes())?;

    let mut tensors = Checkpoint::open(checkpoint)?;
    let shapes: BTreeMap<String, Vec<usize>> = whole.tensors().into_iter().collect();
    let mut writer = Writer::create(&out.join(TENSORS), &config.tensors())?;
    bar.set_length(4 * size::parameters(&config));
    for (name, _) in config.tensors() {
        let shape = &shapes[&name];
        tensors.check(&name, shape)?;
        let columns = shape[shape.len() - 1];
        let rows = shape[..shape.len() - 1].iter().product();
        let kept = cut.as_ref().filter(|_| name == EMBEDDING).map(|cut| &*cut.rows);
        let step = (PIECE / columns).max(1);
        for first in (0..rows).step_by(step) {
            let count = step.min(rows - first);
            let mut values = tensors.piece(&name, first * columns, count * columns)?;
            if values.iter().any(|value| !value.is_finite()) {
                return Err(ImportError::NotFinite(name).into());
            }
            if let Some(kept) = kept {
                values = gather(&values, columns, first, kept);
            }
            writer.append(&values)?;
            bar.inc(4 * values.len() as u64);
        }
    }
    writer.finish()?;
    bar.finish();
    Ok(Pruned { config, rows_before: whole.vocab_size, same_tokens })
}

/// Those rows of a piece that begins at row `first` which are in `kept` (ascending).
fn gather(values: &[f32], columns: usize, first: usize, kept: &[u32]) -> Vec<f32> {
    let begin = kept.partition_point(|&row| (row as usize) < first);
    let end = kept.partition_point(|&row| (row as usize) < first + values.len() / columns);
    let row = |&row: &u32| &values[(row as usize - first) * columns..][..columns];
    kept[begin..end].iter().flat_map(row).copied().collect()
}

/// The config with the vocabulary's new size and ids.
fn rename(config: &mut Config, cut: &Cut) -> Result<(), VocabularyError> {
    let id = |name: &str, id: u32| vocabulary::renamed(cut, name, id);
    config.vocab_size = cut.rows.len() as u32;
    config.bos_token_id = id("bos_token_id", config.bos_token_id)?;
    config.pad_token_id = id("pad_token_id", config.pad_token_id)?;
    config.eos_token_id = match &config.eos_token_id {
        TokenIds::One(one) => TokenIds::One(id("eos_token_id", *one)?),
        TokenIds::Many(many) => {
            TokenIds::Many(many.iter().map(|one| id("eos_token_id", *one)).collect::<Result<_, _>>()?)
        }
    };
    Ok(())
}
