//! Why the pipeline stopped: the errors of all its parts as one, and the exit code that they make.
//!
//! Does NOT tell them to anybody.

use std::process::ExitCode;
use tomato_assistant::{
    bundle::BundleError,
    text::{Lang, Msg},
};

use super::{
    artifact::ArtifactError, base::BaseError, bench::BenchError, bundle::AssembleError, check_data::CheckError,
    compare::CompareError, device::DeviceError, embed::EmbedError, encoder::EncoderError,
    encoder_base::EncoderBaseError, evaluate::EvaluateError, finetune::FinetuneError, import::ImportError,
    loss::LossError, merge::MergeError, prune::PruneError, quantize::QuantizeError, quickstart::AskError,
    ranking::RankingError, recipe::RecipeError, recover::RecoverError, retrieval::RetrievalError,
    sources::SourcesError, tune::TuneError, verify::VerifyError,
};

/// Why the pipeline stopped; most are of the stage or command of that name.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Wrong arguments.
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Base(#[from] BaseError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Prune(#[from] PruneError),
    #[error(transparent)]
    Recover(#[from] RecoverError),
    #[error(transparent)]
    Finetune(#[from] FinetuneError),
    #[error(transparent)]
    Merge(#[from] MergeError),
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    #[error(transparent)]
    Sources(#[from] SourcesError),
    #[error(transparent)]
    EncoderBase(#[from] EncoderBaseError),
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    #[error(transparent)]
    Tune(#[from] TuneError),
    #[error(transparent)]
    Embed(#[from] EmbedError),
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The bundle cannot be installed.
    #[error("{}", Lang::En.say(&Msg::Bundle(.0)))]
    Install(#[from] BundleError),
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The question got no answer.
    #[error("the question got no answer")]
    NoAnswer,
    #[error(transparent)]
    Loss(#[from] LossError),
    #[error(transparent)]
    Ranking(#[from] RankingError),
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error(transparent)]
    Bench(#[from] BenchError),
    #[error(transparent)]
    Retrieval(#[from] RetrievalError),
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// The bundle is below its gates.
    #[error("on the development questions {0}")]
    Below(String),
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

/// 0 done, 1 failed, 2 wrong use or recipe; clap exits with 2 for wrong arguments.
pub fn exit_code(result: &Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(_) | Failure::Recipe(_) | Failure::Device(_) | Failure::Prune(PruneError::Plan(_))) => {
            ExitCode::from(2)
        }
        Err(_) => ExitCode::FAILURE,
    }
}
