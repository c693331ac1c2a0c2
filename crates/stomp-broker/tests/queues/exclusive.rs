//! Exclusive consumers, and queues that go with their last consumer.

use super::*;
use crate::support::statistics_of;
use stomp_testing::frames::{subscribe, unsubscribe};

/// A `SUBSCRIBE` to `/queue/q` with these headers.
fn with(id: &str, headers: &[(&str, &str)]) -> Frame {
    headers
        .iter()
        .fold(subscribe(id, "/queue/q"), |frame, (name, value)| {
            frame.with_header(name, value)
        })
}

#[tokio::test(start_paused = true)]
async fn an_exclusive_subscription_is_the_only_one_of_its_queue() {
    let (_, mut ann, mut bob) = two_clients(MemoryConfig::default()).await;
    let exclusive = |id| with(id, &[("exclusive", "true")]);
    ann.receipt(exclusive("0")).await;
    for frame in [exclusive("1"), with("1", &[])] {
        let error = bob.expect_refusal(frame, "queue-in-use").await;
        let text = String::from_utf8(error.body.to_vec()).unwrap();
        assert!(text.contains("/queue/q") && text.contains("exclusive"));
    }
    ann.expect_refusal(with("1", &[]), "queue-in-use").await;
    // Others may still send.
    bob.publish_numbers(0..2).await;
    ann.expect_numbers(0..2, false).await;
    ann.receipt(unsubscribe("0")).await;
    bob.receipt(with("1", &[])).await;
    ann.expect_refusal(exclusive("0"), "queue-in-use").await;
    bob.break_connection().await;
    ann.receipt(exclusive("0")).await;
}

/// The way in which pages receive replies in a queue of their own.
#[tokio::test(start_paused = true)]
async fn a_queue_for_replies_goes_with_its_session() {
    let (broker, mut ann, mut bob) = two_clients(MemoryConfig::default()).await;
    let headers = [
        ("durable", "false"),
        ("auto-delete", "true"),
        ("exclusive", "true"),
    ];
    let frame = with("0", &headers).with_header("ack", "client-individual");
    ann.receipt(frame).await;
    bob.publish_numbers(0..2).await;
    ann.expect_numbers(0..2, false).await;
    let dropped = statistics_of(&broker).dropped;
    ann.break_connection().await;
    let statistics = statistics_of(&broker);
    assert!(statistics.destinations.is_empty(), "{statistics:?}");
    assert_eq!(statistics.dropped, dropped + 2);
    bob.receipt(with("0", &headers)).await;
    bob.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn messages_that_wait_in_an_auto_delete_queue_become_no_dead_letters() {
    let settings = stomp_broker::QueueSettings::default()
        .max_abandoned_deliveries(1)
        .dead_letter_queue(Some("/queue/dead".to_owned()));
    let (broker, mut ann, mut bob) = two_clients(MemoryConfig::default().queues(settings)).await;
    let headers = [("auto-delete", "true"), ("prefetch-count", "1")];
    let frame = with("0", &headers).with_header("ack", "client-individual");
    ann.receipt(frame).await;
    bob.publish_numbers(0..3).await;
    ann.expect_numbers(0..1, false).await;
    ann.receipt(unsubscribe("0")).await;
    let statistics = statistics_of(&broker);
    // The one that was sent is given up before the queue goes.
    assert_eq!((statistics.dead_lettered, statistics.dropped), (1, 2));
}
