//! Contents page of the pipeline, shared by its program and the tests. Each stage is one file with one `STAGE`, one
//! `origin` (what it is made from) and one `run` (arguments -> its own folder).

pub mod arguments;
pub mod artifact;
pub mod device;
pub mod draw;
pub mod failure;
pub mod heap;
pub mod recipe;
pub mod split;

pub mod base;
pub mod fetch;
pub mod pinned;

pub mod config_json;
pub mod gguf_base;
pub mod hf_folder;
pub mod import;
pub mod safetensors_file;
pub mod size;
pub mod tokenizer_json;

pub mod byte_pairs;
pub mod loss;
pub mod prune;
pub mod ranking;

pub mod blocks;
pub mod calibration;
pub mod checkpoint;
pub mod cholesky;
pub mod compensate;
pub mod dense;
pub mod ffn;
pub mod greedy;
pub mod metadata;
pub mod pieces;
pub mod quantize;
pub mod rounding;

pub mod adam;
pub mod adapter;
pub mod examples;
pub mod finetune;
pub mod merge;
pub mod resume;

pub mod embed;
pub mod encoder;
pub mod encoder_base;
pub mod projection;
pub mod tune;
pub mod wordpiece;

pub mod bundle;
pub mod console;
pub mod quickstart;
pub mod show;
pub mod sources;

pub mod bench;
pub mod compare;
pub mod evaluate;
pub mod planes;
pub mod plot;
pub mod recover;
pub mod retrieval;
pub mod verify;

pub mod check_data;
pub mod questions;
