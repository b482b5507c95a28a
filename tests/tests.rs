//! Contents page of the one test program: a module a room. No test needs the network, the real model or more than a
//! few seconds.
#![allow(clippy::unwrap_used)]

// The pipeline's stages are compiled a second time here; its program uses what the tests do not.
#[allow(dead_code)]
#[path = "../build/stages.rs"]
mod stages;

mod adam;
mod adapter;
mod again;
mod answer;
mod asked;
mod assistant;
mod bench;
mod bundle;
mod calibration;
mod check_data;
mod cholesky;
mod choose;
mod climate;
mod compare;
mod compensate;
mod config;
mod cross;
mod device;
mod dli;
mod draw;
mod encoder;
mod engine;
mod evaluate;
mod examples;
mod explain;
mod fetch;
mod ffn;
mod finetune;
mod firmware;
mod gates;
mod gradient;
mod greedy;
mod headless;
mod heard;
mod home;
mod import;
mod interrupted;
mod judge;
mod kernels;
mod kiosk;
mod log_file;
mod measured;
mod model;
mod period;
mod pictures;
mod pipeline;
mod program;
mod projection;
mod prompt;
mod prune;
mod prune_ffn;
mod prune_plan;
mod quantize;
mod question_sets;
mod recipe;
mod recover;
mod retrieval;
mod sensors;
mod spelling;
mod terminal;
mod tidy;
mod tiny;
mod tiny_base;
mod tiny_bundle;
mod tiny_encoder;
mod tiny_pruned;
mod tiny_training;
mod tui;
mod tune;
mod vectors;
mod verdict;
mod verify;
mod worker;
