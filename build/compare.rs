//! `pipeline compare`: what each way of making the model smaller costs, side by side on the same texts, before and after it
//! learns back, and what it answers then.
//!
//! Turns an f32 checkpoint into a table and a picture: the project document's recipe to the letter, ours at the same point,
//! deeper points until it breaks, and fewer layers. No model that it makes is kept.

mod asked;

use candle_core::Device;
use indicatif::ProgressBar;
use std::{fs, io::Write, path::Path};
use tomato_assistant::model::gemma3::Gemma3;

use super::{
    adapter::{self, Matrix, Shape},
    artifact::{ArtifactError, at},
    calibration,
    dense::{Dense, DenseError, WINDOW},
    evaluate::score::ScoreError,
    ffn::{self, Fit, Score},
    finetune::FinetuneError,
    plot::{Axes, Curve, Dot, Picture},
    prune::{
        gate::Gate,
        layers, sensitivity,
        way::{Protect, Seen, Shares, Way, widths},
        yardstick::{Figures, Yardstick, YardstickError},
    },
    questions::QuestionsError,
    recover::{self, Lesson, RecoverError, Recovered},
    sources::{Sources, SourcesError},
};
use asked::{Answers, Questions};

/// The picture.
pub const PICTURE: &str = "compare.svg";

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The checkpoint cannot be used.
    #[error(transparent)]
    Dense(#[from] DenseError),
    /// The repository's files cannot be found.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// There is no text to calibrate with, or to measure on.
    #[error(transparent)]
    Yardstick(#[from] YardstickError),
    /// There is nothing to ask.
    #[error(transparent)]
    Questions(#[from] QuestionsError),
    /// A fact cannot be looked for.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// There is no text to learn back from.
    #[error("text to learn from: {0}")]
    Lessons(#[from] FinetuneError),
    /// A model learns nothing.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// Table or picture cannot be written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The computation failed.
    #[error("the model failed: {0}")]
    Compute(#[from] candle_core::Error),
}

/// How a narrowed model learns back.
#[derive(Debug, PartialEq, Eq)]
enum Learns {
    /// Not at all.
    Nothing,
    /// As the document did: rank 4 on q and v, one padded answer a step, a rate of 0.00002, the padding learnt too, three times
    /// all answers.
    Document,
    /// Rank 16 on all matrices, two windows of text a step, a rate of 0.0003.
    Text,
    /// The same from the shares of the unpruned model.
    Teacher,
}

/// One line of the table.
struct Line {
    /// What it is called.
    name: &'static str,
    /// Share of the neurons kept in the layers that are narrowed.
    keep: f64,
    /// How these are narrowed.
    way: Way,
    /// Share of the layers kept, the first ones.
    depth: f64,
    /// How it learns back.
    learns: Learns,
}

/// Narrowed as the document did.
const fn document(keep: f64, learns: Learns) -> Line {
    let way = Way { score: Score::Weights, fit: Fit::None, shares: Shares::Equal, protect: MIDDLE };
    Line { name: "document's", keep, way, depth: 1.0, learns }
}

/// Narrowed by activity, with a refit.
const fn ours(name: &'static str, keep: f64, protect: Protect, shares: Shares, learns: Learns) -> Line {
    let way = Way { score: Score::Activity, fit: Fit::LeastSquares, shares, protect };
    Line { name, keep, way, depth: 1.0, learns }
}

/// The first layers, as wide as they were.
const fn first(name: &'static str, depth: f64) -> Line {
    Line { depth, ..ours(name, 1.0, LEAST, Shares::Equal, Learns::Text) }
}

/// The document's: the first and last four layers keep all.
const MIDDLE: Protect = Protect::Ends(4);
/// Those keep all that the model cannot do without.
const LEAST: Protect = Protect::Sensitive(5);

const LINES: [Line; 17] = [
    // With MIDDLE it is not drawn: the next line has the same point.
    ours("unpruned", 1.0, MIDDLE, Shares::Equal, Learns::Nothing),
    // What learning alone does.
    ours("unpruned", 1.0, LEAST, Shares::Equal, Learns::Text),
    document(0.90, Learns::Nothing),
    document(0.75, Learns::Document),
    document(0.75, Learns::Text),
    Line {
        name: "by activity, no refit",
        keep: 0.75,
        way: Way { score: Score::Activity, fit: Fit::None, shares: Shares::Equal, protect: MIDDLE },
        depth: 1.0,
        learns: Learns::Nothing,
    },
    ours("refit", 0.75, MIDDLE, Shares::Equal, Learns::Nothing),
    ours("refit, shared", 0.75, MIDDLE, Shares::Sensitivity, Learns::Text),
    ours("refit, shared", 0.75, MIDDLE, Shares::Sensitivity, Learns::Teacher),
    ours("refit, shared", 0.90, LEAST, Shares::Sensitivity, Learns::Nothing),
    ours("refit, shared", 0.80, LEAST, Shares::Sensitivity, Learns::Nothing),
    ours("refit, shared", 0.75, LEAST, Shares::Sensitivity, Learns::Text),
    ours("refit, shared", 0.60, LEAST, Shares::Sensitivity, Learns::Text),
    ours("refit, shared", 0.50, LEAST, Shares::Sensitivity, Learns::Text),
    ours("refit, shared", 0.35, LEAST, Shares::Sensitivity, Learns::Text),
    first("first 5/6 of layers", 5.0 / 6.0),
    first("first 2/3 of layers", 2.0 / 3.0),
];

/// How often the document learnt from each of its answers.
const EPOCHS: usize = 3;

/// A point of the picture: which way it belongs to, megabytes, and perplexity on tomato text before and after.
struct Point {
    way: Drawn,
    megabytes: f64,
    before: f64,
    after: Option<f64>,
}

/// Ways that are drawn, each at several sizes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drawn {
    /// The document's, with its own training.
    Document,
    /// The one that recipe-narrow.toml takes.
    Ours,
    /// The last layers left out.
    Layers,
}

impl Line {
    fn drawn(&self) -> Option<Drawn> {
        match (self.way.score, self.way.protect, &self.learns) {
            _ if self.depth < 1.0 => Some(Drawn::Layers),
            (Score::Weights, _, Learns::Nothing | Learns::Document) => Some(Drawn::Document),
            (Score::Activity, LEAST, _) => Some(Drawn::Ours),
            _ => None,
        }
    }
}

/// Writes the table for the Hugging Face folder `checkpoint`, with the texts of the repository at `root`, to `out` and the picture
/// into the folder `to`, line by line: what is stopped leaves what it has. What is said of texts, facts, loops and speed is said of a
/// model that has learnt back, where it has. It computes on `device`; `bar` counts models measured and models asked.
///
/// # Errors
/// [`CompareError`].
pub fn run(
    checkpoint: &Path,
    root: &Path,
    to: &Path,
    out: &mut impl Write,
    device: &Device,
    bar: &ProgressBar,
) -> Result<(), CompareError> {
    fs::create_dir_all(to).map_err(at(to))?;
    // Room for a window, or for a question with its entry and the answer.
    let mut dense = Dense::open(checkpoint, 2 * WINDOW, device)?;
    let sources = Sources::find(root)?;
    let questions = Questions::read(root, &sources, &dense)?;
    let yardstick = Yardstick::read(&dense, &sources)?;
    let (mixed, padded) =
        (calibration::lessons(&dense, &sources)?, calibration::padded_lessons(&dense, &sources, recover::PADDED)?);
    let whole = dense.model.clone();
    bar.set_length((2 + whole.layers.len() + 3 * LINES.len()) as u64);
    let mut write = |line: String| -> Result<(), CompareError> {
        Ok(writeln!(out, "{line}").and_then(|()| out.flush()).map_err(at(Path::new("standard output")))?)
    };
    let measure = |dense: &mut Dense, model: &Gemma3| -> Result<Figures, CompareError> {
        dense.model = model.clone();
        let figures = yardstick.measure(dense, &|_| ())?;
        bar.inc(1);
        Ok(figures)
    };

    let base = measure(&mut dense, &whole)?;
    let [tomato, general] = [&base.tomato, &base.general].map(|figure| figure.perplexity);
    write(format!("unpruned: perplexity {tomato:.2} on tomato text, {general:.2} on general text"))?;
    let tokens = |windows: &[Vec<u32>]| windows.iter().map(Vec::len).sum::<usize>();
    let [(texts, read), (answers, filled)] = [&mixed, &padded].map(|windows| (windows.len(), tokens(windows)));
    write(format!("learnt from: {texts} windows, {read} tokens; the document's: {answers} answers, {filled} tokens"))?;
    let activities = ffn::observe(&whole, &yardstick.calibration, || {})?;
    let added = sensitivity::added(&mut dense, &yardstick.calibration, ffn::without, &|| bar.inc(1))?;
    let shown: Vec<String> = added.iter().map(|added| format!("{added:.3}")).collect();
    write(format!("loss added without the FFN of each layer: {}", shown.join(" ")))?;
    write(format!(
        "{:<21} {:>5} {:>8} {:>7} {:>5}  {:<24} {:<24} {:>5} {:>7} {:>5} {:>9}",
        "way",
        "kept",
        "in",
        "million",
        "MB",
        "before: tomato, general",
        "after",
        "texts",
        "facts",
        "loops",
        "f32 tok/s"
    ))?;

    let seen = Seen { activities, added };
    let mut points = Vec::new();
    for line in &LINES {
        let Line { name, keep, way, depth, learns } = line;
        let open = way.protect.open(&seen.added).len();
        let depth = (depth * whole.layers.len() as f64).round() as usize;
        let gone: Vec<usize> = (depth..whole.layers.len()).collect();
        let model = layers::without(&way.narrowed(&whole, &seen, *keep, &|| {})?, &gone)?;
        let before = measure(&mut dense, &model)?;
        let (millions, megabytes) = size(&model)?;
        let lesson = match learns {
            Learns::Nothing => None,
            Learns::Document => {
                Some((&padded, Lesson { epochs: EPOCHS, ..lesson(4, &[Matrix::Q, Matrix::V], (2e-5, 0.5, 1), None) }))
            }
            Learns::Text => Some((&mixed, lesson(16, &Matrix::ALL, (3e-4, 1.0, 2), None))),
            Learns::Teacher => Some((&mixed, lesson(16, &Matrix::ALL, (3e-4, 1.0, 2), Some(&whole)))),
        };
        let mut row = format!(
            "{name:<21} {:>3.0} % {:>8} {millions:>7.1} {megabytes:>5.1}  {:<24}",
            100.0 * keep,
            format!("{} of {depth}", if *keep < 1.0 { open } else { 0 }),
            ratios(&base, &before)
        );
        let (mut after, mut told) = (None, String::new());
        match lesson.map(|(windows, lesson)| recover::run(model, windows, &lesson, None, &ProgressBar::hidden())) {
            Some(Ok(Recovered { mut model, losses: [first, last], .. })) => {
                adapter::fold(&mut model)?;
                after = Some(measure(&mut dense, &model)?);
                told = format!("  {learns:?}: its loss {first:.2} -> {last:.2}");
            }
            // The others may still learn.
            Some(Err(RecoverError::Sick(sick))) => {
                bar.inc(1);
                told = format!("  {learns:?}: {sick}");
            }
            Some(Err(error)) => return Err(error.into()),
            None => bar.inc(1),
        }
        let answers = questions.ask(&dense)?;
        bar.inc(1);
        let texts = Gate { tomato: f64::MAX, general: f64::MAX, texts: true };
        let faults = texts.faults(&base, after.as_ref().unwrap_or(&before));
        let learnt = after.as_ref().map_or("–".into(), |after| ratios(&base, after));
        let Answers { count, told: known, facts, degenerate, speed } = answers;
        let speed = speed.map_or("–".into(), |speed| format!("{speed:.1}"));
        let (known, loops) = (format!("{known}/{facts}"), format!("{degenerate}/{count}"));
        row += &format!(" {learnt:<24} {:>5} {known:>7} {loops:>5} {speed:>9}{told}", faults.len());
        write(row)?;
        let said = after.as_ref().unwrap_or(&before).texts.iter().find(|text| text.english);
        write(said.map_or_else(String::new, |said| format!("    {} …{:?}", said.prompt, said.text)))?;
        points.extend(line.drawn().map(|way| Point {
            way,
            megabytes,
            before: before.tomato.perplexity,
            after: after.map(|after| after.tomato.perplexity),
        }));
        let path = to.join(PICTURE);
        fs::write(&path, picture(&mut points)).map_err(at(&path))?;
    }
    bar.finish();
    Ok(())
}

fn lesson<'a>(
    rank: usize,
    targets: &[Matrix],
    (learning_rate, clip, batch): (f64, f64, usize),
    teacher: Option<&'a Gemma3>,
) -> Lesson<'a> {
    Lesson {
        shape: Shape { rank, alpha: 32.0, targets: targets.into() },
        learning_rate,
        clip,
        batch,
        epochs: 1,
        teacher,
    }
}

/// Perplexity on both texts, and its multiples of the unpruned model's.
fn ratios(base: &Figures, now: &Figures) -> String {
    let [tomato, general] = now.ratios(base);
    format!("{:.1} ({tomato:.2}) {:.1} ({general:.2})", now.tomato.perplexity, now.general.perplexity)
}

/// Millions of numbers in the matrices, and the megabytes that they take in the formats of recipe.toml's [quantize]: attention in
/// Q8_0 (8.5 bits), all else in Q4_0 (4.5 bits).
fn size(model: &Gemma3) -> candle_core::Result<(f64, f64)> {
    let hidden = model.config.hidden;
    let mut attention = 0;
    for layer in &model.layers {
        // The output matrix is the query matrix turned round.
        attention += (2 * layer.query.rows()? + layer.key.rows()? + layer.value.rows()?) * hidden;
    }
    let rest = (3 * widths(model)?.iter().sum::<usize>() + model.embedding.vocabulary()?) * hidden;
    Ok(((attention + rest) as f64 / 1e6, (attention as f64 * 8.5 + rest as f64 * 4.5) / 8e6))
}

/// Perplexity on tomato text against size: the document's way, ours, and fewer layers, before and after learning back.
fn picture(points: &mut [Point]) -> String {
    points.sort_by(|a, b| a.megabytes.total_cmp(&b.megabytes));
    let curve = |name: &str, colour, way: Drawn, value: &dyn Fn(&Point) -> Option<f64>| {
        let own = points.iter().filter(|point| point.way == way);
        let points: Vec<_> = own.filter_map(|point| Some((point.megabytes, value(point)?, Dot::Full))).collect();
        Curve { name: name.into(), colour, points, limit: None }
    };
    let curves = [
        curve("document's, before", "#c8352b", Drawn::Document, &|point| Some(point.before)),
        curve("and after learning", "#e69138", Drawn::Document, &|point| point.after),
        curve("ours, before", "#3b6ea5", Drawn::Ours, &|point| Some(point.before)),
        curve("and after learning", "#2e7d32", Drawn::Ours, &|point| point.after),
        curve("layers, before", "#b39bc8", Drawn::Layers, &|point| Some(point.before)),
        curve("and after learning", "#7b4fa3", Drawn::Layers, &|point| point.after),
    ];
    let (least, most) = (points.first(), points.last());
    let marks = least.into_iter().chain(most).map(|point| (point.megabytes, format!("{:.0}", point.megabytes)));
    let axes = Axes {
        title: "Perplexity on the answers of held-out entries",
        below: "Megabytes of the language model in the shipped formats",
        marks: marks.collect(),
        sight: [20.0, 100.0],
        powers: true,
    };
    let mut picture = Picture::default();
    picture.curves(&axes, &curves);
    picture.svg()
}
