//! Stage `recover`: a checkpoint that was made smaller -> one that has learnt back to foretell text.
//!
//! Low-rank adapters, trained on windows of token ids and added to the weights. The loss is that of the next token or, with a
//! teacher, how far the shares of all next tokens are from the teacher's (Hinton et al. 2015, arXiv 1503.02531). A run that was
//! killed goes on from its last checkpoint. Does NOT know how the model was made smaller, nor measure what was won.

use candle_core::{Device, Tensor};
use candle_nn::ops::log_softmax;
use indicatif::ProgressBar;
use rayon::prelude::*;
use serde::Serialize;
use std::{collections::HashMap, fs, path::Path};
use tomato_assistant::model::{gemma3::Gemma3, linear::Embedding, ops::Pass};

use super::{
    adam::{Adam, Sick},
    adapter::{self, Adapter, AdapterError, Shape},
    artifact::{Artifact, ArtifactError, Origin, Stage, at},
    calibration,
    checkpoint::TENSORS,
    dense::{Dense, DenseError, SCORED, WINDOW},
    draw::Draw,
    finetune::FinetuneError,
    merge::{self, MergeError},
    recipe::{self, Learn},
    resume::{self, Progress},
    sources::Sources,
};

/// This stage.
pub const STAGE: Stage = Stage { number: 3, name: "recover", revision: 1 };

/// What was learnt from, and how the loss fell.
pub const RECORD: &str = "recover.json";

/// Tokens of a padded answer: the project document's.
pub const PADDED: usize = 256;

/// Where a training keeps what it needs to go on, beside the stages' folders.
const KEPT: &str = "recover-resume";
/// Steps after which the training can go on later.
const KEEP_EVERY: usize = 25;

/// Why nothing was learnt.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The training cannot go on.
    #[error("{0}: recovery stopped. Try a lower learning_rate in [recover]")]
    Sick(#[from] Sick),
    /// The computation failed.
    #[error("recovery: {0}")]
    Compute(#[from] candle_core::Error),
    /// A checkpoint cannot be used.
    #[error(transparent)]
    Dense(#[from] DenseError),
    /// There is no text to learn from.
    #[error("text to learn from: {0}")]
    Text(#[from] FinetuneError),
    /// The adapter cannot be kept.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// The adapter cannot be added.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// The disk refuses, or is full.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

/// What this stage's folder is made from: `pruned` was made from `whole`, the teacher where there is one.
pub fn origin(table: &recipe::Recover, (whole, pruned): (&Artifact, &Artifact), sources: &Sources) -> Origin {
    let mut inputs = calibration::inputs(sources);
    if table.learn == Learn::Teacher {
        inputs.extend(whole.inputs().into_iter().map(|(name, sha256)| (format!("teacher/{name}"), sha256)));
    }
    inputs.extend(pruned.inputs());
    Origin::new(&STAGE, table, inputs)
}

/// What `recover.json` holds.
#[derive(Debug, Serialize)]
pub struct Record {
    /// The recipe's table.
    table: recipe::Recover,
    /// Windows learnt from.
    windows: usize,
    /// Tokens of them.
    tokens: usize,
    /// Mean loss of the first and of the last tenth of what was read, nats a token.
    pub losses: [f64; 2],
}

/// Trains on the Hugging Face folder `pruned` and writes another one into `out`, with the adapter that makes the difference. What is
/// needed to go on is kept below `work`, until [`forget`]. It computes on `device`; `bar` counts windows. The same every time.
///
/// # Errors
/// [`RecoverError`].
pub fn make(
    table: &recipe::Recover,
    (whole, pruned): (&Artifact, &Artifact),
    sources: &Sources,
    (work, out): (&Path, &Path),
    device: &Device,
    bar: &ProgressBar,
) -> Result<Record, RecoverError> {
    let dense = Dense::open(&pruned.dir, WINDOW, device)?;
    let windows = match table.learn {
        Learn::Text | Learn::Teacher => calibration::lessons(&dense, sources)?,
        Learn::Padded => calibration::padded_lessons(&dense, sources, PADDED)?,
    };
    let teacher = (table.learn == Learn::Teacher).then(|| teacher(&whole.dir, &dense)).transpose()?;
    let lesson = Lesson {
        shape: table.shape.clone(),
        learning_rate: table.learning_rate,
        clip: table.clip,
        batch: table.batch,
        epochs: table.epochs,
        teacher: teacher.as_ref(),
    };
    bar.set_length((table.epochs * windows.len()) as u64);
    let place = Place { folder: &work.join(KEPT), origin: &origin(table, (whole, pruned), sources) };
    let Recovered { values, losses, .. } = run(dense.model, &windows, &lesson, Some(&place), bar)?;
    bar.finish();
    let Shape { rank, alpha, .. } = table.shape;
    adapter::save(out, (rank, alpha), table.shape.modules(), &values, &pruned.record.files[TENSORS].sha256)?;
    merge::add(pruned, &Adapter::open_headless(out)?, out, &ProgressBar::hidden())?;
    let tokens = windows.iter().map(Vec::len).sum();
    let record = Record { table: table.clone(), windows: windows.len(), tokens, losses };
    let path = out.join(RECORD);
    let json = serde_json::to_string_pretty(&record).expect("strings and numbers always serialize");
    fs::write(&path, json + "\n").map_err(at(&path))?;
    Ok(record)
}

/// Removes from `work` what a training that has ended left to go on from; not before its folder is whole.
///
/// # Errors
/// [`RecoverError::Artifact`].
pub fn forget(work: &Path) -> Result<(), RecoverError> {
    Ok(resume::forget(&work.join(KEPT))?)
}

/// The model in the folder `whole`, foretelling the pieces that `pruned` knows and no others.
fn teacher(whole: &Path, pruned: &Dense) -> Result<Gemma3, RecoverError> {
    let device = pruned.model.device();
    let mut teacher = Dense::open(whole, WINDOW, device)?;
    let [known, left] = [&teacher, pruned].map(|dense| dense.tokenizer.get_vocab(true));
    if known.len() > left.len() {
        let mut rows = vec![0u32; left.len()];
        for (piece, id) in left {
            let unknown = || candle_core::Error::Msg(format!("the teacher does not know the piece {piece:?}"));
            rows[id as usize] = *known.get(&piece).ok_or_else(unknown)?;
        }
        let rows = Tensor::new(rows, device)?.unsqueeze(0)?;
        teacher.model.embedding = Embedding::Dense(teacher.model.embedding.rows(&rows)?.squeeze(0)?);
    }
    Ok(teacher.model)
}

/// How it is learnt.
pub struct Lesson<'a> {
    /// Of the adapters.
    pub shape: Shape,
    /// Highest: it rises over the first tenth of the steps and falls as a cosine over all of them.
    pub learning_rate: f64,
    /// Largest norm of a step's gradients.
    pub clip: f64,
    /// Windows of a step.
    pub batch: usize,
    /// Times that each window is seen.
    pub epochs: usize,
    /// Whose shares are learnt; None learns the text itself.
    pub teacher: Option<&'a Gemma3>,
}

/// Where a training keeps what it needs to go on.
pub struct Place<'a> {
    /// A folder of its own.
    pub folder: &'a Path,
    /// What is trained from what: another training begins anew.
    pub origin: &'a Origin,
}

/// What was learnt.
pub struct Recovered {
    /// The model with its adapters.
    pub model: Gemma3,
    /// The adapters' values, by name.
    pub values: HashMap<String, Tensor>,
    /// Mean loss of the first and of the last tenth of the windows, nats a token.
    pub losses: [f64; 2],
}

/// Trains adapters on `model`, an f32 one, with the `windows` in their order; with a `place`, so that it can be
/// killed. `bar` counts windows. The same every time.
///
/// # Errors
/// [`RecoverError`].
pub fn run(
    mut model: Gemma3,
    windows: &[Vec<u32>],
    lesson: &Lesson,
    place: Option<&Place>,
    bar: &ProgressBar,
) -> Result<Recovered, RecoverError> {
    let variables = adapter::adapt_all(&mut model, &lesson.shape, &mut Draw::new(0))?;
    let mut adam = Adam::new(variables, 0.0, lesson.clip);
    let restored = place.map(|place| resume::restore::<Vec<f64>, RecoverError>(place.folder, place.origin, &mut adam));
    let (done, mut losses) =
        restored.transpose()?.flatten().map_or_else(Default::default, |before| (before.steps, before.own));
    bar.set_position(losses.len() as u64);
    let order: Vec<&Vec<u32>> = (0..lesson.epochs).flat_map(|_| windows).collect();
    let steps = order.chunks(lesson.batch);
    let count = steps.len();
    for (step, windows) in steps.enumerate().skip(done) {
        let learn = |ids: &&Vec<u32>| learn(&model, ids, lesson.teacher, &adam);
        // Each core reads windows of its own; the sum is made in a fixed order.
        let learnt: Vec<_> = windows.par_iter().with_max_len(1).map(learn).collect();
        for learnt in learnt {
            let (loss, gradients) = learnt?;
            adam.add(&gradients, 1.0 / windows.len() as f32);
            losses.push(loss);
        }
        adam.health()?;
        let done = step as f64 / count as f64;
        let warm = ((step + 1) as f64 / (0.1 * count as f64)).min(1.0);
        adam.step(lesson.learning_rate * warm * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()))?;
        bar.inc(windows.len() as u64);
        if let Some(place) = place.filter(|_| (step + 1).is_multiple_of(KEEP_EVERY)) {
            log::info!(
                "step {} of {count}, loss of the last windows {:.3}",
                step + 1,
                mean(&losses[losses.len().saturating_sub(KEEP_EVERY)..])
            );
            let origin = place.origin.clone();
            let progress = Progress { origin, steps: step + 1, best: None, own: losses.clone() };
            resume::keep::<_, RecoverError>(place.folder, &progress, &adam)?;
        }
    }
    let tenth = (losses.len() / 10).max(1).min(losses.len());
    let ends = [mean(&losses[..tenth]), mean(&losses[losses.len() - tenth..])];
    Ok(Recovered { losses: ends, values: adam.values(), model })
}

fn mean(part: &[f64]) -> f64 {
    part.iter().sum::<f64>() / part.len().max(1) as f64
}

/// Mean loss of the tokens of `ids` after the first, and the gradients of the adapters.
fn learn(
    model: &Gemma3,
    ids: &[u32],
    teacher: Option<&Gemma3>,
    adam: &Adam,
) -> candle_core::Result<(f64, Vec<Vec<f32>>)> {
    let (read, next) = (Tensor::new(&ids[..ids.len() - 1], model.device())?.unsqueeze(0)?, &ids[1..]);
    let hidden = model.forward(&read, Pass::Train, None)?.squeeze(0)?;
    let goal = match teacher {
        Some(teacher) => Goal::Teacher(teacher, teacher.forward(&read, Pass::Infer, None)?.squeeze(0)?),
        None => Goal::Text(Tensor::new(next, model.device())?),
    };
    let (loss, slope) = foretold(model, &hidden.detach(), &goal)?;
    Ok((loss, adam.gradients(&(hidden * slope)?.sum_all()?.backward()?)?))
}

/// What should be foretold.
pub enum Goal<'a> {
    /// These ids, (tokens).
    Text(Tensor),
    /// What this model foretells from these hidden states of its own, (tokens, hidden).
    Teacher(&'a Gemma3, Tensor),
}

/// Mean loss of what `model` foretells from `hidden` (tokens, hidden), and its slope there, of the same shape. The scores of a
/// whole window are never in memory: with their gradients they would take gigabytes.
///
/// # Errors
/// A token table that is not f32; shapes that do not fit.
pub fn foretold(model: &Gemma3, hidden: &Tensor, goal: &Goal) -> candle_core::Result<(f64, Tensor)> {
    let Embedding::Dense(table) = &model.embedding else { candle_core::bail!("only f32 models can be trained") };
    let scores = |model: &Gemma3, hidden: &Tensor| model.logits(&hidden.unsqueeze(0)?)?.squeeze(0);
    let (tokens, mut loss, mut slopes) = (hidden.dim(0)?, 0.0, Vec::new());
    for first in (0..tokens).step_by(SCORED) {
        let count = SCORED.min(tokens - first);
        let logs = log_softmax(&scores(model, &hidden.narrow(0, first, count)?)?, 1)?;
        let shares = logs.exp()?;
        let (lost, slope) = match goal {
            Goal::Text(ids) => {
                let ids = ids.narrow(0, first, count)?;
                let lost = logs.gather(&ids.unsqueeze(1)?, 1)?.sum_all()?.neg()?;
                (lost, (shares.matmul(table)? - table.index_select(&ids, 0)?)?)
            }
            Goal::Teacher(teacher, hidden) => {
                let wanted_logs = log_softmax(&scores(teacher, &hidden.narrow(0, first, count)?)?, 1)?;
                let wanted = wanted_logs.exp()?;
                let lost = (&wanted * (wanted_logs - &logs)?)?.sum_all()?;
                (lost, (shares - wanted)?.matmul(table)?)
            }
        };
        loss += f64::from(lost.to_scalar::<f32>()?);
        slopes.push(slope);
    }
    Ok((loss / tokens as f64, (Tensor::cat(&slopes, 0)? / tokens as f64)?))
}
