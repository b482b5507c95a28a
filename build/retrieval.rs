//! `pipeline retrieval`: how often the right entry is found, and how often a question is rightly refused.
//!
//! Turns the built bundle's entries, vectors and encoder and the question sets into a table: words alone, with
//! fragments, meaning alone, all together. Paraphrases are left out of the index in turn. Does NOT know the model.

use std::{
    collections::HashSet,
    fmt::Write,
    fs,
    path::Path,
    time::{Duration, Instant},
};
use tomato_assistant::{
    bundle::{Bundle, BundleError},
    climate::{Period, Targets, TargetsError, assess},
    engine::{EngineError, sentence::SentenceEncoder},
    knowledge::{
        Entry, Knowledge, KnowledgeError,
        retrieval::{Hit, Index, Query},
        vectors::{Vectors, VectorsError, texts},
    },
};

use super::{
    artifact::{ArtifactError, at},
    questions::{self, DEVELOPMENT, Kind, Question, QuestionsError, TEST, VALIDATION, Why},
};

/// What the development questions must give, in per cent: an accepted entry among the first two, real questions refused
/// at most, off-topic ones refused at least. A bundle below that is not to be shipped.
const FOUND: f64 = 95.0;
const REAL_REFUSED: f64 = 2.0;
const OFF_TOPIC_REFUSED: f64 = 90.0;

/// Worst misses shown for each set.
const MISSES: usize = 12;

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum RetrievalError {
    /// There is no bundle yet.
    #[error("{0}. Make it first: pipeline run --until bundle")]
    Bundle(#[from] BundleError),
    /// A file of it cannot be read.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Its entries are faulty.
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
    /// Its vectors are faulty.
    #[error(transparent)]
    Vectors(#[from] VectorsError),
    /// Its targets are faulty.
    #[error(transparent)]
    Targets(#[from] TargetsError),
    /// Its encoder is faulty.
    #[error(transparent)]
    Encoder(#[from] EngineError),
    /// A question set is faulty.
    #[error(transparent)]
    Questions(#[from] QuestionsError),
}

/// What was measured.
pub struct Report {
    /// The tables.
    pub text: String,
    /// Which bars the development questions fall below; none for a bundle that may be shipped.
    pub below: Vec<String>,
}

/// What hits are ranked by.
type Ranking = fn(&Hit) -> f32;

/// The lines of the table.
const RANKINGS: [(&str, Ranking); 4] = [
    ("words (BM25)", |hit| hit.parts.words),
    ("words and fragments", |hit| hit.parts.words + hit.parts.fragments),
    ("meaning (encoder)", |hit| hit.parts.asked.max(hit.parts.answered)),
    ("all, as shipped", |hit| hit.score),
];

/// A question with what is accepted and what was found.
struct Asked {
    question: String,
    accepted: Vec<usize>,
    hits: Vec<Hit>,
    on_topic: bool,
}

/// Measures the bundle in `dir` with the question sets of the repository at `root`.
///
/// # Errors
/// [`RetrievalError`].
pub fn run(dir: &Path, root: &Path) -> Result<Report, RetrievalError> {
    let bundle = Bundle::open(dir)?;
    let read = |path: &Path| fs::read(path).map_err(at(path));
    let text = |path: &Path| fs::read_to_string(path).map_err(at(path));

    let started = Instant::now();
    let knowledge = Knowledge::parse(&text(&bundle.knowledge())?)?;
    let entries = knowledge.entries();
    let index = Index::new(entries, Some(Vectors::parse(&read(&bundle.vectors())?, entries)?));
    let encoder = SentenceEncoder::open(&bundle.encoder(), &bundle.encoder_tokenizer())?;
    let load = started.elapsed();

    let targets = Targets::parse(&text(&bundle.targets())?)?;
    let (mut report, mut times, mut below) = (String::new(), Vec::new(), Vec::new());
    let mut ask = |question: &Question| -> Result<Asked, RetrievalError> {
        let signals = signals(question, &targets);
        let started = Instant::now();
        let vector = encoder.encode(&question.question)?;
        let query = Query { text: &question.question, vector: Some(&vector), category: None, signals: &signals };
        let found = index.search(&query);
        times.push(started.elapsed());
        let place = |id: &String| entries.iter().position(|entry| entry.id == *id);
        let accepted = question.entries.iter().filter_map(place).collect();
        Ok(Asked { question: question.question.clone(), accepted, hits: found.hits, on_topic: found.on_topic })
    };

    for (name, file) in [("development", DEVELOPMENT), ("validation", VALIDATION), ("test", TEST)] {
        let set: Vec<Question> = questions::load(&root.join(file))?;
        let of = |kinds: &[Kind]| set.iter().filter(|q| kinds.contains(&q.kind)).collect::<Vec<_>>();
        let real: Vec<Asked> =
            of(&[Kind::Plain, Kind::Readings]).into_iter().map(&mut ask).collect::<Result<_, _>>()?;
        table(&mut report, name, &real);
        let off_topic = refusals(&mut report, &real, &of(&[Kind::Refuse]), &mut ask)?;
        if file == DEVELOPMENT {
            below = bars(&real, &off_topic);
        }
        misses(&mut report, entries, &real);
    }
    let vectors = Vectors::parse(&read(&bundle.vectors())?, entries)?;
    let left_out = paraphrases(entries, &vectors);
    table(&mut report, "paraphrases, each left out of the index in turn", &left_out);
    let refused = left_out.iter().filter(|one| !one.on_topic).count();
    let _ = writeln!(report, "  refused: {refused} of {} real questions", left_out.len());
    misses(&mut report, entries, &left_out);

    times.sort();
    let at_share = |share: usize| milliseconds(times[(times.len() - 1) * share / 100]);
    let (median, slow) = (at_share(50), at_share(99));
    let line =
        format!("\nload {:.0} ms; a question {median:.1} ms (median), {slow:.1} ms (99 %)\n", milliseconds(load));
    report.push_str(&line);
    Ok(Report { text: report, below })
}

/// The signals that the question's readings show.
fn signals(question: &Question, targets: &Targets) -> Vec<String> {
    let snapshot = question.snapshot();
    assess(&snapshot, targets, question.stage.unwrap_or_default(), Period::of(&snapshot)).signals()
}

/// Asks every paraphrase of an index that lacks it: the first of all entries, then the second, and so on. A paraphrase's
/// own stored vector is its question's vector.
fn paraphrases(entries: &[Entry], vectors: &Vectors) -> Vec<Asked> {
    let rows: Vec<Vec<f32>> = (0..vectors.len()).map(|row| vectors.row(row)).collect();
    let most = entries.iter().map(|entry| entry.paraphrases.len()).max().unwrap_or(0);
    let mut asked = Vec::new();
    for turn in 0..most {
        let (mut without, mut kept, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
        let mut first = 0;
        for (index, entry) in entries.iter().enumerate() {
            let count = texts(entry).len();
            // The texts begin with the instruction.
            let place = first + 1 + turn;
            let mut entry = entry.clone();
            if turn < entry.paraphrases.len() {
                left_out.push((index, entry.paraphrases.remove(turn), place));
            }
            kept.extend(
                (first..first + count).filter(|&row| row != place || turn >= count - 2).map(|row| rows[row].clone()),
            );
            without.push(entry);
            first += count;
        }
        let index = Index::new(&without, Some(Vectors::quantize(&kept)));
        for (entry, question, place) in left_out {
            let query = Query { text: &question, vector: Some(&rows[place]), ..Query::default() };
            let found = index.search(&query);
            asked.push(Asked { question, accepted: vec![entry], hits: found.hits, on_topic: found.on_topic });
        }
    }
    asked
}

/// Share of questions with an accepted entry among the first one and two, by each ranking.
fn table(report: &mut String, name: &str, asked: &[Asked]) {
    let _ = writeln!(report, "\n{name}: {} questions {:>27} {:>9}", asked.len(), "first", "first 2");
    for (ranking, by) in RANKINGS {
        let found = |count: usize| asked.iter().filter(|one| one.best(by, count).is_some()).count();
        let share = |count: usize| 100.0 * found(count) as f64 / asked.len().max(1) as f64;
        let _ = writeln!(report, "  {ranking:<24} {:>26.1} % {:>7.1} %", share(1), share(2));
    }
}

impl Asked {
    /// The place of an accepted entry among the first `count` by a ranking.
    fn best(&self, by: Ranking, count: usize) -> Option<usize> {
        let mut order: Vec<&Hit> = self.hits.iter().collect();
        order.sort_by(|a, b| by(b).total_cmp(&by(a)));
        order.iter().take(count).position(|hit| self.accepted.contains(&hit.index))
    }
}

/// The bars that are missed, as sentences.
fn bars(real: &[Asked], off_topic: &[Asked]) -> Vec<String> {
    let by = RANKINGS[RANKINGS.len() - 1].1;
    let share = |count: usize, of: &[Asked]| 100.0 * count as f64 / of.len().max(1) as f64;
    let found = share(real.iter().filter(|one| one.best(by, 2).is_some()).count(), real);
    let refused = |asked: &[Asked]| share(asked.iter().filter(|one| !one.on_topic).count(), asked);
    let (real_refused, off_topic_refused) = (refused(real), refused(off_topic));
    let mut below = Vec::new();
    if found < FOUND {
        below.push(format!("{found:.1} % find an entry among the first two, at least {FOUND} % must"));
    }
    if real_refused > REAL_REFUSED {
        below.push(format!("{real_refused:.1} % of real questions are refused, at most {REAL_REFUSED} % may be"));
    }
    if off_topic_refused < OFF_TOPIC_REFUSED {
        below.push(format!("{off_topic_refused:.1} % off topic are refused, at least {OFF_TOPIC_REFUSED} % must be"));
    }
    below
}

/// How many real questions are refused, and of each kind of those that should be. Gives back what was off topic.
fn refusals(
    report: &mut String,
    real: &[Asked],
    refuse: &[&Question],
    ask: &mut impl FnMut(&Question) -> Result<Asked, RetrievalError>,
) -> Result<Vec<Asked>, RetrievalError> {
    let mut off_topic = Vec::new();
    let refused = |asked: &[Asked]| asked.iter().filter(|one| !one.on_topic).count();
    let _ = writeln!(report, "  refused: {} of {} real questions", refused(real), real.len());
    for (name, why) in [("off topic", Why::OffTopic), ("dangerous", Why::Unsafe), ("unanswerable", Why::Unanswerable)] {
        let questions = refuse.iter().filter(|question| question.why == Some(why));
        let asked = questions.map(|question| ask(question)).collect::<Result<Vec<_>, _>>()?;
        if !asked.is_empty() {
            let _ = writeln!(report, "  refused: {} of {} {name}", refused(&asked), asked.len());
        }
        if why == Why::OffTopic {
            off_topic = asked;
        }
    }
    Ok(off_topic)
}

/// The misses whose right entry stands lowest, and what was found instead.
fn misses(report: &mut String, entries: &[Entry], asked: &[Asked]) {
    let by = RANKINGS[RANKINGS.len() - 1].1;
    let place = |one: &Asked| one.best(by, usize::MAX).unwrap_or(usize::MAX);
    let mut missed: Vec<(usize, &Asked)> =
        asked.iter().map(|one| (place(one), one)).filter(|(place, _)| *place > 1).collect();
    missed.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
    let mut seen = HashSet::new();
    for (place, one) in missed.into_iter().filter(|(_, one)| seen.insert(one.question.as_str())).take(MISSES) {
        let id = |index: Option<usize>| index.map_or("none", |index| entries[index].id.as_str());
        let (wanted, found) = (id(one.accepted.first().copied()), id(one.hits.first().map(|hit| hit.index)));
        let _ = writeln!(report, "  place {:>3}: {:?} -> {found}, not {wanted}", place.saturating_add(1), one.question);
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
