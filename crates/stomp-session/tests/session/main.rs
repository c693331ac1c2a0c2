//! Sessions as an application and its peers see them: handles, streams, services, slow peers, topics.
//!
//! Each test runs a session over a stream in memory, on a paused clock unless it says otherwise.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

mod batches;
mod close_timeout;
mod closing;
mod deliveries;
mod errors;
mod foreign_code;
mod gone_peers;
mod identity;
mod memory_budget;
mod messages;
mod monitors;
mod presence;
mod principal_limits;
mod pumps;
mod registry;
mod requests;
mod services;
mod shutdown;
mod slow_peers;
mod streams;
mod subscriptions;
mod support;
mod timing;
mod topics;
mod transactions;
