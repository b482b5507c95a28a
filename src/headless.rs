//! Answers without a screen: one question as text or JSON, or a file of questions as JSON lines.
//!
//! The answer goes to one writer, everything about it to another. Does NOT know the process: no exit codes, no
//! arguments.

use crate::{
    answer::{Advice, Answer, AnswerError, Answerer, Considered, Further, Judged, Question, Reference},
    climate::{Quantity, Reading, ReadingError, Snapshot},
    knowledge::{Category, refusal::Why},
    text::{Lang, Msg},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{self, BufRead, Write},
    ops::ControlFlow,
    time::SystemTime,
};

/// One answer as JSON. Times in seconds, memory in MiB.
#[derive(Serialize)]
struct Record<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Value>,
    answer: &'a str,
    lead: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    read_as: &'a str,
    further: &'a [Further],
    more: &'a str,
    readings_note: &'a str,
    readings_first: bool,
    by_readings: bool,
    advice: &'a [Advice],
    references: &'a [Reference],
    refused: Option<Why>,
    nearest: &'a [Reference],
    nearest_only: bool,
    fallback: bool,
    stopped: bool,
    dropped_references: usize,
    ttft_s: f64,
    total_s: f64,
    read_tokens: usize,
    read_tok_s: f64,
    rss_mib: f64,
    peak_rss_mib: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    considered: Option<&'a [Considered]>,
}

impl<'a> Record<'a> {
    fn new(id: Option<&'a Value>, answer: &'a Answer, explain: bool) -> Self {
        let round = |value: f64| (value * 1000.0).round() / 1000.0;
        Self {
            id,
            answer: &answer.text,
            lead: answer.paragraphs().0,
            read_as: &answer.read_as,
            further: &answer.further,
            more: &answer.more,
            readings_note: &answer.readings_note,
            readings_first: answer.readings_first,
            by_readings: answer.by_readings,
            advice: &answer.advice,
            references: &answer.references,
            refused: answer.refused,
            nearest: &answer.nearest,
            nearest_only: answer.nearest_only,
            fallback: answer.fallback,
            stopped: answer.stopped,
            dropped_references: answer.dropped_references,
            ttft_s: round(answer.stats.time_to_first_token.as_secs_f64()),
            total_s: round(answer.stats.total.as_secs_f64()),
            read_tokens: answer.stats.prompt_tokens,
            read_tok_s: round(answer.stats.read_per_second()),
            rss_mib: round(answer.stats.memory.rss_mib),
            peak_rss_mib: round(answer.stats.memory.peak_mib),
            considered: explain.then_some(&answer.considered),
        }
    }
}

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered, or refused with its reason.
    Answered,
    /// `stopped` said so.
    Stopped,
    /// Empty or too long; the reason was written to `about`.
    NotAsked,
    /// It could not be answered; the reason was written to `about`.
    Failed,
}

/// Tells `about` why there is no answer.
fn unanswered(error: &AnswerError, lang: Lang, about: &mut dyn Write) -> io::Result<Outcome> {
    log::error!("no answer: {error}");
    writeln!(about, "{}", lang.say(&Msg::NoAnswer(error)))?;
    Ok(match error {
        AnswerError::Empty | AnswerError::TooLong(_) => Outcome::NotAsked,
        AnswerError::Engine(_) => Outcome::Failed,
    })
}

/// Whether an answer is to go on.
fn flow(stopped: &dyn Fn() -> bool) -> ControlFlow<()> {
    if stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Answers one question: the answer to `out`, references and one status line to `about`; how it came about too, to `explain`.
///
/// # Errors
/// A writer's, among them the closed pipe.
pub fn ask(
    answerer: &mut Answerer,
    question: &Question,
    explain: bool,
    stopped: &dyn Fn() -> bool,
    out: &mut dyn Write,
    about: &mut dyn Write,
) -> io::Result<Outcome> {
    let say = |msg: Msg| question.lang.say(&msg);
    let answer = match answerer.answer(question, &mut |_| flow(stopped)) {
        Ok(answer) => answer,
        Err(error) => return unanswered(&error, question.lang, about),
    };
    if !answer.read_as.is_empty() {
        writeln!(about, "{}", say(Msg::ReadAs(&answer.read_as)))?;
    }
    if answer.readings_first {
        writeln!(about, "{}\n{}\n", say(Msg::ReadingsHeading), answer.readings_note)?;
        answer.advice.iter().try_for_each(|advice| writeln!(out, "{}\n{}\n", advice.on, advice.says.marked()))?;
    }
    if answer.nearest_only {
        writeln!(out, "{}", say(Msg::NearestOnly))?;
    }
    writeln!(out, "{}{}", answer.text, answer.mark())?;
    for further in &answer.further {
        writeln!(out, "\n{}\n{}", say(Msg::Further(&further.reference.title)), further.marked())?;
    }
    if !answer.more.is_empty() {
        writeln!(out, "\n{}\n{}", say(Msg::More), answer.more)?;
    }
    if answer.fallback {
        writeln!(about, "{}", say(Msg::Fallback))?;
    }
    if answer.by_readings {
        writeln!(out, "{}", answer.readings_note)?;
    } else if !answer.readings_first && !answer.readings_note.is_empty() {
        writeln!(about, "\n{}\n{}", say(Msg::ReadingsHeading), answer.readings_note)?;
    }
    if !answer.readings_first {
        answer.advice.iter().try_for_each(|advice| writeln!(out, "\n{}\n{}", advice.on, advice.says.marked()))?;
    }
    if !answer.nearest.is_empty() {
        writeln!(about, "\n{}", say(Msg::Nearest))?;
        answer.nearest.iter().try_for_each(|near| writeln!(about, "  {} ({})", near.title, near.id))?;
    }
    if !answer.references.is_empty() {
        writeln!(about, "\n{}", say(Msg::Rests))?;
    }
    for (number, reference) in answer.references.iter().enumerate() {
        writeln!(about, "  [{}] {} ({})", number + 1, reference.title, reference.id)?;
    }
    if answer.dropped_references > 0 {
        writeln!(about, "{}", say(Msg::ReferencesDropped(answer.dropped_references)))?;
    }
    if explain {
        writeln!(about, "\n{}", say(Msg::Considered))?;
        for considered in &answer.considered {
            writeln!(about, "  {:.2}  {}", considered.found, considered.id)?;
            for Judged { text, score, asked, said, chosen } in &considered.sentences {
                let score = score.map_or("     -".into(), |score| format!("{score:>6.2}"));
                writeln!(about, "    {} {score} {asked:>5.2} {said:>5.2}  {text}", if *chosen { '*' } else { ' ' })?;
            }
        }
    }
    writeln!(about, "\n{}", say(Msg::Cost(&answer.stats)))?;
    Ok(if answer.stopped { Outcome::Stopped } else { Outcome::Answered })
}

/// Answers one question as one line of JSON.
///
/// # Errors
/// The writer's.
pub fn ask_json(
    answerer: &mut Answerer,
    question: &Question,
    explain: bool,
    stopped: &dyn Fn() -> bool,
    out: &mut dyn Write,
    about: &mut dyn Write,
) -> io::Result<Outcome> {
    match answerer.answer(question, &mut |_| flow(stopped)) {
        Ok(answer) => {
            writeln!(out, "{}", serde_json::to_string(&Record::new(None, &answer, explain))?)?;
            Ok(if answer.stopped { Outcome::Stopped } else { Outcome::Answered })
        }
        Err(error) => unanswered(&error, question.lang, about),
    }
}

/// One line of a batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: Value,
    question: String,
    category: Option<Category>,
    lang: Option<Lang>,
    #[serde(default)]
    readings: BTreeMap<Quantity, f32>,
}

/// Answers every line of `input` (JSON) with a line on `out`, in order, each flushed. A bad line gives
/// `{"id", "error"}` and the rest goes on; empty lines are skipped.
///
/// # Errors
/// A reader's or writer's.
pub fn batch(
    answerer: &mut Answerer,
    input: impl BufRead,
    lang: Lang,
    stopped: &dyn Fn() -> bool,
    out: &mut dyn Write,
) -> io::Result<Outcome> {
    for line in input.split(b'\n') {
        let line = line?;
        if stopped() {
            return Ok(Outcome::Stopped);
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let (id, answered) = answer_line(answerer, &line, lang, stopped);
        let text = match &answered {
            Ok(answer) if answer.stopped => return Ok(Outcome::Stopped),
            Ok(answer) => serde_json::to_string(&Record::new(Some(&id), answer, false))?,
            Err(words) => serde_json::json!({ "id": id, "error": words }).to_string(),
        };
        writeln!(out, "{text}")?;
        out.flush()?;
    }
    Ok(Outcome::Answered)
}

/// Id and answer of one line; the error is in words for the person who wrote the line.
fn answer_line(
    answerer: &mut Answerer,
    line: &[u8],
    lang: Lang,
    stopped: &dyn Fn() -> bool,
) -> (Value, Result<Answer, String>) {
    let parsed: Line = match serde_json::from_slice(line) {
        Ok(line) => line,
        Err(error) => {
            // The id may be readable though the rest is not.
            let id = serde_json::from_slice::<Value>(line).ok().and_then(|value| value.get("id").cloned());
            return (id.unwrap_or(Value::Null), Err(lang.say(&Msg::BadLine(&error.to_string()))));
        }
    };
    let lang = parsed.lang.unwrap_or(lang);
    let snapshot = match snapshot(parsed.readings.iter().map(|(&quantity, &value)| (quantity, value))) {
        Ok(snapshot) => snapshot,
        Err(error) => return (parsed.id, Err(lang.say(&Msg::ReadingError(&error)))),
    };
    let question = Question { text: parsed.question, category: parsed.category, lang, snapshot };
    let answered = answerer.answer(&question, &mut |_| flow(stopped));
    let words = |error: AnswerError| {
        log::error!("no answer to {}: {error}", parsed.id);
        lang.say(&Msg::NoAnswer(&error))
    };
    let answered = answered.map_err(words);
    (parsed.id, answered)
}

/// A snapshot of given values, measured now.
///
/// # Errors
/// [`ReadingError::OutOfRange`] for the first value that cannot be.
pub fn snapshot(values: impl Iterator<Item = (Quantity, f32)>) -> Result<Snapshot, ReadingError> {
    let mut snapshot = Snapshot::default();
    for (quantity, value) in values {
        if !quantity.is_plausible(value) {
            return Err(ReadingError::OutOfRange(quantity, value));
        }
        snapshot.set(quantity, Ok(Reading { value, at: SystemTime::now() }));
    }
    Ok(snapshot)
}
