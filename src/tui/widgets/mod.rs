//! Pieces of the screen that know no page: words broken into lines, buttons, the readings strip.

pub mod button;
pub mod readings;
pub mod wrap;
