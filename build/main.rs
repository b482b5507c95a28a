//! The pipeline's command line: base model in, installed bundle out. The stages in order, as straight lines.
//!
//! Turns arguments into calls of the stages, their errors into one message and an exit code. Does NOT do any of the
//! work; each stage is a file of its own.

#[path = "stages.rs"]
mod stages;

use clap::Parser;
use stages::{
    adapter,
    arguments::{Arguments, Choices, Command, Name, between},
    artifact::{ArtifactError, Artifacts, at, finished},
    base, bench,
    bundle::{self, Parts},
    check_data,
    checkpoint::TENSORS,
    compare,
    console::{
        bar, counter, describe, describe_encoder, describe_pruned, describe_recovery, describe_step, describe_training,
        report, share, tokens,
    },
    device, embed,
    encoder::{self, Reference},
    encoder_base, evaluate,
    failure::{Failure, exit_code},
    finetune, import, loss, merge,
    prune::{self, Watch, record::Step},
    quantize, quickstart, ranking,
    recipe::Recipe,
    recover, retrieval, show,
    sources::{ENCODER_ADAPTER, Sources},
    tune::{self, Lessons},
    verify,
};
use std::{
    env,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};
use tomato_assistant::{
    bundle::{Bundle, Provenance, default_dir},
    text::{Lang, Msg},
    threads,
};

fn main() -> ExitCode {
    // For panics, which are faults of the program. Failures are told in one sentence.
    if let Err(report) = color_eyre::install() {
        eprintln!("pipeline: {report}");
    }
    threads::one();
    let result = match Arguments::parse().command {
        Command::Quickstart { question, choices } => ask(&question, &choices),
        Command::Run { choices, from, until } => make(&choices, from, until).map(drop),
        Command::Show { recipe } => print_table(recipe.as_deref()),
        Command::CheckData { verbose } => {
            check_data::run(Path::new("."), verbose, &mut io::stdout()).map_err(Failure::from)
        }
        Command::Retrieval { recipe } => measure(recipe.as_deref()),
        Command::Evaluate { set, bundle, answers } => score(set, bundle, answers.as_deref()),
        Command::Compare { checkpoint, device } => compare_ways(checkpoint, device),
        Command::Loss { folder, texts, device } => foretell(&folder, &texts, device),
        Command::Vocabulary { words, rows } => {
            let checkpoint = folder().join(import::STAGE.folder());
            ranking::run(&checkpoint, Path::new("."), &words, rows).map_err(Failure::from).and_then(|list| print(&list))
        }
        Command::Tune { recipe, encoder, device } => tune_encoder(recipe.as_deref(), encoder.as_deref(), device),
        Command::Bench(options) => bench::run(&options).map_err(Failure::from).and_then(|report| print(&report)),
        Command::BenchOnce(run) => bench::once(&run, &mut io::stdout()).map_err(Failure::from),
        Command::Verify { base } => verify_model(base.as_deref()),
    };
    if let Err(failure) = &result {
        log::error!("{failure}");
        eprintln!("pipeline: {failure}");
    }
    exit_code(&result)
}

/// The adapter is whole in a folder of its own before it takes the place of the one that was there.
fn tune_encoder(recipe: Option<&Path>, encoder: Option<&Path>, device: device::Kind) -> Result<(), Failure> {
    let device = device::open(device)?;
    let tables = Recipe::load(recipe)?.tables;
    let Some(table) = &tables.encoder.adapter else {
        return Err(Failure::Usage("the recipe has no table [encoder.adapter]".into()));
    };
    let (sources, folder) = (Sources::find(Path::new("."))?, folder());
    // Nobody else may write there meanwhile.
    let _artifacts = Artifacts::open(&folder)?;
    let out = folder.join("tune");
    fs::create_dir_all(&out).map_err(at(&out))?;
    start_log(&folder.join("log.txt"))?;
    let progress = bar("fetch");
    let base = encoder_base::locate(encoder, &progress)?;
    progress.finish_and_clear();
    let dense = encoder::dense(&tables.encoder, &base, &sources, &out)?;
    let (knowledge, refused) = (sources.searched()?, sources.refused()?);
    let origin = tune::origin(&tables.encoder, &base, &sources);
    let lessons = Lessons { entries: knowledge.entries(), refused: &refused, origin };
    tune::run(table, dense, &lessons, &base, (&folder, &out), &device, &counter("tune"))?;
    let shipped = sources.path(ENCODER_ADAPTER);
    let shipped = shipped.parent().unwrap_or(&shipped);
    fs::create_dir_all(shipped).map_err(at(shipped))?;
    for name in [adapter::WEIGHTS, adapter::CONFIG] {
        fs::copy(out.join(name), shipped.join(name)).map_err(at(&shipped.join(name)))?;
    }
    fs::remove_dir_all(&out).map_err(at(&out))?;
    Ok(tune::forget(&folder)?)
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

/// Runs the stages up to `until`, makes those `from` on again. The installed bundle, if it got that far.
fn make(choices: &Choices, from: Option<Name>, until: Option<Name>) -> Result<Option<Bundle>, Failure> {
    let again = between(from, until).map_err(Failure::Usage)?;
    let recipe = Recipe::load(choices.recipe.as_deref())?;
    let (tables, device) = (&recipe.tables, device::open(choices.device)?);
    let lacks = |name| match name {
        Name::Recover => tables.recover.is_none(),
        Name::Finetune | Name::Merge => tables.finetune.is_none(),
        _ => false,
    };
    if [from, until].into_iter().flatten().any(lacks) {
        return Err(Failure::Usage(
            "the recipe has no table for that stage; name another one, or add the table".into(),
        ));
    }
    // Before the download, not after it.
    let sources = Sources::find(Path::new("."))?;
    let folder = folder();
    let mut artifacts = Artifacts::open(&folder)?;
    artifacts.make_again(&again);
    start_log(&folder.join("log.txt"))?;

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

    let pruned = artifacts.produce(&prune::STAGE, prune::origin(&tables.prune, &checkpoint, &sources), |out| {
        let (bytes, work) = (bar("prune"), share("prune"));
        let step = |step: &Step| work.suspend(|| describe_step(step));
        let watch = Watch { bytes: &bytes, work: &work, step: &step };
        let pruned = prune::run(&tables.prune, &checkpoint.dir, &sources, out, &watch)?;
        describe_pruned(&pruned);
        Ok::<(), Failure>(())
    })?;
    report(&prune::STAGE, &pruned);
    if until == Some(Name::Prune) {
        return Ok(None);
    }

    let pruned = match &tables.recover {
        Some(table) => {
            let both = (&checkpoint, &pruned);
            let recovered = artifacts.produce(&recover::STAGE, recover::origin(table, both, &sources), |out| {
                recover::make(table, both, &sources, (&folder, out), &device, &counter("recover"))
                    .map(describe_recovery)
            })?;
            recover::forget(&folder)?;
            report(&recover::STAGE, &recovered);
            recovered
        }
        None => pruned,
    };
    if until == Some(Name::Recover) {
        return Ok(None);
    }

    let checkpoint = match &tables.finetune {
        Some(table) => {
            // What was trained here stays, for an hour of training must not be undone by asking a question.
            let trained = finetune::origin(table, &pruned, &sources, true);
            let stays = !again.iter().any(|stage| stage.number == finetune::STAGE.number);
            let here = finished(&folder, &finetune::STAGE).is_some_and(|made| made.record.origin == trained);
            let train = choices.train || here && stays;
            let origin = finetune::origin(table, &pruned, &sources, train);
            let adapter = artifacts.produce(&finetune::STAGE, origin, |out| match train {
                true => finetune::train(table, &pruned, &sources, (&folder, out), &device, &tokens("finetune"))
                    .map(describe_training),
                false => finetune::take(&pruned, &sources, out),
            })?;
            if train {
                finetune::forget(&folder)?;
            }
            report(&finetune::STAGE, &adapter);
            if until == Some(Name::Finetune) {
                return Ok(None);
            }
            let merged = artifacts.produce(&merge::STAGE, merge::origin(&pruned, &adapter), |out| {
                merge::run(&pruned, &adapter.dir, out, &bar("merge"))
            })?;
            report(&merge::STAGE, &merged);
            merged
        }
        None => pruned,
    };
    if matches!(until, Some(Name::Finetune | Name::Merge)) {
        return Ok(None);
    }

    let model =
        artifacts.produce(&quantize::STAGE, quantize::origin(&tables.quantize, &checkpoint, &sources), |out| {
            quantize::run(&tables.quantize, &checkpoint.dir, &sources, out, &bar("quantize")).map_err(Failure::from)
        })?;
    report(&quantize::STAGE, &model);
    if until == Some(Name::Quantize) {
        return Ok(None);
    }

    let progress = bar("fetch");
    let encoder_base = encoder_base::locate(choices.encoder.as_deref(), &progress)?;
    progress.finish_and_clear();

    let origin = encoder::origin(&tables.encoder, &encoder_base, &sources);
    let encoder = artifacts.produce(&encoder::STAGE, origin, |out| {
        let recorded = Reference::recorded();
        let made = encoder::run(&tables.encoder, &encoder_base, &sources, &recorded, out, &bar("encoder"))?;
        describe_encoder(&made);
        Ok::<(), Failure>(())
    })?;
    report(&encoder::STAGE, &encoder);
    if until == Some(Name::Encoder) {
        return Ok(None);
    }

    let vectors = artifacts.produce(&embed::STAGE, embed::origin(&tables.embed, &encoder, &sources), |out| {
        embed::run(&tables.embed, &encoder, &sources, out, &counter("embed")).map_err(Failure::from)
    })?;
    report(&embed::STAGE, &vectors);
    if until == Some(Name::Embed) {
        return Ok(None);
    }

    let provenance = Provenance {
        base_model_sha256: base::content_sha256(&base.origin),
        base_model_name: base.name,
        encoder_sha256: encoder_base.inputs[TENSORS].clone(),
        recipe_sha256: recipe.sha256,
        tool_version: env!("CARGO_PKG_VERSION").into(),
    };
    let parts = Parts { model: &model, encoder: &encoder, vectors: &vectors };
    let origin = bundle::origin(&tables.bundle, &provenance, parts, &sources);
    let built = artifacts.produce(&bundle::STAGE, origin, |out| {
        bundle::run(&tables.bundle, &provenance, parts, &sources, out).map_err(Failure::from)
    })?;
    report(&bundle::STAGE, &built);
    if until == Some(Name::Bundle) {
        return Ok(None);
    }

    let installed = quickstart::install(&built.dir, &default_dir()?)?;
    eprintln!("installed: {}", installed.dir().display());
    Ok(Some(installed))
}

fn foretell(folder: &Path, texts: &[PathBuf], device: device::Kind) -> Result<(), Failure> {
    let device = device::open(device)?;
    print(&loss::run(folder, Path::new("."), texts, &Recipe::load(None)?.tables, &device)?)
}

fn compare_ways(checkpoint: Option<PathBuf>, device: device::Kind) -> Result<(), Failure> {
    let checkpoint = checkpoint.unwrap_or_else(|| folder().join(prune::STAGE.folder()));
    let (device, bar) = (device::open(device)?, counter("compare"));
    Ok(compare::run(&checkpoint, Path::new("."), &folder(), &mut io::stdout(), &device, &bar)?)
}

fn print_table(recipe: Option<&Path>) -> Result<(), Failure> {
    print(&show::table(&folder(), &Recipe::load(recipe)?, Path::new("."))?)
}

fn measure(recipe: Option<&Path>) -> Result<(), Failure> {
    let report = retrieval::run(&folder(), &Recipe::load(recipe)?.tables, Path::new("."))?;
    print(&report.text)?;
    match report.below.is_empty() {
        true => Ok(()),
        false => Err(Failure::Below(report.below.join("; "))),
    }
}

fn score(set: evaluate::Set, bundle: Option<PathBuf>, answers: Option<&Path>) -> Result<(), Failure> {
    let bundle = bundle.unwrap_or_else(|| folder().join(bundle::STAGE.folder()));
    if let Some(answers) = answers {
        let report = evaluate::run_on(answers, &bundle, Path::new("."), set, &counter("evaluate"))?;
        return print(&report.told());
    }
    let report = evaluate::run(&bundle, Path::new("."), set, &folder(), &counter("evaluate"))?;
    print(&report.table())?;
    print(&format!("{}\n{}\n", folder().join(evaluate::REPORT).display(), folder().join(evaluate::PAGE).display()))
}

fn verify_model(base: Option<&Path>) -> Result<(), Failure> {
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
