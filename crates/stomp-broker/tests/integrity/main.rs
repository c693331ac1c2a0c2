//! The promises hold under load: no message is lost, duplicated or out of order.
//!
//! `TEST_SEED` selects other random numbers. `SOAK=1` makes the runs long: a million deliveries.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

#[path = "../support/mod.rs"]
mod support;

mod queues;
mod slow_subscribers;
mod topics;
mod transactions;

use std::{sync::Arc, time::Duration};
use stomp_broker::MemoryConfig;
use stomp_session::BacklogConfig;
use stomp_testing::Rng;
use tokio::task::yield_now;

const PUBLISHERS: usize = 8;
const SUBSCRIBERS: usize = 8;
const TOPICS: usize = 16;

/// The kind of pauses that keep one task from doing all its work at once.
#[derive(Clone, Copy)]
enum Pauses {
    /// Random times. On a paused clock they cost nothing.
    Sleeps,
    /// Random numbers of yields, for several threads.
    Yields,
}

impl Pauses {
    async fn pause(self, random: &mut Rng) {
        match self {
            Pauses::Sleeps => tokio::time::sleep(Duration::from_micros(random.u64(..500))).await,
            Pauses::Yields => {
                for _ in 0..random.u8(..4) {
                    yield_now().await;
                }
            }
        }
    }
}

/// Settings of broker and session under which no mailbox and no queue is ever full.
fn unbounded() -> (MemoryConfig, Arc<stomp_session::Config>) {
    let mut config = MemoryConfig::default();
    (config.queues.max_messages, config.queues.max_bytes) = (usize::MAX, usize::MAX);
    config.backlog = BacklogConfig::default()
        .max_messages(usize::MAX)
        .max_bytes(usize::MAX);
    let mut session = stomp_session::Config::default();
    session.max_total_backlog_bytes = usize::MAX;
    (config, Arc::new(session))
}
