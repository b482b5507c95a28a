//! The answerer: everything an answer needs, loaded from a bundle, and the steps from question to answer.
//!
//! The model's words pass the guard a sentence at a time; when one fails, or too little was said, the best curated entry
//! is shown instead. Does NOT hold words of its own: they are in `text`.

use super::{
    Answer, Question, Reference,
    guard::{Guard, sentence_end},
    library::{Library, OpenError},
    readings,
};
use crate::{
    bundle::Bundle,
    climate::{Assessment, Measure, Period, Stage, assess},
    engine::{CONTEXT, Ending, Engine, EngineError, Limits},
    knowledge::{
        Entry,
        retrieval::{Hit, Query},
    },
    prompt::{self, Passage},
    stats::{Memory, Stats},
    text::Msg,
};
use std::{
    ops::ControlFlow,
    time::{Instant, SystemTime},
};

/// Longest question, in characters; longer ones are refused, not cut, since the end may hold the question.
pub const LONGEST_QUESTION: usize = 2000;

/// References in the prompt. One, as long as the model has not learnt to choose: with the second one it told 63 % of the
/// validation questions' facts instead of 85 % (`pipeline evaluate`), since it copied from the wrong one.
const REFERENCES: usize = 1;

/// Most tokens of an answer: curated answers are at most 120 words, about 170 tokens.
const ANSWER_TOKENS: usize = 192;

/// Fewer words than this answer nothing; the curated entry is shown instead.
const FEWEST_WORDS: usize = 8;

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// Nothing was asked.
    #[error("the question is empty")]
    Empty,
    /// More than [`LONGEST_QUESTION`] characters.
    #[error("the question has {0} characters")]
    TooLong(usize),
    /// The model failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A loaded bundle, ready for questions.
pub struct Answerer {
    library: Library,
    stage: Stage,
    engine: Engine,
}

impl Answerer {
    /// Loads everything from an opened bundle; `stage` is what the readings are judged by.
    ///
    /// # Errors
    /// All of [`OpenError`].
    pub fn open(bundle: &Bundle, stage: Stage) -> Result<Self, OpenError> {
        let library = Library::open(bundle)?;
        let engine = Engine::open(&bundle.model(), &bundle.tokenizer())?;
        Ok(Self { library, stage, engine })
    }

    /// From now on readings are judged by another growth stage.
    pub fn set_stage(&mut self, stage: Stage) {
        self.stage = stage;
    }

    /// Answers `question`. `on_text` gets only words that have passed the guard, a sentence at a time, and empty text
    /// in between to ask whether to go on.
    ///
    /// # Errors
    /// All of [`AnswerError`].
    pub fn answer(
        &mut self,
        question: &Question,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Answer, AnswerError> {
        let start = Instant::now();
        let text = clean(&question.text)?;
        let assessment = assess(&question.snapshot, &self.library.targets, self.stage, Period::of(&question.snapshot));
        let asked = asked_about(&assessment, question.lang.measures_named(&text));
        let readings_note = readings::climate_note(&assessment, &asked, SystemTime::now(), question.lang);
        let vector = self.library.encoder.encode(&text)?;
        let signals = assessment.signals();
        let query = Query { text: &text, vector: Some(&vector), category: question.category, signals: &signals };
        let found = self.library.index.search(&query);
        let hits = found.hits;
        let mut answer = Answer { readings_note, ..Answer::default() };

        let Some(best) = hits.first().filter(|_| found.on_topic) else {
            answer.declined = true;
            answer.text = question.lang.say(&Msg::Refusal);
            let _ = on_text(&answer.text);
            answer.stats = Stats { total: start.elapsed(), memory: Memory::now(), ..Stats::default() };
            return Ok(answer);
        };
        let best = best.index;
        let (prompt, used, dropped) = self.prompt(&hits, &answer.readings_note, &text)?;
        answer.dropped_references = dropped;
        let entries: Vec<&Entry> = used.iter().map(|&index| &self.library.knowledge.entries()[index]).collect();
        let given = format!("{} {text}", answer.readings_note);
        let guard = Guard::new(entries.iter().map(|entry| entry.output.as_str()), &given);
        answer.references =
            entries.iter().map(|e| Reference { id: e.id.clone(), title: e.instruction.clone() }).collect();

        let mut gate =
            Gate { guard, pending: String::new(), shown: String::new(), failed: false, stopped: false, on_text };
        let limits = Limits { tokens: ANSWER_TOKENS, stops: prompt::STOPS.map(String::from).to_vec() };
        let before = start.elapsed();
        let generated = self.engine.generate(&prompt, &limits, |more| gate.take(more))?;
        if generated.ending == Ending::Complete {
            gate.finish();
        }
        let Gate { shown, stopped, failed, .. } = gate;
        answer.stopped = stopped;
        answer.text = shown;
        // A text that was cut lacks what came after, which may be what was asked.
        if !stopped && (failed || answer.text.split_whitespace().count() < FEWEST_WORDS) {
            log::info!("the model's text was unusable, the curated entry is shown; it was {:?}", generated.text);
            answer.fallback = true;
            let entry = &self.library.knowledge.entries()[best];
            answer.text = entry.output.clone();
            if answer.references.is_empty() {
                // None fitted into the prompt; what is shown is cited all the same.
                answer.references.push(Reference { id: entry.id.clone(), title: entry.instruction.clone() });
            }
        }
        answer.stats = generated.stats;
        answer.stats.time_to_first_token += before;
        answer.stats.total = start.elapsed();
        Ok(answer)
    }

    /// Prompt ids, the entries in it (best first) and how many were dropped: the lowest ranked goes first until the
    /// prompt and an answer fit the context.
    fn prompt(&self, hits: &[Hit], readings: &str, text: &str) -> Result<(Vec<u32>, Vec<usize>, usize), AnswerError> {
        let mut used: Vec<usize> = hits.iter().take(REFERENCES).map(|hit| hit.index).collect();
        let wanted = used.len();
        loop {
            let passage = |&index: &usize| Passage { answer: &self.library.knowledge.entries()[index].output };
            let passages: Vec<Passage> = used.iter().map(passage).collect();
            let ids = self.engine.encode(&prompt::render(&passages, readings, text))?;
            if ids.len() + ANSWER_TOKENS <= CONTEXT {
                return Ok((ids, used, wanted - passages.len()));
            }
            if used.pop().is_none() {
                return Err(EngineError::PromptTooLong { tokens: ids.len() }.into());
            }
        }
    }
}

/// Holds the model's text back until a sentence is whole and has passed the guard.
struct Gate<'a> {
    guard: Guard,
    pending: String,
    shown: String,
    failed: bool,
    stopped: bool,
    on_text: &'a mut dyn FnMut(&str) -> ControlFlow<()>,
}

impl Gate<'_> {
    fn take(&mut self, more: &str) -> ControlFlow<()> {
        self.pending.push_str(more);
        while let Some(end) = sentence_end(&self.pending) {
            let rest = self.pending.split_off(end);
            let sentence = std::mem::replace(&mut self.pending, rest);
            self.pass(&sentence)?;
        }
        self.tell("")
    }

    /// The text ended by itself: what is pending is the last sentence, if it is one at all.
    fn finish(&mut self) {
        let last = std::mem::take(&mut self.pending);
        if !self.failed && last.trim_end().ends_with(['.', '!', '?', '。', '！', '？']) {
            let _ = self.pass(&last);
        }
    }

    fn pass(&mut self, sentence: &str) -> ControlFlow<()> {
        let sentence = sentence.trim();
        if let Err(fault) = self.guard.check(sentence) {
            log::info!("a sentence was held back, {fault:?}: {sentence:?}");
            self.failed = true;
            return ControlFlow::Break(());
        }
        let piece = if self.shown.is_empty() { sentence.to_string() } else { format!(" {sentence}") };
        self.shown.push_str(&piece);
        self.tell(&piece)
    }

    fn tell(&mut self, piece: &str) -> ControlFlow<()> {
        let flow = (self.on_text)(piece);
        self.stopped |= flow.is_break();
        flow
    }
}

/// Of the measures a question names, those that a probe measures: "which temperature kills mould?" is no complaint about
/// a missing probe.
fn asked_about(assessment: &Assessment, named: Vec<Measure>) -> Vec<Measure> {
    named.into_iter().filter(|measure| assessment.get(*measure).is_some()).collect()
}

/// The question without control characters and surplus white space.
fn clean(text: &str) -> Result<String, AnswerError> {
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.chars().count() {
        0 => Err(AnswerError::Empty),
        length if length > LONGEST_QUESTION => Err(AnswerError::TooLong(length)),
        _ => Ok(text),
    }
}
