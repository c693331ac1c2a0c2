//! Tower's own layers on an app, on a prefix and on one route, and their effect on the frames of real sessions.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod concurrency;
mod custom;
mod filters;
mod gate;
#[path = "../support/mod.rs"]
mod support;
mod time;

/// A handler that succeeds at once.
async fn sink() {}
