//! The tomato greenhouse assistant: everything that runs on the appliance.
//!
//! `sensors -> climate::Snapshot -> prompt -> engine -> answer -> tui | headless`, read top to bottom below.
//! Who may use whom: `main -> tui | headless -> worker -> answer -> engine -> model`;
//! `answer -> prompt -> knowledge, climate`; `sensors -> climate, config`. The pipeline (`build/`) uses
//! `model, engine, prompt, knowledge, climate, bundle` and nothing else of this library.
//! `tests/tidy.rs` reads the sources and enforces it.

pub mod bundle;
pub mod config;

pub mod climate;
pub mod knowledge;
pub mod sensors;

pub mod answer;
pub mod engine;
pub mod model;
pub mod prompt;
pub mod stats;

pub mod headless;
pub mod log_file;
pub mod text;
pub mod threads;
pub mod tui;
pub mod worker;
