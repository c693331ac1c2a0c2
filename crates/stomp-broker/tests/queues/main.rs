//! Queues over sessions: delivery, redelivery, limits and expiry.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

#[path = "../support/mod.rs"]
mod support;

mod delivery;
mod exclusive;
mod expiry;
mod gone;
mod limits;
mod losses;
mod names;
mod redelivery;
mod shares;
mod stalls;
mod turns;

use stomp_broker::{Broker, MemoryConfig};
use stomp_frame::Frame;
use support::{Client, broker_with, connect};

/// A broker, and two clients of it.
async fn two_clients(config: MemoryConfig) -> (Broker, Client, Client) {
    let broker = broker_with(config);
    let (one, two) = (connect(&broker).await, connect(&broker).await);
    (broker, one, two)
}

impl Client {
    async fn publish_numbers(&mut self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.publish("/queue/q", &number.to_string()).await;
        }
    }

    /// Expects messages with these numbers, all with or all without `redelivered`.
    async fn expect_numbers(
        &mut self,
        numbers: impl IntoIterator<Item = u32>,
        is_redelivered: bool,
    ) -> Vec<Frame> {
        let mut messages = Vec::new();
        for number in numbers {
            let message = self.expect_message(&number.to_string()).await;
            assert_eq!(
                message.headers.get("redelivered"),
                is_redelivered.then_some("true"),
                "message {number}"
            );
            messages.push(message);
        }
        messages
    }
}
