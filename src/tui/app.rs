//! What the screen is showing and why: the whole state of the terminal app, and nothing that draws or waits.
//!
//! Turned by `update` from one event to the next, read by `layout` and `view`. Does NOT know the terminal, the worker's
//! thread or the sensors' wires; time comes in with events.

use std::time::{Duration, Instant, SystemTime};

use crossterm::event::{KeyEvent, MouseEvent};
use ratatui::layout::{Position, Rect};
use ratatui_textarea::{TextArea, WrapMode};

use super::theme::{Role, Theme};
use crate::{
    answer::{Answer, Question},
    climate::{Assessment, Snapshot},
    knowledge::{Category, Entry},
    stats::Stats,
    text::{Lang, Msg},
    worker,
};

/// Everything that can happen to the screen.
#[derive(Debug)]
pub enum Event {
    /// A key.
    Key(KeyEvent),
    /// A finger or a mouse.
    Mouse(MouseEvent),
    /// Text from the clipboard; any characters at all.
    Paste(String),
    /// The terminal's size in cells.
    Resize(u16, u16),
    /// Time went by, and this is the greenhouse now.
    Tick(Box<Now>),
    /// Something from the answerer.
    Worker(worker::Event),
}

/// The moment: both clocks (only `clock` can jump) and the greenhouse.
#[derive(Clone, Debug)]
pub struct Now {
    /// For durations.
    pub instant: Instant,
    /// For the age of readings.
    pub clock: SystemTime,
    /// The greenhouse, for the prompt.
    pub snapshot: Snapshot,
    /// The greenhouse, judged, for the screen.
    pub assessment: Assessment,
}

/// What the loop is to do after an update.
#[derive(Debug)]
pub enum Action {
    /// Give the question to the worker.
    Ask(Box<Question>),
    /// Stop the answer under way.
    Stop,
    /// Write every cell of the screen anew.
    Repaint,
    /// Leave.
    Quit,
}

/// A page of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The categories.
    Home,
    /// The questions of a category.
    Questions(Category),
    /// The exchange: question, answer, references.
    Answer,
    /// A curated entry with its sources, by its place in `App::entries`.
    Entry(usize),
    /// Every reading in full.
    Readings,
}

/// Something that a finger, or Enter, can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Open a category.
    Category(Category),
    /// Ask the question of this entry.
    Ask(usize),
    /// Read this entry.
    Open(usize),
    /// See all readings.
    Readings,
    /// Go back.
    Back,
    /// Stop the answer.
    Stop,
    /// Ask the same question again.
    Again,
    /// Ask what is typed.
    Send,
    /// Type.
    Input,
}

/// A page with where it is scrolled to and what is chosen on it.
#[derive(Clone, Debug)]
pub struct Place {
    /// Which page.
    pub page: Page,
    /// Lines above the first one shown.
    pub scroll: usize,
    /// What Enter would choose.
    pub focus: Option<Target>,
}

impl Place {
    /// The page from its start.
    pub fn new(page: Page) -> Self {
        let focus = (page == Page::Home).then_some(Target::Category(Category::ALL[0]));
        Self { page, scroll: 0, focus }
    }
}

/// State of the answerer as far as the screen can know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The bundle is being checked and loaded, for the first time or after a crash.
    Loading,
    /// Waiting for a question.
    Idle,
    /// Working on one (perhaps one that was given up meanwhile).
    Busy,
    /// Gone for good; why, in words for the grower.
    Gone(String),
}

/// How far an exchange has come.
#[derive(Clone, Debug)]
pub enum Phase {
    /// The answerer is not free yet.
    Queued,
    /// The prompt is being read.
    Reading,
    /// Words are coming.
    Answering,
    /// Stop was asked for.
    Stopping,
    /// Finished; the answer's own text replaces what was streamed.
    Done(Box<Answer>),
    /// Failed, in words for the grower.
    Failed(String),
}

/// One question and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// As asked, normalized.
    pub question: String,
    /// Where it was asked from.
    pub category: Option<Category>,
    /// The curated entry whose question it is, if it was asked by a tap.
    pub entry: Option<usize>,
    /// How far it is.
    pub phase: Phase,
    /// What has streamed in.
    pub text: String,
    /// When it was asked; once it is sent, when that was.
    pub asked: Instant,
    /// From then to the first words.
    pub first_text: Option<Duration>,
}

impl Exchange {
    /// Whether something is still to come.
    pub fn running(&self) -> bool {
        !matches!(self.phase, Phase::Done(_) | Phase::Failed(_))
    }

    /// Whether stop was asked for and the answerer has not yet stopped.
    pub fn stopping(&self) -> bool {
        matches!(self.phase, Phase::Stopping)
    }
}

/// A finger or button that is down.
#[derive(Clone, Copy, Debug)]
pub struct Press {
    /// Where it went down.
    pub at: Position,
    /// Row of the last drag.
    pub row: u16,
    /// What lies under it.
    pub target: Option<Target>,
    /// It moved: this is a drag, not a tap.
    pub dragged: bool,
}

/// The whole state.
#[derive(Debug)]
pub struct App {
    /// Language of every word.
    pub lang: Lang,
    /// Looks of everything.
    pub theme: Theme,
    /// The curated entries, in order.
    pub entries: Vec<Entry>,
    /// The screen, from the last `Resize`.
    pub area: Rect,
    /// The last `Tick`.
    pub now: Now,
    /// Since when the answerer is being loaded.
    pub loading: Instant,
    /// The answerer.
    pub engine: Engine,
    /// From `Home` to the page on screen; never empty.
    pub places: Vec<Place>,
    /// The last question asked.
    pub exchange: Option<Exchange>,
    /// What the last finished answer cost.
    pub last: Option<Stats>,
    /// The line in which questions are typed.
    pub input: TextArea<'static>,
    /// Keys go to the input line.
    pub typing: bool,
    /// The finger, if it is down.
    pub press: Option<Press>,
    /// Something to say in the bottom line until the next key or tap.
    pub notice: Option<String>,
    /// When every cell was last written anew.
    pub painted: Instant,
}

impl App {
    /// The state at the start: home, loading.
    pub fn new(entries: Vec<Entry>, lang: Lang, theme: Theme, now: Now) -> Self {
        let bar = theme.style(Role::Bar);
        let mut input = TextArea::default();
        input.set_wrap_mode(WrapMode::WordOrGlyph);
        input.set_cursor_line_style(bar);
        input.set_style(bar);
        // The terminal's own cursor is used: an input method draws the syllable under composition there.
        input.set_cursor_style(bar);
        input.set_placeholder_text(lang.say(&Msg::AskHere));
        input.set_placeholder_style(bar.patch(theme.style(Role::Quiet)));
        Self {
            lang,
            theme,
            entries,
            area: Rect::default(),
            loading: now.instant,
            painted: now.instant,
            now,
            engine: Engine::Loading,
            places: vec![Place::new(Page::Home)],
            exchange: None,
            last: None,
            input,
            typing: false,
            press: None,
            notice: None,
        }
    }

    /// The page on screen.
    pub fn place(&self) -> &Place {
        self.places.last().expect("`places` always holds Home")
    }

    /// The page on screen, to scroll it or move its focus.
    pub fn place_mut(&mut self) -> &mut Place {
        self.places.last_mut().expect("`places` always holds Home")
    }

    /// Shows `page`; Back returns to where we were. A page is in the way back only once.
    pub fn open(&mut self, page: Page) {
        if self.place().page != page {
            self.places.retain(|place| place.page == Page::Home || place.page != page);
            self.places.push(Place::new(page));
        }
        self.typing = false;
    }

    /// What is typed, on one line.
    pub fn typed(&self) -> String {
        self.input.lines().join(" ")
    }

    /// Whether the answer on this page can be stopped.
    pub fn can_stop(&self) -> bool {
        self.place().page == Page::Answer && self.exchange.as_ref().is_some_and(Exchange::running)
    }

    /// Entries of a category with their place in `entries`.
    pub fn entries_of(&self, category: Category) -> impl Iterator<Item = (usize, &Entry)> {
        self.entries.iter().enumerate().filter(move |(_, entry)| entry.category == category)
    }

    /// Place of the entry with this id.
    pub fn entry_of(&self, id: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.id == id)
    }
}
