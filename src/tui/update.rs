//! One event in, the next state and perhaps an action out. No I/O here: no clock, no channel, no terminal.
//!
//! Keys are in `keys`, fingers in `pointer`; here are time, the worker, and what choosing a target does.

use std::time::Duration;

use unicode_normalization::UnicodeNormalization;

use super::{
    app::{Action, App, Engine, Event, Exchange, Page, Phase, Target},
    keys, pointer,
};
use crate::{
    answer::{LONGEST_QUESTION, Question},
    knowledge::Category,
    text::Msg,
    worker,
};

/// How often every cell is written anew: the kernel's and systemd's messages may go to the same screen unnoticed.
const REPAINT: Duration = Duration::from_secs(60);

/// Applies one event.
pub fn update(app: &mut App, event: Event) -> Option<Action> {
    match event {
        Event::Key(key) => keys::press(app, key),
        Event::Mouse(mouse) => pointer::touch(app, mouse),
        Event::Paste(text) => {
            type_text(app, &text);
            None
        }
        Event::Resize(width, height) => {
            (app.area.width, app.area.height) = (width, height);
            None
        }
        Event::Tick(now) => {
            app.now = *now;
            let due = app.now.instant.saturating_duration_since(app.painted) >= REPAINT;
            due.then(|| repaint(app))
        }
        Event::Worker(event) => heard(app, event),
    }
}

/// Has every cell written anew.
pub fn repaint(app: &mut App) -> Action {
    app.painted = app.now.instant;
    Action::Repaint
}

/// What the worker said. Only words for the exchange on screen are kept: one that was given up still ends here.
fn heard(app: &mut App, event: worker::Event) -> Option<Action> {
    let current = app.exchange.as_mut().filter(|exchange| exchange.running() && !queued(exchange));
    match event {
        worker::Event::Ready => app.engine = Engine::Idle,
        worker::Event::Text(piece) => {
            if let Some(exchange) = current {
                let since = app.now.instant.saturating_duration_since(exchange.asked);
                exchange.first_text.get_or_insert(since);
                exchange.text.push_str(&piece);
                if matches!(exchange.phase, Phase::Reading) {
                    exchange.phase = Phase::Answering;
                }
            }
        }
        worker::Event::Done(answer) => {
            app.engine = Engine::Idle;
            if let Some(exchange) = current {
                app.last = Some(answer.stats);
                exchange.phase = Phase::Done(answer);
            }
        }
        worker::Event::Failed(words) => {
            app.engine = Engine::Idle;
            if let Some(exchange) = current {
                exchange.phase = Phase::Failed(words);
            }
        }
        worker::Event::Crashed(words) => {
            (app.engine, app.loading) = (Engine::Loading, app.now.instant);
            if let Some(exchange) = current {
                exchange.phase = Phase::Failed(words);
            }
        }
        worker::Event::Gone(words) => {
            if let Some(exchange) = current {
                exchange.phase = Phase::Failed(words.clone());
            }
            app.engine = Engine::Gone(words);
        }
    }
    send(app)
}

fn queued(exchange: &Exchange) -> bool {
    matches!(exchange.phase, Phase::Queued)
}

/// Gives the waiting question to the answerer, if it is free.
fn send(app: &mut App) -> Option<Action> {
    let exchange = app.exchange.as_mut().filter(|exchange| queued(exchange))?;
    match &app.engine {
        Engine::Idle => {
            app.engine = Engine::Busy;
            exchange.phase = Phase::Reading;
            exchange.asked = app.now.instant;
            Some(Action::Ask(Box::new(Question {
                text: exchange.question.clone(),
                category: exchange.category,
                lang: app.lang,
                snapshot: app.now.snapshot.clone(),
            })))
        }
        // Whatever it is still working on was given up.
        Engine::Busy => Some(Action::Stop),
        Engine::Loading => None,
        Engine::Gone(words) => {
            exchange.phase = Phase::Failed(words.clone());
            None
        }
    }
}

/// Does what `target` stands for.
pub fn choose(app: &mut App, target: Target) -> Option<Action> {
    match target {
        Target::Category(category) => {
            app.open(Page::Questions(category));
            let first = app.entries_of(category).next().map(|(index, _)| Target::Ask(index));
            let place = app.place_mut();
            place.focus = place.focus.or(first);
            None
        }
        Target::Open(index) => {
            app.open(Page::Entry(index));
            None
        }
        Target::Readings => {
            app.open(Page::Readings);
            None
        }
        Target::Ask(index) => {
            let entry = app.entries.get(index)?;
            ask(app, entry.instruction.clone(), Some(entry.category), Some(index))
        }
        Target::Send => {
            let words: String = app.typed().nfc().collect();
            if words.trim().is_empty() {
                app.notice = Some(app.lang.say(&Msg::EmptyQuestion));
                app.typing = true;
                return None;
            }
            let category = match app.place().page {
                Page::Questions(category) => Some(category),
                _ => None,
            };
            app.input.clear();
            ask(app, words.trim().to_owned(), category, None)
        }
        Target::Again => {
            let exchange = app.exchange.as_ref().filter(|exchange| !exchange.running())?;
            let (question, category, entry) = (exchange.question.clone(), exchange.category, exchange.entry);
            ask(app, question, category, entry)
        }
        Target::Stop => stop(app),
        Target::Back => back(app),
        Target::Input => {
            app.typing = true;
            None
        }
    }
}

/// Starts a new exchange; one that was running is given up.
fn ask(app: &mut App, question: String, category: Option<Category>, entry: Option<usize>) -> Option<Action> {
    app.exchange = Some(Exchange {
        question,
        category,
        entry,
        phase: Phase::Queued,
        text: String::new(),
        asked: app.now.instant,
        first_text: None,
    });
    app.places.retain(|place| !matches!(place.page, Page::Answer | Page::Entry(_)));
    app.open(Page::Answer);
    send(app)
}

/// Stops the answer on screen; one that was never sent is simply dropped.
fn stop(app: &mut App) -> Option<Action> {
    let exchange = app.exchange.as_mut().filter(|exchange| exchange.running())?;
    if queued(exchange) {
        app.exchange = None;
        return back(app);
    }
    exchange.phase = Phase::Stopping;
    Some(Action::Stop)
}

/// To the page before. Leaving the answer gives up what is still to come of it.
pub fn back(app: &mut App) -> Option<Action> {
    app.typing = false;
    let left = if app.places.len() > 1 { app.places.pop() } else { None };
    if left.is_some_and(|place| place.page == Page::Answer) {
        let exchange = app.exchange.take().filter(Exchange::running);
        return exchange.filter(|exchange| !queued(exchange)).map(|_| Action::Stop);
    }
    None
}

/// Types `text` at the cursor: one line, no control characters, at most `LONGEST_QUESTION` in all.
pub fn type_text(app: &mut App, text: &str) {
    let clean = text.nfc().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c });
    let room = LONGEST_QUESTION.saturating_sub(app.typed().chars().count());
    let mut clean: Vec<char> = clean.collect();
    if clean.len() > room {
        clean.truncate(room);
        app.notice = Some(app.lang.say(&Msg::QuestionCut(LONGEST_QUESTION)));
    }
    app.input.insert_str(clean.into_iter().collect::<String>());
    app.typing = true;
}
