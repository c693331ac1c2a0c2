//! Allocations of the in-memory engine for each message, and its memory for names.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::{FutureExt, StreamExt};
use std::future::Future;
use stomp_broker::{Address, Broker, Config, Engine, Memory, MemoryConfig, SubscribeRequest};
use stomp_frame::{Command, Frame};
use stomp_session::{Message, MessageStream, Request, Settlement};

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

const NAMES: usize = 1_000;

/// Creates many things of a kind. Returns the bytes that each needs. Fails unless dropping all of them frees these bytes.
fn bytes_until_dropped<T>(mut create: impl FnMut(usize) -> T) -> usize {
    // The first ones also allocate what a broker keeps.
    drop((0..4).map(&mut create).collect::<Vec<_>>());
    let mut created = Vec::with_capacity(NAMES);
    let used = allocation_counter::measure(|| created.extend((0..NAMES).map(&mut create)));
    let freed = allocation_counter::measure(|| created.clear());
    let left = used.bytes_current + freed.bytes_current;
    assert!(left < 512, "{left} bytes are left of {used:?}");
    usize::try_from(used.bytes_current).unwrap() / NAMES
}

#[test]
fn names_need_little_memory_and_leave_none_behind() {
    let broker = Broker::new(Config::default()).unwrap();
    for (name, max) in [
        ((|number| format!("/topic/{number}")) as fn(_) -> _, 1_600),
        (|number| format!("/topic/users/{number}/news"), 1_700),
        (|number| format!("/topic/{number}/a/b/c/d/e/f"), 2_100),
        (|number| format!("/topic/users/{number}/*"), 1_700),
        (|number| format!("/queue/{number}"), 1_400),
    ] {
        let bytes = bytes_until_dropped(|number| ready(broker.subscribe(name(number))));
        assert!(bytes <= max, "{}: {bytes} bytes", name(0));
    }
}

#[test]
fn retained_messages_that_are_removed_leave_no_memory_behind() {
    let config = MemoryConfig::default().max_retained_messages(2 * NAMES);
    let broker = Broker::with_engine(Config::default(), Memory::new(config).unwrap()).unwrap();
    let retain = |number: usize, retain: &str| {
        let message = Message::new("1").with_header("retain", retain);
        ready(broker.publish(format!("/topic/users/{number}/news"), message));
    };
    let cycle = |count| {
        (0..count).for_each(|number| retain(number, "set"));
        (0..count).for_each(|number| retain(number, "remove"));
    };
    cycle(1);
    let left = allocation_counter::measure(|| cycle(NAMES));
    assert_eq!(left.bytes_current, 0);
}

#[test]
fn consumers_that_leave_a_queue_leave_no_memory_behind() {
    let engine = Memory::new(MemoryConfig::default()).unwrap();
    let requests: Vec<_> = (0..NAMES)
        .map(|_| Request::new(Frame::new(Command::Subscribe)))
        .collect();
    let subscribe = |number: usize| {
        let session = requests[number].session().id();
        let request = SubscribeRequest::new(Address::queue("a")).session(Some(session));
        ready(engine.subscribe(request))
    };
    let _stays = subscribe(0);
    let bytes = bytes_until_dropped(subscribe);
    assert!(bytes < 700, "{bytes}");
}
