//! The terminal, taken and given back: raw mode, the other screen, touch and paste reports.
//!
//! It is given back on return, on error, on a signal (the loop ends) and on panic. Does NOT know what is drawn.

use std::{
    io::{self, IsTerminal, Stdout},
    panic,
    sync::{
        Arc, Once, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use crossterm::{
    cursor, event, execute,
    terminal::{self, EnterAlternateScreen, LeaveAlternateScreen},
};
use ratatui::{Terminal, backend::CrosstermBackend, style::Modifier};
use signal_hook::{SigId, consts, flag, low_level};

use crate::text::{Lang, Msg};

/// How often the watch looks for a signal.
const LOOK: Duration = Duration::from_millis(250);
/// How long the loop may take to end after a signal: more than any drawing, less than systemd's patience.
const GRACE: Duration = Duration::from_secs(2);
/// Whether the terminal is ours at the moment.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// The thread that draws.
static DRAWING: OnceLock<ThreadId> = OnceLock::new();

/// The terminal while it is ours; dropping it gives it back.
pub struct Screen {
    /// To draw on.
    pub terminal: Terminal<CrosstermBackend<Stdout>>,
    ended: Arc<AtomicBool>,
    signals: Vec<SigId>,
}

impl Screen {
    /// Takes the terminal. Fails with words for the grower when there is none.
    pub fn take(lang: Lang) -> io::Result<Self> {
        if !io::stdout().is_terminal() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, lang.say(&Msg::NeedsTerminal)));
        }
        hook_panics();
        TAKEN.store(true, Ordering::SeqCst);
        // Made first, so that its drop gives back whatever of the following succeeded.
        let mut screen = Self {
            terminal: Terminal::new(CrosstermBackend::new(io::stdout())).inspect_err(|_| give_back())?,
            ended: Arc::new(AtomicBool::new(false)),
            signals: Vec::new(),
        };
        for signal in [consts::SIGINT, consts::SIGTERM, consts::SIGHUP] {
            screen.signals.push(flag::register(signal, Arc::clone(&screen.ended))?);
        }
        watch_for_hang_up(Arc::downgrade(&screen.ended));
        terminal::enable_raw_mode()?;
        execute!(
            io::stdout(),
            EnterAlternateScreen,
            event::EnableMouseCapture,
            event::EnableBracketedPaste,
            cursor::Hide,
            // Not `Terminal::clear`: that asks the terminal where its cursor is and fails where nobody answers.
            terminal::Clear(terminal::ClearType::All),
        )?;
        Ok(screen)
    }

    /// Has the next drawing write every cell, over whatever others wrote onto the same screen. Nothing is cleared before,
    /// so nothing flickers.
    pub fn repaint(&mut self) {
        // Ratatui writes what differs from the last drawing: one that held such cells never was.
        for cell in &mut self.terminal.current_buffer_mut().content {
            cell.modifier = Modifier::all();
        }
        self.terminal.swap_buffers();
    }

    /// Whether a signal asked us to end.
    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
        for signal in self.signals.drain(..) {
            low_level::unregister(signal);
        }
    }
}

/// Ends the process when it should have ended and did not: crossterm's reader spins for ever on a terminal that has hung
/// up, so the loop never gets to see the signal that came with it. There is no terminal left to give back then.
fn watch_for_hang_up(ended: Weak<AtomicBool>) {
    thread::spawn(move || {
        loop {
            thread::sleep(LOOK);
            match ended.upgrade() {
                None => return,
                Some(ended) if ended.load(Ordering::Relaxed) => break,
                Some(_) => {}
            }
        }
        thread::sleep(GRACE);
        if ended.upgrade().is_some() {
            log::error!("the terminal is gone");
            std::process::exit(1);
        }
    });
}

/// Undoes `take`, once. Errors are ignored: after a hang-up there is no terminal left to restore.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(
            io::stdout(),
            event::DisableBracketedPaste,
            event::DisableMouseCapture,
            LeaveAlternateScreen,
            cursor::Show,
        );
        let _ = terminal::disable_raw_mode();
    }
}

/// Makes a panic of the drawing thread give the terminal back before its message is printed, so that it can be read.
/// Other threads' panics (the answerer's is caught and reported) must not touch the screen: theirs go to the log.
fn hook_panics() {
    static HOOKED: Once = Once::new();
    let _ = DRAWING.set(thread::current().id());
    HOOKED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            if TAKEN.load(Ordering::SeqCst) && DRAWING.get() != Some(&thread::current().id()) {
                log::error!("{what}");
                return;
            }
            give_back();
            before(what);
        }));
    });
}
