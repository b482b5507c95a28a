//! The kernel's console, on which a device without a desktop shows the screen: what is left there of the colours.
//!
//! `ink` and `ground` do what `rgb_from_256`, `rgb_foreground` and `rgb_background` do in the kernel's
//! drivers/tty/vt/vt.c.

use crossterm::event::KeyCode;
use ratatui::{
    buffer::Cell,
    style::{Color, Modifier, Style},
};
use tomato_assistant::{
    knowledge::Category,
    tui::{
        app::{Page, Target},
        theme::{Role, Theme},
    },
    worker,
};

use super::desk::{Desk, answer, done};

const ROLES: [Role; 16] = [
    Role::Base,
    Role::Quiet,
    Role::Strong,
    Role::Heading,
    Role::Notice,
    Role::Alarm,
    Role::Header,
    Role::HeaderNotice,
    Role::Bar,
    Role::Button,
    Role::Chosen,
    Role::Stop,
    Role::Rule,
    Role::Strip,
    Role::More,
    Role::Bold,
];

/// The number that stands for a colour on its way to the terminal.
fn number(color: Color) -> u8 {
    match color {
        Color::Indexed(number) => number,
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
        other => panic!("{other:?} has no number"),
    }
}

fn rgb(number: u8) -> [u8; 3] {
    let bits = |number: u8, on: u8, off: u8| [1, 2, 4].map(|bit| if number & bit == 0 { off } else { on });
    match number {
        0..8 => bits(number, 0xaa, 0),
        8..16 => bits(number, 0xff, 0x55),
        16..232 => [36, 6, 1].map(|step| (u16::from((number - 16) / step % 6) * 255 / 6) as u8),
        232.. => [(u16::from(number) * 10 - 2312) as u8; 3],
    }
}

/// Red, green, blue as bits, and whether it is bright.
fn ink(color: Color) -> ([bool; 3], bool) {
    let rgb = rgb(number(color));
    let max = *rgb.iter().max().unwrap();
    let hue = rgb.map(|part| part > max / 2);
    if hue == [true; 3] && max <= 0x55 { ([false; 3], true) } else { (hue, max > 0xaa) }
}

fn ground(color: Color) -> ([bool; 3], bool) {
    (rgb(number(color)).map(|part| part & 0x80 != 0), false)
}

/// Contrast as WCAG 2 has it, of what the console makes of them in its own palette.
fn contrast(one: ([bool; 3], bool), other: ([bool; 3], bool)) -> f64 {
    let light = |(hue, bright): ([bool; 3], bool)| {
        let linear = |on| {
            let part = f64::from(u8::from(on) * 0xaa + u8::from(bright) * 0x55) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = hue.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    };
    let (one, other) = (light(one) + 0.05, light(other) + 0.05);
    one.max(other) / one.min(other)
}

#[test]
fn only_the_console_gets_the_basic_looks() {
    for (terminal, theme) in [
        ("linux", Theme::Basic),
        ("linux-16color", Theme::Basic),
        ("xterm-256color", Theme::Rich),
        ("foot", Theme::Rich),
        ("", Theme::Rich),
    ] {
        assert_eq!(Theme::of(terminal), theme, "{terminal:?}");
    }
}

#[test]
fn panels_buttons_and_focus_can_be_told_apart_on_the_console() {
    let style = |role| Theme::Basic.style(role);
    let ground_of = |style: Style| ground(style.bg.unwrap());
    let [base, bar, button, chosen, stop, header, strip, more] =
        [Role::Base, Role::Bar, Role::Button, Role::Chosen, Role::Stop, Role::Header, Role::Strip, Role::More]
            .map(|role| ground_of(style(role)));
    assert!([bar, button, chosen, stop, header, strip, more].iter().all(|other| *other != base));
    assert!([base, bar, button, stop, header, more].iter().all(|other| *other != chosen), "focus is like nothing else");
    assert!(stop != button && strip != header && contrast(chosen, button) > 4.5);
    let inks =
        [Role::Base, Role::Quiet, Role::Strong, Role::Heading, Role::Notice].map(|role| ink(style(role).fg.unwrap()));
    assert!((0..inks.len()).all(|at| !inks[..at].contains(&inks[at])), "{inks:?}");
    // Which cannot be said of the other looks: that is why there are these.
    let rich = |role| Theme::Rich.style(role);
    assert_eq!(ground_of(rich(Role::Base)), ground_of(rich(Role::Button)));
    assert_eq!(ink(rich(Role::Base).fg.unwrap()), ink(rich(Role::Quiet).fg.unwrap()));
}

#[test]
fn basic_looks_use_what_the_console_draws_as_it_is_told() {
    for style in ROLES.map(|role| Theme::Basic.style(role)) {
        // A weight changes the brightness there, until the next colour changes it back.
        assert_eq!((style.add_modifier, style.sub_modifier), (Modifier::empty(), Modifier::empty()), "{style:?}");
        assert!(style.fg.is_none_or(|color| number(color) < 16) && style.bg.is_none_or(|color| number(color) < 8));
    }
}

#[test]
fn every_word_is_legible_on_the_console() {
    let rule = Theme::Basic.style(Role::Rule).fg.unwrap();
    for mut desk in [Desk::with(Theme::Basic, 72, 21), Desk::with(Theme::Basic, 100, 40)] {
        let check = |desk: &Desk| {
            let words = |cell: &&Cell| !cell.symbol().trim().is_empty() && cell.fg != rule;
            for cell in desk.buffer().content.iter().filter(words) {
                let contrast = contrast(ink(cell.fg), ground(cell.bg));
                assert!(contrast >= 5.0, "{cell:?}: {contrast:.1}\n{}", desk.screen());
            }
        };
        check(&desk);
        desk.worker(worker::Event::Ready);
        desk.tap_on(Target::Category(Category::DiseaseManagement));
        check(&desk);
        desk.key(KeyCode::Enter);
        check(&desk);
        desk.worker(done(answer("Water evenly.")));
        check(&desk);
        desk.key(KeyCode::F(5));
        desk.worker(worker::Event::Gone("Install it again.".into()));
        check(&desk);
        for page in [Page::Entry(0), Page::Readings] {
            desk.app.open(page);
            check(&desk);
        }
    }
}
