//! Redelivery and dead letters.

use super::{
    support::{connect, statistics_of},
    two_clients,
};
use std::{collections::BTreeSet, time::Duration};
use stomp_broker::{MemoryConfig, QueueOverflow, QueueSettings};
use stomp_frame::Frame;
use stomp_testing::frames::{send, subscribe_with_ack, unsubscribe};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn unacknowledged_messages_of_a_lost_consumer_return_in_order() {
    let (_, mut producer, mut leaver) = two_clients(MemoryConfig::default()).await;
    leaver
        .receipt(subscribe_with_ack("0", "/queue/q", "client").with_header("prefetch-count", "4"))
        .await;
    producer.publish_numbers(0..6).await;
    let messages = leaver.expect_numbers(0..4, false).await;
    leaver.ack(&messages[0]).await;
    leaver.expect_numbers([4], false).await;
    leaver.break_connection().await;
    producer.consume("0", "/queue/q").await;
    producer.expect_numbers(1..5, true).await;
    producer.expect_numbers([5], false).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_is_redelivered_with_growing_delays_until_it_is_acknowledged() {
    let (_, mut producer, mut consumer) = two_clients(MemoryConfig::default()).await;
    consumer.consume("0", "/queue/q").await;
    producer.publish_numbers(0..1).await;
    let message = consumer.expect_numbers([0], false).await.remove(0);
    consumer.nack(&message).await;
    for delay in [0, 100, 200, 400, 800, 1_600, 3_200, 5_000] {
        let start = Instant::now();
        let message = consumer.expect_numbers([0], true).await.remove(0);
        assert_eq!(start.elapsed(), Duration::from_millis(delay));
        consumer.nack(&message).await;
    }
    let message = consumer.expect_numbers([0], true).await.remove(0);
    consumer.ack(&message).await;
    consumer.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_goes_to_another_consumer_first() {
    let (broker, mut producer, mut one) = two_clients(MemoryConfig::default()).await;
    one.consume("0", "/queue/q").await;
    producer.publish_numbers(0..2).await;
    let messages = one.expect_numbers(0..2, false).await;
    let mut two = connect(&broker).await;
    two.consume("0", "/queue/q").await;
    for message in &messages {
        one.nack(message).await;
    }
    let messages = two.expect_numbers(0..2, true).await;
    one.expect_nothing().await;
    two.nack(&messages[0]).await;
    one.expect_numbers([0], true).await;
    two.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_refused_too_often_becomes_a_dead_letter() {
    let mut config = MemoryConfig::default();
    config.queues.max_delivery_attempts = 3;
    let (broker, mut producer, mut consumer) = two_clients(config).await;
    consumer.consume("0", "/queue/q").await;
    producer
        .receipt(
            send("/queue/q", "bad")
                .with_header("original-destination", "/queue/forged")
                .with_header("a", "b"),
        )
        .await;
    let mut ids = BTreeSet::new();
    let mut note_id = |message: &Frame| {
        ids.insert(message.headers.get("message-id").map(str::to_owned));
    };
    for _ in 0..3 {
        let message = consumer.expect_message("bad").await;
        note_id(&message);
        consumer.nack(&message).await;
    }
    consumer.expect_nothing().await;
    producer.consume("0", "/queue/dead-letters").await;
    for attempt in 0..3 {
        let message = producer.expect_message("bad").await;
        note_id(&message);
        assert_eq!(
            message.headers.get("original-destination"),
            Some("/queue/q")
        );
        assert_eq!(message.headers.get("dead-letter-reason"), Some("rejected"));
        assert_eq!(message.headers.get("a"), Some("b"));
        assert_eq!(message.headers.contains("redelivered"), attempt > 0);
        producer.nack(&message).await;
    }
    producer.expect_nothing().await;
    assert_eq!(ids.len(), 1, "the same message: {ids:?}");
    let statistics = statistics_of(&broker);
    assert_eq!(
        (statistics.dead_lettered, statistics.dropped),
        (1, 1),
        "a message that becomes a dead letter twice is dropped"
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_consumers_are_lost_too_often_becomes_a_dead_letter() {
    let mut config = MemoryConfig::default();
    (
        config.queues.max_abandoned_deliveries,
        config.queues.dead_letter_queue,
    ) = (2, None);
    let (broker, mut producer, mut consumer) = two_clients(config).await;
    producer.publish_numbers(0..2).await;
    for is_redelivered in [false, true] {
        consumer
            .receipt(
                subscribe_with_ack("0", "/queue/q", "client").with_header("prefetch-count", "1"),
            )
            .await;
        consumer.expect_numbers([0], is_redelivered).await;
        consumer.break_connection().await;
        consumer = connect(&broker).await;
    }
    consumer.consume("0", "/queue/q").await;
    consumer.expect_numbers([1], false).await;
    assert_eq!(statistics_of(&broker).dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn the_delays_of_refused_messages_are_set_by_pattern() {
    let second = Duration::from_secs(1);
    let slow = QueueSettings::default()
        .redelivery_delay(second)
        .max_redelivery_delay(3 * second);
    let none = QueueSettings::default().redelivery_delay(Duration::ZERO);
    let config = MemoryConfig::default()
        .queue_pattern("/queue/slow.*", slow)
        .queue_pattern("/queue/none", none);
    let (_, mut producer, mut consumer) = two_clients(config).await;
    for (id, queue, delays) in [
        ("0", "/queue/slow.a", [0, 1_000, 2_000, 3_000, 3_000]),
        ("1", "/queue/none", [0; 5]),
    ] {
        consumer.consume(id, queue).await;
        producer.publish(queue, "1").await;
        let message = consumer.expect_message("1").await;
        consumer.nack(&message).await;
        for delay in delays {
            let start = Instant::now();
            let message = consumer.expect_message("1").await;
            assert_eq!(start.elapsed(), Duration::from_millis(delay), "{queue}");
            consumer.nack(&message).await;
        }
        let message = consumer.expect_message("1").await;
        consumer.ack(&message).await;
    }
}

#[tokio::test(start_paused = true)]
async fn many_delayed_messages_return_in_order_when_they_are_due() {
    let (broker, mut producer, mut consumer) = two_clients(MemoryConfig::default()).await;
    consumer.consume("0", "/queue/q").await;
    producer.publish_numbers(0..100).await;
    for is_redelivered in [false, true] {
        for message in consumer.expect_numbers(0..100, is_redelivered).await {
            consumer.nack(&message).await;
        }
    }
    let start = Instant::now();
    producer.publish_numbers(100..101).await;
    consumer.expect_numbers([100], false).await;
    assert_eq!(start.elapsed(), Duration::ZERO, "others pass");
    assert_eq!(statistics_of(&broker).destinations[0].waiting, 100);
    consumer.expect_numbers(0..100, true).await;
    assert_eq!(start.elapsed(), Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_delayed_message_can_leave_a_full_queue() {
    let mut config = MemoryConfig::default();
    (config.queues.max_messages, config.queues.overflow) = (2, QueueOverflow::DropOldest);
    let (broker, mut producer, mut consumer) = two_clients(config).await;
    consumer.consume("0", "/queue/q").await;
    producer.publish_numbers(0..1).await;
    for is_redelivered in [false, true] {
        let message = consumer.expect_numbers([0], is_redelivered).await.remove(0);
        consumer.nack(&message).await;
    }
    consumer.receipt(unsubscribe("0")).await;
    producer.publish_numbers(1..3).await;
    consumer.consume("1", "/queue/dead-letters").await;
    let letter = consumer.expect_numbers([0], false).await.remove(0);
    assert_eq!(letter.headers.get("dead-letter-reason"), Some("overflow"));
    consumer.ack(&letter).await;
    let statistics = statistics_of(&broker);
    assert_eq!((statistics.dead_lettered, statistics.dropped), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_abandoned_too_often_becomes_a_dead_letter_with_that_reason() {
    let mut config = MemoryConfig::default();
    config.queues.max_abandoned_deliveries = 2;
    let (broker, mut producer, _) = two_clients(config).await;
    producer.publish_numbers(0..1).await;
    for is_redelivered in [false, true] {
        let mut consumer = connect(&broker).await;
        consumer.consume("0", "/queue/q").await;
        consumer.expect_numbers([0], is_redelivered).await;
        consumer.break_connection().await;
    }
    producer.consume("0", "/queue/dead-letters").await;
    let letter = producer.expect_numbers([0], false).await.remove(0);
    assert_eq!(letter.headers.get("dead-letter-reason"), Some("abandoned"));
}
