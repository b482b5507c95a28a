//! The terminal is given back on every way out. A real pseudo-terminal, and in it this very test program in a child's
//! role, which runs the app with an answerer that never comes.

use std::{
    cell::Cell,
    io::{Read, Write},
    num::NonZeroU16,
    ops::ControlFlow,
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tomato_assistant::{
    answer::{Answer, Question},
    climate::{Period, Snapshot, Stage, Targets, assess},
    text::Lang,
    tui,
    worker::{Answers, Worker},
};
use vt100::{MouseProtocolMode, Parser, Screen};

/// Set in the child: which way out it takes.
const ROLE: &str = "TERMINAL_TEST_ROLE";
/// A bound instead of waiting for ever when something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// Panics when asked anything.
struct Panics;

impl Answers for Panics {
    fn answer(&mut self, _: &Question, _: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Result<Answer, String> {
        panic!("the answerer panics")
    }
}

/// The child's role; without the variable it is no test at all.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let targets = Targets::parse(include_str!("../data/targets.toml")).unwrap();
    let looks = Cell::new(0);
    let greenhouse = || {
        looks.set(looks.get() + 1);
        assert!(role != "panic" || looks.get() < 4, "the drawing thread panics");
        let snapshot = Snapshot::default();
        (snapshot.clone(), assess(&snapshot, &targets, Stage::Fruiting, Period::Day))
    };
    let worker = Worker::start(Lang::En, || Ok(Panics));
    tui::run(worker, Vec::new(), greenhouse, Lang::En).unwrap();
    println!("left in peace");
}

/// The child in its terminal.
pub struct Window {
    master: Box<dyn MasterPty>,
    keyboard: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    parser: Arc<Mutex<Parser>>,
    /// All that the child wrote.
    written: Arc<Mutex<Vec<u8>>>,
    /// The line discipline before anything ran.
    before: String,
}

impl Window {
    fn open(role: &str, cols: u16, rows: u16) -> Self {
        Self::open_on("xterm-256color", role, cols, rows)
    }

    fn open_on(terminal: &str, role: &str, cols: u16, rows: u16) -> Self {
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        command.args(["terminal::child", "--exact", "--nocapture"]);
        command.env(ROLE, role);
        Self::of_on(terminal, command, cols, rows)
    }

    /// The window of any program.
    pub fn of(command: CommandBuilder, cols: u16, rows: u16) -> Self {
        Self::of_on("xterm-256color", command, cols, rows)
    }

    fn of_on(terminal: &str, mut command: CommandBuilder, cols: u16, rows: u16) -> Self {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        command.env("TERM", terminal);
        let before = discipline(&*pair.master);
        let child = pair.slave.spawn_command(command).unwrap();
        let cells = |n| NonZeroU16::new(n).unwrap();
        let parser = Arc::new(Mutex::new(Parser::new(cells(rows), cells(cols), 0)));
        let (mut reader, shared) = (pair.master.try_clone_reader().unwrap(), Arc::clone(&parser));
        let written = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&written);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                all.lock().unwrap().extend_from_slice(&buffer[..count]);
                shared.lock().unwrap().process(&buffer[..count]);
            }
        });
        // The slave stays open here: the line discipline can still be read after the child's end.
        std::mem::forget(pair.slave);
        let keyboard = pair.master.take_writer().unwrap();
        Self { master: pair.master, keyboard, child, parser, written, before }
    }

    /// Waits until the screen is as wanted.
    fn wait(&self, what: &str, wanted: impl Fn(&Screen) -> bool) {
        let start = Instant::now();
        while !wanted(self.parser.lock().unwrap().screen()) {
            let screen = self.parser.lock().unwrap().screen().contents();
            assert!(start.elapsed() < PATIENCE, "waited for {what}; the screen says:\n{screen}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn wait_for(&self, words: &str) {
        self.wait(words, |screen| screen.contents().contains(words));
    }

    /// Waits for the app and checks that it did take the terminal: else nothing would be tested.
    fn taken(self) -> Self {
        self.taken_with("All readings")
    }

    /// The same for an app that shows `words`.
    pub fn taken_with(self, words: &str) -> Self {
        self.wait_for(words);
        let parser = self.parser.lock().unwrap();
        let screen = parser.screen();
        assert!(screen.alternate_screen() && screen.hide_cursor() && screen.bracketed_paste());
        assert_ne!(screen.mouse_protocol_mode(), MouseProtocolMode::None);
        assert_ne!(discipline(&*self.master), self.before, "raw mode");
        drop(parser);
        self
    }

    pub fn type_keys(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Waits for the child's end and checks that everything is as it was, and that the screen now says `words`.
    fn given_back(self, words: &str) {
        self.given_back_with(0, words);
    }

    /// The same with the child's exit code.
    pub fn given_back_with(mut self, code: u32, words: &str) {
        assert_eq!(self.child.wait().unwrap().exit_code(), code);
        self.wait("the screen to be left", |screen| !screen.alternate_screen());
        self.wait_for(words);
        let parser = self.parser.lock().unwrap();
        let screen = parser.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
        assert_eq!(screen.mouse_protocol_mode(), MouseProtocolMode::None);
        assert_eq!(discipline(&*self.master), self.before);
    }
}

/// Raw mode or not, in a form that can be compared.
fn discipline(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios().unwrap())
}

#[test]
fn ctrl_c_gives_the_terminal_back() {
    let mut window = Window::open("quit", 72, 21).taken();
    window.type_keys(b"\x03");
    window.given_back("left in peace");
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_is_told() {
    Window::open("panic", 72, 21).taken().given_back_with(101, "the drawing thread panics");
}

#[test]
fn signals_give_the_terminal_back() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let window = Window::open("signal", 72, 21).taken();
        let id = window.child.process_id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        window.given_back("left in peace");
    }
}

#[test]
fn a_panic_of_the_answerer_leaves_the_screen_alone() {
    let mut window = Window::open("answerer", 72, 21).taken();
    window.wait_for("Ready");
    window.type_keys(b"why\r");
    window.wait_for("internal error");
    window.wait("the whole screen", |screen| screen.alternate_screen() && !screen.contents().contains("panic"));
    window.type_keys(b"\x03");
    window.given_back("left in peace");
}

#[test]
fn a_tap_and_a_paste_arrive_as_the_terminal_sends_them() {
    let mut window = Window::open("touch", 72, 21).taken();
    // Button 0 down and up at column 10, row 9, counted from 1: inside the first tile.
    window.type_keys(b"\x1b[<0;10;9M\x1b[<0;10;9m");
    window.wait_for("There are no questions here yet");
    window.type_keys("\x1b[200~토마토".as_bytes());
    window.type_keys(b"\xff\xfe\x1b[201~");
    window.wait_for("토마토");
    window.type_keys(b"\x03");
    window.given_back("left in peace");
}

#[test]
fn what_others_wrote_onto_the_screen_is_painted_over_without_clearing_it() {
    let mut window = Window::open("repaint", 72, 21).taken();
    window.wait_for("Ready");
    let before = window.parser.lock().unwrap().screen().contents();
    // As the kernel does: the screen scrolls, and the program is not told.
    let noise: String = (1..=30).map(|line| format!("[ {line}.0] usb 1-1: reset\r\n")).collect();
    window.parser.lock().unwrap().process(noise.as_bytes());
    // Longer than a tick: drawing alone does not help.
    thread::sleep(Duration::from_millis(700));
    window.wait_for("usb 1-1: reset");
    let start = window.written.lock().unwrap().len();
    window.type_keys(b"\x0c");
    window.wait("the screen as it was", |screen| screen.contents() == before);
    let since = String::from_utf8_lossy(&window.written.lock().unwrap()[start..]).into_owned();
    assert!(!since.contains("\x1b[2J") && !since.contains("\x1b[J") && !since.contains("\x1b[K"), "{since:?}");
    window.type_keys(b"\x03");
    window.given_back("left in peace");
}

#[test]
fn the_kernels_console_gets_the_colours_that_it_has() {
    for (terminal, panel) in [("linux", vt100::Color::Idx(4)), ("xterm-256color", vt100::Color::Idx(237))] {
        let mut window = Window::open_on(terminal, "colours", 72, 21).taken();
        // The input panel's last row, above the bottom line.
        window.wait("the input panel", |screen| screen.cell(19, 30).is_some_and(|cell| cell.bgcolor() == panel));
        window.type_keys(b"\x03");
        window.given_back("left in peace");
    }
}

#[test]
fn a_window_may_be_resized_at_once_and_to_nothing() {
    let mut window = Window::open("resize", 60, 20).taken();
    for (cols, rows) in [(20, 6), (1, 1), (64, 57)] {
        window
            .parser
            .lock()
            .unwrap()
            .screen_mut()
            .set_size(NonZeroU16::new(rows).unwrap(), NonZeroU16::new(cols).unwrap());
        window.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
        if cols == 20 {
            window.wait_for("Please make the");
        }
    }
    window.wait("the portrait page", |screen| {
        screen.contents().lines().nth(54).is_some_and(|line| line.contains("Ask") || line.contains("Type"))
    });
    window.type_keys(b"\x11");
    window.given_back("left in peace");
}
