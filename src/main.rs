//! The assistant: arguments and config to one of the ways to run: screen, one question, a batch of questions, a change of
//! the installed bundle.
//!
//! The only place of the appliance that knows arguments and exit codes.

use clap::Parser;
use std::{
    fs::File,
    io::{self, BufReader, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};
use tomato_assistant::{
    answer::{Answerer, Question},
    bundle::{self, Bundle, BundleError, KNOWLEDGE, TARGETS},
    climate::{Period, Quantity, Reading, Snapshot, Targets, assess},
    config::Config,
    headless::{self, Outcome},
    knowledge::{Category, Knowledge},
    log_file, sensors,
    text::{Lang, Msg},
    threads, tui,
    worker::Worker,
};

/// Answers questions about tomatoes in the greenhouse, offline. Without arguments it opens the screen.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// No screen: answer --ask or --batch and end
    #[arg(long, requires = "input")]
    headless: bool,
    /// The question; the answer goes to standard output, everything about it to standard error
    #[arg(long, value_name = "QUESTION", requires = "headless", group = "input")]
    ask: Option<String>,
    /// Questions, one JSON object a line; answers likewise, in order ("-" reads standard input)
    #[arg(long, value_name = "FILE", requires = "headless", group = "input")]
    batch: Option<PathBuf>,
    /// The answer as one line of JSON
    #[arg(long, requires = "ask", conflicts_with = "batch")]
    json: bool,
    /// How the answer came about: what was read, and how it was judged
    #[arg(long, requires = "ask", conflicts_with = "batch")]
    explain: bool,
    /// Category that the question was asked from, such as disease_management
    #[arg(long, requires = "ask", conflicts_with = "batch", value_parser = category)]
    category: Option<Category>,
    /// Language of the answer: en
    #[arg(long, requires = "headless", value_parser = language)]
    lang: Option<Lang>,
    /// A reading to answer by, such as ec=4.1; may be given several times
    #[arg(long = "reading", value_name = "NAME=VALUE", requires = "ask", conflicts_with = "batch")]
    readings: Vec<String>,
    /// Install the bundle in FOLDER in place of the present one, which is kept for --rollback, and end
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["headless", "rollback"])]
    install: Option<PathBuf>,
    /// Bring back the bundle that the last --install replaced, and end
    #[arg(long, conflicts_with = "headless")]
    rollback: bool,
    /// Settings file, instead of the usual place
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Arguments {
    fn opens_screen(&self) -> bool {
        !self.headless && self.install.is_none() && !self.rollback
    }
}

fn category(name: &str) -> Result<Category, String> {
    let names = Category::ALL.map(Category::name).join(", ");
    Category::from_name(name).ok_or(format!("the categories are {names}"))
}

fn language(name: &str) -> Result<Lang, String> {
    Lang::from_name(name).ok_or(format!("the languages are {}", Lang::ALL.map(Lang::name).join(", ")))
}

/// What the process says to its caller, and the only place where exit codes are chosen.
enum Exit {
    /// Answered, refused, installed, or the screen was left.
    Done,
    /// Something failed; the words say what to do. Empty if that has been said.
    Failed(String),
    /// Wrong arguments or settings; the words say what is right. Empty if that has been said.
    Misused(String),
    /// Ended from outside before the answer was complete.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        let (words, code) = match exit {
            Exit::Done => return ExitCode::SUCCESS,
            Exit::Failed(words) => (words, 1),
            Exit::Misused(words) => (words, 2),
            Exit::Interrupted => return ExitCode::from(1),
        };
        if !words.is_empty() {
            // Standard error may be closed; there is nobody left to tell.
            let _ = writeln!(io::stderr(), "{words}");
        }
        ExitCode::from(code)
    }
}

fn main() -> ExitCode {
    threads::one();
    if let Err(error) = color_eyre::install() {
        return Exit::Failed(error.to_string()).into();
    }
    let arguments = Arguments::parse();
    let exit = run(&arguments).unwrap_or_else(|exit| exit);
    if arguments.opens_screen()
        && let Exit::Failed(words) | Exit::Misused(words) = &exit
    {
        // A greenhouse's panel has no other place to read them; without a terminal, standard error has to do.
        let _ = tui::tell(words, Lang::default());
    }
    exit.into()
}

/// Settings, log, place of the bundle, then one of the ways to run.
fn run(arguments: &Arguments) -> Result<Exit, Exit> {
    let words = Lang::default();
    let config = Config::find(arguments.config.as_deref())
        .map_err(|error| Exit::Misused(words.say(&Msg::ConfigError(&error))))?;
    let lang = arguments.lang.unwrap_or(config.lang);
    let given = given_readings(&arguments.readings, lang)?;
    start_log(&config);
    if let Some(threads) = config.threads {
        // Fails only if a pool exists already, which is not the case this early.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build_global();
    }
    let folder = match &config.bundle {
        Some(folder) => folder.clone(),
        None => bundle::default_dir().map_err(|error| Exit::Failed(no_bundle(&error, lang)))?,
    };
    if arguments.opens_screen() {
        return screen(&config, folder, lang);
    }
    if let Some(from) = &arguments.install {
        return changed(bundle::install(from, &folder), &Msg::Installed(&folder), lang);
    }
    if arguments.rollback {
        return changed(bundle::rollback(&folder), &Msg::RolledBack(&folder), lang);
    }

    let interrupted = interrupted().map_err(|error| Exit::Failed(error.to_string()))?;
    let stopped = || interrupted.load(Ordering::Relaxed);
    let mut answerer = open(&folder, &config, lang).map_err(Exit::Failed)?;
    let (mut out, mut about) = (io::stdout(), io::stderr());
    let outcome = if let Some(file) = &arguments.batch {
        batch(&mut answerer, file, lang, &stopped, &mut out)
    } else {
        let snapshot = measured(&config, given, lang)?;
        let text = arguments.ask.clone().unwrap_or_default();
        let question = Question { text, category: arguments.category, lang, snapshot };
        let ask = if arguments.json { headless::ask_json } else { headless::ask };
        ask(&mut answerer, &question, arguments.explain, &stopped, &mut out, &mut about)
    };
    match outcome {
        Ok(Outcome::Answered) => Ok(Exit::Done),
        Ok(Outcome::Stopped) => Ok(Exit::Interrupted),
        Ok(Outcome::NotAsked) => Ok(Exit::Misused(String::new())),
        Ok(Outcome::Failed) => Ok(Exit::Failed(String::new())),
        // Whoever read the answers has gone: a pipe into `head` is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(Exit::Failed(error.to_string())),
    }
}

/// Why there is no usable bundle: for the log, and in words for the grower.
fn no_bundle(error: &BundleError, lang: Lang) -> String {
    log::error!("{error}");
    lang.say(&Msg::Bundle(error))
}

/// Says how a change of the installed bundle ended.
fn changed(outcome: Result<(), BundleError>, done: &Msg, lang: Lang) -> Result<Exit, Exit> {
    outcome.map_err(|error| Exit::Failed(no_bundle(&error, lang)))?;
    // Done is done, though nobody may be listening.
    let _ = writeln!(io::stdout(), "{}", lang.say(done));
    Ok(Exit::Done)
}

/// The screen, with the worker behind it and the probes beside it. Of the bundle only the entries and the targets must be
/// whole for that, since readings and alarms need no model; the rest is checked, for seconds, behind the screen.
fn screen(config: &Config, folder: PathBuf, lang: Lang) -> Result<Exit, Exit> {
    let unusable = |error: &dyn std::fmt::Display| {
        log::error!("{error}");
        Exit::Failed(lang.say(&Msg::BundleUnusable))
    };
    let read = |name| Bundle::text(&folder, name).map_err(|error| Exit::Failed(no_bundle(&error, lang)));
    // The answerer loads its own: this much less lives beside it.
    let entries = Knowledge::parse(&read(KNOWLEDGE)?).map_err(|error| unusable(&error))?.into_readable();
    let targets = Targets::parse(&read(TARGETS)?).map_err(|error| unusable(&error))?;
    let probes = sensors::open(&config.sensors).map_err(|error| Exit::Misused(lang.say(&Msg::SensorError(&error))))?;
    let poller = sensors::Poller::start(probes, config.poll, config.stale_after)
        .map_err(|error| Exit::Failed(error.to_string()))?;
    let (stage, day, settings) = (config.stage, config.day, config.clone());
    let worker = Worker::start(lang, move || open(&folder, &settings, lang));
    let greenhouse = || {
        let mut snapshot = poller.snapshot();
        snapshot.set_by_clock(sensors::period_now(day));
        let assessment = assess(&snapshot, &targets, stage, Period::of(&snapshot));
        (snapshot, assessment)
    };
    tui::run(worker, entries, greenhouse, lang).map_err(|error| Exit::Failed(error.to_string()))?;
    Ok(Exit::Done)
}

/// Checks the bundle in `folder` and loads the answerer; the error is in words for the grower.
fn open(folder: &Path, config: &Config, lang: Lang) -> Result<Answerer, String> {
    let bundle = Bundle::open(folder).map_err(|error| no_bundle(&error, lang))?;
    Answerer::open(&bundle, config.stage).map_err(|error| {
        log::error!("{error}");
        lang.say(&Msg::CannotOpen(&error))
    })
}

fn batch(
    answerer: &mut Answerer,
    file: &Path,
    lang: Lang,
    stopped: &dyn Fn() -> bool,
    out: &mut dyn Write,
) -> io::Result<Outcome> {
    if file == Path::new("-") {
        return headless::batch(answerer, io::stdin().lock(), lang, stopped, out);
    }
    let input =
        File::open(file).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
    headless::batch(answerer, BufReader::new(input), lang, stopped, out)
}

/// The `--reading` values.
fn given_readings(readings: &[String], lang: Lang) -> Result<Vec<(Quantity, f32)>, Exit> {
    let parse = |text: &String| {
        Quantity::parse_assignment(text).map_err(|error| Exit::Misused(lang.say(&Msg::ReadingError(&error))))
    };
    readings.iter().map(parse).collect()
}

/// What the configured probes say now, overruled by the `given` readings.
fn measured(config: &Config, given: Vec<(Quantity, f32)>, lang: Lang) -> Result<Snapshot, Exit> {
    let mut probes =
        sensors::open(&config.sensors).map_err(|error| Exit::Misused(lang.say(&Msg::SensorError(&error))))?;
    let snapshot = Mutex::new(Snapshot::default());
    for probe in &mut probes {
        sensors::poll(probe.as_mut(), &snapshot);
    }
    let mut snapshot = snapshot.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    snapshot.set_by_clock(sensors::period_now(config.day));
    for (quantity, value) in given {
        snapshot.set(quantity, Ok(Reading { value, at: SystemTime::now() }));
    }
    Ok(snapshot)
}

/// A flag that SIGINT, SIGTERM and SIGHUP raise; a second signal ends the process at once.
fn interrupted() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

/// A log that cannot be written must not keep the appliance from answering.
fn start_log(config: &Config) {
    let Some(path) = config.log_file.clone().or_else(log_file::default_path) else { return };
    if let Err(error) = log_file::start(&path, config.log_bytes) {
        let _ = writeln!(io::stderr(), "{}: {error}", path.display());
    }
}
