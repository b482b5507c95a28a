//! Readings in words: the strip's short cells and the readings page's full lines.
//!
//! Turns a `Snapshot` into words with a style. Colour repeats what the words say, it never says more. Does NOT decide
//! what is out of range: `climate` does.

use std::time::SystemTime;

use ratatui::style::Style;

use crate::{
    climate::{NoData, Quantity, Snapshot},
    text::{Lang, Msg},
    tui::theme,
};

/// One thing in the strip.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Name of the quantity.
    pub name: String,
    /// Value with unit, or why there is none.
    pub value: String,
    /// How the value is shown.
    pub style: Style,
    /// Age of the reading, and how it stands to its target.
    pub remark: String,
}

/// What is measured, one cell each, and in words what is not.
pub fn strip(snapshot: &Snapshot, now: SystemTime, lang: Lang) -> (Vec<Cell>, Option<String>) {
    let (mut cells, mut missing) = (Vec::new(), Vec::new());
    for quantity in Quantity::ALL {
        let name = lang.say(&Msg::ShortQuantity(quantity));
        match snapshot.get(quantity) {
            Ok(reading) => cells.push(Cell {
                name,
                value: lang.say(&Msg::ShortValue(quantity, reading.value)),
                style: theme::STRONG,
                remark: lang.say(&Msg::Age(now.duration_since(reading.at).unwrap_or_default())),
            }),
            Err(NoData::NotConfigured) => missing.push(name),
            Err(reason) => cells.push(Cell {
                name,
                value: lang.say(&Msg::NoData(reason)),
                style: theme::NOTICE,
                remark: String::new(),
            }),
        }
    }
    let missing = (!missing.is_empty()).then(|| lang.say(&Msg::NotMeasured(&missing)));
    (cells, missing)
}

/// Every quantity in full words, measured or not.
pub fn full(snapshot: &Snapshot, now: SystemTime, lang: Lang) -> Vec<Cell> {
    let row = |quantity| {
        let name = lang.say(&Msg::Quantity(quantity));
        match snapshot.get(quantity) {
            Ok(reading) => {
                let age = now.duration_since(reading.at).unwrap_or_default();
                let value = lang.say(&Msg::Value(quantity, reading.value));
                Cell { name, value, style: theme::STRONG, remark: lang.say(&Msg::Measured(age)) }
            }
            Err(reason) => {
                let style = if *reason == NoData::NotConfigured { theme::QUIET } else { theme::NOTICE };
                Cell { name, value: lang.say(&Msg::NoData(reason)), style, remark: lang.say(&Msg::Advice(reason)) }
            }
        }
    };
    Quantity::ALL.into_iter().map(row).collect()
}
