//! Contents page of the one test program: a module a room.
#![allow(clippy::unwrap_used)]

mod climate;
mod kernels;
mod model;
mod tiny;
