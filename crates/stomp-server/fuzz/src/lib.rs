//! The checks that the server must pass for any HTTP head.
//!
//! The targets in `fuzz_targets/` call them with the inputs of libFuzzer. `tests/corpus.rs` of stomp-server includes this
//! file, and calls the checks with the committed corpus in each `cargo test`; so it uses no crates that stomp-server does
//! not use.

#![forbid(unsafe_code)]
#![allow(clippy::panic, reason = "a check that fails panics")]

pub mod first_request;
pub mod handshake;

mod exchange;
mod head;

/// The name of a target, and its check, which panics if the input reveals a bug.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 2] = [
    ("first_request", first_request::check),
    ("handshake", handshake::check),
];
