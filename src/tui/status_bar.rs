//! The bottom line: what the assistant is doing, and what the last answer cost.
//!
//! Turns the state into two pieces of words, left and right. Does NOT draw.

use ratatui::style::Style;

use super::{
    app::{App, Engine, Phase},
    theme,
    widgets::wrap::cells,
};
use crate::text::Msg;

/// The state in words with its style, and the figures beside it.
pub fn words(app: &App) -> (String, Style, String) {
    let say = |msg: Msg| app.lang.say(&msg);
    let none = String::new();
    if let Some(notice) = &app.notice {
        return (notice.clone(), theme::NOTICE, none);
    }
    if let Some(exchange) = &app.exchange {
        let elapsed = app.now.instant.saturating_duration_since(exchange.asked);
        let first = exchange.first_text.map(|time| say(Msg::FirstWords(time))).unwrap_or_default();
        match &exchange.phase {
            Phase::Reading => return (say(Msg::Reading(elapsed)), theme::HEADING, none),
            Phase::Answering => return (say(Msg::Answering(elapsed)), theme::HEADING, first),
            Phase::Stopping => return (say(Msg::Stopping), theme::NOTICE, first),
            _ => {}
        }
    }
    match &app.engine {
        Engine::Loading => {
            let elapsed = app.now.instant.saturating_duration_since(app.loading);
            (say(Msg::Loading(elapsed)), theme::NOTICE, none)
        }
        Engine::Gone(_) => (say(Msg::OutOfOrder), theme::ALARM, none),
        Engine::Idle => {
            let ready = say(Msg::Ready);
            // The words, a space between them, and a margin on each side.
            let room = usize::from(app.area.width).saturating_sub(cells(&ready) + 3);
            let cost = app.last.as_ref().map(|cost| {
                let whole = say(Msg::Cost(cost));
                if cells(&whole) <= room { whole } else { say(Msg::ShortCost(cost)) }
            });
            let cost = cost.unwrap_or_default();
            // Where only one of them fits, the figures say that it is ready.
            (if cells(&cost) <= room { ready } else { none }, theme::HEADING, cost)
        }
        Engine::Busy => (say(Msg::Stopping), theme::NOTICE, none),
    }
}
