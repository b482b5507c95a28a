//! Keys: what each one does, on each page, and which one stands for a button. A letter typed anywhere lands in the input
//! line.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui_textarea::CursorMove;

use super::{
    app::{Action, App, Exchange, Page, Target},
    layout::Layout,
    update::{back, choose, repaint, type_text},
};
use crate::text::Key;

/// Applies one key.
pub fn press(app: &mut App, key: KeyEvent) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    app.notice = None;
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c' | 'q') if control => return Some(Action::Quit),
        KeyCode::Char('l') if control => return Some(repaint(app)),
        KeyCode::F(5) => return choose(app, Target::Again),
        KeyCode::Esc => return escape(app),
        KeyCode::Tab | KeyCode::BackTab => cycle(app, key.code == KeyCode::BackTab),
        KeyCode::Up => step(app, -1, true),
        KeyCode::Down => step(app, 1, true),
        KeyCode::PageUp => page(app, -1),
        KeyCode::PageDown => page(app, 1),
        KeyCode::Enter if app.typing => return choose(app, Target::Send),
        KeyCode::Enter => return app.place().focus.and_then(|target| choose(app, target)),
        _ if app.typing => edit(app, key, control),
        KeyCode::Char('/') => app.typing = true,
        KeyCode::Char(character) if !control && !key.modifiers.contains(KeyModifiers::ALT) => {
            type_text(app, character.encode_utf8(&mut [0; 4]));
        }
        KeyCode::Left if app.place().page == Page::Home => step(app, -1, false),
        KeyCode::Right if app.place().page == Page::Home => step(app, 1, false),
        KeyCode::Left | KeyCode::Backspace => return back(app),
        KeyCode::Home => jump(app, false),
        KeyCode::End => jump(app, true),
        _ => {}
    }
    None
}

/// Esc: stop first, then leave the input line, then go back.
fn escape(app: &mut App) -> Option<Action> {
    if escape_stops(app) {
        return choose(app, Target::Stop);
    }
    if app.typing {
        app.typing = false;
        return None;
    }
    back(app)
}

fn escape_stops(app: &App) -> bool {
    app.can_stop() && !app.exchange.as_ref().is_some_and(Exchange::stopping)
}

/// The key that does the same as the button for `target` now, if one does.
pub fn of(app: &App, target: Target) -> Option<Key> {
    match target {
        Target::Stop => escape_stops(app).then_some(Key::Esc),
        // While something is typed, the first press leaves the line and the next one goes back.
        Target::Back => (!escape_stops(app)).then_some(Key::Esc),
        Target::Again => Some(Key::F5),
        Target::Send => app.typing.then_some(Key::Enter),
        _ => None,
    }
}

/// A key in the input line.
fn edit(app: &mut App, key: KeyEvent, control: bool) {
    let input = &mut app.input;
    match key.code {
        KeyCode::Left if control => input.move_cursor(CursorMove::WordBack),
        KeyCode::Right if control => input.move_cursor(CursorMove::WordForward),
        KeyCode::Left => input.move_cursor(CursorMove::Back),
        KeyCode::Right => input.move_cursor(CursorMove::Forward),
        KeyCode::Home => input.move_cursor(CursorMove::Head),
        KeyCode::End => input.move_cursor(CursorMove::End),
        KeyCode::Char('u') if control => drop(input.clear()),
        KeyCode::Char('w') if control => drop(input.delete_word()),
        KeyCode::Backspace if control => drop(input.delete_word()),
        KeyCode::Backspace => drop(input.delete_char()),
        KeyCode::Delete => drop(input.delete_next_char()),
        KeyCode::Char(character) if !control => type_text(app, character.encode_utf8(&mut [0; 4])),
        _ => {}
    }
}

/// Tab: through everything that can be chosen on the page, then the input line, and around.
fn cycle(app: &mut App, backwards: bool) {
    let mut stops: Vec<Option<Target>> = Layout::new(app).choices().into_iter().map(Some).collect();
    stops.push(None);
    let here = if app.typing { None } else { app.place().focus };
    let at = stops.iter().position(|stop| *stop == here).unwrap_or(stops.len() - 1);
    let next = if backwards { at + stops.len() - 1 } else { at + 1 } % stops.len();
    focus(app, stops[next]);
}

/// An arrow: to the next choice where the page is made of choices, else a line of scrolling. `vertical` steps over a row
/// of tiles.
fn step(app: &mut App, by: isize, vertical: bool) {
    let layout = Layout::new(app);
    if !matches!(app.place().page, Page::Home | Page::Questions(_)) {
        return scroll(app, by);
    }
    let choices = layout.choices();
    if app.typing {
        // The input line is below everything: up leads to the last choice.
        if by < 0 {
            focus(app, choices.last().copied());
        }
        return;
    }
    let Some(at) = choices.iter().position(|choice| Some(*choice) == app.place().focus) else {
        return focus(app, choices.first().copied());
    };
    let to = at.checked_add_signed(if vertical { by * layout.columns as isize } else { by });
    match to {
        Some(to) if to < choices.len() => focus(app, Some(choices[to])),
        Some(_) if vertical && app.place().page == Page::Home => app.typing = true,
        _ => {}
    }
}

/// A page up or down; on a list the choice goes along.
fn page(app: &mut App, by: isize) {
    let layout = Layout::new(app);
    scroll(app, by * (isize::try_from(layout.body.height).unwrap_or(1) - 1).max(1));
    let layout = Layout::new(app);
    if matches!(app.place().page, Page::Questions(_)) {
        let first = layout.visible().find_map(|(_, line)| line.target);
        app.place_mut().focus = first;
    }
}

/// To the start or the end.
fn jump(app: &mut App, end: bool) {
    let choices = Layout::new(app).choices();
    if matches!(app.place().page, Page::Home | Page::Questions(_)) {
        focus(app, if end { choices.last().copied() } else { choices.first().copied() });
    }
    scroll(app, if end { isize::MAX } else { isize::MIN });
}

/// Scrolls the page by lines, as far as it goes.
pub fn scroll(app: &mut App, by: isize) {
    let layout = Layout::new(app);
    app.place_mut().scroll = layout.first.saturating_add_signed(by).min(layout.furthest());
}

/// Puts the focus on a choice, or on the input line, and scrolls it into sight.
fn focus(app: &mut App, target: Option<Target>) {
    app.typing = target.is_none();
    if target.is_none() {
        return;
    }
    app.place_mut().focus = target;
    let layout = Layout::new(app);
    let lines = layout.lines.iter().enumerate().filter(|(_, line)| line.target == target);
    let (mut first, mut last) = (None, 0);
    for (index, _) in lines {
        first.get_or_insert(index);
        last = index;
    }
    if let Some(first) = first {
        let height = usize::from(layout.body.height);
        app.place_mut().scroll = layout.first.clamp((last + 1).saturating_sub(height).min(first), first);
    }
}
