//! Tokenizer, model and sampler as one: a prompt in, streamed text out.
//!
//! Decodes greedily, with a fuse against loops. Does NOT know references, readings or what a good answer is.

pub mod sentence;
pub mod vocabulary;

use crate::{
    model::{cache::KvCache, gemma3::Gemma3, ops::Pass, selector::Selector, weights::Weights, weights::WeightsError},
    prompt::Part,
    stats::{Memory, Stats},
};
use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};
use std::{mem, ops::ControlFlow, path::Path, path::PathBuf, time::Instant};
use tokenizers::Tokenizer;

/// Most tokens a prompt and its answer may take together. Bounds the memory of the cache.
pub const CONTEXT: usize = 2048;

/// Tokens read at once: enough to reuse each weight row many times, few enough that a stop is felt and the attention
/// scores stay small.
const PREFILL: usize = 128;

/// Generated tokens looked back at by the fuse.
const LOOP: usize = 6;

/// Why the engine cannot start or answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The tokenizer file cannot be used.
    #[error("cannot use the tokenizer {path}: {cause}")]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The weights cannot be used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Tokenizer and weights are not of one model.
    #[error("the tokenizer has {tokens} tokens, the model {rows}: they do not belong together")]
    Mismatch {
        /// Tokens in the tokenizer.
        tokens: usize,
        /// Rows of the token table.
        rows: usize,
    },
    /// The prompt leaves no room for an answer.
    #[error("the prompt has {tokens} tokens and {CONTEXT} is the limit")]
    PromptTooLong {
        /// Length of the prompt.
        tokens: usize,
    },
    /// The computation failed.
    #[error("the model failed: {0}")]
    Compute(#[from] candle_core::Error),
}

/// What one generation may do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most tokens to generate.
    pub tokens: usize,
    /// Texts that end the answer; never shown.
    pub stops: Vec<String>,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The model ended it, or a stop text came.
    Complete,
    /// The token limit or the context was reached.
    Limit,
    /// The same words began again.
    Loop,
    /// The model wrote bytes that are no text.
    Garbled,
    /// `on_text` asked for it.
    Stopped,
}

/// A finished generation.
#[derive(Clone, Debug)]
pub struct Generated {
    /// All of the text, without the stop text.
    pub text: String,
    /// Why it ended.
    pub ending: Ending,
    /// What it cost.
    pub stats: Stats,
}

/// What was read of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// For each judged part that was read, the log of the odds that it belongs into the answer; or the outputs for a question's kinds.
    pub scores: Vec<f32>,
    /// Tokens read: all, unless it was stopped.
    pub tokens: usize,
}

/// A loaded model, ready to read prompts.
pub struct Engine {
    tokenizer: Tokenizer,
    model: Gemma3,
    selector: Option<Selector>,
    cache: KvCache,
    /// What of a prompt is in the cache, for whoever goes on from there.
    begun: Vec<u32>,
    begin: u32,
    end: u32,
}

impl Engine {
    /// Loads `model.gguf` and `tokenizer.json`.
    ///
    /// # Errors
    /// All of [`EngineError`] but those of a prompt.
    pub fn open(model: &Path, tokenizer: &Path) -> Result<Self, EngineError> {
        let fail = |cause: String| EngineError::Tokenizer { path: tokenizer.into(), cause };
        let mut words = vocabulary::load(tokenizer).map_err(fail)?;
        // A typed "<eos>" is text, not a command.
        words.set_encode_special_tokens(true);
        let id = |name: &str| words.token_to_id(name).ok_or_else(|| fail(format!("it has no {name}")));
        let (begin, end) = (id("<bos>")?, id("<eos>")?);
        let weights = Weights::gguf(model)?;
        let config = weights.config()?;
        let selector = weights.selector(config.hidden)?;
        let model = weights.load(config, CONTEXT)?;
        let (tokens, rows) = (words.get_vocab_size(true), model.embedding.vocabulary()?);
        if tokens != rows {
            return Err(EngineError::Mismatch { tokens, rows });
        }
        let cache = model.cache();
        Ok(Self { tokenizer: words, model, selector, cache, begun: Vec::new(), begin, end })
    }

    /// A prompt as ids, with the token that begins a document in front, and the places of the tokens that end its judged parts.
    ///
    /// # Errors
    /// As [`Engine::encode`].
    pub fn read(&self, parts: &[Part]) -> Result<(Vec<u32>, Vec<usize>), EngineError> {
        let (mut ids, mut ends) = (vec![self.begin], Vec::new());
        for part in parts {
            ids.extend(self.ids(&part.text)?);
            if part.judged {
                ends.push(ids.len() - 1);
            }
        }
        Ok((ids, ends))
    }

    /// Reads a question, `ids` as [`Engine::read`] gives them, and tells of what kind it is: an output for each kind, of which a
    /// softmax makes shares; no output when it was stopped. None, and nothing is read, when the model was not trained to tell.
    /// `go_on` as for [`Engine::judge`].
    ///
    /// # Errors
    /// [`EngineError::PromptTooLong`], [`EngineError::Compute`].
    pub fn kinds(
        &mut self,
        ids: &[u32],
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Judgement>, EngineError> {
        let Some(selector) = self.selector.clone().filter(Selector::tells_kinds) else { return Ok(None) };
        self.begun.clear();
        let mut scores = Vec::new();
        let tokens = self.read_on(ids, go_on, |first, hidden| {
            if let Some(last) = (ids.len() - 1).checked_sub(first).filter(|last| *last < hidden.dim(0).unwrap_or(0)) {
                scores = selector.kinds(&hidden.narrow(0, last, 1)?)?.flatten_all()?.to_vec1()?;
            }
            Ok(())
        })?;
        self.begun = ids[..tokens].to_vec();
        Ok(Some(Judgement { scores, tokens }))
    }

    /// Reads the prompt `ids` and judges what ends at `ends` (rising). Where it begins with the question that [`Engine::kinds`]
    /// read just before, that is not read again. None, and nothing is read, when the model was not trained to judge. `go_on` is
    /// asked now and then; when it says no, less was read.
    ///
    /// # Errors
    /// [`EngineError::PromptTooLong`], [`EngineError::Compute`].
    pub fn judge(
        &mut self,
        ids: &[u32],
        ends: &[usize],
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Judgement>, EngineError> {
        let Some(selector) = self.selector.clone() else { return Ok(None) };
        // Sentences end behind the question.
        if !ids.starts_with(&self.begun) || ends.iter().any(|&end| end < self.begun.len()) {
            self.begun.clear();
        }
        let mut scores = Vec::with_capacity(ends.len());
        let tokens = self.read_on(ids, go_on, |first, hidden| {
            let here = ends.iter().filter(|&&end| (first..first + hidden.dim(0).unwrap_or(0)).contains(&end));
            let here: Vec<u32> = here.map(|end| (end - first) as u32).collect();
            if !here.is_empty() {
                let places = Tensor::new(here, &Device::Cpu)?;
                scores.extend(selector.scores(&hidden.index_select(&places, 0)?)?.to_vec1::<f32>()?);
            }
            Ok(())
        })?;
        Ok(Some(Judgement { scores, tokens }))
    }

    /// Reads `ids` part by part, from behind what was begun of them, which it is no more: `each` gets the place of a part's first token and its hidden
    /// states (tokens, hidden). How many tokens are read then, those begun included: all, unless `go_on` stopped it.
    fn read_on(
        &mut self,
        ids: &[u32],
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
        mut each: impl FnMut(usize, &Tensor) -> candle_core::Result<()>,
    ) -> Result<usize, EngineError> {
        if ids.is_empty() || ids.len() > CONTEXT {
            return Err(EngineError::PromptTooLong { tokens: ids.len() });
        }
        let mut tokens = mem::take(&mut self.begun).len();
        if tokens == 0 {
            self.cache.clear();
        }
        for part in ids[tokens..].chunks(PREFILL) {
            if go_on().is_break() {
                break;
            }
            let input = Tensor::new(part, &Device::Cpu)?.unsqueeze(0)?;
            each(tokens, &self.model.forward(&input, Pass::Infer, Some(&mut self.cache))?.squeeze(0)?)?;
            tokens += part.len();
        }
        Ok(tokens)
    }

    /// Token ids of `text`, with the token that begins a document in front.
    ///
    /// # Errors
    /// None for UTF-8 text with a tokenizer that knows all bytes.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        Ok([&[self.begin], self.ids(text)?.as_slice()].concat())
    }

    /// Token ids of `text`.
    fn ids(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        let fail = |error: tokenizers::Error| candle_core::Error::Msg(format!("cannot tokenize: {error}"));
        Ok(self.tokenizer.encode_fast(text, false).map_err(fail)?.get_ids().to_vec())
    }

    /// Continues `prompt` (ids as [`Engine::encode`] gives them). `on_text` gets the text as it comes, whole
    /// characters only, and can end it.
    ///
    /// # Errors
    /// [`EngineError::PromptTooLong`], [`EngineError::Compute`].
    pub fn generate(
        &mut self,
        prompt: &[u32],
        limits: &Limits,
        mut on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generated, EngineError> {
        let start = Instant::now();
        if prompt.is_empty() || prompt.len() + 1 > CONTEXT {
            return Err(EngineError::PromptTooLong { tokens: prompt.len() });
        }
        let mut stats = Stats { prompt_tokens: prompt.len(), ..Stats::default() };
        let mut sampler = LogitsProcessor::from_sampling(0, Sampling::ArgMax);
        let (mut ids, mut text, mut shown) = (Vec::new(), String::new(), 0);
        let mut ending = Ending::Limit;
        let mut decoder = self.tokenizer.decode_stream(true);

        self.begun.clear();
        self.cache.clear();
        let mut logits = None;
        for part in prompt.chunks(PREFILL) {
            // An empty text asks whether to go on; reading a long prompt takes seconds on a small machine.
            if on_text("").is_break() {
                ending = Ending::Stopped;
                logits = None;
                break;
            }
            logits = Some(next_logits(&self.model, &mut self.cache, part)?);
        }
        while let Some(current) = logits.take() {
            let id = sampler.sample(&current)?;
            ids.push(id);
            if ids.len() == 1 {
                stats.time_to_first_token = start.elapsed();
            }
            if id == self.end {
                ending = Ending::Complete;
                break;
            }
            if loops(&ids) {
                ending = Ending::Loop;
                break;
            }
            // Fails when stray bytes undo what was decoded before them; an answer does not recover from that.
            let Ok(more) = decoder.step(id) else {
                ending = Ending::Garbled;
                break;
            };
            if let Some(more) = more {
                text.push_str(&more);
                if let Some(at) = limits.stops.iter().filter_map(|stop| text.find(stop.as_str())).min() {
                    text.truncate(at);
                    ending = Ending::Complete;
                    break;
                }
                // What might become a stop text is held back until it is clear.
                let safe = text.len() - held_back(&text, &limits.stops);
                if safe > shown {
                    let flow = on_text(&text[shown..safe]);
                    shown = safe;
                    if flow.is_break() {
                        ending = Ending::Stopped;
                        break;
                    }
                }
            }
            if ids.len() >= limits.tokens || prompt.len() + ids.len() >= CONTEXT {
                break;
            }
            logits = Some(next_logits(&self.model, &mut self.cache, &[id])?);
        }
        if ending != Ending::Stopped && shown < text.len() {
            let _ = on_text(&text[shown..]);
        }
        stats.tokens = ids.len();
        stats.total = start.elapsed();
        stats.memory = Memory::now();
        Ok(Generated { text, ending, stats })
    }
}

/// Reads `ids`, which continue the cache, and scores what may come next: (vocabulary).
fn next_logits(model: &Gemma3, cache: &mut KvCache, ids: &[u32]) -> Result<Tensor, candle_core::Error> {
    let input = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
    let hidden = model.forward(&input, Pass::Infer, Some(cache))?;
    model.logits(&hidden.narrow(1, ids.len() - 1, 1)?)?.flatten_all()
}

/// Whether the last [`LOOP`] tokens stood in this order before: greedy decoding would then go round for ever.
fn loops(ids: &[u32]) -> bool {
    let Some(before) = ids.len().checked_sub(LOOP) else { return false };
    let last = &ids[before..];
    ids[..ids.len() - 1].windows(LOOP).any(|window| window == last)
}

/// Bytes at the end of `text` that could be the beginning of a stop text.
fn held_back(text: &str, stops: &[String]) -> usize {
    let partial =
        |stop: &String| (1..stop.len()).rev().find(|&n| stop.is_char_boundary(n) && text.ends_with(&stop[..n]));
    stops.iter().filter_map(partial).max().unwrap_or(0)
}
