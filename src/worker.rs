//! The answerer on its own thread: questions in, events out, one stop mark.
//!
//! Turns a blocking answerer into something a screen can poll. Does NOT know what is shown, nor how an answer is made.
//! Standard channels only; no lock is held while words are made.

use std::{
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    answer::{Answer, Answerer, Question},
    text::{Lang, Msg},
};

/// What can answer a question, one at a time.
pub trait Answers {
    /// Answers `question`, handing every new piece of text to `on_text`.
    ///
    /// On `Break` it stops within one token and returns what it has, marked `stopped`. A piece may be empty: a way to ask
    /// "go on?" while the prompt is still being read. An error is in words for the grower.
    fn answer(
        &mut self,
        question: &Question,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Answer, String>;
}

impl Answers for Answerer {
    fn answer(
        &mut self,
        question: &Question,
        on_text: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Answer, String> {
        self.answer(question, on_text).map_err(|error| {
            log::error!("no answer: {error}");
            question.lang.say(&Msg::NoAnswer(&error))
        })
    }
}

/// What the worker reports: `Ready`, then for each question `Text`* and `Done` or `Failed`, in order. After a `Crashed` it
/// begins anew; `Gone` is the last.
#[derive(Debug)]
pub enum Event {
    /// The bundle is loaded; questions are taken.
    Ready,
    /// More words of the answer under way; never empty.
    Text(String),
    /// The answer is complete.
    Done(Box<Answer>),
    /// It failed; the words are for the grower. The next question is taken.
    Failed(String),
    /// The answerer crashed, with the question under way if there was one; the words are for the grower. It is opened again.
    Crashed(String),
    /// No question will be answered any more; why, in words for the grower. Reported once.
    Gone(String),
}

/// Crashes in a row after which the answerer is given up: a damaged memory card does not heal, and opening takes seconds.
pub const CRASHES: u32 = 3;

/// How long dropping waits for a thread that does not end, before leaving it to itself: opening cannot be stopped, takes seconds,
/// and on a failing memory card for ever.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the worker is asked.
#[derive(Debug)]
enum Request {
    /// Answer this; the number says which `stop` is meant for it.
    Ask(u64, Box<Question>),
}

/// A handle on the answering thread. Dropping it stops the answer under way and waits for the thread, a second at most.
#[derive(Debug)]
pub struct Worker {
    /// `None` only while dropping: closing the channel is what ends the thread.
    requests: Option<Sender<Request>>,
    events: Receiver<Event>,
    /// Number of the last question asked.
    asked: u64,
    /// Questions up to this number are to stop. A number, not a flag: a stop that overtakes its question is not lost,
    /// and a new question does not revive the old one.
    stopped: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread. `open` runs on it (loading takes seconds), so what it returns need not be `Send`, and once more
    /// after each crash; its error is reported as `Gone` and ends the thread. `lang` is the language of the worker's own words.
    pub fn start<A: Answers>(lang: Lang, mut open: impl FnMut() -> Result<A, String> + Send + 'static) -> Self {
        let (requests, inbox) = channel();
        let (outbox, events) = channel();
        let stopped = Arc::new(AtomicU64::new(0));
        let stop = Arc::clone(&stopped);
        let thread = thread::spawn(move || {
            let mut crashes = 0;
            // After a panic the answerer's state cannot be trusted (a half-written KV cache), so it is dropped and opened anew.
            let why = loop {
                match catch_unwind(AssertUnwindSafe(|| serve(&mut open, &inbox, &outbox, &stop, &mut crashes))) {
                    Ok(Ok(())) => return,
                    Ok(Err(words)) => break words,
                    Err(_) => crashes += 1,
                }
                if crashes == CRASHES {
                    break lang.say(&Msg::AnswererGone(crashes));
                }
                if outbox.send(Event::Crashed(lang.say(&Msg::AnswererCrashed))).is_err() {
                    return;
                }
            };
            let _ = outbox.send(Event::Gone(why));
        });
        Self { requests: Some(requests), events, asked: 0, stopped, thread: Some(thread) }
    }

    /// Asks a question. Questions are answered in the order in which they were asked.
    pub fn ask(&mut self, question: Question) {
        self.asked += 1;
        if let Some(requests) = &self.requests {
            // A thread that is gone has said so.
            let _ = requests.send(Request::Ask(self.asked, Box::new(question)));
        }
    }

    /// Stops the answer under way and every question still waiting; each still ends with its `Done`.
    pub fn stop(&self) {
        self.stopped.store(self.asked, Ordering::Relaxed);
    }

    /// The next event, waiting for it at most `wait` (zero: not at all).
    pub fn next(&mut self, wait: Duration) -> Option<Event> {
        if wait.is_zero() { self.events.try_recv().ok() } else { self.events.recv_timeout(wait).ok() }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stopped.store(u64::MAX, Ordering::Relaxed);
        self.requests = None;
        let Some(thread) = self.thread.take() else { return };
        let give_up = Instant::now() + PATIENCE;
        while !thread.is_finished() && Instant::now() < give_up {
            thread::sleep(Duration::from_millis(5));
        }
        if thread.is_finished() {
            // It cannot panic outside `catch_unwind`, and there would be nobody to tell.
            let _ = thread.join();
        } else {
            log::warn!("the answerer is still busy; its thread ends with the program");
        }
    }
}

/// Opens the answerer and answers until the channel closes on either side; an answered question forgives the `crashes`
/// before it. The error is why nothing can be opened.
fn serve<A: Answers>(
    open: &mut impl FnMut() -> Result<A, String>,
    inbox: &Receiver<Request>,
    outbox: &Sender<Event>,
    stopped: &AtomicU64,
    crashes: &mut u32,
) -> Result<(), String> {
    let mut answerer = open()?;
    if outbox.send(Event::Ready).is_err() {
        return Ok(());
    }
    for Request::Ask(number, question) in inbox {
        let answered = answerer.answer(&question, &mut |piece| {
            if stopped.load(Ordering::Relaxed) >= number {
                return ControlFlow::Break(());
            }
            let heard = piece.is_empty() || outbox.send(Event::Text(piece.into())).is_ok();
            if heard { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let event = match answered {
            Ok(answer) => Event::Done(Box::new(answer)),
            Err(words) => Event::Failed(words),
        };
        *crashes = 0;
        if outbox.send(event).is_err() {
            break;
        }
    }
    Ok(())
}
