//! The checks that destinations and rules must pass for any input, in one module for each fuzz target.
//!
//! The targets in `fuzz_targets/` call the checks with the inputs of libFuzzer. `tests/corpus.rs` of stomp-broker
//! includes this file, and calls the checks with the committed corpus in each `cargo test`; so they use no crates that
//! stomp-broker
//! does not use. The inputs are lines of text.

#![forbid(unsafe_code)]

pub mod destination;
pub mod rules;

mod reference;

/// The name of a target, and its check, which panics if the input reveals a bug.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, sorted by name.
pub const TARGETS: [Target; 2] = [("destination", destination::check), ("rules", rules::check)];
