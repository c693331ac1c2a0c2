//! The checks that the codec must pass for any input, in one module for each fuzz target.
//!
//! The targets in `fuzz_targets/` call the checks with the inputs of libFuzzer. `tests/corpus.rs` of stomp-frame
//! includes this file, and calls the checks with the committed corpus in each `cargo test`; so they use no crates that
//! stomp-frame does not use. [`choices`] parses the inputs, whose format people can type.

#![forbid(unsafe_code)]

pub mod accept_version;
pub mod content_length;
pub mod frame_stream;
pub mod head;
pub mod header_value;
pub mod heart_beat;
pub mod round_trip;

mod choices;
mod encoding;
mod reference;

/// The name of a target, and its check, which panics if the input reveals a bug.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, sorted by name.
pub const TARGETS: [Target; 7] = [
    ("accept_version", accept_version::check),
    ("content_length", content_length::check),
    ("frame_stream", frame_stream::check),
    ("head", head::check),
    ("header_value", header_value::check),
    ("heart_beat", heart_beat::check),
    ("round_trip", round_trip::check),
];
