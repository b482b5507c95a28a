//! Stage `prune`: a checkpoint -> a smaller checkpoint of the same form, by the groups that the recipe asks for.
//!
//! The vocabulary group cuts rows from the token table, which is the output head too; a depth leaves the last layers out; the
//! table may be rounded on the way. What no group touches is copied number by number; memory holds one piece of a tensor. The
//! groups that weigh layers and neurons come after these and hold the whole model. Does NOT know where the checkpoint is from,
//! nor what comes after.

pub mod continuation;
pub mod gate;
pub mod layers;
pub mod picture;
pub mod plan;
pub mod record;
pub mod rewrite;
pub mod sensitivity;
pub mod smaller;
pub mod steps;
pub mod vocabulary;
pub mod way;
pub mod yardstick;

use candle_core::Device;
use indicatif::ProgressBar;
use std::{fs, path::Path};

use self::{
    plan::PlanError,
    record::{Record, Step},
    rewrite::{Change, Source},
    smaller::Smaller,
    steps::Progress,
    vocabulary::{Cut, List, VocabularyError},
    yardstick::{Yardstick, YardstickError},
};
use super::{
    artifact::{Artifact, ArtifactError, Origin, Stage, at},
    blocks::BlocksError,
    calibration,
    checkpoint::{CONFIG, TOKENIZER},
    config_json::{Config, TokenIds},
    dense::{Dense, DenseError, WINDOW},
    import::ImportError,
    recipe,
    sources::{ENTRIES, HELD_OUT_ENGLISH, Sources, SourcesError, VOCABULARY},
};

/// This stage.
pub const STAGE: Stage = Stage { number: 2, name: "prune", revision: 3 };

/// What was measured while layers and neurons were taken out.
pub const RECORD: &str = "prune.json";
/// A picture of it.
pub const PICTURE: &str = "analysis.svg";

/// Folder of the checkpoint whose vocabulary and depth are cut, while layers and neurons are taken from it.
const WHOLE: &str = "whole";

/// Why there is no pruned checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The base cannot be pruned as the recipe asks.
    #[error("the recipe does not fit the base: {0}")]
    Plan(#[from] PlanError),
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
    /// The model cannot be loaded or measured.
    #[error(transparent)]
    Dense(#[from] DenseError),
    /// The token table cannot be rounded.
    #[error(transparent)]
    Blocks(#[from] BlocksError),
    /// There is nothing to measure with.
    #[error(transparent)]
    Yardstick(#[from] YardstickError),
    /// The computation failed.
    #[error("the model failed: {0}")]
    Compute(#[from] candle_core::Error),
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
    /// How layers and neurons went; None when the recipe leaves all.
    pub record: Option<Record>,
}

/// Where somebody looks on.
pub struct Watch<'a> {
    /// Counts bytes of the weights written.
    pub bytes: &'a ProgressBar,
    /// Counts the work of the steps, in tokens read.
    pub work: &'a ProgressBar,
    /// Gets each step once it is judged.
    pub step: &'a dyn Fn(&Step),
}

/// What this stage's folder is made from.
pub fn origin(table: &recipe::Prune, checkpoint: &Artifact, sources: &Sources) -> Origin {
    let mut inputs = checkpoint.inputs();
    if table.vocabulary.is_some() {
        inputs.extend(sources.inputs(&[VOCABULARY, ENTRIES]));
    }
    if table.narrows() {
        inputs.extend(calibration::inputs(sources));
        inputs.extend(sources.inputs(&[HELD_OUT_ENGLISH]));
    }
    Origin::new(&STAGE, table, inputs)
}

/// Reads the Hugging Face folder `checkpoint`, writes another one into `out`.
///
/// # Errors
/// [`PruneError`].
pub fn run(
    table: &recipe::Prune,
    checkpoint: &Path,
    sources: &Sources,
    out: &Path,
    watch: &Watch,
) -> Result<Pruned, PruneError> {
    let before = Config::read(&checkpoint.join(CONFIG))?;
    table.check_fit(&before)?;
    let base = Source { folder: checkpoint, config: &before, embedding: table.embedding };
    let (mut config, mut same_tokens, mut cut) = (plan::shallow(&before, table.depth)?, None, None);
    if let Some(rows) = table.vocabulary {
        let path = checkpoint.join(TOKENIZER);
        let tokenizer = fs::read(&path).map_err(at(&path))?;
        let new = vocabulary::cut(&tokenizer, &List::parse(&sources.read(VOCABULARY)?)?, rows)?;
        rename(&mut config, &new)?;
        let knowledge = sources.knowledge()?;
        let texts: Vec<&str> =
            knowledge.entries().iter().flat_map(|entry| [&*entry.instruction, &*entry.output]).collect();
        same_tokens = Some((vocabulary::prove(&tokenizer, &new, &texts)?, texts.len()));
        cut = Some(new);
    }
    let change = cut.as_ref().map_or(Change::None, Change::Rows);
    let rows_before = before.vocab_size;
    if !table.narrows() {
        base.write(&config, &change, out, watch.bytes)?;
        return Ok(Pruned { config, rows_before, same_tokens, record: None });
    }

    // Layers and neurons are taken from a model whose vocabulary is cut: what is measured is what will be used.
    let folder = out.join(WHOLE);
    let whole = match config == before && table.embedding.is_none() {
        true => checkpoint,
        false => {
            fs::create_dir_all(&folder).map_err(at(&folder))?;
            base.write(&config, &change, &folder, watch.bytes)?;
            &folder
        }
    };
    let smaller = narrowed(table, whole, sources, watch)?;
    let narrow = smaller.config(&config)?;
    Source { folder: whole, config: &config, embedding: None }.write(
        &narrow,
        &Change::Layers(&smaller),
        out,
        watch.bytes,
    )?;
    if whole != checkpoint {
        fs::remove_dir_all(&folder).map_err(at(&folder))?;
    }

    let json = serde_json::to_string_pretty(&smaller.record).expect("strings and numbers always serialize");
    for (name, text) in [(RECORD, json + "\n"), (PICTURE, picture::svg(&smaller.record))] {
        let path = out.join(name);
        fs::write(&path, text).map_err(at(&path))?;
    }
    Ok(Pruned { config: narrow, rows_before, same_tokens, record: Some(smaller.record) })
}

/// The model in the folder `whole` without the layers and neurons that the recipe gives up.
fn narrowed(table: &recipe::Prune, whole: &Path, sources: &Sources, watch: &Watch) -> Result<Smaller, PruneError> {
    let dense = Dense::open(whole, WINDOW, &Device::Cpu)?;
    let yardstick = Yardstick::read(&dense, sources)?;
    let progress = Progress {
        length: &|work| watch.work.set_length(work as u64),
        done: &|work| watch.work.inc(work as u64),
        step: watch.step,
    };
    let smaller = steps::run(table, dense, &yardstick, &progress)?;
    watch.work.finish();
    Ok(smaller)
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
