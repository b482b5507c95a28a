//! Colours and weights of the screen, one name for each role.
//!
//! High contrast on a dark ground (at least 7:1 for words), from the 256-colour table: every terminal a kiosk may use has
//! it. Colour never carries meaning alone; the words do. Does NOT know what is drawn with them.

use ratatui::style::{Color, Modifier, Style};

const INK: Color = Color::Indexed(255);
const GROUND: Color = Color::Indexed(233);
const PANEL: Color = Color::Indexed(237);
const LEAF: Color = Color::Indexed(22);
const SPROUT: Color = Color::Indexed(120);
const AMBER: Color = Color::Indexed(221);
const TOMATO: Color = Color::Indexed(210);
const GREY: Color = Color::Indexed(249);

/// Ordinary words.
pub const BASE: Style = Style::new().fg(INK).bg(GROUND);
/// Words that are less important: ages, units, hints.
pub const QUIET: Style = Style::new().fg(GREY);
/// Titles and questions.
pub const STRONG: Style = Style::new().fg(INK).add_modifier(Modifier::BOLD);
/// Small headings inside a page.
pub const HEADING: Style = Style::new().fg(SPROUT).add_modifier(Modifier::BOLD);
/// Something to know: a substitute answer, a reading outside its range.
pub const NOTICE: Style = Style::new().fg(AMBER);
/// Something to act on.
pub const ALARM: Style = Style::new().fg(TOMATO).add_modifier(Modifier::BOLD);
/// The top line.
pub const HEADER: Style = Style::new().fg(INK).bg(LEAF).add_modifier(Modifier::BOLD);
/// The bottom line and the input panel.
pub const BAR: Style = Style::new().fg(INK).bg(PANEL);
/// A button.
pub const BUTTON: Style = Style::new().fg(INK).bg(PANEL);
/// The button that keyboard focus is on, or that is under the finger.
pub const CHOSEN: Style = Style::new().fg(INK).bg(LEAF).add_modifier(Modifier::BOLD);
/// The button that stops an answer.
pub const STOP: Style = Style::new().fg(Color::Indexed(16)).bg(TOMATO).add_modifier(Modifier::BOLD);
/// A thin line between things.
pub const RULE: Style = Style::new().fg(Color::Indexed(239));
/// The readings strip.
pub const STRIP: Style = Style::new().fg(INK).bg(Color::Indexed(235));
/// The mark that more follows below.
pub const MORE: Style = Style::new().fg(Color::Indexed(16)).bg(GREY);
/// Weight alone, on any ground.
pub const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
