//! Fingers: a tap chooses, a drag scrolls, and so does a wheel.
//!
//! A touch panel's taps arrive as mouse reports (the kiosk's terminal turns them into these). A tap counts when the finger
//! lifts where it went down, so that a scroll never asks a question by mistake.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::{
    app::{Action, App, Press},
    keys::scroll,
    layout::Layout,
    update::choose,
};

/// Lines that one notch of a wheel scrolls.
const NOTCH: isize = 3;

/// Applies one mouse report.
pub fn touch(app: &mut App, mouse: MouseEvent) -> Option<Action> {
    let at = Position { x: mouse.column, y: mouse.row };
    match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) => {
            app.notice = None;
            app.press = Some(Press { at, row: at.y, target: Layout::new(app).target_at(at), dragged: false });
        }
        MouseEventKind::Drag(MouseButton::Left) => {
            if let Some(press) = &mut app.press {
                let by = press.row as isize - at.y as isize;
                press.dragged |= moved(press, at);
                if press.dragged {
                    press.row = at.y;
                    scroll(app, by);
                }
            }
        }
        MouseEventKind::Up(MouseButton::Left) => {
            let press = app.press.take().filter(|press| !press.dragged && !moved(press, at))?;
            return choose(app, press.target?);
        }
        MouseEventKind::ScrollUp => scroll(app, -NOTCH),
        MouseEventKind::ScrollDown => scroll(app, NOTCH),
        _ => {}
    }
    None
}

/// Whether the finger left where it went down. A wet finger trembles: within a cell or two it did not.
fn moved(press: &Press, at: Position) -> bool {
    press.at.x.abs_diff(at.x) > 2 || press.at.y.abs_diff(at.y) > 1
}
