//! `pipeline tune`: trains the sentence encoder's adapter, so that a question lies near the other ways of asking for its entry
//! and near what answers it.
//!
//! Low-rank adapters on the frozen f32 encoder; the texts of the other entries of a step are what a text is told apart from
//! (InfoNCE, as the projection). A part of the paraphrases is never learnt from: what is tuned is measured on them. Does NOT
//! know any question that something is measured with.

use candle_core::{D, Device, Tensor, Var};
use candle_nn::ops::log_softmax;
use indicatif::ProgressBar;
use rayon::prelude::*;
use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};
use tomato_assistant::{
    engine::{EngineError, sentence::SentenceEncoder},
    knowledge::{
        Entry,
        vectors::{asked, texts},
    },
    model::ops::Pass,
};

use super::{
    adam::{Adam, Sick},
    adapter::{self, AdapterError},
    artifact::{ArtifactError, Origin, Stage},
    checkpoint::TENSORS,
    draw::Draw,
    encoder_base::EncoderBase,
    projection::is_held,
    questions::REFUSED,
    recipe,
    resume::{self, Progress},
    sources::{HARMFUL, OFF_TOPIC, SEARCHED, Sources, UNANSWERABLE, VOCABULARY},
};

/// No stage, for its result is a part of the repository; its revision is raised when the same texts are learnt from otherwise.
const TRAINING: Stage = Stage { number: 0, name: "tune", revision: 1 };
/// Where a training keeps what it needs to go on, beside the stages' folders.
const KEPT: &str = "tune-resume";

/// A passage is learnt with instead of another question once in so many.
const PASSAGE: f64 = 0.35;
/// In one of so many steps questions about details are learnt, each with the sentence that answers it.
const DETAILS: usize = 5;
/// Of an entry so many at most, each with another sentence: to be told apart from each other.
const OF_ONE: usize = 4;
/// Entries among which the near ones of a step are drawn.
const NEAREST: usize = 12;
/// Near entries that come with one drawn by chance, in every other step.
const COMPANY: usize = 3;
/// Steps between two lines of the log, after which the training can go on later.
const TOLD: usize = 25;
/// What the adapted modules are called.
const MODULES: [&str; 4] = ["query", "key", "value", "dense"];

/// Why there is no adapter.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// The encoder fails.
    #[error(transparent)]
    Encoder(#[from] EngineError),
    /// The computation failed.
    #[error("training the sentence encoder: {0}")]
    Compute(#[from] candle_core::Error),
    /// The training cannot go on.
    #[error("{0}: training stopped. Try a lower learning_rate in [encoder.adapter]")]
    Sick(#[from] Sick),
    /// It cannot be written.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// The disk refuses, or is full.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Fewer entries than a step takes.
    #[error("there are {found} entries, and a step of [encoder.adapter] takes {needed}; lower entries in the recipe")]
    TooFew {
        /// Entries that there are.
        found: usize,
        /// Entries of a step.
        needed: usize,
    },
}

/// Two texts that are to lie near each other, as ids.
type Pair<'a> = (&'a [u32], &'a [u32]);

/// What an entry is learnt by, as ids.
struct Material {
    /// Each with the passages that answer it.
    questions: Vec<(Vec<u32>, Vec<usize>)>,
    passages: Vec<Vec<u32>>,
}

/// What an encoder learns from.
pub struct Lessons<'a> {
    /// The entries, with all their questions.
    pub entries: &'a [Entry],
    /// Kinds of questions that are to be refused: each kind is in every step but those about details, as if one entry answered
    /// all of it.
    pub refused: &'a [Vec<String>],
    /// What the training is made from; a killed one of the same goes on.
    pub origin: Origin,
}

/// What a training of the adapter is made from.
pub fn origin(table: &recipe::Encoder, base: &EncoderBase, sources: &Sources) -> Origin {
    let mut inputs = base.inputs.clone();
    inputs.extend(sources.inputs(&SEARCHED));
    inputs.extend(sources.inputs(&[VOCABULARY, REFUSED, OFF_TOPIC, HARMFUL, UNANSWERABLE]));
    Origin::new(&TRAINING, table, inputs)
}

/// Removes from `work` what a training that has ended left to go on from; not before its adapter is where it belongs.
///
/// # Errors
/// [`TuneError::Artifact`].
pub fn forget(work: &Path) -> Result<(), TuneError> {
    Ok(resume::forget(&work.join(KEPT))?)
}

/// Trains on the f32 encoder `encoder`, which is made from `base`, and writes the adapter into `out`. What is needed to go on is
/// kept below `work`, until [`forget`]. It computes on `device`; `bar` counts steps. The same every time.
///
/// # Errors
/// [`TuneError`].
pub fn run(
    table: &recipe::EncoderAdapter,
    mut encoder: SentenceEncoder,
    lessons: &Lessons,
    base: &EncoderBase,
    (work, out): (&Path, &Path),
    device: &Device,
    bar: &ProgressBar,
) -> Result<(), TuneError> {
    let Lessons { entries, refused, origin } = lessons;
    if entries.len() < table.entries {
        return Err(TuneError::TooFew { found: entries.len(), needed: table.entries });
    }
    let material = entries.iter().map(|entry| material(&encoder, entry)).collect::<Result<Vec<_>, _>>()?;
    let others = |texts: &Vec<String>| {
        let questions =
            texts.iter().map(|text| Ok((encoder.ids(text)?, Vec::new()))).collect::<Result<_, EngineError>>()?;
        Ok::<_, EngineError>(Material { questions, passages: Vec::new() })
    };
    let others = refused.iter().filter(|texts| !texts.is_empty()).map(others).collect::<Result<Vec<_>, _>>()?;
    let near = near(&encoder, entries)?;
    encoder.encoder_mut().move_to(device)?;
    let mut draw = Draw::new(table.seed);
    let mut variables = Vec::new();
    for (module, linear) in encoder.encoder_mut().matrices() {
        variables.extend(adapter::adapt(linear, &module, (table.rank, table.alpha), &mut draw)?);
    }
    let mut adam = Adam::new(variables, 0.0, table.clip);
    let kept = work.join(KEPT);
    let restored = resume::restore::<f32, TuneError>(&kept, origin, &mut adam)?;
    let mut progress = restored.unwrap_or_else(|| Progress::new(origin.clone(), 0.0));
    bar.set_length(table.steps as u64);
    bar.set_position(progress.steps as u64);
    for step in 0..table.steps {
        let mut pairs = Vec::new();
        if step % DETAILS == DETAILS - 1 {
            pairs = details(&mut draw, table.entries, &material);
        }
        if pairs.len() < 2 {
            let chosen = choose(&mut draw, table.entries, &near, step % 2 == 1);
            let texts = chosen.iter().map(|&entry| &material[entry]).chain(&others);
            pairs = texts.map(|material| pair(&mut draw, material)).collect();
        }
        if step < progress.steps {
            // A run that was killed learnt this; only the draws are made again.
            continue;
        }
        progress.own += learn(&encoder, &pairs, table.sharpness, &mut adam)?;
        adam.health()?;
        let warm = ((step + 1) as f64 / table.warmup.max(1) as f64).min(1.0);
        let rest = 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / table.steps as f64).cos());
        adam.step(table.learning_rate * warm * rest)?;
        progress.steps += 1;
        bar.inc(1);
        if progress.steps.is_multiple_of(TOLD) {
            let mean = std::mem::take(&mut progress.own) / TOLD as f32;
            log::info!("step {} of {}, loss {mean:.3}", progress.steps, table.steps);
            resume::keep::<_, TuneError>(&kept, &progress, &adam)?;
        }
    }
    bar.finish();
    let modules = MODULES.map(String::from).into();
    Ok(adapter::save(out, (table.rank, table.alpha), modules, &adam.values(), &base.inputs[TENSORS])?)
}

/// The texts of an entry that may be learnt from.
fn material(encoder: &SentenceEncoder, entry: &Entry) -> Result<Material, EngineError> {
    let all = texts(entry);
    let (questions, passages) = all.split_at(asked(entry));
    // The entry's own question comes first, then the paraphrases; those about details are the last.
    let first_detail = questions.len() - entry.details.len();
    let is_learnt = |place: usize| !(1..=entry.paraphrases.len()).contains(&place) || !is_held(place - 1);
    let answer = |place: usize| match place.checked_sub(first_detail) {
        Some(detail) => entry.details[detail].sentences.clone(),
        None => (0..passages.len()).collect(),
    };
    let learnt = questions.iter().enumerate().filter(|(place, _)| is_learnt(*place));
    Ok(Material {
        questions: learnt
            .map(|(place, text)| Ok((encoder.ids(text)?, answer(place))))
            .collect::<Result<_, EngineError>>()?,
        passages: passages.iter().map(|text| encoder.ids(text)).collect::<Result<_, _>>()?,
    })
}

/// For each entry the places of those whose answers lie nearest by the untrained encoder.
fn near(encoder: &SentenceEncoder, entries: &[Entry]) -> Result<Vec<Vec<usize>>, EngineError> {
    let answers: Vec<String> = entries.iter().filter_map(|entry| texts(entry).pop()).collect();
    let vectors = encoder.encode_all(&answers, &|_| ())?;
    let nearest = |own: usize| {
        let cosine = |other: usize| vectors[own].iter().zip(&vectors[other]).map(|(a, b)| a * b).sum::<f32>();
        let mut others: Vec<(f32, usize)> =
            (0..vectors.len()).filter(|&other| other != own).map(|other| (cosine(other), other)).collect();
        others.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        others.into_iter().take(NEAREST).map(|(_, other)| other).collect()
    };
    Ok((0..vectors.len()).map(nearest).collect())
}

/// `count` different entries: drawn by chance, or in companies that lie near each other.
fn choose(draw: &mut Draw, count: usize, near: &[Vec<usize>], companies: bool) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::with_capacity(count);
    while chosen.len() < count {
        let first = draw.below(near.len());
        let mut company = vec![first];
        if companies && !near[first].is_empty() {
            company.extend((0..COMPANY).map(|_| *draw.one(&near[first])));
        }
        for entry in company {
            if chosen.len() < count && !chosen.contains(&entry) {
                chosen.push(entry);
            }
        }
    }
    chosen
}

/// A question of an entry, and another question of it or a passage that answers it.
fn pair<'a>(draw: &mut Draw, material: &'a Material) -> Pair<'a> {
    let first = draw.below(material.questions.len());
    let (question, answer) = &material.questions[first];
    if !answer.is_empty() && (material.questions.len() < 2 || draw.share() < PASSAGE) {
        return (question, &material.passages[*draw.one(answer)]);
    }
    let other = (first + 1 + draw.below((material.questions.len() - 1).max(1))) % material.questions.len();
    (question, &material.questions[other].0)
}

/// `count` questions about details of a few entries, each with a sentence that answers it, no sentence twice; fewer where there are
/// not so many.
fn details<'a>(draw: &mut Draw, count: usize, material: &'a [Material]) -> Vec<Pair<'a>> {
    let (mut pairs, mut left) = (Vec::<Pair>::new(), (0..material.len()).collect::<Vec<usize>>());
    draw.shuffle(&mut left);
    while let Some(Material { questions, passages }) = left.pop().map(|entry| &material[entry])
        && pairs.len() < count
    {
        let mut places: Vec<usize> =
            (0..questions.len()).filter(|&place| questions[place].1.len() < passages.len()).collect();
        draw.shuffle(&mut places);
        let mut told = HashSet::new();
        for (question, answer) in places.into_iter().map(|place| &questions[place]) {
            let free: Vec<usize> = answer.iter().copied().filter(|sentence| !told.contains(sentence)).collect();
            if pairs.len() < count && told.len() < OF_ONE && !free.is_empty() {
                let sentence = *draw.one(&free);
                told.insert(sentence);
                pairs.push((question, &passages[sentence]));
            }
        }
    }
    pairs
}

/// Adds to `adam` what is learnt from `pairs`, and gives their loss: the mean of -ln of the share that the right other text has,
/// both ways.
fn learn(encoder: &SentenceEncoder, pairs: &[Pair], sharpness: f64, adam: &mut Adam) -> Result<f32, TuneError> {
    let all: Vec<&[u32]> = pairs.iter().map(|pair| pair.0).chain(pairs.iter().map(|pair| pair.1)).collect();
    let mut lengths: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    all.iter().enumerate().for_each(|(place, ids)| lengths.entry(ids.len()).or_default().push(place));
    // Texts of one length are read together, and such groups side by side; the loss needs them all.
    let groups: Vec<Vec<usize>> = lengths.into_values().collect();
    let read =
        |group: &Vec<usize>| encoder.forward(&group.iter().map(|&place| all[place]).collect::<Vec<_>>(), Pass::Train);
    let vectors = groups.par_iter().with_max_len(1).map(read).collect::<Result<Vec<Tensor>, _>>()?;
    let mut places = vec![0u32; all.len()];
    groups.iter().flatten().enumerate().for_each(|(row, &place)| places[place] = row as u32);
    let detached: Vec<Tensor> = vectors.iter().map(Tensor::detach).collect();
    let rows = Var::from_tensor(&Tensor::cat(&detached, 0)?)?;
    let ordered = rows.index_select(&Tensor::new(places, rows.device())?, 0)?;
    let (ones, others) = (ordered.narrow(0, 0, pairs.len())?, ordered.narrow(0, pairs.len(), pairs.len())?);
    let cosines = (ones.matmul(&others.t()?)? * sharpness)?;
    let own = Tensor::eye(pairs.len(), cosines.dtype(), rows.device())?;
    let lost = |cosines: &Tensor| -> candle_core::Result<Tensor> {
        (log_softmax(cosines, D::Minus1)? * &own)?.sum_all()? * (-0.5 / pairs.len() as f64)
    };
    let loss = (lost(&cosines)? + lost(&cosines.t()?.contiguous()?)?)?;
    let slopes = loss.backward()?;
    let slope = slopes.get(rows.as_tensor()).ok_or_else(|| candle_core::Error::Msg("no gradient".into()))?;
    // What each group's vectors did to the loss, back through the encoder.
    let mut first = 0;
    let parts: Vec<(Tensor, Tensor)> = vectors
        .into_iter()
        .map(|vectors| {
            let count = vectors.dim(0)?;
            first += count;
            Ok((slope.narrow(0, first - count, count)?, vectors))
        })
        .collect::<candle_core::Result<_>>()?;
    let back = |(slope, vectors): &(Tensor, Tensor)| adam.gradients(&(vectors * slope)?.sum_all()?.backward()?);
    let gradients = parts.par_iter().with_max_len(1).map(back).collect::<Vec<_>>();
    for gradients in gradients {
        adam.add(&gradients?, 1.0);
    }
    Ok(loss.to_scalar()?)
}
