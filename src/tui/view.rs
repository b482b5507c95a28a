//! Draws the state. Decides nothing: what is where comes from `layout`, what is said from `page` and `status_bar`, which
//! key does the same as a button from `keys`, what all of it looks like from `theme`.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::Style,
    widgets::{Block, Padding, Scrollbar, ScrollbarOrientation, ScrollbarState},
};

use super::{
    app::{App, Page, Target},
    keys,
    layout::{Layout, SMALLEST, STRIP_CELL},
    status_bar,
    theme::{Role, Theme},
    widgets::{
        button, readings,
        wrap::{cells, fit, wrap},
    },
};
use crate::text::{Lang, Msg};

/// Draws everything.
pub fn view(app: &App, frame: &mut Frame) {
    frame.render_widget(Block::new().style(app.theme.style(Role::Base)), frame.area());
    if frame.area() != app.area {
        return; // a resize is on its way; what was laid out for the old size must not be drawn on the new one
    }
    let layout = Layout::new(app);
    if layout.too_small {
        let words = app.lang.say(&Msg::WindowTooSmall(SMALLEST.0, SMALLEST.1));
        for (row, line) in layout.body.rows().zip(wrap(&words, usize::from(layout.body.width))) {
            print(frame, row, &line, app.theme.style(Role::Notice));
        }
        return;
    }
    header(app, frame, layout.header);
    strip(app, frame, layout.strip);
    for (row, line) in layout.visible() {
        let style = app.theme.style(line.role);
        frame.buffer_mut().set_style(row, style);
        print(frame, row, &line.text, style);
    }
    scroll_mark(app, frame, &layout);
    for (area, target) in &layout.buttons {
        draw_button(app, frame, *area, *target);
    }
    input(app, frame, layout.input);
    status(app, frame, layout.status);
}

/// Draws nothing but `words`, and how to leave them.
pub fn tell(words: &str, lang: Lang, theme: Theme, frame: &mut Frame) {
    frame.render_widget(Block::new().style(theme.style(Role::Base)), frame.area());
    let body = inset(frame.area());
    let told = wrap(words, usize::from(body.width)).into_iter().map(|line| (line, Role::Alarm));
    let hint = [String::new(), lang.say(&Msg::AnyKey)].map(|line| (line, Role::Quiet));
    for (row, (line, role)) in body.rows().skip(1).zip(told.chain(hint)) {
        print(frame, row, &line, theme.style(role));
    }
}

/// Writes words at the start of `area`, cut to its width.
fn print(frame: &mut Frame, area: Rect, words: &str, style: Style) {
    if !area.is_empty() {
        frame.buffer_mut().set_string(area.x, area.y, fit(words, usize::from(area.width)), style);
    }
}

/// Writes words at the end of `area`, whole or not at all; returns what is left of it.
fn print_right(frame: &mut Frame, area: Rect, words: &str, style: Style) -> Rect {
    let width = cells(words) as u16;
    if width == 0 || width >= area.width {
        return area;
    }
    frame.buffer_mut().set_string(area.right() - width, area.y, words, style);
    Rect { width: area.width - width - 1, ..area }
}

/// One column of margin on both sides.
fn inset(area: Rect) -> Rect {
    Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }
}

fn header(app: &App, frame: &mut Frame, area: Rect) {
    let style = app.theme.style(Role::Header);
    frame.render_widget(Block::new().style(style), area);
    let title = match app.place().page {
        Page::Questions(category) => app.lang.say(&Msg::Category(category)),
        Page::Readings => app.lang.say(&Msg::AllReadings),
        _ => app.lang.say(&Msg::AppName),
    };
    let problems = readings::problems(&app.now.assessment);
    let words = if problems > 0 { app.lang.say(&Msg::Problems(problems)) } else { String::new() };
    let rest = print_right(frame, inset(area), &words, app.theme.style(Role::HeaderNotice));
    print(frame, rest, &title, style);
}

fn strip(app: &App, frame: &mut Frame, area: Rect) {
    frame.render_widget(Block::new().style(app.theme.style(Role::Strip)), area);
    let (list, missing) = readings::strip(&app.now.assessment, app.now.clock, app.lang);
    let columns = area.width / STRIP_CELL;
    let width = area.width / columns;
    for (index, cell) in list.iter().enumerate() {
        let (row, column) = (index as u16 / columns, index as u16 % columns);
        let mut rest = Rect { x: area.x + column * width + 1, y: area.y + row, width: width - 1, height: 1 };
        if row >= area.height {
            return;
        }
        for (words, role) in [(&cell.name, Role::Quiet), (&cell.value, cell.role), (&cell.remark, Role::Quiet)] {
            if role == Role::Quiet && cells(words) > usize::from(rest.width) {
                break; // half an age would mislead; the readings page has the whole
            }
            print(frame, rest, words, app.theme.style(role));
            let used = (cells(words) as u16 + 1).min(rest.width);
            (rest.x, rest.width) = (rest.x + used, rest.width - used);
        }
    }
    let row = (list.len() as u16).div_ceil(columns);
    if let Some(words) = missing.filter(|_| row < area.height) {
        print(frame, inset(Rect { y: area.y + row, height: 1, ..area }), &words, app.theme.style(Role::Quiet));
    }
}

fn scroll_mark(app: &App, frame: &mut Frame, layout: &Layout) {
    if layout.furthest() == 0 {
        return;
    }
    let mut state = ScrollbarState::new(layout.furthest()).position(layout.first);
    let bar =
        Scrollbar::new(ScrollbarOrientation::VerticalRight).begin_symbol(None).end_symbol(None).track_symbol(Some("│"));
    frame.render_stateful_widget(bar.style(app.theme.style(Role::Quiet)), layout.body, &mut state);
    if layout.first < layout.furthest() {
        print_right(frame, layout.more, &app.lang.say(&Msg::MoreBelow), app.theme.style(Role::More));
    }
}

fn draw_button(app: &App, frame: &mut Frame, area: Rect, target: Target) {
    let pressed = app.press.is_some_and(|press| !press.dragged && press.target == Some(target));
    let focused = !app.typing && app.place().focus == Some(target);
    let role = match target {
        _ if pressed || focused => Role::Chosen,
        Target::Stop => Role::Stop,
        _ => Role::Button,
    };
    let key = keys::of(app, target).map(|key| app.lang.say(&Msg::Key(key))).unwrap_or_default();
    let (words, below) = match target {
        Target::Category(category) => {
            let count = app.entries_of(category).count();
            (app.lang.say(&Msg::Category(category)), app.lang.say(&Msg::Questions(count)))
        }
        Target::Readings => (app.lang.say(&Msg::AllReadings), String::new()),
        Target::Back => (app.lang.say(&Msg::Back), key),
        Target::Stop => (app.lang.say(&Msg::Stop), key),
        Target::Again => (app.lang.say(&Msg::Again), key),
        Target::Send => (app.lang.say(&Msg::Send), key),
        // These are lines or panels, never filled buttons.
        Target::Ask(_) | Target::Open(_) | Target::Input => return,
    };
    let words = if focused { format!("> {words} <") } else { words };
    // Quiet words are made for dark grounds.
    let quiet = if role == Role::Button { app.theme.style(Role::Quiet) } else { Style::new() };
    let bold = app.theme.style(Role::Bold);
    let mut lines: Vec<_> = wrap(&words, usize::from(area.width)).into_iter().map(|line| (line, bold)).collect();
    if !below.is_empty() {
        lines.push((below, quiet));
    }
    button::draw(frame, area, app.theme.style(role), &lines);
}

fn input(app: &App, frame: &mut Frame, area: Rect) {
    let bar = app.theme.style(Role::Bar);
    let block = Block::new().style(bar).padding(Padding::new(2, 1, 1, 0));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    frame.render_widget(&app.input, inner);
    if app.typing && !inner.is_empty() {
        print(frame, Rect { width: 2, ..Rect { x: area.x, ..inner } }, ">", bar.patch(app.theme.style(Role::Heading)));
        let (cursor, (top, _)) = (app.input.screen_cursor(), app.input.scroll_offset());
        let row = (cursor.row as u16).saturating_sub(top).min(inner.height - 1);
        let column = (cursor.col as u16).min(inner.width - 1);
        frame.set_cursor_position(Position { x: inner.x + column, y: inner.y + row });
    }
}

fn status(app: &App, frame: &mut Frame, area: Rect) {
    let (left, role, right) = status_bar::words(app);
    let rest = print_right(frame, inset(area), &right, app.theme.style(Role::Quiet));
    print(frame, rest, &left, app.theme.style(role));
}
