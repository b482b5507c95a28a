//! `pipeline bench`: this engine and llama.cpp on the same file, in turn, every run in a process of its own.
//!
//! Turns a model file into a table of medians with their spread. A run tells when it begins and when its first token is
//! there; this process holds the clock. Does NOT judge: no figure is too slow.

use clap::value_parser;
use serde::{Deserialize, Serialize};
use std::{
    env,
    ffi::OsString,
    fmt::Write as _,
    fs,
    io::{self, BufRead, BufReader, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Instant,
};
use tomato_assistant::{
    bundle::{Bundle, BundleError, TOKENIZER, default_dir},
    engine::{Engine, EngineError, Limits},
    stats::Memory,
};

/// Tokens read, cut from [`prompt`].
const TOKENS: usize = 256;

/// Tokens generated after them, greedily.
const DECODE: usize = 64;

/// What llama.cpp's run executes.
const LLAMA: &str = include_str!("bench_llama.py");

/// More than [`TOKENS`] tokens, the same for both. Counting: greedy stories soon repeat themselves, which ends this
/// engine's run, but numbers go on.
fn prompt() -> String {
    let numbers: Vec<_> = (100..200).map(|number| number.to_string()).collect();
    format!("The crates are numbered: {}", numbers.join(" "))
}

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// A Python that has llama-cpp-python; only this engine is measured if left out
    #[arg(long, value_name = "PYTHON")]
    llama: Option<PathBuf>,
    /// Runs of each engine
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
    runs: u32,
    /// Threads of each engine
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u32).range(1..))]
    threads: u32,
    /// Model with its tokenizer.json beside it; the installed bundle's if left out
    #[arg(long, value_name = "FILE.gguf")]
    model: Option<PathBuf>,
}

/// One run, as a process of its own.
#[derive(Clone, Debug, clap::Args)]
pub struct Once {
    model: PathBuf,
    tokenizer: PathBuf,
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// There is no installed bundle to measure.
    #[error("{0}. Give --model FILE.gguf, or make a bundle with `pipeline run`")]
    Bundle(#[from] BundleError),
    /// A file cannot be looked at, or a program cannot be started.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// This engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A run did not come to its end.
    #[error("{who} failed ({status}); what it said stands above{advice}")]
    Failed {
        /// Which engine.
        who: &'static str,
        /// How its process ended.
        status: ExitStatus,
        /// What may help.
        advice: &'static str,
    },
    /// A run ended well and told something else.
    #[error("{0} did not tell what it measured")]
    Silent(&'static str),
    /// Figures for different work say nothing.
    #[error(
        "the two engines read different tokens from the same text: the tokenizer.json is not the one of this model"
    )]
    Tokens,
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BenchError + '_ {
    move |source| BenchError::Io { path: path.to_owned(), source }
}

/// What one run measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// From opening the file to the first token, seconds; held by the parent's clock.
    #[serde(default)]
    pub cold_s: f64,
    /// The tokens read.
    pub ids: Vec<u32>,
    /// Tokens generated.
    pub decoded: usize,
    /// Tokens read per second.
    pub prefill: f64,
    /// Tokens generated per second, after the first.
    pub decode: f64,
    /// Resident before the model was opened, MiB: the program itself.
    pub before_mib: f64,
    /// Resident at the end, MiB.
    pub rss_mib: f64,
    /// Highest ever, MiB.
    pub peak_mib: f64,
}

/// Median, lowest and highest of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle one; the mean of the two middle ones of an even number.
    pub median: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl Spread {
    /// None without values.
    pub fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        Some(Spread { median, min, max })
    }
}

/// Name, value of a run, digits after the point.
type Row = (&'static str, fn(&Run) -> f64, usize);

const ROWS: [Row; 7] = [
    ("cold start to first token, s", |run| run.cold_s, 2),
    ("prefill, tokens/s", |run| run.prefill, 1),
    ("decode, tokens/s", |run| run.decode, 1),
    ("tokens decoded", |run| run.decoded as f64, 0),
    ("RSS before the model, MiB", |run| run.before_mib, 0),
    ("RSS, MiB", |run| run.rss_mib, 0),
    ("peak RSS, MiB", |run| run.peak_mib, 0),
];

/// Both engines side by side; a dash where there are no runs.
pub fn table(ours: &[Run], theirs: &[Run]) -> String {
    let mut text = format!("{:<30} {:>24} {:>24}\n", "median (lowest–highest)", "this engine", "llama.cpp");
    for (name, value, digits) in ROWS {
        let cell = |runs: &[Run]| match Spread::of(&runs.iter().map(value).collect::<Vec<_>>()) {
            Some(Spread { median, min, max }) => format!("{median:.digits$} ({min:.digits$}–{max:.digits$})"),
            None => "-".into(),
        };
        let _ = writeln!(text, "{name:<30} {:>24} {:>24}", cell(ours), cell(theirs));
    }
    text
}

/// Measures; tells each run on standard error. The report, ready to print.
///
/// # Errors
/// [`BenchError`].
pub fn run(options: &Options) -> Result<String, BenchError> {
    let model = match &options.model {
        Some(model) => model.clone(),
        None => Bundle::open(&default_dir()?)?.model(),
    };
    let tokenizer = model.with_file_name(TOKENIZER);
    let megabytes = |path: &Path| fs::metadata(path).map(|found| found.len() as f64 / 1e6).map_err(at(path));
    let sizes = (megabytes(&model)?, megabytes(&tokenizer)?);
    let load = load();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 1..=options.runs {
        eprintln!("run {number} of {}", options.runs);
        ours.push(run_ours(&model, &tokenizer, options.threads)?);
        if let Some(python) = &options.llama {
            theirs.push(run_llama(python, &model, options.threads)?);
        }
    }
    if ours.iter().chain(&theirs).any(|run| run.ids != ours[0].ids || run.ids.len() != TOKENS) {
        return Err(BenchError::Tokens);
    }
    let arguments: Vec<_> = env::args().skip(1).collect();
    Ok(format!(
        "pipeline {}\n{}; {} threads; load before: {load}\n{} runs of each in turn, each a new process; {TOKENS} tokens \
         read, up to {DECODE} generated greedily\n\n{}{:<30} {:>24} {:>24}\n\nCold start: model file in the page cache; \
         from opening it, when the program (for llama.cpp: Python) is ready.\nMB = 10^6 bytes, MiB = 2^20. This engine \
         also reads {TOKENIZER}, {:.1} MB. RSS of llama.cpp contains Python's.\n",
        arguments.join(" "),
        processor(),
        options.threads,
        options.runs,
        table(&ours, &theirs),
        "model file, MB",
        format!("{:.1}", sizes.0),
        if theirs.is_empty() { "-" } else { "the same" },
        sizes.1
    ))
}

/// The measured run of this engine: begins, answers, tells on `out`.
///
/// # Errors
/// [`BenchError`].
pub fn once(run: &Once, out: &mut impl Write) -> Result<(), BenchError> {
    let told = |result: io::Result<()>| result.map_err(at(Path::new("standard output")));
    let before_mib = Memory::now().rss_mib;
    told(writeln!(out, "begin").and_then(|()| out.flush()))?;
    let mut engine = Engine::open(&run.model, &run.tokenizer)?;
    let mut ids = engine.encode(&prompt())?;
    ids.truncate(TOKENS);
    let mut answer = |tokens| engine.generate(&ids, &Limits { tokens, stops: vec![] }, |_| ControlFlow::Continue(()));
    answer(1)?;
    told(writeln!(out, "first").and_then(|()| out.flush()))?;
    let stats = answer(DECODE)?.stats;
    let measured = Run {
        cold_s: 0.0,
        decoded: stats.tokens,
        prefill: ids.len() as f64 / stats.time_to_first_token.as_secs_f64(),
        decode: stats.tokens_per_second(),
        before_mib,
        rss_mib: stats.memory.rss_mib,
        peak_mib: stats.memory.peak_mib,
        ids,
    };
    let json = serde_json::to_string(&measured).expect("numbers always serialize");
    told(writeln!(out, "{json}"))
}

fn run_ours(model: &Path, tokenizer: &Path, threads: u32) -> Result<Run, BenchError> {
    let program = env::current_exe().map_err(at(Path::new("this program")))?;
    let mut command = Command::new(&program);
    // Both the kernels and candle's dense products take their number of threads from here.
    command.env("RAYON_NUM_THREADS", threads.to_string()).arg("bench-once").args([model, tokenizer]);
    measure(command, &program, "this engine", "")
}

fn run_llama(python: &Path, model: &Path, threads: u32) -> Result<Run, BenchError> {
    let mut command = Command::new(python);
    let numbers = [threads as usize, TOKENS, DECODE].map(|number| OsString::from(number.to_string()));
    command.args(["-c", LLAMA]).arg(model).args(numbers);
    measure(command, python, "llama.cpp", ". Does this Python have llama-cpp-python?")
}

/// Runs a process that tells `begin`, `first` and its figures.
fn measure(mut command: Command, program: &Path, who: &'static str, advice: &'static str) -> Result<Run, BenchError> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(at(program))?;
    if let Some(mut input) = child.stdin.take() {
        // One that died already says so by its status; this engine knows the prompt and does not read.
        let _ = input.write_all(prompt().as_bytes());
    }
    let (mut begin, mut cold_s, mut told) = (None, None, None);
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        let line = line.map_err(at(program))?;
        match line.as_str() {
            "begin" => begin = Some(Instant::now()),
            "first" => cold_s = begin.map(|begin| begin.elapsed().as_secs_f64()),
            other => told = serde_json::from_str::<Run>(other).ok().or(told),
        }
    }
    let status = child.wait().map_err(at(program))?;
    if !status.success() {
        return Err(BenchError::Failed { who, status, advice });
    }
    let (Some(cold_s), Some(run)) = (cold_s, told) else { return Err(BenchError::Silent(who)) };
    Ok(Run { cold_s, ..run })
}

/// Name of the processor, or of the board, which an ARM kernel tells instead.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
    };
    field("model name").or_else(|| field("Model")).unwrap_or_else(|| env::consts::ARCH.into())
}

/// The load averages of 1, 5 and 15 minutes: figures from a busy machine are worth little.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let averages: Vec<_> = text.split_whitespace().take(3).collect();
    if averages.is_empty() { "unknown".into() } else { averages.join(" ") }
}
