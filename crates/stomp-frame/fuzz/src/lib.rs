//! What holds for the codec whatever it is given, one module per fuzz target.
//!
//! The targets in `fuzz_targets/` call these with what libFuzzer makes up; `tests/corpus.rs` of stomp-frame includes
//! this file and calls them with the committed corpus, in every `cargo test`. So nothing here needs more than
//! stomp-frame itself. Inputs are read by [`choices`], in a form that can be typed.

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

/// A target's name, and its check, which panics unless all holds for the input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, by name.
pub const TARGETS: [Target; 7] = [
    ("accept_version", accept_version::check),
    ("content_length", content_length::check),
    ("frame_stream", frame_stream::check),
    ("head", head::check),
    ("header_value", header_value::check),
    ("heart_beat", heart_beat::check),
    ("round_trip", round_trip::check),
];
