//! `recipe.toml`: every choice of the pipeline, one table for each stage that has one.
//!
//! Turns TOML into typed tables; an unknown key or value is an error that names it. Does NOT know what stages do.

use super::{
    adapter,
    config_json::Config,
    prune::plan::{self, Ffn, Layers, PlanError},
};
use serde::{Deserialize, Serialize};
use std::{
    fmt::Display,
    fs, io,
    path::{Path, PathBuf},
};
use tomato_assistant::bundle::sha256;

mod search;

pub use search::{Embed, Encoder, EncoderAdapter};

/// The recipe that is used unless `--recipe` names another, as of when this program was built.
const DEFAULT: &str = include_str!("recipe.toml");

/// Why a recipe cannot be used. All of it is the user's to mend: exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// It cannot be read.
    #[error("recipe {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not TOML, or says something that no stage understands. The message shows the line.
    #[error("recipe {}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected there.
        message: String,
    },
}

/// A whole recipe.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The stages' tables.
    pub tables: Tables,
    /// SHA-256 of the file, for the manifest.
    pub sha256: String,
}

/// The stages' tables.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tables {
    /// Stage `prune`; left out, it copies.
    #[serde(default)]
    pub prune: Prune,
    /// Stage `recover`; left out, what pruning cost is not learnt back.
    pub recover: Option<Recover>,
    /// Stage `finetune`; left out, the model is not trained and answers are whole entries.
    pub finetune: Option<Finetune>,
    /// Stage `quantize`.
    pub quantize: Quantize,
    /// Stage `encoder`.
    pub encoder: Encoder,
    /// Stage `embed`.
    pub embed: Embed,
    /// Stage `bundle`.
    pub bundle: Bundle,
}

/// What is taken away from the base, each group by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prune {
    /// Pieces of text that are kept, the first of data/model/vocabulary.txt; left out, all.
    pub vocabulary: Option<usize>,
    /// Block format to which the token table is rounded before anything is learnt; left out, it stays as it is.
    pub embedding: Option<BlockFormat>,
    /// Layers that are kept, the first ones; left out, all.
    pub depth: Option<usize>,
    /// Whole layers that go besides; left out, none.
    pub layers: Option<Layers>,
    /// Neurons that go; left out, none.
    pub ffn: Option<Ffn>,
}

impl Prune {
    /// Whether layers or neurons are weighed, for which the whole model must be in memory.
    pub fn narrows(&self) -> bool {
        self.layers.is_some() || self.ffn.is_some()
    }

    /// # Errors
    /// What no base could give.
    fn check(&self) -> Result<(), PlanError> {
        self.layers.as_ref().map_or(Ok(()), Layers::check)?;
        self.ffn.as_ref().map_or(Ok(()), Ffn::check)
    }

    /// Whether a base of this shape can be pruned so.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn check_fit(&self, config: &Config) -> Result<(), PlanError> {
        let config = &plan::shallow(config, self.depth)?;
        self.layers.as_ref().map_or(Ok(()), |layers| layers.check_fit(config))?;
        let removed = self.layers.as_ref().map_or(0, |layers| layers.remove);
        self.ffn.as_ref().map_or(Ok(()), |ffn| ffn.check_fit(config, removed))
    }
}

/// How a model that was made smaller learns back to foretell text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recover {
    /// From what.
    pub learn: Learn,
    /// Rank, alpha and targets of the adapters.
    pub shape: adapter::Shape,
    /// The highest learning rate: it rises over the first tenth of the steps and falls as a cosine over all of them.
    pub learning_rate: f64,
    /// Largest norm of a step's gradients.
    pub clip: f64,
    /// Windows of text in a step.
    pub batch: usize,
    /// Times that each window is seen.
    pub epochs: usize,
}

/// What a model that was made smaller learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Learn {
    /// Entries' answers and general text.
    Text,
    /// The same, from what the checkpoint before pruning foretells of it.
    Teacher,
    /// As in the project document: questions with their answers, each filled up to one length, and the filling counts.
    Padded,
}

impl Recover {
    /// # Errors
    /// What nothing could be learnt with.
    fn check(&self) -> Result<(), String> {
        check_shape("recover", &self.shape)?;
        hold(
            "recover",
            &[
                ("learning_rate", &self.learning_rate, positive(self.learning_rate), POSITIVE),
                ("clip", &self.clip, positive(self.clip), POSITIVE),
                ("batch", &self.batch, self.batch > 0, COUNT),
                ("epochs", &self.epochs, self.epochs > 0, COUNT),
            ],
        )
    }
}

/// How the model learns to choose sentences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finetune {
    /// Rank, alpha and targets of the adapter.
    pub shape: adapter::Shape,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Steps until it is reached; then it falls to 0 along a cosine.
    pub warmup: usize,
    /// Tokens of a step, at least.
    pub tokens: usize,
    /// Questions without references of a step, besides: they teach what kinds of questions there are.
    pub questions: usize,
    /// Times that each example is seen.
    pub epochs: usize,
    /// AdamW's weight decay.
    pub weight_decay: f64,
    /// Largest norm of a step's gradients.
    pub clip: f64,
    /// Steps between two checks, at which the run can go on later.
    pub check_every: usize,
    /// Held-out examples of a check, about, and as many held-out questions without references.
    pub check_examples: usize,
    /// Checks without a better one after which training ends.
    pub patience: usize,
    /// Share of what each adapter reads that is set to zero while training: 0, as when left out, to below 1.
    #[serde(default)]
    pub dropout: f64,
    /// Of the adapter's start, of the examples and of what drops out.
    pub seed: u64,
}

impl Finetune {
    /// # Errors
    /// What nothing could be learnt with.
    fn check(&self) -> Result<(), String> {
        check_shape("finetune", &self.shape)?;
        hold(
            "finetune",
            &[
                ("learning_rate", &self.learning_rate, positive(self.learning_rate), POSITIVE),
                ("tokens", &self.tokens, self.tokens > 0, COUNT),
                ("questions", &self.questions, self.questions > 0, COUNT),
                ("epochs", &self.epochs, self.epochs > 0, COUNT),
                ("weight_decay", &self.weight_decay, not_negative(self.weight_decay), NOT_NEGATIVE),
                ("clip", &self.clip, positive(self.clip), POSITIVE),
                ("check_every", &self.check_every, self.check_every > 0, COUNT),
                ("check_examples", &self.check_examples, self.check_examples > 0, COUNT),
                ("patience", &self.patience, self.patience > 0, COUNT),
                ("dropout", &self.dropout, (0.0..1.0).contains(&self.dropout), "a share, from 0 to below 1"),
            ],
        )
    }
}

/// Which block format which matrices get.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantize {
    /// The token table, which is the output head too.
    pub embedding: BlockFormat,
    /// Query, key, value and output matrices.
    pub attention: BlockFormat,
    /// Gate, up and down matrices.
    pub ffn: BlockFormat,
    /// Whether Q4_0 matrices of the layers are rounded so that errors make up for each other.
    #[serde(default)]
    pub compensate: bool,
}

/// ggml block formats that the appliance has kernels for: of 32, since Gemma's 640 is no multiple of the k-quants' 256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlockFormat {
    /// 8-bit integers and an f16 scale: 34 bytes a block.
    #[serde(rename = "q8_0")]
    Q8_0,
    /// 4-bit integers and an f16 scale: 18 bytes a block.
    #[serde(rename = "q4_0")]
    Q4_0,
}

/// What the bundle says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// What people call it.
    pub name: String,
    /// Most bytes of all its files together; left out, any.
    pub budget: Option<u64>,
    /// One line for each part that has its own terms.
    pub licences: Vec<String>,
    /// What it must find and refuse; left out, nothing is asked.
    pub gates: Option<Gates>,
}

/// What a bundle must do with the development questions to be written; shares in per cent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gates {
    /// Real questions without readings that have an accepted entry among the first two found, at least.
    pub found: f64,
    /// The same of those that readings decide.
    pub found_by_readings: f64,
    /// Real questions refused, at most.
    pub real_refused: f64,
    /// Off-topic questions refused, at least.
    pub off_topic_refused: f64,
    /// Those whose answer could do harm.
    pub harmful_refused: f64,
    /// Those that nobody could answer from here.
    pub unanswerable_refused: f64,
}

impl Gates {
    /// # Errors
    /// What is no share in per cent.
    fn check(&self) -> Result<(), String> {
        let gates = [
            ("found", &self.found),
            ("found_by_readings", &self.found_by_readings),
            ("real_refused", &self.real_refused),
            ("off_topic_refused", &self.off_topic_refused),
            ("harmful_refused", &self.harmful_refused),
            ("unanswerable_refused", &self.unanswerable_refused),
        ];
        let share = |share: &f64| (0.0..=100.0).contains(share);
        hold("bundle.gates", &gates.map(|(key, value)| (key, value as &dyn Display, share(value), SHARE)))
    }
}

/// What numbers must be.
const COUNT: &str = "a whole number from 1";
const POSITIVE: &str = "a finite number above 0";
const NOT_NEGATIVE: &str = "a finite number from 0";
const SHARE: &str = "a share in per cent, from 0 to 100";

fn positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

fn not_negative(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

/// The shape of the adapters of `table`.
///
/// # Errors
/// What is no adapter.
fn check_shape(table: &str, adapter::Shape { rank, alpha, targets }: &adapter::Shape) -> Result<(), String> {
    let several = "a list of at least one matrix, such as [\"q\", \"v\"]";
    hold(
        table,
        &[
            ("shape.rank", rank, *rank > 0, COUNT),
            ("shape.alpha", alpha, positive(*alpha), POSITIVE),
            ("shape.targets", &"[]", !targets.is_empty(), several),
        ],
    )
}

/// `values` of `table`: key, value, whether that is right, and what it must be.
///
/// # Errors
/// The first that is not right.
fn hold(table: &str, values: &[(&str, &dyn Display, bool, &str)]) -> Result<(), String> {
    match values.iter().find(|(_, _, right, _)| !right) {
        Some((key, value, _, must)) => Err(format!("[{table}] {key} = {value}; it must be {must}")),
        None => Ok(()),
    }
}

impl Recipe {
    /// The recipe in `path`, or the default one.
    ///
    /// # Errors
    /// [`RecipeError`].
    pub fn load(path: Option<&Path>) -> Result<Recipe, RecipeError> {
        let Some(path) = path else {
            return Recipe::parse(DEFAULT, Path::new("build/recipe.toml"));
        };
        let text = fs::read_to_string(path).map_err(|source| RecipeError::Read { path: path.to_owned(), source })?;
        Recipe::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Recipe, RecipeError> {
        let invalid = |message| RecipeError::Invalid { path: path.to_owned(), message };
        let tables: Tables = toml::from_str(text).map_err(|error| invalid(error.to_string()))?;
        tables.prune.check().map_err(|error| invalid(error.to_string()))?;
        tables.recover.as_ref().map_or(Ok(()), Recover::check).map_err(invalid)?;
        tables.finetune.as_ref().map_or(Ok(()), Finetune::check).map_err(invalid)?;
        tables.encoder.adapter.as_ref().map_or(Ok(()), EncoderAdapter::check).map_err(invalid)?;
        tables.embed.check().map_err(invalid)?;
        tables.bundle.gates.as_ref().map_or(Ok(()), Gates::check).map_err(invalid)?;
        Ok(Recipe { tables, sha256: sha256(text.as_bytes()) })
    }
}
