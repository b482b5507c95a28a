//! The pipeline's command line: base model in, installed bundle out. The stages in order, as straight lines.
//!
//! Turns arguments into calls of the stages, their errors into one message and an exit code. Does NOT do any of the
//! work; each stage is a file of its own.

#[path = "stages.rs"]
mod stages;

use clap::{Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use stages::{
    artifact::{Artifact, ArtifactError, Artifacts, Stage, at},
    base::{self, BaseError},
    bench::{self, BenchError},
    bundle::{self, AssembleError, Sources},
    check_data::{self, CheckError},
    import::{self, ImportError, Imported},
    quantize::{self, QuantizeError},
    quickstart::{self, AskError},
    recipe::{Recipe, RecipeError},
    show, size,
    verify::{self, VerifyError},
};
use std::{
    env,
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};
use tomato_assistant::{
    bundle::{Bundle, BundleError, Provenance, default_dir},
    text::{Lang, Msg},
};

/// Makes the bundle that the tomato assistant runs on. Work is kept in target/pipeline and reused.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// From nothing to an answer: fetch, import, quantize, bundle, install, ask
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
        /// Make this stage and all later ones again
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

#[derive(clap::Args)]
struct Choices {
    /// GGUF file or Hugging Face folder of a Gemma 3 text model; Gemma 3 270M is fetched if left out
    #[arg(long, value_name = "PATH")]
    base: Option<PathBuf>,
    /// Recipe; build/recipe.toml if left out
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
}

/// The stages, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Name {
    Import,
    Quantize,
    Bundle,
}

const STAGES: [(Name, Stage); 3] =
    [(Name::Import, import::STAGE), (Name::Quantize, quantize::STAGE), (Name::Bundle, bundle::STAGE)];

/// Why the pipeline stopped.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    #[error(transparent)]
    Base(#[from] BaseError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    #[error("{}", Lang::En.say(&Msg::Bundle(.0)))]
    Install(#[from] BundleError),
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("the question got no answer")]
    NoAnswer,
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error(transparent)]
    Bench(#[from] BenchError),
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

fn main() -> ExitCode {
    // For panics, which are faults of the program. Failures are told in one sentence.
    if let Err(report) = color_eyre::install() {
        eprintln!("pipeline: {report}");
    }
    let result = match Arguments::parse().command {
        Command::Quickstart { question, choices } => ask(&question, &choices),
        Command::Run { choices, from, until } => make(&choices, from, until).map(drop),
        Command::Show { recipe } => print_table(recipe.as_deref()),
        Command::CheckData { verbose } => {
            check_data::run(Path::new("."), verbose, &mut io::stdout()).map_err(Failure::from)
        }
        Command::Bench(options) => bench::run(&options).map_err(Failure::from).and_then(|report| print(&report)),
        Command::BenchOnce(run) => bench::once(&run, &mut io::stdout()).map_err(Failure::from),
        Command::Verify { base } => compare(base.as_deref()),
    };
    if let Err(failure) = &result {
        log::error!("{failure}");
        eprintln!("pipeline: {failure}");
    }
    exit_code(&result)
}

/// 0 done, 1 failed, 2 wrong use or recipe; clap exits with 2 for wrong arguments.
fn exit_code(result: &Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(_) | Failure::Recipe(_)) => ExitCode::from(2),
        Err(_) => ExitCode::FAILURE,
    }
}

fn ask(question: &str, choices: &Choices) -> Result<(), Failure> {
    if question.trim().is_empty() {
        return Err(Failure::Usage(Lang::En.say(&Msg::EmptyQuestion)));
    }
    match make(choices, None, None)? {
        Some(installed) if !quickstart::answer(question, &installed)? => Err(Failure::NoAnswer),
        _ => Ok(()),
    }
}

/// Runs the stages, makes those `from` on again, stops after `until`. The installed bundle, if it got that far.
fn make(choices: &Choices, from: Option<Name>, until: Option<Name>) -> Result<Option<Bundle>, Failure> {
    let recipe = Recipe::load(choices.recipe.as_deref())?;
    let tables = &recipe.tables;
    // Before the download, not after it.
    let sources = Sources::find(Path::new("."))?;
    let folder = folder();
    let artifacts = Artifacts::open(&folder)?;
    start_log(&folder.join("log.txt"))?;
    for (_, stage) in STAGES.iter().filter(|(name, _)| from.is_some_and(|from| *name >= from)) {
        artifacts.discard(stage)?;
    }

    let progress = bar("fetch");
    let base = base::locate(choices.base.as_deref(), &progress)?;
    progress.finish_and_clear();

    let checkpoint = artifacts.produce(&import::STAGE, base.origin.clone(), |out| {
        let imported = import::run(&base.base, out, &bar("import"))?;
        describe(&imported);
        Ok::<(), Failure>(())
    })?;
    report(&import::STAGE, &checkpoint);
    if until == Some(Name::Import) {
        return Ok(None);
    }

    let model = artifacts.produce(&quantize::STAGE, quantize::origin(&tables.quantize, &checkpoint), |out| {
        quantize::run(&tables.quantize, &checkpoint.dir, out, &bar("quantize")).map_err(Failure::from)
    })?;
    report(&quantize::STAGE, &model);
    if until == Some(Name::Quantize) {
        return Ok(None);
    }

    let provenance = Provenance {
        base_model_sha256: base::content_sha256(&base.origin),
        base_model_name: base.name,
        recipe_sha256: recipe.sha256,
        tool_version: env!("CARGO_PKG_VERSION").into(),
    };
    let origin = bundle::origin(&tables.bundle, &provenance, &model, &sources);
    let built = artifacts.produce(&bundle::STAGE, origin, |out| {
        bundle::run(&tables.bundle, &provenance, &model, &sources, out).map_err(Failure::from)
    })?;
    report(&bundle::STAGE, &built);
    if until == Some(Name::Bundle) {
        return Ok(None);
    }

    let installed = quickstart::install(&built.dir, &default_dir()?)?;
    eprintln!("installed: {}", installed.dir().display());
    Ok(Some(installed))
}

fn print_table(recipe: Option<&Path>) -> Result<(), Failure> {
    print(&show::table(&folder(), &Recipe::load(recipe)?, Path::new("."))?)
}

fn compare(base: Option<&Path>) -> Result<(), Failure> {
    let progress = bar("fetch");
    let base = base::locate(base, &progress)?;
    progress.finish_and_clear();
    Ok(verify::run(&base, &mut io::stdout())?)
}

fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        // `pipeline show | head -1` is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written.map_err(at(Path::new("standard output")))?),
    }
}

/// Where stages leave their folders: beside what cargo builds.
fn folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from).join("pipeline")
}

/// Begins `path` anew: it tells of the last run only.
fn start_log(path: &Path) -> Result<(), ArtifactError> {
    let file = File::create(path).map_err(at(path))?;
    // Fails when there is a logger already, which this program does not have.
    let _ = simplelog::WriteLogger::init(log::LevelFilter::Info, simplelog::Config::default(), file);
    Ok(())
}

fn describe(imported: &Imported) {
    let Imported { config, parameters, bytes, golden_texts } = imported;
    let line = format!(
        "{:.1} M parameters in {} layers, {:.2} MiB as f32 ({bytes} bytes with header); {golden_texts} texts give the \
         token ids of two other tokenizers",
        *parameters as f64 / 1e6,
        config.num_hidden_layers,
        size::mebibytes_f32(config)
    );
    log::info!("{line}");
    eprintln!("{line}");
}

fn report(stage: &Stage, artifact: &Artifact) {
    let megabytes = artifact.bytes() as f64 / 1e6;
    let how = if artifact.reused { "up to date".into() } else { format!("made in {:.1} s", artifact.record.seconds) };
    eprintln!("{:<10} {how}, {megabytes:.0} MB", stage.folder());
}

/// A bar that counts bytes, on standard error; nothing when that is no terminal.
fn bar(name: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:<10} [{wide_bar}] {bytes}/{total_bytes} {eta}")
        .expect("the template has no other keys than indicatif's own");
    ProgressBar::new(0).with_style(style).with_prefix(name)
}
