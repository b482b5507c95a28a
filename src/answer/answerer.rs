//! The answerer: everything an answer needs, loaded from a bundle, and the steps from question to answer.
//!
//! The model reads the question and tells of what kind it is; then the best entries, and judges their sentences: those that it finds
//! to answer the question are shown, word for word. Does NOT hold words of its own: they are in `text`.

use super::{
    Advice, Answer, Considered, Further, Judged, PARAGRAPH, Question, Reference,
    choose::{Candidate, Choice, choose},
    library::{Library, OpenError},
    readings,
};
use crate::{
    bundle::Bundle,
    climate::{Assessment, Period, Stage, assess},
    engine::{CONTEXT, Engine, EngineError, Judgement},
    knowledge::{Entry, refusal::Why, retrieval::Hit, sentences::sentences},
    prompt::{self, Passage},
    stats::{Memory, Stats},
    text::{Lang, Msg},
};
use std::{
    ops::ControlFlow,
    time::{Instant, SystemTime},
};

/// Longest question, in characters; longer ones are refused, not cut, since the end may hold the question.
pub const LONGEST_QUESTION: usize = 2000;

/// References that the model reads.
const REFERENCES: usize = 3;

/// Readings far out of range about which an answer tells what to do, at most.
const ADVICE: usize = 2;

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

/// Ids, the places of the tokens that end sentences, and whose sentences they are.
type Prompt = (Vec<u32>, Vec<usize>, Vec<Hit>);

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

    /// Answers `question`. `on_text` gets the sentences of `Answer::text` one by one, and empty text in between to ask whether to
    /// go on.
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
        let understood = self.library.understand(&text)?;
        let signals = assessment.signals();
        let found = self.library.index.search(&understood.query(question.category, &signals));
        let mut answer = Answer::default();
        let mut go_on = || {
            let flow = on_text("");
            answer.stopped |= flow.is_break();
            flow
        };
        let before = start.elapsed();
        let heard = hear(&mut self.engine, &understood.text, &mut go_on)?;
        if let Some(heard) = &heard {
            (answer.stats.reading, answer.stats.prompt_tokens) = (start.elapsed() - before, heard.tokens);
        }
        if answer.stopped {
            answer.stats = Stats { total: start.elapsed(), memory: Memory::now(), ..answer.stats };
            return Ok(answer);
        }
        let verdict = found.evidence.verdict(heard.as_ref().map(|heard| heard.scores.as_slice()));
        // "Is it safe to breathe in there?" sounds like a question for the state too, and no good reading answers it.
        let state_asked = verdict.state.then(|| question.lang.state_asked(&understood.text)).flatten();
        let named = || question.lang.measures_named(&understood.text);
        let mut asked = state_asked.clone().unwrap_or_else(named);
        if verdict.state && asked.is_empty() {
            asked = assessment.items.iter().map(|item| item.measure).collect();
        }
        let state = state_asked.is_some() && !asked.is_empty();
        let note = readings::climate_note(&assessment, &asked, SystemTime::now(), question.lang);
        let readings_note = readings::explained(&note, &assessment, question.lang);
        let stands = verdict.state && !note.is_empty();
        let readings_first = !readings_note.is_empty() && (verdict.vague || stands) && !state;
        let read_as = if understood.text == text { String::new() } else { understood.text.to_string() };
        let mut answer = Answer { read_as, readings_note, readings_first, ..answer };
        let refused = verdict.refused.filter(|_| !stands).or(found.hits.is_empty().then_some(Why::OffTopic));
        if state || refused.is_some() {
            answer.refused = refused.filter(|_| !state);
            answer.by_readings = state;
            self.offer(&mut answer, &found.hits, &assessment, question.lang);
            // What is asked about and not measured must not be called good by the others.
            let unmeasured = readings::unmeasured(&assessment, &asked);
            let msg = answer.refused.map_or(Msg::State(&assessment, &unmeasured), Msg::Refusal);
            return Ok(by_code(answer, &question.lang.say(&msg), start, on_text));
        }

        let hits = &found.hits[..REFERENCES.min(found.hits.len())];
        let (ids, ends, hits) = self.prompt(hits, &note, &understood.text)?;
        answer.dropped_references = REFERENCES.min(found.hits.len()) - hits.len();
        let before = start.elapsed();
        let judgement = self.engine.judge(&ids, &ends, &mut || {
            let flow = on_text("");
            answer.stopped |= flow.is_break();
            flow
        })?;
        let judging = start.elapsed() - before;
        answer.stats.reading += judging;
        answer.stats.prompt_tokens = judgement.as_ref().map_or(0, |judgement| judgement.tokens);
        if !answer.stopped {
            let scores = judgement.as_ref().map(|judgement| judgement.scores.as_slice());
            self.compose(&mut answer, (&hits, &understood.vector), scores, verdict.vague, question.lang, on_text);
            answer.stats.time_to_first_token = before + judging;
        }
        if answer.by_readings {
            let mut answer = Answer { readings_first: false, nearest_only: false, ..answer };
            self.offer(&mut answer, &found.hits, &assessment, question.lang);
            // "Is it too hot?" is clear, and answered so.
            let unmeasured = readings::unmeasured(&assessment, &asked);
            let msg = match question.lang.state_asked(&understood.text) {
                Some(_) => Msg::State(&assessment, &unmeasured),
                None => Msg::Unclear(&assessment, &unmeasured),
            };
            return Ok(by_code(answer, &question.lang.say(&msg), start, on_text));
        }
        if !answer.stopped {
            self.advise(&mut answer, &assessment, question.lang);
        }
        answer.stats.total = start.elapsed();
        answer.stats.memory = Memory::now();
        Ok(answer)
    }

    /// Puts the chosen sentences of `hits` into `answer`, the first block one by one; `vector` is the question's, and `scores` are
    /// those of all their sentences. Where the question is `vague` and none of them clearly answers, nothing is put there.
    fn compose(
        &self,
        answer: &mut Answer,
        (hits, vector): (&[Hit], &[f32]),
        scores: Option<&[f32]>,
        vague: bool,
        lang: Lang,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) {
        let passages: Vec<Passage> = hits.iter().map(|hit| self.passage(hit)).collect();
        // A damaged model's scores may be no numbers. They choose nothing, but the entry as it stands is still right.
        let scores = scores.filter(|scores| scores.iter().all(|score| score.is_finite()));
        let mut rest = scores.unwrap_or_default().iter();
        let candidates: Vec<Candidate> = hits
            .iter()
            .zip(&passages)
            .map(|(hit, passage)| Candidate {
                found: hit.score,
                scores: passage.sentences.iter().filter_map(|_| rest.next().copied()).collect(),
                near: self.library.index.near(hit.index, passage.sentences.len(), vector),
            })
            .collect();
        let mut choice = match scores {
            Some(_) => choose(&candidates),
            None => Choice::whole(passages[0].sentences.len()),
        };
        if let Some((first, _)) = choice.direct.first() {
            choice.complete_lead(&passages[*first].sentences, |sentence| lang.goes_on(sentence));
        }
        for part in 0..choice.direct.len() {
            let reference = choice.direct[part].0;
            choice.add_warnings(part, &passages[reference].sentences, &self.entry(&hits[reference]).warnings);
        }
        answer.fallback = scores.is_none();
        answer.nearest_only = choice.nearest_only;
        // What is asked can only be guessed, and no entry fits: the readings are the answer.
        answer.by_readings = vague && answer.readings_first && answer.nearest_only;
        let is_chosen = |reference: usize, sentence: usize| {
            let part = choice.direct.iter().position(|(own, _)| *own == reference);
            part.is_some_and(|part| choice.shown(part).any(|place| place == sentence))
        };
        for (reference, (hit, passage)) in hits.iter().zip(&passages).enumerate() {
            let judged = passage.sentences.iter().enumerate().map(|(sentence, text)| Judged {
                text: text.to_string(),
                score: candidates[reference].scores.get(sentence).copied(),
                asked: candidates[reference].near.asked[sentence],
                said: candidates[reference].near.said[sentence],
                chosen: !answer.by_readings && is_chosen(reference, sentence),
            });
            let id = self.entry(hit).id.clone();
            answer.considered.push(Considered { id, found: hit.score, sentences: judged.collect() });
        }
        let texts = |reference: usize, places: &[usize]| -> Vec<String> {
            places.iter().map(|&place| passages[reference].sentences[place].into()).collect()
        };
        if answer.by_readings {
            return;
        }
        let mut blocks = choice.direct.iter();
        let Some((first, chosen)) = blocks.next() else { return };
        answer.references.push(reference(self.entry(&hits[*first])));
        for (part, places) in [&choice.lead, chosen].into_iter().enumerate() {
            for (place, sentence) in texts(*first, places).into_iter().enumerate() {
                let gap = match () {
                    () if answer.text.is_empty() => "",
                    () if part > 0 && place == 0 => PARAGRAPH,
                    () => " ",
                };
                let piece = format!("{gap}{sentence}");
                answer.text.push_str(&piece);
                if on_text(&piece).is_break() {
                    answer.stopped = true;
                    return;
                }
                if part == 0 {
                    answer.lead = answer.text.len();
                }
            }
        }
        for (other, chosen) in blocks {
            let reference = reference(self.entry(&hits[*other]));
            answer.references.push(reference.clone());
            let citation = answer.references.len();
            answer.further.push(Further { reference, citation, sentences: texts(*other, chosen) });
        }
        answer.more = texts(*first, &choice.more).join(" ");
    }

    fn entry(&self, hit: &Hit) -> &Entry {
        &self.library.knowledge.entries()[hit.index]
    }

    /// Puts into `answer` what to do about the readings that are far out of range, where it does not say so already. What stood in
    /// the rest of its entry goes with the readings instead.
    fn advise(&self, answer: &mut Answer, assessment: &Assessment, lang: Lang) {
        for item in assessment.alarms() {
            if answer.advice.len() == ADVICE {
                break;
            }
            let signals = assessment.signals_of(item);
            // The last tells most.
            let remedy = signals.iter().rev().find_map(|signal| self.library.knowledge.remedy(signal));
            let Some((entry, remedy)) = remedy else { continue };
            let others = answer.further.iter().chain(answer.advice.iter().map(|advice| &advice.says));
            let said: Vec<&str> = others.flat_map(|other| &other.sentences).map(String::as_str).collect();
            let new =
                |sentence: &&String| !answer.text.contains(sentence.as_str()) && !said.contains(&sentence.as_str());
            let new: Vec<String> = remedy.sentences.iter().filter(new).cloned().collect();
            if new.is_empty() {
                continue;
            }
            let rest = sentences(&answer.more).filter(|sentence| new.iter().all(|new| new != sentence));
            answer.more = rest.collect::<Vec<_>>().join(" ");
            let known = answer.references.iter().position(|reference| reference.id == entry.id);
            let place = known.unwrap_or(answer.references.len());
            if known.is_none() {
                answer.references.push(reference(entry));
            }
            let says = Further { reference: reference(entry), citation: place + 1, sentences: new };
            answer.advice.push(Advice { on: lang.say(&Msg::Advised(item.measure, item.level)), says });
        }
    }

    /// What is left where no entry answers: advice on the readings, and of the `hits` the nearest ones to be read instead.
    fn offer(&self, answer: &mut Answer, hits: &[Hit], assessment: &Assessment, lang: Lang) {
        self.advise(answer, assessment, lang);
        let nearest = hits.iter().take(REFERENCES).map(|hit| reference(self.entry(hit)));
        answer.nearest = nearest.filter(|near| !answer.references.contains(near)).collect();
    }

    fn passage(&self, hit: &Hit) -> Passage<'_> {
        let entry = self.entry(hit);
        Passage { title: &entry.instruction, sentences: sentences(&entry.output).collect() }
    }

    /// Prompt ids, where its sentences end, and which of the `hits` (best first) are in it: the lowest ranked goes first until
    /// the prompt fits the context.
    fn prompt(&self, hits: &[Hit], readings: &str, text: &str) -> Result<Prompt, AnswerError> {
        let mut tokens = 0;
        for count in (1..=hits.len()).rev() {
            let passages: Vec<Passage> = hits[..count].iter().map(|hit| self.passage(hit)).collect();
            let (ids, ends) = self.engine.read(&prompt::render(&passages, readings, text))?;
            if ids.len() <= CONTEXT {
                return Ok((ids, ends, hits[..count].to_vec()));
            }
            tokens = ids.len();
        }
        Err(EngineError::PromptTooLong { tokens }.into())
    }
}

/// What the model says of the kind of `question`: its head's outputs; None where it was not trained to, or where nobody could ask so
/// long. `go_on` as for [`Engine::kinds`].
///
/// # Errors
/// [`EngineError::Compute`].
pub fn hear(
    engine: &mut Engine,
    question: &str,
    go_on: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Option<Judgement>, EngineError> {
    let (ids, _) = engine.read(&prompt::render(&[], "", question))?;
    if ids.len() > CONTEXT { Ok(None) } else { engine.kinds(&ids, go_on) }
}

fn reference(entry: &Entry) -> Reference {
    Reference { id: entry.id.clone(), title: entry.instruction.clone() }
}

/// `answer` with a fixed `text`, which the model did not choose.
fn by_code(answer: Answer, text: &str, start: Instant, on_text: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Answer {
    let _ = on_text(text);
    let stats = Stats { total: start.elapsed(), memory: Memory::now(), ..answer.stats };
    Answer { text: text.into(), stats, ..answer }
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
