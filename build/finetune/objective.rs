//! What is learnt and measured: which sentences of the references belong into the answer, which of them answers best, and of what
//! kind a question is.
//!
//! Turns examples into token ids, and what a model's head says of them into a loss. Does NOT know how a model is moved.

use candle_core::{Result, Tensor};
use rayon::prelude::*;
use std::ops::Range;
use tomato_assistant::{
    knowledge::sentences::sentences,
    model::{gemma3::Gemma3, ops::Pass, selector::Selector},
    prompt::{self, Part},
};

use super::{
    super::{
        dense::Dense,
        examples::{Asked, Example, Files, Kind, Questions, Wanted},
        sources::Sources,
    },
    FinetuneError,
};

/// Longest example, in tokens; a longer one is left out.
pub const LONGEST: usize = 1024;

/// Longest question without references, in tokens: those read together are filled up to the longest of them.
const LONGEST_ALONE: usize = 64;

/// What shorter examples are filled up with: any token.
const FILLER: u32 = 0;

/// How much the sum of the sentences' own losses counts beside the choice among them.
const EACH_WEIGHT: f64 = 0.125;

/// How much the kind of its question counts in an example.
const KIND_WEIGHT: f64 = 0.25;

/// Among so many questions without references those of like length are put side by side.
const ALIKE: usize = 256;

/// Questions without references that are read together to be measured.
const TOGETHER: usize = 16;

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
    pub right: Option<Range<usize>>,
    /// The token at which the question ends.
    pub asked: u32,
    /// Of what kinds it may be, places in the head's order; none where that is not known.
    pub kinds: Range<usize>,
}

/// A question without references, ready to be read.
pub struct Alone {
    /// The prompt; its last token ends the question.
    pub ids: Vec<u32>,
    /// Of what kinds it may be: at least one.
    pub kinds: Range<usize>,
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

/// How a model tells kinds of questions.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// Mean loss.
    pub loss: f64,
    /// Those whose likeliest kind is one of the right ones; share of 1.
    pub right: f64,
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
            let parts = material.render(&example);
            let asked = question_end(dense, &parts)?;
            let (ids, ends) = dense.read(&parts)?;
            let mut counts = example.references.iter().map(|&place| sentences(&entries[place].output).count());
            let right = example.right.map(|right| {
                let first = counts.by_ref().take(right).sum();
                first..first + counts.next().unwrap_or(0)
            });
            // Where all is open there is nothing to choose between.
            if ids.len() <= LONGEST && example.wanted.iter().any(|&wanted| wanted != Wanted::Open) {
                let Example { kind, wanted, kinds, .. } = example;
                all.push(Ready { kind, ids, ends, wanted, right, asked, kinds });
            }
        }
        Ok(all)
    };
    Ok((ready(made.training)?, ready(made.held_out)?))
}

/// The questions without references as ids: those to learn from, and the held-out ones. Too long ones are left out.
///
/// # Errors
/// [`FinetuneError::Examples`], [`FinetuneError::Dense`].
pub fn questions(
    dense: &Dense,
    seed: u64,
    sources: &Sources,
) -> std::result::Result<(Vec<Alone>, Vec<Alone>), FinetuneError> {
    let made = Questions::read(sources, seed)?;
    let ready = |questions: Vec<Asked>| -> std::result::Result<Vec<Alone>, FinetuneError> {
        let mut all = Vec::with_capacity(questions.len());
        for Asked { question, kinds } in questions {
            let (ids, _) = dense.read(&prompt::render(&[], "", &question))?;
            if ids.len() <= LONGEST_ALONE {
                all.push(Alone { ids, kinds });
            }
        }
        Ok(all)
    };
    let mut training = ready(made.training)?;
    // Those that are read together are of like length, or most of what is read would be filling.
    training.chunks_mut(ALIKE).for_each(|some| some.sort_by_key(|question| question.ids.len()));
    Ok((training, ready(made.held_out)?))
}

/// The place of the token at which the question of a prompt ends: its first part.
fn question_end(dense: &Dense, parts: &[Part]) -> std::result::Result<u32, FinetuneError> {
    Ok(dense.read(&parts[..1])?.0.len() as u32 - 1)
}

/// Hidden states of `prompts`, which are read together: (tokens of all, hidden), and where each begins. Shorter ones are filled up
/// at the end, which changes nothing: no token sees one that comes after it.
fn read(model: &Gemma3, prompts: &[&[u32]], pass: Pass) -> Result<(Tensor, Vec<u32>)> {
    let longest = prompts.iter().map(|ids| ids.len()).max().unwrap_or(0);
    let (mut all, mut begins) = (Vec::with_capacity(prompts.len() * longest), Vec::new());
    for ids in prompts {
        begins.push(all.len() as u32);
        all.extend(*ids);
        all.resize(all.len() + longest - ids.len(), FILLER);
    }
    let ids = Tensor::from_vec(all, (prompts.len(), longest), model.device())?;
    Ok((model.forward(&ids, pass, None)?.flatten(0, 1)?, begins))
}

/// What a model says of examples that it read together.
pub struct Said {
    /// Of each the scores of its sentences: (sentences).
    pub scores: Vec<Tensor>,
    /// Of what kind their questions are: (examples, kinds).
    pub kinds: Tensor,
}

/// What the model says of `examples`, which are read together.
///
/// # Errors
/// A prompt that the model cannot read; no examples.
pub fn say(model: &Gemma3, selector: &Selector, examples: &[&Ready], pass: Pass) -> Result<Said> {
    let prompts: Vec<&[u32]> = examples.iter().map(|example| example.ids.as_slice()).collect();
    let (hidden, begins) = read(model, &prompts, pass)?;
    let at = |places: Vec<u32>| hidden.index_select(&Tensor::new(places, model.device())?, 0);
    let both = || examples.iter().zip(&begins);
    let scores =
        selector.scores(&at(both().flat_map(|(one, begin)| one.ends.iter().map(move |end| begin + end)).collect())?)?;
    let kinds = selector.kinds(&at(both().map(|(one, begin)| begin + one.asked).collect())?)?;
    let mut first = 0;
    let each = examples.iter().map(|example| {
        first += example.ends.len();
        scores.narrow(0, first - example.ends.len(), example.ends.len())
    });
    Ok(Said { scores: each.collect::<Result<_>>()?, kinds })
}

/// Of what kind `questions` are, which are read together: (questions, kinds).
///
/// # Errors
/// As [`say`].
pub fn kinds(model: &Gemma3, selector: &Selector, questions: &[&Alone], pass: Pass) -> Result<Tensor> {
    let prompts: Vec<&[u32]> = questions.iter().map(|question| question.ids.as_slice()).collect();
    let (hidden, begins) = read(model, &prompts, pass)?;
    let ends = begins.iter().zip(&prompts).map(|(begin, ids)| begin + ids.len() as u32 - 1);
    selector.kinds(&hidden.index_select(&Tensor::new(ends.collect::<Vec<_>>(), model.device())?, 0)?)
}

/// For each of several questions how little of a softmax over `kinds` (questions, kinds) lies on those that it may be of, as -ln:
/// (questions); 0 where nothing is known.
///
/// # Errors
/// Another number of questions.
pub fn kind_losses<'a>(kinds: &Tensor, right: impl Iterator<Item = &'a Range<usize>>) -> Result<Tensor> {
    let count = kinds.dim(1)?;
    let mask = right.flat_map(|right| (0..count).map(|kind| f32::from(right.is_empty() || right.contains(&kind))));
    let mask = Tensor::from_vec(mask.collect::<Vec<_>>(), kinds.shape(), kinds.device())?;
    let right = (candle_nn::ops::softmax(kinds, 1)? * mask)?.sum(1)?;
    (right + 1e-9)?.log()?.neg()
}

/// The loss of examples: each one's own [`loss`], and what its question's kind adds: (examples).
///
/// # Errors
/// As [`loss`].
pub fn losses(examples: &[&Ready], said: &Said) -> Result<Tensor> {
    let choice = examples.iter().zip(&said.scores).map(|(example, scores)| loss(example, scores));
    let kinds = kind_losses(&said.kinds, examples.iter().map(|example| &example.kinds))?;
    Tensor::stack(&choice.collect::<Result<Vec<_>>>()?, 0)? + (kinds * KIND_WEIGHT)?
}

/// The loss of one example's choice: of each labelled sentence for itself (whether it belongs into the answer), and of the choice
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
/// As [`say`].
pub fn measure(model: &Gemma3, selector: &Selector, examples: &[Ready]) -> Result<Measured> {
    let judge = |example: &Ready| {
        let scores = say(model, selector, &[example], Pass::Train)?.scores.remove(0);
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

/// How `model` tells the kinds of `questions`, at least one.
///
/// # Errors
/// As [`say`].
pub fn tell(model: &Gemma3, selector: &Selector, questions: &[Alone]) -> Result<Told> {
    let tell = |questions: &[Alone]| {
        let questions: Vec<&Alone> = questions.iter().collect();
        let kinds = kinds(model, selector, &questions, Pass::Train)?;
        let loss =
            kind_losses(&kinds, questions.iter().map(|question| &question.kinds))?.sum_all()?.to_scalar::<f32>()?;
        let likeliest = kinds.argmax(1)?.to_vec1::<u32>()?;
        let right =
            likeliest.iter().zip(&questions).filter(|(kind, question)| question.kinds.contains(&(**kind as usize)));
        Ok::<_, candle_core::Error>((f64::from(loss), right.count()))
    };
    let told: Vec<_> = questions.par_chunks(TOGETHER).with_max_len(1).map(tell).collect();
    let (mut loss, mut right) = (0.0, 0);
    for told in told {
        let told = told?;
        (loss, right) = (loss + told.0, right + told.1);
    }
    Ok(Told { loss: loss / questions.len() as f64, right: right as f64 / questions.len() as f64 })
}
