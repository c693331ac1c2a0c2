//! Allocations of the in-memory engine for each message.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::{FutureExt, StreamExt};
use std::future::Future;
use stomp_broker::{Broker, Config};
use stomp_session::{Message, MessageStream, Settlement};

const MESSAGES: u64 = 1_000;

fn ready<T, E: std::fmt::Debug>(future: impl Future<Output = Result<T, E>>) -> T {
    future.now_or_never().expect("not ready at once").unwrap()
}

/// The allocations of one message from a publisher to the acknowledgment of its only subscriber.
fn allocations_per_message(destination: &str) -> u64 {
    let broker = Broker::new(Config::default()).unwrap();
    let mut stream: MessageStream = ready(broker.subscribe(destination));
    let mut deliver = || {
        ready(broker.publish(destination, Message::new("1")));
        let delivery = stream.next().now_or_never().flatten();
        delivery.unwrap().unwrap().settle(Settlement::Acked);
    };
    // The first messages make room that the others use again: the two buffers of a mailbox.
    (0..2).for_each(|_| deliver());
    let info = allocation_counter::measure(|| (0..MESSAGES).for_each(|_| deliver()));
    assert_eq!(info.count_current, 0, "{destination}: {info:?}");
    info.count_total / MESSAGES
}

#[test]
fn a_message_costs_few_allocations_and_leaves_none_behind() {
    // The destination, the headers, and the message with its id. A message for a topic also travels in a batch, and a
    // name with dots has two texts.
    assert_eq!(allocations_per_message("/topic/a.b"), 6);
    assert_eq!(allocations_per_message("/topic/a/b"), 5);
    assert_eq!(allocations_per_message("/queue/a"), 4);
}
