//! What a model that was made smaller learns back: low-rank adapters on it, trained to foretell text.
//!
//! Turns a model and windows of token ids into the model with adapters. The loss is that of the next token or, with a teacher,
//! how far the shares of all next tokens are from the teacher's (Hinton et al. 2015, arXiv 1503.02531). Does NOT know where
//! the windows are from, nor measure what was won.

use candle_core::{Device, Tensor};
use candle_nn::ops::log_softmax;
use rayon::prelude::*;
use tomato_assistant::model::{gemma3::Gemma3, linear::Embedding, ops::Pass};

use super::{
    adam::{Adam, Sick},
    adapter::{self, Shape},
    dense::SCORED,
    draw::Draw,
};

/// Why nothing was learnt.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The training cannot go on.
    #[error(transparent)]
    Sick(#[from] Sick),
    /// The computation failed.
    #[error("recovery: {0}")]
    Compute(#[from] candle_core::Error),
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
    pub at_once: usize,
    /// Whose shares are learnt; None learns the text itself.
    pub teacher: Option<&'a Gemma3>,
}

/// What was learnt.
pub struct Recovered {
    /// The model with its adapters.
    pub model: Gemma3,
    /// Mean loss of the first and of the last tenth of the windows, nats a token.
    pub losses: [f64; 2],
}

/// Trains adapters on `model`, an f32 one, with each of the `windows` once, in their order. The same every time.
///
/// # Errors
/// [`RecoverError`].
pub fn run(mut model: Gemma3, windows: &[Vec<u32>], lesson: &Lesson) -> Result<Recovered, RecoverError> {
    let variables = adapter::adapt_all(&mut model, &lesson.shape, &mut Draw::new(0))?;
    let mut adam = Adam::new(variables, 0.0, lesson.clip);
    let steps = windows.chunks(lesson.at_once);
    let (count, mut losses) = (steps.len(), Vec::new());
    for (step, windows) in steps.enumerate() {
        let learn = |ids: &Vec<u32>| learn(&model, ids, lesson.teacher, &adam);
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
    }
    let tenth = (losses.len() / 10).max(1).min(losses.len());
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    Ok(Recovered { losses: [mean(&losses[..tenth]), mean(&losses[losses.len() - tenth..])], model })
}

/// Mean loss of the tokens of `ids` after the first, and the gradients of the adapters.
fn learn(
    model: &Gemma3,
    ids: &[u32],
    teacher: Option<&Gemma3>,
    adam: &Adam,
) -> candle_core::Result<(f64, Vec<Vec<f32>>)> {
    let (read, next) = (Tensor::new(&ids[..ids.len() - 1], &Device::Cpu)?.unsqueeze(0)?, &ids[1..]);
    let hidden = model.forward(&read, Pass::Train, None)?.squeeze(0)?;
    let goal = match teacher {
        Some(teacher) => Goal::Teacher(teacher, teacher.forward(&read, Pass::Infer, None)?.squeeze(0)?),
        None => Goal::Text(Tensor::new(next, &Device::Cpu)?),
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
