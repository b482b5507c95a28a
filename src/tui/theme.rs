//! Colours and weights of the screen: what each role looks like on each kind of terminal.
//!
//! High contrast on a dark ground. Colour never carries meaning alone; the words do. Does NOT know what is drawn with
//! them.

use ratatui::style::{Color, Modifier, Style};

/// What a piece of the screen is to the grower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Ordinary words, and the ground of the page.
    Base,
    /// Words that are less important: ages, units, hints.
    Quiet,
    /// Titles and questions.
    Strong,
    /// Small headings inside a page.
    Heading,
    /// Something to know: a substitute answer, a reading outside its range.
    Notice,
    /// Something to act on.
    Alarm,
    /// The top line.
    Header,
    /// Something to know in the top line.
    HeaderNotice,
    /// The input panel.
    Bar,
    /// A button.
    Button,
    /// The button or line that keyboard focus is on, or that is under the finger.
    Chosen,
    /// The button that stops an answer.
    Stop,
    /// A thin line between things.
    Rule,
    /// The readings strip.
    Strip,
    /// The mark that more follows below.
    More,
    /// Weight alone, on any ground.
    Bold,
}

/// A set of looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// From the 256-colour table, at least 7:1 for words: every terminal emulator has it.
    #[default]
    Rich,
    /// For the kernel's own console, which turns every dark shade of that table into black and every light one into
    /// white. Of its eight grounds and sixteen inks, at least 5:1 for words.
    Basic,
}

impl Theme {
    /// The looks for the terminal of this name, as `TERM` gives it.
    pub fn of(terminal: &str) -> Self {
        if terminal == "linux" || terminal.starts_with("linux-") { Theme::Basic } else { Theme::Rich }
    }

    /// What `role` looks like.
    pub fn style(self, role: Role) -> Style {
        match self {
            Theme::Rich => rich(role),
            Theme::Basic => basic(role),
        }
    }
}

fn rich(role: Role) -> Style {
    const BLACK: Color = Color::Indexed(16);
    const INK: Color = Color::Indexed(255);
    const PANEL: Color = Color::Indexed(237);
    const LEAF: Color = Color::Indexed(22);
    const AMBER: Color = Color::Indexed(221);
    const TOMATO: Color = Color::Indexed(210);
    const GREY: Color = Color::Indexed(249);
    let style = Style::new();
    match role {
        Role::Base => style.fg(INK).bg(Color::Indexed(233)),
        Role::Quiet => style.fg(GREY),
        Role::Strong => style.fg(INK).add_modifier(Modifier::BOLD),
        Role::Heading => style.fg(Color::Indexed(120)).add_modifier(Modifier::BOLD),
        Role::Notice => style.fg(AMBER),
        Role::Alarm => style.fg(TOMATO).add_modifier(Modifier::BOLD),
        Role::Header | Role::Chosen => style.fg(INK).bg(LEAF).add_modifier(Modifier::BOLD),
        Role::HeaderNotice => style.fg(AMBER).bg(LEAF).add_modifier(Modifier::BOLD),
        Role::Bar | Role::Button => style.fg(INK).bg(PANEL),
        Role::Stop => style.fg(BLACK).bg(TOMATO).add_modifier(Modifier::BOLD),
        Role::Rule => style.fg(Color::Indexed(239)),
        Role::Strip => style.fg(INK).bg(Color::Indexed(235)),
        Role::More => style.fg(BLACK).bg(GREY),
        Role::Bold => style.add_modifier(Modifier::BOLD),
    }
}

/// No weights here: that console draws bold as a brighter ink, and the next change of colour undoes it. Nor `REVERSED`:
/// it makes bright ink a dark grey on a light one.
fn basic(role: Role) -> Style {
    let style = Style::new();
    match role {
        Role::Base => style.fg(Color::White).bg(Color::Black),
        Role::Quiet => style.fg(Color::Gray),
        Role::Strong => style.fg(Color::LightCyan),
        Role::Heading => style.fg(Color::LightGreen),
        Role::Notice => style.fg(Color::LightYellow),
        Role::Alarm | Role::Stop => style.fg(Color::White).bg(Color::Red),
        Role::Header => style.fg(Color::Black).bg(Color::Green),
        Role::HeaderNotice => style.fg(Color::LightYellow).bg(Color::Black),
        Role::Bar | Role::Button | Role::Strip => style.fg(Color::White).bg(Color::Blue),
        Role::Chosen => style.fg(Color::Black).bg(Color::Gray),
        Role::Rule => style.fg(Color::DarkGray),
        Role::More => style.fg(Color::Black).bg(Color::Cyan),
        Role::Bold => style,
    }
}
