//! The screen without a terminal: keys and taps in, the state and the drawn cells out.

mod console;
mod desk;
mod fuzz;
mod render;
mod update;
