//! Conversations as data: each file below `tests/conversations` is one test, named after its folder and file.
//!
//! `cargo test -p stomp-session --test conversations -- --exact ack/ack_twice` runs one of them. The language of the
//! files is described in `tests/conversations/README.md`. Each conversation runs against a real connection on a paused
//! clock.
//!
//! Two more tests check `tests/clauses.txt`, which names the proofs of each clause of the specifications.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

#[path = "runner/application.rs"]
mod application;
#[path = "runner/clauses.rs"]
mod clauses;
#[path = "runner/client.rs"]
mod client;
#[path = "runner/conversation.rs"]
mod conversation;
#[path = "runner/file.rs"]
mod file;
#[path = "runner/text.rs"]
mod text;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let files = file::all();
    let mut trials = clauses::trials(&files);
    trials.extend(
        files
            .into_iter()
            .map(|file| Trial::test(file.name.clone(), move || Ok(file.run()?))),
    );
    libtest_mimic::run(&arguments, trials).exit_code()
}
