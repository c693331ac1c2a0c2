//! Redelivery and dead letters.

use super::{
    clients::{Client, answer, open, send, subscribe},
    two_clients,
};
use std::time::Duration;
use stomp_frame::Command;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn unacknowledged_messages_of_a_lost_consumer_return_in_order() {
    let (_, mut producer, mut leaver) = two_clients(open()).await;
    leaver
        .asks(
            subscribe("0", "/queue/q")
                .with_header("ack", "client")
                .with_header("prefetch-count", "4"),
        )
        .await;
    producer.sends_numbers(0..6).await;
    let messages = leaver.gets_numbers(0..4, false).await;
    leaver.asks(answer(Command::Ack, &messages[0])).await;
    leaver.gets_numbers([4], false).await;
    leaver.breaks_off().await;
    producer.consumes("0", "/queue/q").await;
    producer.gets_numbers(1..5, true).await;
    producer.gets_numbers([5], false).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_is_redelivered_until_it_is_acknowledged() {
    let (_, mut producer, mut consumer) = two_clients(open()).await;
    let start = Instant::now();
    consumer.consumes("0", "/queue/q").await;
    producer.sends_numbers(0..1).await;
    let message = consumer.gets_numbers([0], false).await.remove(0);
    consumer.nacks(&message).await;
    let message = consumer.gets_numbers([0], true).await.remove(0);
    consumer.nacks(&message).await;
    let message = consumer.gets_numbers([0], true).await.remove(0);
    consumer.acks(&message).await;
    assert_eq!(
        start.elapsed(),
        Duration::ZERO,
        "no redelivery waited for the sweep"
    );
    consumer.gets_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_goes_to_another_consumer_first() {
    let (broker, mut producer, mut one) = two_clients(open()).await;
    one.consumes("0", "/queue/q").await;
    producer.sends_numbers(0..2).await;
    let messages = one.gets_numbers(0..2, false).await;
    let mut two = Client::of(&broker).await;
    two.consumes("0", "/queue/q").await;
    for message in &messages {
        one.nacks(message).await;
    }
    let messages = two.gets_numbers(0..2, true).await;
    one.gets_nothing().await;
    two.nacks(&messages[0]).await;
    one.gets_numbers([0], true).await;
    two.gets_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_refused_too_often_becomes_a_dead_letter() {
    let mut config = open();
    config.max_delivery_attempts = 3;
    let (broker, mut producer, mut consumer) = two_clients(config).await;
    consumer.consumes("0", "/queue/q").await;
    producer
        .asks(
            send("/queue/q", "bad")
                .with_header("original-destination", "/queue/forged")
                .with_header("a", "b"),
        )
        .await;
    for _ in 0..3 {
        let message = consumer.gets_message("bad").await;
        consumer.nacks(&message).await;
    }
    consumer.gets_nothing().await;
    producer.consumes("0", "/queue/dead-letters").await;
    for attempt in 0..3 {
        let message = producer.gets_message("bad").await;
        assert_eq!(
            message.headers.get("original-destination"),
            Some("/queue/q")
        );
        assert_eq!(message.headers.get("dead-letter-reason"), Some("rejected"));
        assert_eq!(message.headers.get("a"), Some("b"));
        assert_eq!(message.headers.contains("redelivered"), attempt > 0);
        producer.nacks(&message).await;
    }
    producer.gets_nothing().await;
    let statistics = broker.statistics();
    assert_eq!(
        (statistics.dead_lettered, statistics.dropped),
        (1, 1),
        "a message that becomes a dead letter twice is dropped"
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_consumers_are_lost_too_often_becomes_a_dead_letter() {
    let mut config = open();
    (config.max_delivery_attempts, config.dead_letter_queue) = (2, None);
    let (broker, mut producer, mut consumer) = two_clients(config).await;
    producer.sends_numbers(0..2).await;
    for is_redelivered in [false, true] {
        consumer
            .asks(
                subscribe("0", "/queue/q")
                    .with_header("ack", "client")
                    .with_header("prefetch-count", "1"),
            )
            .await;
        consumer.gets_numbers([0], is_redelivered).await;
        consumer.breaks_off().await;
        consumer = Client::of(&broker).await;
    }
    consumer.consumes("0", "/queue/q").await;
    consumer.gets_numbers([1], false).await;
    assert_eq!(broker.statistics().dropped, 1);
}
