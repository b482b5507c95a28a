//! Stage `finetune`: a pruned checkpoint and examples -> an adapter and a selection head that choose the sentences which answer
//! a question.
//!
//! Low-rank adapters on a frozen f32 model, steps of a token budget, AdamW with warm-up and cosine. On the processor examples are
//! read one at a time, without padding; on a GPU those of a step together. Each step also learns of what kind some questions
//! without references are. A run that was killed goes on from its last checkpoint. Or, without training: the adapter that is in
//! the repository. Does NOT know how answers are put together.

use candle_core::Device;
use indicatif::ProgressBar;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, path::Path, time::Instant};
use tomato_assistant::model::{gemma3::Gemma3, ops::Pass, selector::Selector};

use super::{
    adam::{Adam, Sick},
    adapter::{self, Adapter, AdapterError},
    artifact::{Artifact, ArtifactError, Origin, Stage, at},
    checkpoint::TENSORS,
    dense::{Dense, DenseError},
    draw::Draw,
    examples::{self, ExamplesError, kinds},
    recipe,
    resume::{self, Progress},
    sources::{ADAPTER, ADAPTER_CONFIG, Sources},
};

pub mod objective;

use objective::{Alone, LONGEST, Measured, Ready, Told};

/// This stage.
pub const STAGE: Stage = Stage { number: 4, name: "finetune", revision: 4 };

/// The training's record: how the loss fell.
pub const CURVE: &str = "training.json";

/// Where a training keeps what it needs to go on, beside the stages' folders.
const KEPT: &str = "finetune-resume";

/// Why there is no adapter.
#[derive(Debug, thiserror::Error)]
pub enum FinetuneError {
    /// The checkpoint cannot be used.
    #[error(transparent)]
    Dense(#[from] DenseError),
    /// The adapter of the repository cannot be used.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// The repository's files give no examples.
    #[error(transparent)]
    Examples(#[from] ExamplesError),
    /// The disk refuses, or is full.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Nothing can be learnt any more.
    #[error("{0}: training stopped. Try a lower learning_rate in [finetune]")]
    Sick(#[from] Sick),
    /// The computation failed.
    #[error("training: {0}")]
    Compute(#[from] candle_core::Error),
    /// Nothing to learn from.
    #[error("there are no examples that fit into {LONGEST} tokens: check the question sets in data/")]
    NoExamples,
}

/// What this stage's folder is made from; with `train` the examples, else the repository's adapter.
pub fn origin(table: &recipe::Finetune, checkpoint: &Artifact, sources: &Sources, train: bool) -> Origin {
    let mut inputs = checkpoint.inputs();
    inputs.extend(match train {
        true => examples::inputs(sources).into_iter().chain(kinds::inputs(sources)).collect(),
        false => sources.inputs(&[ADAPTER, ADAPTER_CONFIG]),
    });
    Origin::new(&STAGE, &(table, train), inputs)
}

/// Copies the repository's adapter into `out`, if it is one for this checkpoint.
///
/// # Errors
/// [`FinetuneError::Adapter`], [`FinetuneError::Artifact`].
pub fn take(checkpoint: &Artifact, sources: &Sources, out: &Path) -> Result<(), FinetuneError> {
    for (from, to) in [(ADAPTER, adapter::WEIGHTS), (ADAPTER_CONFIG, adapter::CONFIG)] {
        let to = out.join(to);
        fs::copy(sources.path(from), &to).map_err(at(&to))?;
    }
    Ok(Adapter::open(out)?.fits(&checkpoint.record.files[TENSORS].sha256)?)
}

/// Removes from `work` what a training that has ended left to go on from. Not before its folder is whole: a run that is killed
/// at its very end loses nothing.
///
/// # Errors
/// [`FinetuneError::Artifact`].
pub fn forget(work: &Path) -> Result<(), FinetuneError> {
    Ok(resume::forget(&work.join(KEPT))?)
}

/// Where a training is, besides its steps.
#[derive(Default, Serialize, Deserialize)]
struct Place {
    /// Examples seen.
    seen: usize,
    /// The checks so far.
    curve: Vec<Check>,
    /// Loss and examples since the last check.
    pending: (f64, usize),
}

/// How much the kinds of the questions without references count beside the choice among sentences.
const QUESTIONS_WEIGHT: f64 = 0.5;

/// Questions without references that are read together on the processor: the same many on any number of cores, for the same sums.
const TOGETHER: usize = 8;

/// One line of the training's record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Check {
    /// Steps done.
    pub step: usize,
    /// Mean loss of the training examples since the line before, with what their kinds add.
    pub training: f64,
    /// Mean loss of the choice in the held-out examples.
    pub held_out: f64,
    /// Of the held-out questions about details, those whose best sentence answers; share of 1.
    pub narrow: f64,
    /// Of the held-out questions with their reference, those whose best sentence is of it; share of 1.
    pub reference: f64,
    /// How little of a softmax lies on the right kinds of held-out questions, as -ln, in the mean.
    pub kinds: f64,
    /// Of these questions, those whose likeliest kind is right; share of 1.
    pub told: f64,
    /// Seconds since the beginning, of all runs together.
    pub seconds: f64,
}

/// What `training.json` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The recipe's table.
    pub table: recipe::Finetune,
    /// Examples of each kind.
    pub examples: BTreeMap<String, usize>,
    /// Held-out ones.
    pub held_out: usize,
    /// Questions without references to learn from, and held-out ones of a check.
    pub questions: [usize; 2],
    /// Tokens of one pass over the examples.
    pub tokens: usize,
    /// Numbers that are trained.
    pub parameters: usize,
    /// How it went.
    pub curve: Vec<Check>,
    /// The step whose values were kept: the lowest held-out loss, kinds included.
    pub best: usize,
}

/// Trains on the Hugging Face folder `checkpoint` and writes the adapter with the lowest held-out loss, kinds included, into `out`.
/// What is needed to go on is kept below `work`, until [`forget`]. It computes on `device`; `bar` counts tokens.
///
/// # Errors
/// [`FinetuneError`].
pub fn train(
    table: &recipe::Finetune,
    checkpoint: &Artifact,
    sources: &Sources,
    (work, out): (&Path, &Path),
    device: &Device,
    bar: &ProgressBar,
) -> Result<Record, FinetuneError> {
    let started = Instant::now();
    let mut dense = Dense::open(&checkpoint.dir, LONGEST, device)?;
    let (training, held_out) = objective::examples(&dense, table.seed, sources)?;
    // Each of them once in so many: a check must not take longer than what it checks.
    let every = |count: usize| (count / table.check_examples.max(1)).max(1);
    let every_example = every(held_out.len());
    let held_out: Vec<Ready> = held_out.into_iter().step_by(every_example).collect();
    let (questions, questions_held_out) = objective::questions(&dense, table.seed, sources)?;
    let every_question = every(questions_held_out.len());
    let questions_held_out: Vec<Alone> = questions_held_out.into_iter().step_by(every_question).collect();
    if training.is_empty() || held_out.is_empty() || questions.is_empty() || questions_held_out.is_empty() {
        return Err(FinetuneError::NoExamples);
    }
    let (variables, selector) = adapter::attach(&mut dense.model, &table.shape, &mut Draw::new(table.seed))?;
    let parameters = variables.iter().map(|(_, variable)| variable.elem_count()).sum();
    let mut adam = Adam::new(variables, table.weight_decay, table.clip);
    let run = Run { dense, selector, bar };
    let tokens: usize = training.iter().map(|example| example.ids.len()).sum();
    let total = table.epochs * tokens;
    let mut examples = BTreeMap::new();
    training.iter().for_each(|example| *examples.entry(format!("{:?}", example.kind).to_lowercase()).or_default() += 1);
    log::info!(
        "{} examples {examples:?}, {tokens} tokens, {} held out; {} questions alone, {} held out; {parameters} parameters",
        training.len(),
        held_out.len(),
        questions.len(),
        questions_held_out.len()
    );

    let origin = origin(table, checkpoint, sources, true);
    let kept = work.join(KEPT);
    let restored: Option<Progress<Place>> = resume::restore::<_, FinetuneError>(&kept, &origin, &mut adam)?;
    let mut progress = restored.unwrap_or_else(|| Progress::new(origin, Place::default()));
    let before = progress.own.curve.last().map_or(0.0, |check| check.seconds);
    bar.set_length(total as u64);
    let place = |seen: usize| &training[seen % training.len()];
    let mut read: usize = (0..progress.own.seen).map(|seen| place(seen).ids.len()).sum();
    bar.set_position(read as u64);
    while progress.own.seen < table.epochs * training.len() && !stale(&progress.own.curve, table.patience) {
        let mut step = Vec::new();
        let mut budget = 0;
        while budget < table.tokens && progress.own.seen < table.epochs * training.len() {
            step.push((progress.own.seen, place(progress.own.seen)));
            budget += place(progress.own.seen).ids.len();
            progress.own.seen += 1;
        }
        // Each core reads examples of its own, which wastes less than all cores on one; the sum is made in a fixed order. A
        // GPU reads them together, unless each has its own dropout: starting an operation takes it longer than most operations.
        let together = if device.is_cpu() || table.dropout > 0.0 { 1 } else { step.len() };
        let learnt: Vec<_> =
            step.par_chunks(together).with_max_len(1).map(|examples| run.learn(table, examples, &adam)).collect();
        for learnt in learnt {
            let (losses, gradients) = learnt?;
            adam.add(&gradients, 1.0 / step.len() as f32);
            progress.own.pending.0 += losses.iter().sum::<f64>();
            progress.own.pending.1 += losses.len();
        }
        // Short ones are read together on the processor too.
        let asked = progress.steps * table.questions..(progress.steps + 1) * table.questions;
        let asked: Vec<(usize, &Alone)> = asked.map(|number| (number, &questions[number % questions.len()])).collect();
        let together = match () {
            () if table.dropout > 0.0 => 1,
            () if device.is_cpu() => TOGETHER,
            () => asked.len(),
        };
        let learnt: Vec<_> = asked
            .par_chunks(together)
            .with_max_len(1)
            .map(|questions| run.learn_kinds(table, questions, &adam))
            .collect();
        for gradients in learnt {
            adam.add(&gradients?, (QUESTIONS_WEIGHT / asked.len() as f64) as f32);
        }
        adam.health()?;
        let norm = adam.step(rate(table, progress.steps, read as f64 / total as f64))?;
        progress.steps += 1;
        read += budget;
        let (steps, seconds) = (progress.steps, before + started.elapsed().as_secs_f64());
        if steps.is_multiple_of(5) {
            let mean = progress.own.pending.0 / progress.own.pending.1.max(1) as f64;
            log::info!("step {steps}, {read} of {total} tokens, {seconds:.0} s, loss {mean:.3}, gradient {norm:.2}");
        }
        if steps.is_multiple_of(table.check_every) || progress.own.seen >= table.epochs * training.len() {
            let Measured { loss, narrow, reference } = objective::measure(&run.dense.model, &run.selector, &held_out)?;
            let Told { loss: kinds, right: told } =
                objective::tell(&run.dense.model, &run.selector, &questions_held_out)?;
            let training = progress.own.pending.0 / progress.own.pending.1.max(1) as f64;
            let check = Check { step: steps, training, held_out: loss, narrow, reference, kinds, told, seconds };
            log::info!("{check:?}");
            progress.own.pending = (0.0, 0);
            progress.own.curve.push(check);
            progress.best = lowest(&progress.own.curve);
            resume::keep::<_, FinetuneError>(&kept, &progress, &adam)?;
        }
    }
    bar.finish();

    let best = progress.best.unwrap_or(0);
    let values = candle_core::safetensors::load(kept.join(resume::best(best)), &Device::Cpu)?;
    let adapter::Shape { rank, alpha, .. } = table.shape;
    adapter::save(out, (rank, alpha), table.shape.modules(), &values, &checkpoint.record.files[TENSORS].sha256)?;
    let record = Record {
        table: table.clone(),
        examples,
        held_out: held_out.len(),
        questions: [questions.len(), questions_held_out.len()],
        tokens,
        parameters,
        curve: progress.own.curve,
        best,
    };
    let path = out.join(CURVE);
    let json = serde_json::to_string_pretty(&record).expect("strings and numbers always serialize");
    fs::write(&path, json + "\n").map_err(at(&path))?;
    Ok(record)
}

/// A model in training.
struct Run<'a> {
    dense: Dense,
    selector: Selector,
    bar: &'a ProgressBar,
}

impl Run<'_> {
    /// The model that learns from an example of so many `tokens`, before which `seen` were seen. What drops out is drawn from that
    /// number and the seed, so that it is the same in a run that was killed, and on any core.
    fn dropped_out(&self, table: &recipe::Finetune, seen: usize, tokens: usize) -> candle_core::Result<Gemma3> {
        if table.dropout == 0.0 {
            return Ok(self.dense.model.clone());
        }
        let mut draw = Draw::new(table.seed ^ Draw::new(seen as u64).bits());
        adapter::drop_out(&self.dense.model, table.dropout, tokens, &mut draw)
    }

    /// The losses of examples, each with how many were seen before it, and the gradients of their sum. With dropout it is one.
    fn learn(
        &self,
        table: &recipe::Finetune,
        examples: &[(usize, &Ready)],
        adam: &Adam,
    ) -> candle_core::Result<(Vec<f64>, Vec<Vec<f32>>)> {
        let (seen, first) = examples[0];
        let model = self.dropped_out(table, seen, first.ids.len())?;
        let examples: Vec<&Ready> = examples.iter().map(|&(_, example)| example).collect();
        let said = objective::say(&model, &self.selector, &examples, Pass::Train)?;
        let losses = objective::losses(&examples, &said)?;
        self.bar.inc(examples.iter().map(|example| example.ids.len() as u64).sum());
        let each = losses.to_vec1::<f32>()?.into_iter().map(f64::from).collect();
        Ok((each, adam.gradients(&losses.sum_all()?.backward()?)?))
    }

    /// The gradients of the sum of the losses of questions alone, each with its number. With dropout it is one.
    fn learn_kinds(
        &self,
        table: &recipe::Finetune,
        questions: &[(usize, &Alone)],
        adam: &Adam,
    ) -> candle_core::Result<Vec<Vec<f32>>> {
        let (number, first) = questions[0];
        // Counted from the other end: no example drops out alike.
        let model = self.dropped_out(table, usize::MAX - number, first.ids.len())?;
        let questions: Vec<&Alone> = questions.iter().map(|&(_, question)| question).collect();
        let kinds = objective::kinds(&model, &self.selector, &questions, Pass::Train)?;
        let losses = objective::kind_losses(&kinds, questions.iter().map(|question| &question.kinds))?;
        adam.gradients(&losses.sum_all()?.backward()?)
    }
}

/// The learning rate of step `steps`, when `done` (share of 1) of all tokens are read: warm-up, then a cosine to 0.
fn rate(table: &recipe::Finetune, steps: usize, done: f64) -> f64 {
    let warm = ((steps + 1) as f64 / table.warmup.max(1) as f64).min(1.0);
    table.learning_rate * warm * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
}

impl Check {
    /// What is to be lowest.
    fn sum(&self) -> f64 {
        self.held_out + QUESTIONS_WEIGHT * self.kinds
    }
}

/// The step of the check with the lowest sum of held-out losses, the first of equals.
fn lowest(curve: &[Check]) -> Option<usize> {
    curve.iter().min_by(|a, b| a.sum().total_cmp(&b.sum())).map(|check| check.step)
}

/// Whether the last `patience` checks brought nothing better.
fn stale(curve: &[Check], patience: usize) -> bool {
    let best = curve.iter().enumerate().min_by(|(_, a), (_, b)| a.sum().total_cmp(&b.sum()));
    best.is_some_and(|(at, _)| curve.len() - 1 - at >= patience)
}
