//! `pipeline evaluate`: the built bundle answers the validation and test questions, as it would in a greenhouse.
//!
//! Turns a bundle and question sets into `performance_report.json`, `report.html` and a table. Beside every answer it
//! scores what showing the best entry as it stands would have told: a model that tells less is not worth its memory.
//! Does NOT form answers.

pub mod page;
pub mod pictures;
pub mod report;
pub mod score;

use indicatif::ProgressBar;
use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};
use tomato_assistant::{
    answer::{self, Answer, AnswerError, Answerer, Considered, OpenError, Reference},
    bundle::{Bundle, BundleError},
    knowledge::{Knowledge, KnowledgeError},
    text::Lang,
};

use super::{
    artifact::{ArtifactError, at},
    questions::{self, NARROW_TEST, Question, QuestionsError, TEST, VALIDATION},
};
use report::{Answered, Report};
use score::{ScoreError, Scorer};

/// What the report is called.
pub const REPORT: &str = "performance_report.json";
/// The same to look at.
pub const PAGE: &str = "report.html";

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// There is no bundle yet.
    #[error("{0}. Make it first: pipeline run --until bundle")]
    Bundle(#[from] BundleError),
    /// It cannot be answered from.
    #[error("{}", Lang::En.say(&tomato_assistant::text::Msg::CannotOpen(.0)))]
    Open(#[from] OpenError),
    /// Its entries are faulty.
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
    /// A question set is faulty.
    #[error(transparent)]
    Questions(#[from] QuestionsError),
    /// A fact of it cannot be looked for.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// A question got no answer.
    #[error("question {id}: {cause}")]
    Answer {
        /// Of the question.
        id: String,
        /// Why.
        cause: AnswerError,
    },
    /// What another system said is not what it should be.
    #[error("{}: {cause}. What is scored is a JSON object with a text for each question's id", path.display())]
    Answers {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// What training or pruning left to draw is not what it should be.
    #[error("{}: {cause}. Make it again, or take it away: report.html does without its picture", path.display())]
    Figures {
        /// The file.
        path: PathBuf,
        /// What was expected, and where.
        cause: serde_json::Error,
    },
    /// The disk refuses, or is full.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

/// Which questions are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Set {
    /// The 15 core questions.
    Validation,
    /// The 120 others.
    Test,
    /// The 60 about details.
    Narrow,
    /// Those for tuning; what they must tell is sentences, word for word.
    Development,
    /// Those about details, for tuning.
    NarrowDevelopment,
    /// The test questions with typing errors, in a few words, and in quite other words.
    Variants,
    /// Validation, test and narrow.
    All,
}

/// Asks the bundle in `dir` the questions of `set`, of the repository at `root`. Writes the report and its page into
/// `out`, the folder of the stages' own, whose figures are drawn there. `bar` counts questions.
///
/// # Errors
/// [`EvaluateError`].
pub fn run(dir: &Path, root: &Path, set: Set, out: &Path, bar: &ProgressBar) -> Result<Report, EvaluateError> {
    let bundle = Bundle::open(dir)?;
    // Before the questions, which take minutes.
    let pictures = pictures::read(root, out, bundle.manifest())?;
    let report = ask_all(&bundle, root, set, None, bar)?;
    fs::create_dir_all(out).map_err(at(out))?;
    let json = serde_json::to_vec_pretty(&report).expect("strings and numbers always serialize");
    // Both are whole before either takes its place: what stands there took minutes.
    let new = |name: &str| out.join(format!("{name}.new"));
    for (name, bytes) in [(REPORT, json), (PAGE, page::html(&report, &pictures).into_bytes())] {
        fs::write(new(name), bytes).map_err(at(&new(name)))?;
    }
    for name in [REPORT, PAGE] {
        fs::rename(new(name), out.join(name)).map_err(at(&out.join(name)))?;
    }
    Ok(report)
}

/// Scores what another system says to the questions of `set`, each with its own id: the file `answers`, a JSON object of texts by
/// question. The bundle in `dir` gives the readings' line and the entries that numbers may come from; only [`Report::told`] is about
/// the other system. Writes nothing.
///
/// # Errors
/// [`EvaluateError`].
pub fn run_on(answers: &Path, dir: &Path, root: &Path, set: Set, bar: &ProgressBar) -> Result<Report, EvaluateError> {
    let other = |cause| EvaluateError::Answers { path: answers.into(), cause };
    if set == Set::Variants {
        return Err(other("the variants of a question share its id, so they cannot be told apart".into()));
    }
    let texts =
        serde_json::from_slice(&fs::read(answers).map_err(at(answers))?).map_err(|cause| other(cause.to_string()))?;
    ask_all(&Bundle::open(dir)?, root, set, Some((&texts, &other)), bar)
}

/// Another system's texts by question, and the error for a fault in them.
type Others<'a> = (&'a BTreeMap<String, String>, &'a dyn Fn(String) -> EvaluateError);

fn ask_all(
    bundle: &Bundle,
    root: &Path,
    set: Set,
    others: Option<Others>,
    bar: &ProgressBar,
) -> Result<Report, EvaluateError> {
    let mut asked = Vec::new();
    for (name, file, own) in
        [("validation", VALIDATION, Set::Validation), ("test", TEST, Set::Test), ("narrow", NARROW_TEST, Set::Narrow)]
    {
        if set == own || set == Set::All {
            asked.extend(questions::load::<Question>(&root.join(file))?.into_iter().map(|question| (name, question)));
        }
    }
    if set == Set::Development {
        asked.extend(questions::development(root)?.into_iter().map(|question| ("development", question)));
    }
    let path = bundle.knowledge();
    let knowledge = Knowledge::parse(&fs::read_to_string(&path).map_err(at(&path))?)?;
    if set == Set::NarrowDevelopment {
        let narrow = questions::narrow_development(root, knowledge.entries())?;
        asked.extend(narrow.into_iter().map(|question| ("narrow development", question)));
    }
    if set == Set::Variants {
        asked.extend(questions::variants(root, TEST, questions::TEST_VARIANTS)?);
    }
    let entries: BTreeMap<&str, &str> =
        knowledge.entries().iter().map(|entry| (entry.id.as_str(), entry.output.as_str())).collect();
    let mut answerer = Answerer::open(bundle, Default::default())?;
    bar.set_length(asked.len() as u64);
    let mut answers = Vec::with_capacity(asked.len());
    for (set, question) in &asked {
        answerer.set_stage(question.stage.unwrap_or_default());
        let answer = answerer
            .answer(&ask(question), &mut |_| ControlFlow::Continue(()))
            .map_err(|cause| EvaluateError::Answer { id: question.id.clone(), cause })?;
        let answer = match others {
            Some((texts, fault)) => {
                let text = texts.get(&question.id).ok_or_else(|| fault(format!("no text for {}", question.id)))?;
                said(text, answer)
            }
            None => answer,
        };
        answers.push(judge(set, question, &answer, &entries)?);
        bar.inc(1);
    }
    bar.finish();
    let files = bundle.manifest().files.iter().map(|file| (file.name.clone(), file.bytes)).collect();
    Ok(Report::new(&bundle.manifest().name, files, answers))
}

/// `answer` with the words of another system instead of its own; that one could read the same references.
fn said(text: &str, answer: Answer) -> Answer {
    let reference = |considered: &Considered| Reference { id: considered.id.clone(), title: String::new() };
    let references = answer.considered.iter().map(reference).collect();
    Answer {
        text: text.into(),
        references,
        further: Vec::new(),
        more: String::new(),
        advice: Vec::new(),
        refused: None,
        by_readings: false,
        nearest_only: false,
        ..answer
    }
}

/// What a grower with these readings would send.
fn ask(question: &Question) -> answer::Question {
    answer::Question { text: question.question.clone(), snapshot: question.snapshot(), ..answer::Question::default() }
}

/// Scores what was shown, and what the best entry alone would have told.
fn judge(
    set: &str,
    question: &Question,
    answer: &Answer,
    entries: &BTreeMap<&str, &str>,
) -> Result<Answered, ScoreError> {
    let cited: Vec<&str> =
        answer.references.iter().filter_map(|reference| entries.get(reference.id.as_str()).copied()).collect();
    let note = answer.readings_note.as_str();
    let scorer = Scorer::new(question)?;
    // What code says of the readings, it counted.
    let counted = if answer.by_readings { answer.text.as_str() } else { "" };
    let given = [cited.as_slice(), &[note, counted, question.question.as_str()]].concat();
    // All that is shown, in the usual order: the answer, what other entries add, the rest of its own, advice on readings.
    let further = answer.further.iter().flat_map(|further| &further.sentences).map(String::as_str);
    let chosen: String = std::iter::once(answer.text.as_str()).chain(further).collect::<Vec<_>>().join(" ");
    let advice: Vec<&str> =
        answer.advice.iter().flat_map(|advice| &advice.says.sentences).map(String::as_str).collect();
    let whole = format!("{chosen} {} {}", answer.more, advice.join(" "));
    let alone = match answer.refused.is_some() {
        true => answer.text.as_str(),
        // What the search found best, which the model may have passed over.
        false => {
            answer.considered.first().map_or("", |best| entries.get(best.id.as_str()).copied().unwrap_or_default())
        }
    };
    // Code would give its advice without a model too.
    let new = advice.iter().filter(|sentence| !alone.contains(**sentence));
    let alone = std::iter::once(alone).chain(new.copied()).collect::<Vec<_>>().join(" ");
    Ok(Answered {
        id: question.id.clone(),
        set: set.into(),
        kind: question.kind,
        why: question.why,
        category: question.category,
        question: question.question.clone(),
        text: answer.text.clone(),
        readings_note: note.into(),
        references: answer.references.iter().map(|reference| reference.id.clone()).collect(),
        refused: answer.refused,
        by_readings: answer.by_readings,
        nearest_only: answer.nearest_only,
        fallback: answer.fallback,
        further: answer.further.clone(),
        more: answer.more.clone(),
        advice: answer.advice.clone(),
        missing: scorer.missing(&[note, &whole].join(" ")),
        score: scorer.score(note, &whole, &given),
        direct: scorer.score(note, &chosen, &given),
        entry_alone: scorer.score(note, &alone, &given),
        first_word_s: answer.stats.time_to_first_token.as_secs_f64(),
        total_s: answer.stats.total.as_secs_f64(),
        tokens: answer.stats.prompt_tokens,
        considered: answer.considered.clone(),
        rss_mib: answer.stats.memory.rss_mib,
        peak_mib: answer.stats.memory.peak_mib,
    })
}
