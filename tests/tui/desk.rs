//! An app with two curated entries a category, driven like a device: keys, taps, worker events, cells.

use std::time::{Duration, Instant, SystemTime};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Buffer,
    layout::{Position, Rect},
};
use tomato_assistant::{
    answer::{Answer, Reference},
    climate::{Assessment, NoData, Period, Quantity, Reading, Snapshot, Stage, Targets, assess},
    knowledge::{Category, Entry, Source},
    text::Lang,
    tui::{
        app::{Action, App, Event, Now, Target},
        layout::Layout,
        theme::Theme,
        update::update,
        view::view,
    },
    worker,
};

pub const HANGUL: &str =
    "토마토 열매 밑부분이 검게 변하는 이유는 무엇인가요? 칼슘이 부족해서 그런가요, 아니면 병인가요?";

/// The app under test, and when it is there.
pub struct Desk {
    pub app: App,
    start: (Instant, SystemTime),
}

impl Desk {
    /// Still loading, air at 31.4 °C (high), no answer from the root probe, everything else not measured.
    pub fn new(width: u16, height: u16) -> Self {
        Self::with(Theme::Rich, width, height)
    }

    /// The same with other looks.
    pub fn with(theme: Theme, width: u16, height: u16) -> Self {
        let start = (Instant::now(), SystemTime::now());
        let mut desk = Self { app: App::new(entries(), Lang::En, theme, now(start, 0)), start };
        desk.event(Event::Resize(width, height));
        desk
    }

    /// Loaded.
    pub fn ready(width: u16, height: u16) -> Self {
        let mut desk = Self::new(width, height);
        desk.worker(worker::Event::Ready);
        desk
    }

    pub fn event(&mut self, event: Event) -> Option<Action> {
        update(&mut self.app, event)
    }

    pub fn worker(&mut self, event: worker::Event) -> Option<Action> {
        self.event(Event::Worker(event))
    }

    pub fn text(&mut self, words: &str) {
        self.worker(worker::Event::Text(words.into()));
    }

    /// So many seconds after the start.
    pub fn at(&mut self, seconds: u64) -> Option<Action> {
        self.event(Event::Tick(Box::new(now(self.start, seconds))))
    }

    /// Judges the snapshot anew, after a test has changed it.
    pub fn judge(&mut self) {
        self.app.now.assessment = judged(&self.app.now.snapshot);
    }

    pub fn key(&mut self, code: KeyCode) -> Option<Action> {
        self.event(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    pub fn control(&mut self, key: char) -> Option<Action> {
        self.event(Event::Key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::CONTROL)))
    }

    pub fn type_words(&mut self, words: &str) {
        for character in words.chars() {
            assert!(self.key(KeyCode::Char(character)).is_none());
        }
    }

    pub fn mouse(&mut self, kind: MouseEventKind, column: u16, row: u16) -> Option<Action> {
        self.event(Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }))
    }

    /// A finger down and up at the same place.
    pub fn tap(&mut self, at: Position) -> Option<Action> {
        assert!(self.mouse(MouseEventKind::Down(MouseButton::Left), at.x, at.y).is_none(), "a tap acts when it lifts");
        self.mouse(MouseEventKind::Up(MouseButton::Left), at.x, at.y)
    }

    /// A finger moved from row to row in the middle of the screen.
    pub fn drag(&mut self, from: u16, to: u16) -> Option<Action> {
        let column = self.app.area.width / 2;
        self.mouse(MouseEventKind::Down(MouseButton::Left), column, from);
        self.mouse(MouseEventKind::Drag(MouseButton::Left), column, to);
        self.mouse(MouseEventKind::Up(MouseButton::Left), column, to)
    }

    /// Every cell that belongs to a target, as the rectangle around them.
    pub fn area_of(&self, target: Target) -> Option<Rect> {
        let layout = Layout::new(&self.app);
        let hit = |at: &Position| layout.target_at(*at) == Some(target);
        self.app.area.positions().filter(hit).map(|at| Rect::new(at.x, at.y, 1, 1)).reduce(Rect::union)
    }

    /// Taps the middle of a target.
    pub fn tap_on(&mut self, target: Target) -> Option<Action> {
        let area = self.area_of(target).unwrap_or_else(|| panic!("{target:?} is not on screen:\n{}", self.screen()));
        self.tap(Position { x: area.x + area.width / 2, y: area.y + area.height / 2 })
    }

    /// The drawn cells as lines. A wide glyph stands once; the cell behind it is left out.
    pub fn screen(&self) -> String {
        self.draw().0
    }

    /// Where the terminal's cursor is, if it is shown.
    pub fn cursor(&self) -> Option<Position> {
        self.draw().1
    }

    /// The drawn cells.
    pub fn buffer(&self) -> Buffer {
        self.drawn().backend().buffer().clone()
    }

    fn drawn(&self) -> Terminal<TestBackend> {
        let Rect { width, height, .. } = self.app.area;
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        // The cursor is hidden by drawing unless the view places it.
        terminal.draw(|frame| view(&self.app, frame)).unwrap();
        terminal
    }

    fn draw(&self) -> (String, Option<Position>) {
        let Rect { width, height, .. } = self.app.area;
        let terminal = self.drawn();
        let mut out = String::new();
        let buffer = terminal.backend().buffer();
        for y in 0..height {
            let mut x = 0;
            while x < width {
                let symbol = buffer[(x, y)].symbol();
                out.push_str(symbol);
                x += (tomato_assistant::tui::widgets::wrap::cells(symbol) as u16).max(1);
            }
            out.push('\n');
        }
        let shown = terminal.backend().cursor_visible();
        (out, shown.then(|| terminal.backend().cursor_position()))
    }

    /// Asserts that the screen says all of this.
    pub fn shows(&self, words: &[&str]) {
        let screen = self.screen();
        for word in words {
            assert!(screen.contains(word), "{word:?} is not on the screen:\n{screen}");
        }
    }

    /// Asserts that the screen says none of this.
    pub fn hides(&self, words: &[&str]) {
        let screen = self.screen();
        for word in words {
            assert!(!screen.contains(word), "{word:?} is on the screen:\n{screen}");
        }
    }
}

/// What a whole answer looks like; its reference is the first entry.
pub fn answer(text: &str) -> Answer {
    let references = vec![Reference { id: "e0".into(), title: "Why is the bottom of my tomatoes black?".into() }];
    Answer { text: text.into(), references, ..Answer::default() }
}

pub fn done(answer: Answer) -> worker::Event {
    worker::Event::Done(Box::new(answer))
}

/// The question of an `Ask`.
pub fn asked(action: Option<Action>) -> String {
    match action {
        Some(Action::Ask(question)) => question.text,
        other => panic!("no question was asked: {other:?}"),
    }
}

fn now(start: (Instant, SystemTime), seconds: u64) -> Now {
    let mut snapshot = Snapshot::default();
    snapshot.set(Quantity::AirTemperature, Ok(Reading { value: 31.4, at: start.1 }));
    snapshot.set(Quantity::RootTemperature, Err(NoData::NotAnswering("CRC".into())));
    let assessment = judged(&snapshot);
    let passed = Duration::from_secs(seconds);
    Now { instant: start.0 + passed, clock: start.1 + passed, snapshot, assessment }
}

fn judged(snapshot: &Snapshot) -> Assessment {
    let targets = Targets::parse(include_str!("../../data/targets.toml")).unwrap();
    assess(snapshot, &targets, Stage::Fruiting, Period::Day)
}

/// Ten entries a category; the first is English, the second Hangul. Each has two related ones.
fn entries() -> Vec<Entry> {
    let titles = ["Why is the bottom of my tomatoes black?", HANGUL];
    let entry = |(index, category): (usize, Category)| Entry {
        id: format!("e{index}"),
        category,
        instruction: titles.get(index % 10).map_or(format!("Question number {index}?"), |title| (*title).into()),
        input: String::new(),
        output: "Water evenly; the fruit lacks calcium.".into(),
        paraphrases: Vec::new(),
        questions: Vec::new(),
        details: Vec::new(),
        keywords: Vec::new(),
        signals: Vec::new(),
        sources: vec![Source { title: "Blossom-end rot".into(), publisher: "An extension".into(), url: String::new() }],
        warnings: Vec::new(),
        remedies: Vec::new(),
        see_also: [3, 20].map(|further| format!("e{}", (index + further) % 50)).into(),
    };
    let categories = Category::ALL.into_iter().flat_map(|category| std::iter::repeat_n(category, 10));
    categories.enumerate().map(entry).collect()
}
