//! Where everything lies on the screen: the one function behind both drawing and touching.
//!
//! Turns the state into rectangles, visible lines and touch targets. Buttons are at least 3 rows by 8 columns where the
//! screen allows: a finger of 9 mm covers about that on a 7-inch panel. Does NOT draw and changes nothing.

use ratatui::layout::{Constraint, Layout as Split, Position, Rect};

use super::{
    app::{App, Page, Target},
    page::{self, Line},
    widgets::readings,
};
use crate::knowledge::Category;

/// Below this nothing useful fits; the screen asks for a larger window.
pub const SMALLEST: (u16, u16) = (48, 16);
/// Lines longer than this are tiring to read, so wide screens keep margins.
const WIDEST: u16 = 110;
/// Cells for one reading in the strip.
pub const STRIP_CELL: u16 = 24;

/// The screen, cut up.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// The window is too small for anything else.
    pub too_small: bool,
    /// Top line.
    pub header: Rect,
    /// Readings at a glance.
    pub strip: Rect,
    /// The page: its lines, or the tiles of Home.
    pub body: Rect,
    /// Below the lines where they do not all fit: for the mark that more follows. No line is ever under it.
    pub more: Rect,
    /// The input line.
    pub input: Rect,
    /// Bottom line.
    pub status: Rect,
    /// All lines of the page.
    pub lines: Vec<Line>,
    /// The first line shown.
    pub first: usize,
    /// Filled buttons: tiles of Home, Back, Stop or Send.
    pub buttons: Vec<(Rect, Target)>,
    /// Tiles in one row of Home.
    pub columns: usize,
}

impl Layout {
    /// Lays out the page on screen.
    pub fn new(app: &App) -> Self {
        let area = app.area;
        if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
            return Self { too_small: true, body: area, ..Self::default() };
        }
        let (cells, missing) = readings::strip(&app.now.assessment, app.now.clock, app.lang);
        let per_row = usize::from(area.width / STRIP_CELL);
        let rows = cells.len().div_ceil(per_row) + usize::from(missing.is_some());
        let strip_rows = (rows as u16).min(area.height / 4);
        let [header, strip, body, bar, status] = Split::vertical([
            Constraint::Length(1),
            Constraint::Length(strip_rows),
            Constraint::Fill(1),
            Constraint::Length(3),
            Constraint::Length(1),
        ])
        .areas(area);
        let margin = (body.width.saturating_sub(WIDEST) / 2).max(2);
        let body = Rect { x: body.x + margin, width: body.width - 2 * margin, ..body };

        let back = if app.places.len() > 1 { 10 } else { 0 };
        let [back, _, input, _, act] = Split::horizontal([
            Constraint::Length(back),
            Constraint::Length(back.min(1)),
            Constraint::Fill(1),
            Constraint::Length(1),
            Constraint::Length(11),
        ])
        .areas(bar);
        let mut layout = Self { header, strip, body, input, status, columns: 1, ..Self::default() };
        if app.place().page == Page::Home {
            layout.tiles();
        } else {
            // The last column is the scroll mark's.
            layout.lines = page::lines(app, usize::from(body.width) - 2);
            if layout.lines.len() > usize::from(body.height) {
                [layout.body, layout.more] = Split::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(body);
                layout.more.width -= 2;
            }
            layout.first = app.place().scroll.min(layout.furthest());
            layout.buttons.push((back, Target::Back));
        }
        layout.buttons.push((act, act_target(app)));
        layout
    }

    /// The tiles of Home: five categories and the readings, in as few columns as leave each tile its three rows.
    fn tiles(&mut self) {
        let targets: Vec<Target> = Category::ALL.into_iter().map(Target::Category).chain([Target::Readings]).collect();
        let rows_of = |columns: usize| targets.len().div_ceil(columns) as u16;
        // Each row of tiles takes its rows and a dark one below, but for the last.
        let tall = |columns: usize| (self.body.height + 1) / rows_of(columns) - 1;
        self.columns =
            if tall(1) >= 5 { 1 } else { [2, 3].into_iter().find(|columns| tall(*columns) >= 3).unwrap_or(3) };
        let (height, width) = (tall(self.columns).clamp(1, 6), self.body.width / self.columns as u16);
        let spare = self.body.height.saturating_sub(rows_of(self.columns) * (height + 1) - 1);
        for (index, target) in targets.into_iter().enumerate() {
            let (row, column) = ((index / self.columns) as u16, (index % self.columns) as u16);
            let tile = Rect {
                x: self.body.x + column * width + 1,
                y: self.body.y + spare.min(1) + row * (height + 1),
                width: width - 2,
                height,
            };
            self.buttons.push((tile.intersection(self.body), target));
        }
    }

    /// The largest scroll that still fills the page.
    pub fn furthest(&self) -> usize {
        self.lines.len().saturating_sub(usize::from(self.body.height))
    }

    /// The lines on screen, each with its row.
    pub fn visible(&self) -> impl Iterator<Item = (Rect, &Line)> {
        let rows = self.body.rows().map(|row| Rect { width: row.width.saturating_sub(1), ..row });
        rows.zip(self.lines.iter().skip(self.first))
    }

    /// What lies under a finger at `at`.
    pub fn target_at(&self, at: Position) -> Option<Target> {
        if self.too_small {
            return None;
        }
        let button = self.buttons.iter().find(|(area, _)| area.contains(at)).map(|(_, target)| *target);
        let line = || self.visible().find(|(row, _)| row.contains(at)).and_then(|(_, line)| line.target);
        let panel = || {
            let panels = [(self.input, Target::Input), (self.strip, Target::Readings)];
            panels.into_iter().find(|(area, _)| area.contains(at)).map(|(_, target)| target)
        };
        button.or_else(line).or_else(panel)
    }

    /// What can be chosen on the page, in order.
    pub fn choices(&self) -> Vec<Target> {
        if self.lines.is_empty() {
            let tile = |target: &Target| matches!(target, Target::Category(_) | Target::Readings);
            return self.buttons.iter().map(|(_, target)| *target).filter(tile).collect();
        }
        let mut choices: Vec<Target> = self.lines.iter().filter_map(|line| line.target).collect();
        choices.dedup();
        choices
    }
}

/// What the button at the right of the input line does now.
fn act_target(app: &App) -> Target {
    let on_answer = app.place().page == Page::Answer;
    if app.can_stop() {
        Target::Stop
    } else if on_answer && app.exchange.is_some() && app.input.is_empty() {
        Target::Again
    } else {
        Target::Send
    }
}
