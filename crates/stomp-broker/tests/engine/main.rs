//! The contract between a broker and its engine: what is refused, how transactions are committed, how gaps are told,
//! and how the in-memory engine is operated.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

#[path = "../support/mod.rs"]
mod support;

mod capabilities;
mod gaps;
mod operation;
mod queues;
mod scripted;
mod topics;
mod transactions;
