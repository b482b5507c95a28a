//! `pipeline verify`: the model against what llama.cpp answered with the same weights.
//!
//! Turns the base model and the recorded answers (tests/fixtures/gemma3-270m/golden.json, made by make.py beside it)
//! into two tables. Every recorded token is held against ours given the same words before it, so that one difference
//! does not hide the rest. Does NOT know tokenizers: the recorded prompts come as token ids.

use candle_core::{Device, Tensor};
use serde::Deserialize;
use std::io::{self, Write};
use tomato_assistant::{
    engine::CONTEXT,
    model::{
        gemma3::Gemma3,
        kernels::QMatrix,
        linear::{Embedding, Linear},
        ops::Pass,
        weights::{Weights, WeightsError},
    },
};

use super::{
    base::{self, KnownBase},
    import::Base,
};

const GOLDEN: &str = include_str!("../tests/fixtures/gemma3-270m/golden.json");

/// Tokens read at once, as the engine does.
const PREFILL: usize = 256;

/// How far logits may lie apart with all weights in f32. Only the order of sums differs there, and llama.cpp's GELU, a
/// table of f16: 0.01 a logit (see make.py), so 0.02 a gap, with room for another processor's sums.
const EXACT: f32 = 0.05;

/// The same with the file's own formats. llama.cpp rounds activations to 8 bits in every product, we only where a weight
/// stays quantized (Q8_0, Q4_0). That rounding moves llama.cpp's own gaps by up to 0.49 (in golden.json: `gaps` of a
/// case against those of `published`, up to the first token that differs). Here two such roundings meet, hence twice.
const ROUNDED: f32 = 1.0;

/// Why the model is not proved.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The answers were recorded with another file.
    #[error("the recorded answers are of the base model with SHA-256 {0}; leave out --base to fetch that one")]
    OtherBase(String),
    /// The weights cannot be used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The computation failed.
    #[error("the model failed: {0}")]
    Compute(#[from] candle_core::Error),
    /// The table cannot be written.
    #[error("cannot write the table: {0}")]
    Write(#[from] io::Error),
    /// What the command exists to find.
    #[error("{0} differences from llama.cpp are no near ties")]
    Differs(usize),
}

/// The recorded answers.
#[derive(Deserialize)]
pub struct Golden {
    /// SHA-256 of the base model they are of.
    pub base_sha256: String,
    /// One for each prompt.
    pub cases: Vec<Case>,
}

impl Golden {
    /// Those of the repository.
    pub fn recorded() -> Self {
        serde_json::from_str(GOLDEN).expect("compiled in, and read by a test")
    }
}

/// One prompt and what llama.cpp made of it.
#[derive(Deserialize)]
pub struct Case {
    /// As a grower would type it.
    pub prompt: String,
    /// As the model reads it.
    pub ids: Vec<u32>,
    /// With the weights dequantized to f32.
    #[serde(flatten)]
    pub exact: Continuation,
    /// With the quantized file.
    pub published: Continuation,
    /// Token and logit of the 20 best after the prompt, f32; in the first cases only.
    #[serde(default)]
    pub top: Vec<(u32, f32)>,
}

/// Greedy tokens, and how far each was ahead of the next best.
#[derive(Clone, Debug, Deserialize)]
pub struct Continuation {
    /// Token ids.
    pub greedy: Vec<u32>,
    /// Best logit minus second best, at each token.
    pub gaps: Vec<f32>,
}

/// What our model says where llama.cpp said `recorded`.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Our best token.
    pub token: u32,
    /// Its logit minus the second best.
    pub gap: f32,
    /// Its logit minus that of the recorded token: 0 when they are the same.
    pub margin: f32,
}

impl Step {
    /// From the logits of the whole vocabulary.
    pub fn new(logits: &[f32], recorded: u32) -> Self {
        let (mut token, mut best, mut second) = (0, f32::NEG_INFINITY, f32::NEG_INFINITY);
        for (id, &logit) in logits.iter().enumerate() {
            // NaN counts as best: its gap is then no number, which `compare` refuses.
            if logit.total_cmp(&best).is_gt() {
                (token, best, second) = (id as u32, logit, best);
            } else if logit > second {
                second = logit;
            }
        }
        let theirs = logits.get(recorded as usize).copied().unwrap_or(f32::NEG_INFINITY);
        Self { token, gap: best - second, margin: if token == recorded { 0.0 } else { best - theirs } }
    }
}

/// The first token on which we and llama.cpp disagree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Tokens before it.
    pub at: usize,
    /// How far our token is ahead of theirs, by our logits.
    pub ours: f32,
    /// How far theirs is ahead of the next best, by their logits.
    pub theirs: f32,
}

/// One continuation held against the recorded one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Tokens that are the same.
    pub equal: usize,
    /// Where they part first.
    pub first: Option<Difference>,
    /// The largest gap, of either side, over tokens that differ.
    pub worst: f32,
    /// Tokens that differ where neither side was sure.
    pub near_ties: usize,
    /// Tokens that differ otherwise, or are missing.
    pub failures: usize,
    /// The largest change of a gap, over equal tokens.
    pub gap_moved: f32,
}

/// A difference is a near tie when both sides prefer their own token by at most `tolerance`.
pub fn compare(recorded: &Continuation, ours: &[Step], tolerance: f32) -> Comparison {
    let mut comparison = Comparison::default();
    for (at, ((&token, &theirs), step)) in recorded.greedy.iter().zip(&recorded.gaps).zip(ours).enumerate() {
        if step.token == token && step.gap.is_finite() {
            comparison.equal += 1;
            comparison.gap_moved = comparison.gap_moved.max((step.gap - theirs).abs());
            continue;
        }
        comparison.first.get_or_insert(Difference { at, ours: step.margin, theirs });
        comparison.worst = comparison.worst.max(step.margin).max(theirs);
        if step.gap.is_finite() && step.margin <= tolerance && theirs <= tolerance {
            comparison.near_ties += 1;
        } else {
            comparison.failures += 1;
        }
    }
    let held = comparison.equal + comparison.near_ties + comparison.failures;
    comparison.failures += recorded.greedy.len() - held;
    comparison
}

/// The largest difference from recorded logits; infinite when one of ours is missing or no number.
pub fn top_difference(top: &[(u32, f32)], logits: &[f32]) -> f32 {
    let difference = |&(id, theirs): &(u32, f32)| match logits.get(id as usize) {
        Some(ours) if ours.is_finite() => (ours - theirs).abs(),
        _ => f32::INFINITY,
    };
    top.iter().map(difference).fold(0.0, f32::max)
}

/// Logits after the prompt, and a step at each of the `recorded` tokens, each read after those before it.
///
/// # Errors
/// More tokens than the model was loaded for.
pub fn steps(model: &Gemma3, ids: &[u32], recorded: &[u32]) -> Result<(Vec<f32>, Vec<Step>), candle_core::Error> {
    let mut cache = model.cache();
    let mut read = |part: &[u32]| -> Result<Tensor, candle_core::Error> {
        let hidden = model.forward(&Tensor::new(part, &Device::Cpu)?.unsqueeze(0)?, Pass::Infer, Some(&mut cache))?;
        hidden.narrow(1, part.len() - 1, 1)
    };
    let score = |hidden: &Tensor| model.logits(hidden)?.flatten_all()?.to_vec1::<f32>();
    let (before, last) = ids.split_at(ids.len().saturating_sub(1) / PREFILL * PREFILL);
    for part in before.chunks(PREFILL) {
        read(part)?;
    }
    let after_prompt = score(&read(last)?)?;
    let mut steps = Vec::with_capacity(recorded.len());
    for (at, &token) in recorded.iter().enumerate() {
        match at.checked_sub(1) {
            None => steps.push(Step::new(&after_prompt, token)),
            Some(previous) => steps.push(Step::new(&score(&read(&recorded[previous..at])?)?, token)),
        }
    }
    Ok((after_prompt, steps))
}

/// Runs every recorded prompt twice and writes the tables to `out`, line by line.
///
/// # Errors
/// [`VerifyError`]; [`VerifyError::Differs`] after the tables.
pub fn run(base: &KnownBase, out: &mut impl Write) -> Result<(), VerifyError> {
    let golden = Golden::recorded();
    let path = match &base.base {
        Base::Gguf(path) if base::content_sha256(&base.origin) == golden.base_sha256 => path,
        _ => return Err(VerifyError::OtherBase(golden.base_sha256)),
    };
    let weights = Weights::gguf(path)?;
    let config = weights.config()?;
    let stored = weights.load(config, CONTEXT)?;
    writeln!(out, "Weights as the file stores them, both sides; a near tie is a gap of at most {ROUNDED} on both.")?;
    let mut failures = check(&stored, &golden.cases, |case| (&case.published, &[]), ROUNDED, out)?;
    writeln!(out, "\nAll weights as f32, both sides; a near tie is a gap of at most {EXACT} on both.")?;
    failures += check(&dense(stored)?, &golden.cases, |case| (&case.exact, &case.top), EXACT, out)?;
    if failures > 0 { Err(VerifyError::Differs(failures)) } else { Ok(()) }
}

/// One table; how many differences are no near ties. Recorded logits must agree to within the tolerance as well.
fn check(
    model: &Gemma3,
    cases: &[Case],
    recorded: impl Fn(&Case) -> (&Continuation, &[(u32, f32)]),
    tolerance: f32,
    out: &mut impl Write,
) -> Result<usize, VerifyError> {
    writeln!(
        out,
        "{:>6} {:>7} {:>5} {:>5} {:>9} {:>9} {:>6} {:>9} {:>7}  prompt",
        "tokens", "equal", "ties", "first", "ours", "llama.cpp", "worst", "gap moved", "top 20"
    )?;
    let (mut equal, mut tokens, mut near_ties, mut failures) = (0, 0, 0, 0);
    for case in cases {
        let (continuation, top) = recorded(case);
        let (logits, steps) = steps(model, &case.ids, &continuation.greedy)?;
        let found = compare(continuation, &steps, tolerance);
        let (at, ours, theirs) = match found.first {
            Some(Difference { at, ours, theirs }) => (at.to_string(), format!("{ours:.3}"), format!("{theirs:.3}")),
            None => ("-".into(), "-".into(), "-".into()),
        };
        let distance = top_difference(top, &logits);
        let shown = if top.is_empty() { "-".into() } else { format!("{distance:.4}") };
        let same = format!("{}/{}", found.equal, continuation.greedy.len());
        let prompt: String = case.prompt.chars().take(30).map(|c| if c.is_control() { ' ' } else { c }).collect();
        writeln!(
            out,
            "{:>6} {same:>7} {:>5} {at:>5} {ours:>9} {theirs:>9} {:>6.3} {:>9.3} {shown:>7}  {prompt}{}",
            case.ids.len(),
            found.near_ties,
            found.worst,
            found.gap_moved,
            if found.failures > 0 || distance > tolerance { "  <- DIFFERS" } else { "" }
        )?;
        out.flush()?;
        equal += found.equal;
        tokens += continuation.greedy.len();
        near_ties += found.near_ties;
        failures += found.failures + usize::from(distance > tolerance);
    }
    writeln!(out, "{equal} of {tokens} tokens equal, {near_ties} near ties, {failures} differences")?;
    Ok(failures)
}

/// The same model with no weight quantized: the mathematics alone.
fn dense(mut model: Gemma3) -> Result<Gemma3, candle_core::Error> {
    if let Embedding::Quantized(table) = &model.embedding {
        model.embedding = Embedding::Dense(dequantize(table)?);
    }
    for layer in &mut model.layers {
        for matrix in layer.matrices() {
            if let Linear::Quantized(weight) = matrix {
                *matrix = Linear::Dense(dequantize(weight)?);
            }
        }
    }
    Ok(model)
}

/// (rows, columns), f32.
fn dequantize(weight: &QMatrix) -> Result<Tensor, candle_core::Error> {
    let mut values = vec![0f32; weight.rows() * weight.columns()];
    for (row, out) in values.chunks_exact_mut(weight.columns()).enumerate() {
        weight.dequantize_row(row, out);
    }
    Tensor::from_vec(values, (weight.rows(), weight.columns()), &Device::Cpu)
}
