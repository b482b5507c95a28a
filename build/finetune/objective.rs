//! What is learnt and measured: which sentences of the references belong into the answer, and which of them answers best.
//!
//! Turns examples into token ids, and a model's scores of their sentences into a loss. Does NOT know how a model is moved.

use candle_core::{Result, Tensor};
use rayon::prelude::*;
use tomato_assistant::{
    knowledge::sentences::sentences,
    model::{gemma3::Gemma3, ops::Pass, selector::Selector},
};

use super::{
    super::{
        dense::Dense,
        examples::{Example, Files, Kind, Wanted},
        sources::Sources,
    },
    FinetuneError,
};

/// Longest example, in tokens; a longer one is left out.
pub const LONGEST: usize = 1024;

/// What shorter examples are filled up with: any token.
const FILLER: u32 = 0;

/// How much the sum of the sentences' own losses counts beside the choice among them.
const EACH_WEIGHT: f64 = 0.125;

/// An example as ids, ready to be read.
pub struct Ready {
    /// What it teaches.
    pub kind: Kind,
    /// The prompt.
    pub ids: Vec<u32>,
    /// The tokens at which sentences end.
    pub ends: Vec<u32>,
    /// Of each sentence, whether it belongs into the answer.
    pub wanted: Vec<Wanted>,
    /// Sentences of the right reference, as a range of `wanted`.
    pub right: Option<std::ops::Range<usize>>,
}

/// How a model does on examples.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Mean loss.
    pub loss: f64,
    /// Of the questions about details, those whose best sentence answers; share of 1.
    pub narrow: f64,
    /// Of the questions with their reference, those whose best sentence is of it or of one as right; share of 1.
    pub reference: f64,
}

/// The examples as ids: those to learn from, and the held-out ones.
///
/// # Errors
/// [`FinetuneError::Examples`], [`FinetuneError::Dense`].
pub fn examples(
    dense: &Dense,
    seed: u64,
    sources: &Sources,
) -> std::result::Result<(Vec<Ready>, Vec<Ready>), FinetuneError> {
    let files = Files::read(sources)?;
    let (material, entries) = (files.material(), files.knowledge.entries());
    let made = material.examples(seed)?;
    let ready = |examples: Vec<Example>| -> std::result::Result<Vec<Ready>, FinetuneError> {
        let mut all = Vec::with_capacity(examples.len());
        for example in examples {
            let (ids, ends) = dense.read(&material.render(&example))?;
            let mut counts = example.references.iter().map(|&place| sentences(&entries[place].output).count());
            let right = example.right.map(|right| {
                let first = counts.by_ref().take(right).sum();
                first..first + counts.next().unwrap_or(0)
            });
            // Where all is open there is nothing to choose between.
            if ids.len() <= LONGEST && example.wanted.iter().any(|&wanted| wanted != Wanted::Open) {
                all.push(Ready { kind: example.kind, ids, ends, wanted: example.wanted, right });
            }
        }
        Ok(all)
    };
    Ok((ready(made.training)?, ready(made.held_out)?))
}

/// Scores of the sentences of each of `examples`, which are read together: (sentences). Shorter ones are filled up at the end,
/// which changes nothing: no token sees one that comes after it.
///
/// # Errors
/// A prompt that the model cannot read; no examples.
pub fn scores(model: &Gemma3, selector: &Selector, examples: &[&Ready], pass: Pass) -> Result<Vec<Tensor>> {
    let longest = examples.iter().map(|example| example.ids.len()).max().unwrap_or(0);
    let (mut ids, mut ends) = (Vec::with_capacity(examples.len() * longest), Vec::new());
    for example in examples {
        ends.extend(example.ends.iter().map(|end| ids.len() as u32 + end));
        ids.extend(&example.ids);
        ids.resize(ids.len() + longest - example.ids.len(), FILLER);
    }
    let ids = Tensor::from_vec(ids, (examples.len(), longest), model.device())?;
    let hidden = model.forward(&ids, pass, None)?.flatten(0, 1)?;
    let scores = selector.scores(&hidden.index_select(&Tensor::new(ends.as_slice(), model.device())?, 0)?)?;
    let mut first = 0;
    let each = examples.iter().map(|example| {
        first += example.ends.len();
        scores.narrow(0, first - example.ends.len(), example.ends.len())
    });
    each.collect()
}

/// The loss of one example: of each labelled sentence for itself (whether it belongs into the answer), and of the choice
/// among all of them (how much of a softmax lies on right ones). `scores` are (sentences), what comes back is a single number.
///
/// # Errors
/// Scores of another number of sentences.
pub fn loss(example: &Ready, scores: &Tensor) -> Result<Tensor> {
    let mask = |chosen: &dyn Fn(Wanted) -> f32| {
        let values: Vec<f32> = example.wanted.iter().map(|&wanted| chosen(wanted)).collect();
        Tensor::new(values, scores.device())
    };
    // ln(1 + e^x), x being the score turned so that a right one is negative.
    let turned = (scores * mask(&|wanted| if wanted == Wanted::Yes { -1.0 } else { 1.0 })?)?;
    let each = (turned.relu()? + ((turned.abs()?.neg()?.exp()? + 1.0)?).log()?)?;
    let each = (each * mask(&|wanted| f32::from(wanted != Wanted::Open))?)?.sum_all()?;
    let each = (each * EACH_WEIGHT)?;
    if !example.wanted.iter().any(|&wanted| wanted != Wanted::No) {
        return Ok(each);
    }
    let shares = candle_nn::ops::softmax(scores, 0)?;
    let right = (shares * mask(&|wanted| f32::from(wanted != Wanted::No))?)?.sum_all()?;
    each - (right + 1e-9)?.log()?
}

/// How `model` does on `examples`, at least one.
///
/// # Errors
/// As [`scores`].
pub fn measure(model: &Gemma3, selector: &Selector, examples: &[Ready]) -> Result<Measured> {
    let judge = |example: &Ready| {
        let scores = scores(model, selector, &[example], Pass::Train)?.remove(0);
        Ok::<_, candle_core::Error>((loss(example, &scores)?.to_scalar::<f32>()?, scores.to_vec1::<f32>()?))
    };
    let judged: Vec<_> = examples.par_iter().with_max_len(1).map(judge).collect();
    let (mut sum, mut narrow, mut reference) = (0.0, (0, 0), (0, 0));
    for (example, judged) in examples.iter().zip(judged) {
        let (loss, scores) = judged?;
        sum += f64::from(loss);
        let best = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap_or(0);
        if example.kind == Kind::Narrow {
            narrow = (narrow.0 + usize::from(example.wanted[best] == Wanted::Yes), narrow.1 + 1);
        }
        if let Some(right) = &example.right {
            // Readings may make another entry as right as this one; its sentences are open then.
            let of_it = right.contains(&best) || example.wanted[best] == Wanted::Open;
            reference = (reference.0 + usize::from(of_it), reference.1 + 1);
        }
    }
    let share = |(right, of): (usize, usize)| right as f64 / of.max(1) as f64;
    Ok(Measured { loss: sum / examples.len() as f64, narrow: share(narrow), reference: share(reference) })
}
