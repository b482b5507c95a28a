//! Contents page of the pipeline's stages, in their order. Shared by `build/main.rs` and `tests/tests.rs`
//! (both with `#[path = …/stages.rs] mod stages;`, so that the files below are found beside this one).

pub mod fetch;

pub mod import;

pub mod config_json;
pub mod gguf_base;
pub mod hf_folder;
pub mod safetensors_file;
pub mod size;
pub mod tokenizer_json;
