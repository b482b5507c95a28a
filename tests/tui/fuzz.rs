//! Ten thousand arbitrary events, the same ones on every run: nothing panics, every drawing succeeds, and the app still
//! works afterwards.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use tomato_assistant::{
    answer::Answer,
    tui::app::{Event, Page, Target},
    worker,
};

use super::desk::{Desk, answer, done};

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    /// Arbitrary bytes as a terminal would hand them on.
    fn text(&mut self) -> String {
        let length = self.roll(200);
        let bytes: Vec<u8> = (0..length).map(|_| self.roll(256) as u8).collect();
        let wide = ["토마토", "🍅", "e\u{301}", "\u{200d}", "\u{202e}", "ᄐ", "\u{0}", "\n"][self.roll(8)];
        String::from_utf8_lossy(&bytes).into_owned() + wide
    }

    fn key(&mut self) -> KeyEvent {
        let codes = [
            KeyCode::Enter,
            KeyCode::Esc,
            KeyCode::Tab,
            KeyCode::BackTab,
            KeyCode::Backspace,
            KeyCode::Delete,
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::Left,
            KeyCode::Right,
            KeyCode::Home,
            KeyCode::End,
            KeyCode::PageUp,
            KeyCode::PageDown,
            KeyCode::F(5),
            KeyCode::Insert,
            KeyCode::Null,
        ];
        let any = char::from_u32(self.roll(0x11_0000) as u32).unwrap_or('토');
        let code = codes.get(self.roll(2 * codes.len())).copied().unwrap_or(KeyCode::Char(any));
        KeyEvent::new(code, KeyModifiers::from_bits_truncate([0, 0, 0, 1, 2, 4][self.roll(6)]))
    }

    fn mouse(&mut self) -> MouseEvent {
        let left = MouseButton::Left;
        let kinds = [
            MouseEventKind::Down(left),
            MouseEventKind::Up(left),
            MouseEventKind::Drag(left),
            MouseEventKind::ScrollDown,
            MouseEventKind::ScrollUp,
            MouseEventKind::Down(MouseButton::Right),
            MouseEventKind::Moved,
        ];
        let kind = kinds[self.roll(kinds.len())];
        // Reports may lie outside of the window while it is resized.
        MouseEvent { kind, column: self.roll(100) as u16, row: self.roll(40) as u16, modifiers: KeyModifiers::NONE }
    }

    fn worker(&mut self) -> worker::Event {
        match self.roll(8) {
            0 => worker::Event::Ready,
            1 => done(answer(&self.text())),
            2 => done(Answer { readings_note: self.text(), stopped: true, ..Answer::default() }),
            3 => worker::Event::Failed(self.text()),
            4 => worker::Event::Crashed(self.text()),
            5 => worker::Event::Gone(self.text()),
            _ => worker::Event::Text(self.text()),
        }
    }
}

#[test]
fn arbitrary_events_never_break_the_screen() {
    let mut dice = Dice(1);
    let mut desk = Desk::ready(72, 21);
    for step in 0..10_000 {
        let event = match dice.roll(20) {
            0..8 => Event::Key(dice.key()),
            8..15 => Event::Mouse(dice.mouse()),
            15 => Event::Paste(dice.text()),
            16..19 => Event::Worker(dice.worker()),
            _ => Event::Resize(dice.roll(120) as u16, dice.roll(50) as u16),
        };
        desk.event(event);
        if step % 7 == 0 {
            desk.screen();
        }
    }
    desk.event(Event::Resize(72, 21));
    for _ in 0..9 {
        desk.key(KeyCode::Esc);
    }
    assert_eq!(desk.app.place().page, Page::Home);
    desk.worker(worker::Event::Ready);
    desk.control('u');
    desk.event(Event::Paste("why".into()));
    assert!(desk.tap_on(Target::Send).is_some());
}
