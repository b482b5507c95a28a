//! The terminal app: a touch screen first, a keyboard as well.
//!
//! One loop: events in, `update` makes the next state, `view` draws it. Does NOT know how answers are made or readings
//! taken: the worker's channel and a snapshot function are all it sees of them.
//!
//! `screen` (the terminal itself) · `app` (state) · `update`, `keys`, `pointer` (state to state) · `layout`, `page` (what
//! is where) · `view`, `widgets`, `status_bar`, `theme` (drawing).

pub mod app;
mod keys;
pub mod layout;
mod page;
mod pointer;
mod screen;
mod status_bar;
pub mod theme;
pub mod update;
pub mod view;
pub mod widgets;

use std::{
    env, io,
    time::{Duration, Instant, SystemTime},
};

use crossterm::event::{self, Event as Input, MouseEventKind};

use app::{Action, App, Event, Now};
use theme::Theme;

use crate::{
    climate::{Assessment, Snapshot},
    knowledge::Entry,
    text::Lang,
    worker::Worker,
};

/// How long to wait for a key: also the longest that a streamed word stays unseen.
const POLL: Duration = Duration::from_millis(40);
/// How often time and readings are looked at.
const TICK: Duration = Duration::from_millis(500);

/// Runs the app until Ctrl-C or Ctrl-Q, SIGINT, SIGTERM or SIGHUP.
///
/// `entries` are the curated entries in the order in which they are listed; `greenhouse` gives it as it is now, judged, and
/// is called at least twice a second. An error is the terminal's; the terminal is restored in every case.
pub fn run(
    mut worker: Worker,
    entries: Vec<Entry>,
    greenhouse: impl Fn() -> (Snapshot, Assessment),
    lang: Lang,
) -> io::Result<()> {
    let now = || {
        let (snapshot, assessment) = greenhouse();
        Now { instant: Instant::now(), clock: SystemTime::now(), snapshot, assessment }
    };
    let mut screen = screen::Screen::take(lang)?;
    let mut app = App::new(entries, lang, theme(), now());
    let mut changed = true;
    while !screen.ended() {
        let size = screen.terminal.size()?;
        if (app.area.width, app.area.height) != (size.width, size.height) {
            // Asked for, not only waited for: a compositor may resize the window before the first report is heard.
            update::update(&mut app, Event::Resize(size.width, size.height));
            changed = true;
        }
        if changed {
            screen.terminal.draw(|frame| view::view(&app, frame))?;
            changed = false;
        }
        let mut events = Vec::new();
        let mut wait = POLL;
        // A finger drawn over the panel reports every cell: all of them before the next drawing.
        while events.len() < 256 && event::poll(wait)? {
            events.extend(translate(event::read()?));
            wait = Duration::ZERO;
        }
        events.extend(std::iter::from_fn(|| worker.next(Duration::ZERO)).map(Event::Worker));
        if app.now.instant.elapsed() >= TICK || !events.is_empty() {
            events.insert(0, Event::Tick(Box::new(now())));
        }
        for event in events {
            changed = true;
            match update::update(&mut app, event) {
                Some(Action::Ask(question)) => worker.ask(*question),
                Some(Action::Stop) => worker.stop(),
                Some(Action::Repaint) => screen.repaint(),
                Some(Action::Quit) => return Ok(()),
                None => {}
            }
        }
    }
    Ok(())
}

/// Fills the screen with `words` until a key, a tap or a signal comes. For what keeps the app from starting: behind a panel that
/// shows nothing else, words that vanish with the process are never read.
///
/// # Errors
/// The terminal's; there may be none.
pub fn tell(words: &str, lang: Lang) -> io::Result<()> {
    let mut screen = screen::Screen::take(lang)?;
    let theme = theme();
    while !screen.ended() {
        // What keeps the app from starting may well come with messages of the system onto the same screen.
        screen.repaint();
        screen.terminal.draw(|frame| view::tell(words, lang, theme, frame))?;
        // A mouse that merely moves is reported too.
        let left = |input| match input {
            Input::Key(_) => true,
            Input::Mouse(mouse) => matches!(mouse.kind, MouseEventKind::Down(_)),
            _ => false,
        };
        if event::poll(TICK)? && left(event::read()?) {
            break;
        }
    }
    Ok(())
}

/// The looks for the terminal that we run on.
fn theme() -> Theme {
    Theme::of(&env::var("TERM").unwrap_or_default())
}

/// What the terminal says in the app's terms.
fn translate(input: Input) -> Option<Event> {
    match input {
        Input::Key(key) => Some(Event::Key(key)),
        Input::Mouse(mouse) => Some(Event::Mouse(mouse)),
        Input::Paste(text) => Some(Event::Paste(text)),
        Input::Resize(width, height) => Some(Event::Resize(width, height)),
        Input::FocusGained | Input::FocusLost => None,
    }
}
