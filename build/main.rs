//! The pipeline. (interim)
#[path = "stages.rs"]
mod stages;
fn main() {}
