//! Queues over sessions: delivery, redelivery, limits and expiry.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

#[path = "../clients/mod.rs"]
mod clients;

mod delivery;
mod expiry;
mod limits;
mod redelivery;

use clients::Client;
use stomp_broker::{Broker, Config};
use stomp_frame::Frame;

/// A broker, and two clients of it.
async fn two_clients(config: Config) -> (Broker, Client, Client) {
    let broker = Broker::new(config).unwrap();
    let (one, two) = (Client::of(&broker).await, Client::of(&broker).await);
    (broker, one, two)
}

impl Client {
    async fn sends_numbers(&mut self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            self.sends("/queue/q", &number.to_string()).await;
        }
    }

    /// Gets messages with these numbers, all with or all without `redelivered`.
    async fn gets_numbers(
        &mut self,
        numbers: impl IntoIterator<Item = u32>,
        is_redelivered: bool,
    ) -> Vec<Frame> {
        let mut messages = Vec::new();
        for number in numbers {
            let message = self.gets_message(&number.to_string()).await;
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
