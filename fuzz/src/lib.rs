//! What is fuzzed, and what has to hold: one module a target, each with a `check` that panics where something does not.
//!
//! `fuzz_targets/` gives these functions to libFuzzer. `trials/tests/corpus.rs` includes this file as a module, and gives
//! them the corpus: `cargo test` needs no fuzzer for that.
#![forbid(unsafe_code)]

pub mod extension;
pub mod header;
pub mod inflate;
pub mod pair;
pub mod receiver;
pub mod request;
pub mod server;

mod connection;
mod frames;
mod naive_inflate;
mod script;
