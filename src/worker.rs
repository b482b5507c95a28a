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
        mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel},
    },
    thread::JoinHandle,
    time::Duration,
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

/// What the worker reports: `Ready` or `Failed` once, then for each question `Text`* and `Done` or `Failed`, in order.
#[derive(Debug)]
pub enum Event {
    /// The bundle is loaded; questions are taken.
    Ready,
    /// More words of the answer under way; never empty.
    Text(String),
    /// The answer is complete.
    Done(Box<Answer>),
    /// It failed; the words are for the grower.
    Failed(String),
    /// The thread is gone and no question will be answered any more. Reported once, last.
    Ended,
}

/// What the worker is asked.
#[derive(Debug)]
enum Request {
    /// Answer this; the number says which `stop` is meant for it.
    Ask(u64, Box<Question>),
}

/// A handle on the answering thread. Dropping it stops the answer under way and joins the thread.
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
    ended: bool,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread. `open` runs on it (loading takes seconds), so what it returns need not be `Send`; its error is
    /// reported as `Failed` and ends the thread. `lang` is the language of the worker's own words.
    pub fn start<A: Answers>(lang: Lang, open: impl FnOnce() -> Result<A, String> + Send + 'static) -> Self {
        let (requests, inbox) = channel();
        let (outbox, events) = channel();
        let stopped = Arc::new(AtomicU64::new(0));
        let stop = Arc::clone(&stopped);
        let thread = std::thread::spawn(move || {
            // After a panic the answerer's state cannot be trusted (a half-written KV cache), so the thread ends.
            if catch_unwind(AssertUnwindSafe(|| serve(open, &inbox, &outbox, &stop))).is_err() {
                let _ = outbox.send(Event::Failed(lang.say(&Msg::AnswererCrashed)));
            }
        });
        Self { requests: Some(requests), events, asked: 0, stopped, ended: false, thread: Some(thread) }
    }

    /// Asks a question. Questions are answered in the order in which they were asked.
    pub fn ask(&mut self, question: Question) {
        self.asked += 1;
        if let Some(requests) = &self.requests {
            // A thread that is gone is reported by `next` as `Ended`.
            let _ = requests.send(Request::Ask(self.asked, Box::new(question)));
        }
    }

    /// Stops the answer under way and every question still waiting; each still ends with its `Done`.
    pub fn stop(&self) {
        self.stopped.store(self.asked, Ordering::Relaxed);
    }

    /// The next event, waiting for it at most `wait` (zero: not at all).
    pub fn next(&mut self, wait: Duration) -> Option<Event> {
        if self.ended {
            return None;
        }
        let received = if wait.is_zero() {
            self.events.try_recv().map_err(|error| error == TryRecvError::Disconnected)
        } else {
            self.events.recv_timeout(wait).map_err(|error| error == RecvTimeoutError::Disconnected)
        };
        match received {
            Ok(event) => Some(event),
            Err(gone) => {
                self.ended = gone;
                gone.then_some(Event::Ended)
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stopped.store(u64::MAX, Ordering::Relaxed);
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // It cannot panic outside `catch_unwind`, and there would be nobody to tell.
            let _ = thread.join();
        }
    }
}

/// Opens the answerer and answers until the channel closes on either side.
fn serve<A: Answers>(
    open: impl FnOnce() -> Result<A, String>,
    inbox: &Receiver<Request>,
    outbox: &Sender<Event>,
    stopped: &AtomicU64,
) {
    let mut answerer = match open() {
        Ok(answerer) => answerer,
        Err(words) => {
            let _ = outbox.send(Event::Failed(words));
            return;
        }
    };
    if outbox.send(Event::Ready).is_err() {
        return;
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
        if outbox.send(event).is_err() {
            return;
        }
    }
}
