//! The bottom line: what the assistant is doing, and what the last answer cost.
//!
//! Turns the state into two pieces of words, left and right. Does NOT draw.

use super::{
    app::{App, Engine, Phase},
    theme::Role,
    widgets::wrap::cells,
};
use crate::text::Msg;

/// The state in words with their role, and the figures beside it.
pub fn words(app: &App) -> (String, Role, String) {
    let say = |msg: Msg| app.lang.say(&msg);
    let none = String::new();
    if let Some(notice) = &app.notice {
        return (notice.clone(), Role::Notice, none);
    }
    if let Some(exchange) = &app.exchange {
        let elapsed = app.now.instant.saturating_duration_since(exchange.asked);
        let first = exchange.first_text.map(|time| say(Msg::FirstWords(time))).unwrap_or_default();
        match &exchange.phase {
            Phase::Reading => return (say(Msg::Reading(elapsed)), Role::Heading, none),
            Phase::Answering => return (say(Msg::Answering(elapsed)), Role::Heading, first),
            Phase::Stopping => return (say(Msg::Stopping), Role::Notice, first),
            _ => {}
        }
    }
    match &app.engine {
        Engine::Loading => {
            let elapsed = app.now.instant.saturating_duration_since(app.loading);
            (say(Msg::Loading(elapsed)), Role::Notice, none)
        }
        Engine::Gone(_) => (say(Msg::OutOfOrder), Role::Alarm, none),
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
            (if cells(&cost) <= room { ready } else { none }, Role::Heading, cost)
        }
        Engine::Busy => (say(Msg::Stopping), Role::Notice, none),
    }
}
