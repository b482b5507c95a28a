//! Contents page of the one test program; each line is a file beside it.
#![allow(clippy::unwrap_used)]

mod climate;
