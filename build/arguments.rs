//! The pipeline's arguments: commands, their choices, and the names of the stages.
//!
//! Turns a command line into types, by clap, and a range of names into stages. Does NOT do anything with them.

use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

use super::{
    artifact::Stage, bench, bundle, device, embed, encoder, evaluate, finetune, import, merge, prune, quantize, recover,
};

/// Makes the bundle that the tomato assistant runs on. Work is kept in target/pipeline and reused.
#[derive(Parser)]
#[command(version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Subcommand)]
pub enum Command {
    /// From nothing to an answer: fetch, import, prune, quantize, encoder, embed, bundle, install, ask
    Quickstart {
        /// What a grower would ask
        question: String,
        #[command(flatten)]
        choices: Choices,
    },
    /// The same without a question
    Run {
        #[command(flatten)]
        choices: Choices,
        /// Make this stage and those after it again, up to --until
        #[arg(long, value_name = "STAGE")]
        from: Option<Name>,
        /// Stop after this stage; nothing is installed then
        #[arg(long, value_name = "STAGE")]
        until: Option<Name>,
    },
    /// What is there, and whether it is up to date
    Show {
        /// Recipe to compare with; build/recipe.toml if left out
        #[arg(long, value_name = "FILE")]
        recipe: Option<PathBuf>,
    },
    /// Faults in data/: entries, question sets, coverage list
    CheckData {
        /// Longer lists, and every warning
        #[arg(long)]
        verbose: bool,
    },
    /// How often the built bundle finds the right entry, and refuses what it should
    Retrieval {
        /// Recipe of the bundle; build/recipe.toml if left out
        #[arg(long, value_name = "FILE")]
        recipe: Option<PathBuf>,
    },
    /// What the built bundle answers to the validation and test questions, scored: performance_report.json, report.html
    Evaluate {
        /// Which questions
        #[arg(long, default_value = "all")]
        set: evaluate::Set,
        /// Folder of the bundle; the last one made if left out
        #[arg(long, value_name = "FOLDER")]
        bundle: Option<PathBuf>,
        /// Scores these answers of another system instead (build/baseline.py), to any set but the variants, and writes no report
        #[arg(long, value_name = "FILE")]
        answers: Option<PathBuf>,
    },
    /// What narrower or fewer layers cost, before and after training: the project document's recipe beside ours
    Compare {
        /// Folder of an f32 checkpoint; that of stage prune if left out
        checkpoint: Option<PathBuf>,
        /// What computes
        #[arg(long, default_value = "cpu")]
        device: device::Kind,
    },
    /// How well a model foretells the answers of the held-out entries
    Loss {
        /// A stage's folder: a checkpoint, or the quantized model
        folder: PathBuf,
        /// More texts to measure
        texts: Vec<PathBuf>,
        /// What computes; a quantized model stays on the processor
        #[arg(long, default_value = "cpu")]
        device: device::Kind,
    },
    /// The list of pieces for [prune] vocabulary, to standard output
    Vocabulary {
        /// Lists of words, one a line, the most common first
        #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
        words: Vec<PathBuf>,
        /// Length of the list
        #[arg(long, value_name = "N", default_value_t = 49_152)]
        rows: usize,
    },
    /// Train the sentence encoder's adapter anew, into data/model/encoder
    Tune {
        /// Recipe whose table [encoder.adapter] says how; build/recipe.toml if left out
        #[arg(long, value_name = "FILE")]
        recipe: Option<PathBuf>,
        /// Folder of another BERT sentence encoder
        #[arg(long, value_name = "FOLDER")]
        encoder: Option<PathBuf>,
        /// What computes
        #[arg(long, default_value = "cpu")]
        device: device::Kind,
    },
    /// Speed and memory of this engine, beside llama.cpp on the same file
    Bench(bench::Options),
    /// One run of it, in a process of its own
    #[command(hide = true)]
    BenchOnce(bench::Once),
    /// The model against llama.cpp's recorded answers
    Verify {
        /// The GGUF file they were recorded with; fetched if left out
        #[arg(long, value_name = "FILE")]
        base: Option<PathBuf>,
    },
}

/// What a run starts from.
#[derive(clap::Args)]
pub struct Choices {
    /// GGUF file or Hugging Face folder of a Gemma 3 text model; Gemma 3 270M is fetched if left out
    #[arg(long, value_name = "PATH")]
    pub base: Option<PathBuf>,
    /// Hugging Face folder of a BERT sentence encoder; all-MiniLM-L6-v2 is fetched if left out
    #[arg(long, value_name = "FOLDER")]
    pub encoder: Option<PathBuf>,
    /// Recipe; build/recipe.toml if left out
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// Train the adapter instead of taking that of data/model; an hour or more on two cores
    #[arg(long)]
    pub train: bool,
    /// What computes in --train and in stage recover; everything else is done by the processor
    #[arg(long, default_value = "cpu")]
    pub device: device::Kind,
}

/// The stages, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Name {
    /// Stage `import`.
    Import,
    /// Stage `prune`.
    Prune,
    /// Stage `recover`.
    Recover,
    /// Stage `finetune`.
    Finetune,
    /// Stage `merge`.
    Merge,
    /// Stage `quantize`.
    Quantize,
    /// Stage `encoder`.
    Encoder,
    /// Stage `embed`.
    Embed,
    /// Stage `bundle`.
    Bundle,
}

/// Each with what it leaves.
const STAGES: [(Name, Stage); 9] = [
    (Name::Import, import::STAGE),
    (Name::Prune, prune::STAGE),
    (Name::Recover, recover::STAGE),
    (Name::Finetune, finetune::STAGE),
    (Name::Merge, merge::STAGE),
    (Name::Quantize, quantize::STAGE),
    (Name::Encoder, encoder::STAGE),
    (Name::Embed, embed::STAGE),
    (Name::Bundle, bundle::STAGE),
];

/// The stages that are to be made again: those `from` one on, up to the one that the run stops at. None without `from`.
///
/// # Errors
/// The run would stop before it came to them.
pub fn between(from: Option<Name>, until: Option<Name>) -> Result<Vec<Stage>, String> {
    if from.zip(until).is_some_and(|(from, until)| from > until) {
        return Err("--until stops before the stage of --from, so nothing would be made again; name a later one".into());
    }
    let within = |name: Name| from.is_some_and(|from| name >= from) && until.is_none_or(|until| name <= until);
    Ok(STAGES.into_iter().filter(|(name, _)| within(*name)).map(|(_, stage)| stage).collect())
}
