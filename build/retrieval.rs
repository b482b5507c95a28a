//! `pipeline retrieval`: how often the right entry is found, and how often a question is rightly refused.
//!
//! Turns the built bundle's entries, vectors and encoder and the question sets into a table: words alone, with fragments,
//! meaning alone, all together, each with and without the learnt projection. Paraphrases that nothing was tuned on are left
//! out of the index in turn. The model says of what kind questions are. Holds a bundle against the recipe's gates. Does NOT know how
//! sentences are chosen.

use rayon::prelude::*;
use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write,
    fs,
    ops::ControlFlow,
    path::Path,
    time::{Duration, Instant},
};
use tomato_assistant::{
    answer::{self, Library, OpenError},
    bundle::{Bundle, BundleError, VECTORS},
    climate::{Period, Targets, assess},
    engine::{Engine, EngineError},
    knowledge::{
        Entry,
        projection::Projection,
        retrieval::{Hit, Index, Query},
        vectors::{Vectors, VectorsError},
        verdict::Verdict,
    },
    text::Lang,
};

use super::{
    artifact::{ArtifactError, Origin, at, finished},
    bundle, embed, projection,
    questions::{
        self, DEVELOPMENT, DEVELOPMENT_VARIANTS, Kind, NARROW_TEST, Question, QuestionsError, TEST, TEST_VARIANTS,
        VALIDATION, Why,
    },
    recipe,
    sources::{self, STATE},
};

mod refusals;

use refusals::{missed, refusals};

/// Worst misses shown for each set.
const MISSES: usize = 12;

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum RetrievalError {
    /// There is no bundle yet.
    #[error("{0}. Make it first: pipeline run --until bundle")]
    Bundle(#[from] BundleError),
    /// It cannot be loaded.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The vectors before the projection cannot be read.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// What stage `embed` left is not what the bundle holds.
    #[error(
        "stage embed's folder does not hold the bundle's vectors: they are not there, or of another run. Run the pipeline \
         again until the bundle: pipeline run --until bundle, with the --recipe that you measure with"
    )]
    OtherVectors,
    /// Another projection would be measured than the bundle has.
    #[error(
        "the bundle's vectors were made by a recipe with another table [embed]; name that recipe: pipeline retrieval \
         --recipe FILE"
    )]
    OtherRecipe,
    /// They are faulty.
    #[error(transparent)]
    Vectors(#[from] VectorsError),
    /// The encoder fails.
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
    /// Which of the recipe's gates the bundle is below; none for one that may be shipped.
    pub below: Vec<String>,
}

/// What hits are ranked by.
type Ranking = fn(&Hit) -> f32;

/// What the appliance ranks by.
const SHIPPED: Ranking = |hit| hit.score;

/// The lines of the table: with the projection or without, and by what.
const RANKINGS: [(&str, bool, Ranking); 6] = [
    ("words (BM25)", true, |hit| hit.parts.words),
    ("words and fragments", true, |hit| hit.parts.words + hit.parts.fragments),
    ("encoder, not projected", false, |hit| hit.parts.asked.max(hit.parts.answered)),
    ("encoder, projected", true, |hit| hit.parts.asked.max(hit.parts.answered)),
    ("fused, not projected", false, SHIPPED),
    ("fused, projected: shipped", true, SHIPPED),
];

/// A question with what is accepted and what was found.
struct Asked {
    question: String,
    accepted: Vec<usize>,
    hits: Vec<Hit>,
    /// The same without the projection; empty where that was not asked for.
    plain: Vec<Hit>,
    refused: Option<Why>,
    /// It was taken for a question for how the greenhouse stands.
    state: bool,
    /// Whether the readings decide.
    readings: bool,
}

/// Measures the bundle among the stages' folders in `pipeline` with the question sets of the repository at `root`. `tables`
/// is what it was made with, but for its gates.
///
/// # Errors
/// [`RetrievalError`].
pub fn run(pipeline: &Path, tables: &recipe::Tables, root: &Path) -> Result<Report, RetrievalError> {
    let bundle = Bundle::open(&pipeline.join(bundle::STAGE.folder()))?;
    let shipped = bundle.manifest().files.iter().find(|file| file.name == VECTORS).map(|file| &file.sha256);
    let embedded = finished(pipeline, &embed::STAGE)
        .filter(|made| shipped.is_some() && made.record.files.get(VECTORS).map(|file| &file.sha256) == shipped)
        .ok_or(RetrievalError::OtherVectors)?;
    let table = Origin::new(&embed::STAGE, &tables.embed, BTreeMap::new()).config_sha256;
    if embedded.record.origin.config_sha256 != table {
        return Err(RetrievalError::OtherRecipe);
    }
    let started = Instant::now();
    let library = Library::open(&bundle)?;
    let loaded = started.elapsed();
    let mut engine = Engine::open(&bundle.model(), &bundle.tokenizer())?;
    let entries = library.knowledge.entries();
    let path = embedded.dir.join(embed::RAW);
    let raw = Vectors::parse(&fs::read(&path).map_err(at(&path))?, entries)?;
    let plain = Index::new(entries, Some(raw.clone()));

    let (mut report, mut times, mut below) = (String::new(), Vec::new(), Vec::new());
    let mut ask = |question: &Question| {
        let (asked, time) = ask(&library, &mut engine, Some(&plain), question)?;
        times.push(time);
        Ok(asked)
    };

    let load = |file: &str| questions::load::<Question>(&root.join(file));
    for (name, set, variants) in [
        ("development", load(DEVELOPMENT)?, Some((DEVELOPMENT, DEVELOPMENT_VARIANTS))),
        ("narrow development", questions::narrow_development(root, entries)?, None),
        ("validation", load(VALIDATION)?, None),
        ("test", load(TEST)?, Some((TEST, TEST_VARIANTS))),
        ("narrow test", load(NARROW_TEST)?, None),
    ] {
        let of = |kinds: &[Kind]| set.iter().filter(|q| kinds.contains(&q.kind)).collect::<Vec<_>>();
        let real: Vec<Asked> =
            of(&[Kind::Plain, Kind::Readings]).into_iter().map(&mut ask).collect::<Result<_, _>>()?;
        table_of(&mut report, name, &real);
        let refuse = refusals(&mut report, &real, &of(&[Kind::Refuse]), &mut ask)?;
        if let ("development", Some(gates)) = (name, &tables.bundle.gates) {
            below = missed(gates, &real, &refuse);
        }
        if let Some((file, variants)) = variants {
            let variants = questions::variants(root, file, variants)?;
            let other_words = variants.iter().map(|(way, question)| Ok((*way, ask(question)?)));
            ways(&mut report, &other_words.collect::<Result<Vec<_>, RetrievalError>>()?);
        }
        misses(&mut report, entries, &real);
    }
    let [sorted, asked_of_state] = questions::refusals(root)?;
    let (refuse, real): (Vec<&Question>, Vec<_>) = sorted.iter().partition(|question| question.kind == Kind::Refuse);
    let real = real.into_iter().map(&mut ask).collect::<Result<Vec<_>, _>>()?;
    report.push_str("\nof people who saw no file of this project\n");
    refusals(&mut report, &real, &refuse, &mut ask)?;
    let path = root.join(STATE);
    let [_, held] = sources::state(&fs::read_to_string(&path).map_err(at(&path))?);
    report.push_str(
        "\nquestions for how the greenhouse stands, and how many are answered by the readings if there are any\n",
    );
    let asked_of_state = asked_of_state.into_iter().map(|question| question.question).collect();
    for (name, state) in [("that nothing learnt from", held), ("of people who saw no file", asked_of_state)] {
        let (mut taken, mut first, mut refused) = (0, 0, 0);
        for text in &state {
            let understood = library.understand(text)?;
            let found = library.index.search(&understood.query(None, &[]));
            let verdict = found.evidence.verdict(hear(&mut engine, &understood.text)?.as_deref());
            let alone = by_readings(verdict, &understood.text);
            taken += usize::from(alone);
            first += usize::from(verdict.state && !alone);
            refused += usize::from(verdict.refused.is_some() && !verdict.state);
        }
        let _ = writeln!(
            report,
            "  {name}: {taken} by these alone, {first} by these and an entry, {refused} refused, of {}",
            state.len()
        );
    }
    let path = bundle.vectors();
    let shipped = Vectors::parse(&fs::read(&path).map_err(at(&path))?, entries)?;
    let left_out = paraphrases(entries, &mut engine, &raw, &shipped)?;
    table_of(&mut report, "paraphrases that nothing learnt from, each left out of the index in turn", &left_out);
    let refused = left_out.iter().filter(|one| one.refused.is_some()).count();
    let _ = writeln!(report, "  refused: {refused} of {} real questions", left_out.len());
    misses(&mut report, entries, &left_out);

    times.sort();
    let at_share = |share: usize| milliseconds(times[(times.len() - 1) * share / 100]);
    let (median, slow) = (at_share(50), at_share(99));
    let line =
        format!("\nload {:.0} ms; a question {median:.1} ms (median), {slow:.1} ms (99 %)\n", milliseconds(loaded));
    report.push_str(&line);
    Ok(Report { text: report, below })
}

/// Which of `gates` the bundle is below, by the development questions in `path`, as sentences. Takes seconds.
///
/// # Errors
/// [`RetrievalError`].
pub fn below(gates: &recipe::Gates, bundle: &Bundle, path: &Path) -> Result<Vec<String>, RetrievalError> {
    let library = Library::open(bundle)?;
    let mut engine = Engine::open(&bundle.model(), &bundle.tokenizer())?;
    let (mut real, mut refuse) = (Vec::new(), [const { Vec::new() }; Why::ALL.len()]);
    for question in questions::load::<Question>(path)? {
        let set = question.why.map_or(&mut real, |why| &mut refuse[why as usize]);
        set.push(ask(&library, &mut engine, None, &question)?.0);
    }
    Ok(missed(gates, &real, &refuse))
}

/// What the model says of the kind of `question`.
fn hear(engine: &mut Engine, question: &str) -> Result<Option<Vec<f32>>, EngineError> {
    let heard = answer::hear(engine, question, &mut || ControlFlow::Continue(()))?;
    Ok(heard.map(|heard| heard.scores))
}

/// Whether the readings answer the question `text`: neither its kind nor a word asks for more.
fn by_readings(verdict: Verdict, text: &str) -> bool {
    verdict.state && Lang::En.state_asked(text).is_some()
}

/// What is found for `question`, and in what time; in the index `plain` too.
fn ask(
    library: &Library,
    engine: &mut Engine,
    plain: Option<&Index>,
    question: &Question,
) -> Result<(Asked, Duration), RetrievalError> {
    let (entries, signals) = (library.knowledge.entries(), signals(question, &library.targets));
    let started = Instant::now();
    let understood = library.understand(&question.question)?;
    let query = understood.query(None, &signals);
    let found = library.index.search(&query);
    let time = started.elapsed();
    let verdict = found.evidence.verdict(hear(engine, &understood.text)?.as_deref());
    let place = |id: &String| entries.iter().position(|entry| entry.id == *id);
    let asked = Asked {
        question: question.question.clone(),
        accepted: question.entries.iter().filter_map(place).collect(),
        state: by_readings(verdict, &understood.text),
        hits: found.hits,
        plain: plain.map_or(Vec::new(), |plain| plain.search(&query).hits),
        refused: verdict.refused.filter(|_| !verdict.state || question.readings.is_empty()),
        readings: question.kind == Kind::Readings,
    };
    Ok((asked, time))
}

/// The signals that the question's readings show.
fn signals(question: &Question, targets: &Targets) -> Vec<String> {
    let snapshot = question.snapshot();
    assess(&snapshot, targets, question.stage.unwrap_or_default(), Period::of(&snapshot)).signals()
}

/// Asks every paraphrase that is held back of an index that lacks it: the first of all entries, then the next, and so on. Its own
/// vector, `raw`, is its question's vector; the projection is that of the `shipped` vectors.
fn paraphrases(
    entries: &[Entry],
    engine: &mut Engine,
    raw: &Vectors,
    shipped: &Vectors,
) -> Result<Vec<Asked>, EngineError> {
    let rows: Vec<Vec<f32>> = (0..raw.len()).map(|row| raw.row(row)).collect();
    let kinds = raw.kinds();
    let most = entries.iter().map(|entry| entry.paraphrases.len()).max().unwrap_or(0);
    let mut asked = Vec::new();
    for turn in (0..most).filter(|&turn| projection::is_held(turn)) {
        let (mut without, mut left_out, mut places) = (entries.to_vec(), Vec::new(), HashSet::new());
        for (index, (entry, texts)) in without.iter_mut().zip(projection::texts_of(entries)).enumerate() {
            if turn < entry.paraphrases.len() {
                // The texts begin with the question.
                places.insert(texts[1 + turn]);
                let paraphrase = entry.paraphrases.remove(turn);
                left_out.push((index, hear(engine, &paraphrase)?, paraphrase, texts[1 + turn]));
            }
        }
        let kept: Vec<Vec<f32>> =
            rows.iter().enumerate().filter(|(row, _)| !places.contains(row)).map(|(_, row)| row.clone()).collect();
        let index_of =
            |projection: Projection| Index::new(&without, Some(Vectors::quantize(&kept, projection, &kinds)));
        let (index, plain) = (index_of(shipped.projection().clone()), index_of(Projection::identity(raw.width())));
        asked.par_extend(left_out.into_par_iter().map(|(entry, heard, question, place)| {
            let query = Query { text: &question, vector: Some(&rows[place]), ..Query::default() };
            let (found, plain) = (index.search(&query), plain.search(&query).hits);
            let verdict = found.evidence.verdict(heard.as_deref());
            let (accepted, refused, state) = (vec![entry], verdict.refused, by_readings(verdict, &question));
            Asked { question, accepted, hits: found.hits, plain, refused, state, readings: false }
        }));
    }
    Ok(asked)
}

/// Share of questions with an accepted entry among the first one and two, by each ranking.
fn table_of(report: &mut String, name: &str, asked: &[Asked]) {
    let _ = writeln!(report, "\n{name}: {} questions {:>27} {:>9}", asked.len(), "first", "first 2");
    let mut line = |title: &str, asked: &[&Asked], tuned: bool, by: Ranking| {
        let share = |count: usize| found(asked, tuned, by, count);
        let _ = writeln!(report, "  {title:<24} {:>26.1} % {:>7.1} %", share(1), share(2));
    };
    for (title, tuned, by) in RANKINGS {
        line(title, &asked.iter().collect::<Vec<_>>(), tuned, by);
    }
    let by_readings: Vec<&Asked> = asked.iter().filter(|one| one.readings).collect();
    if !by_readings.is_empty() {
        line(&format!("… {} decided by readings", by_readings.len()), &by_readings, true, SHIPPED);
    }
}

/// The same, as shipped, for each other way of asking, and how many are refused.
fn ways(report: &mut String, asked: &[(&str, Asked)]) {
    for (way, name) in [("typo", "with typing errors"), ("short", "in a few words"), ("reworded", "in other words")] {
        let of: Vec<&Asked> = asked.iter().filter(|(own, _)| *own == way).map(|(_, asked)| asked).collect();
        let share = |count: usize| found(&of, true, SHIPPED, count);
        let refused = of.iter().filter(|one| one.refused.is_some()).count();
        let _ = writeln!(report, "  {name:<24} {:>26.1} % {:>7.1} %  refused: {refused}", share(1), share(2));
    }
}

/// Of `asked`, the share with an accepted entry among the first `count`, in per cent.
fn found(asked: &[&Asked], tuned: bool, by: Ranking, count: usize) -> f64 {
    let found = asked.iter().filter(|one| one.best(tuned, by, count).is_some()).count();
    100.0 * found as f64 / asked.len().max(1) as f64
}

impl Asked {
    /// The place of an accepted entry among the first `count` by a ranking.
    fn best(&self, tuned: bool, by: Ranking, count: usize) -> Option<usize> {
        let mut order: Vec<&Hit> = if tuned { &self.hits } else { &self.plain }.iter().collect();
        order.sort_by(|a, b| by(b).total_cmp(&by(a)));
        order.iter().take(count).position(|hit| self.accepted.contains(&hit.index))
    }
}

/// The misses whose right entry stands lowest, and what was found instead.
fn misses(report: &mut String, entries: &[Entry], asked: &[Asked]) {
    let place = |one: &Asked| one.best(true, SHIPPED, usize::MAX).unwrap_or(usize::MAX);
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
