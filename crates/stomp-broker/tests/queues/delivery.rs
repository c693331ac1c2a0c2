//! Delivery: the order of messages and the turns of consumers.

use super::{
    support::{connect, connect_to, statistics_of},
    two_clients,
};
use std::time::Duration;
use stomp_broker::MemoryConfig;
use stomp_frame::Command;
use stomp_session::Destination;
use stomp_testing::frames::{ack, send, subscribe_with_ack, unsubscribe};
use tokio::time::advance;

#[tokio::test(start_paused = true)]
async fn messages_wait_for_a_consumer_in_order() {
    let (broker, mut producer, mut consumer) = two_clients(MemoryConfig::default()).await;
    producer.publish_numbers(0..3).await;
    consumer.consume("0", "/queue/q").await;
    for message in consumer.expect_numbers(0..3, false).await {
        assert_eq!(message.headers.get("destination"), Some("/queue/q"));
        consumer.ack(&message).await;
    }
    consumer.break_connection().await;
    let mut other = connect(&broker).await;
    other.subscribe("0", "/queue/q").await;
    other.expect_nothing().await;
    // With `ack:auto`, a message that was sent counts as acknowledged.
    producer.publish_numbers(3..4).await;
    other.expect_numbers([3], false).await;
    other.break_connection().await;
    producer.consume("0", "/queue/q").await;
    producer.expect_nothing().await;
    assert_eq!(statistics_of(&broker).delivered, 4);
}

#[tokio::test(start_paused = true)]
async fn all_spellings_of_a_queue_are_the_same_queue() {
    let (broker, mut producer, mut consumer) = two_clients(MemoryConfig::default()).await;
    producer.publish("/queue/a.b.c", "1").await;
    producer.publish("/queue/a/b/c", "2").await;
    let made = Destination::from_segments("/queue/a", ["b", "c"]).unwrap();
    broker.publish(made, "3").await.unwrap();
    consumer.consume("0", "/queue/a/b.c").await;
    for body in ["1", "2", "3"] {
        let message = consumer.expect_message(body).await;
        // A consumer sees its own spelling.
        assert_eq!(message.headers.get("destination"), Some("/queue/a/b.c"));
    }
    let statistics = statistics_of(&broker);
    let [queue] = &statistics.destinations[..] else {
        panic!("not one queue: {statistics:?}");
    };
    assert_eq!(
        (queue.destination.to_string(), queue.published),
        ("/queue/a.b.c".to_owned(), 3),
        "statistics show the first spelling"
    );
    assert_eq!(broker.purge("/queue/a.b/c").await.unwrap(), 0);
    producer
        .expect_refusal(send("/queue/a..b", "4"), "bad-destination")
        .await;
}

#[tokio::test(start_paused = true)]
async fn consumers_take_turns() {
    let (broker, mut producer, mut one) = two_clients(MemoryConfig::default()).await;
    let mut two = connect(&broker).await;
    one.consume("0", "/queue/q").await;
    two.consume("0", "/queue/q").await;
    for number in (0..10).step_by(2) {
        producer.publish_numbers(number..number + 2).await;
        one.expect_numbers([number], false).await;
        two.expect_numbers([number + 1], false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_divided_equally_among_the_consumers() {
    let (broker, mut producer, mut one) = two_clients(MemoryConfig::default()).await;
    let mut two = connect(&broker).await;
    one.consume("0", "/queue/q").await;
    two.consume("0", "/queue/q").await;
    for number in 0..30 {
        producer.send(send("/queue/q", &number.to_string())).await;
    }
    for client in [&mut one, &mut two] {
        for _ in 0..15 {
            client.expect(Command::Message).await;
        }
        client.expect_nothing().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_without_credit_gets_nothing() {
    let (_, mut busy, mut idle) = two_clients(MemoryConfig::default()).await;
    busy.receipt(subscribe_with_ack("0", "/queue/q", "client").with_header("prefetch-count", "1"))
        .await;
    busy.send(send("/queue/q", "0")).await;
    let message = busy.expect_message("0").await;
    for number in 1..4 {
        busy.publish("/queue/q", &number.to_string()).await;
    }
    busy.expect_nothing().await;
    idle.consume("0", "/queue/q").await;
    idle.expect_numbers(1..4, false).await;
    busy.publish("/queue/q", "4").await;
    busy.publish("/queue/q", "5").await;
    idle.expect_numbers(4..6, false).await;
    idle.receipt(unsubscribe("0")).await;
    busy.send(ack(&message)).await;
    busy.expect_numbers([1], true).await;
}

/// The session of the notified consumer does not poll it: its client does not read a large message.
#[tokio::test(start_paused = true)]
async fn a_notified_consumer_that_does_not_poll_is_passed_over() {
    let (broker, mut producer, mut other) = two_clients(MemoryConfig::default()).await;
    let mut config = stomp_session::Config::default();
    config.max_outbound_bytes = 1;
    let mut spent = connect_to(broker.clone(), config.into()).await;
    spent.consume("0", "/queue/q").await;
    spent.consume("1", "/queue/other").await;
    other.consume("0", "/queue/q").await;
    let large = "x".repeat(200_000);
    producer.publish("/queue/other", &large).await;
    producer.publish_numbers(0..1).await;
    other.expect_nothing().await;
    advance(Duration::from_secs(3)).await;
    other.expect_numbers([0], false).await;
    producer.publish_numbers(1..2).await;
    other.expect_numbers([1], false).await;
    spent.expect_message(&large).await;
    spent.expect_nothing().await;
}
