//! Limits: full queues, and all queues together.

use super::{support::statistics_of, two_clients};
use stomp_broker::{MemoryConfig, QueueOverflow};
use stomp_testing::frames::{send, subscribe_with_ack};

#[tokio::test(start_paused = true)]
async fn a_full_queue_rejects_messages() {
    let mut config = MemoryConfig::default();
    config.queues.max_messages = 2;
    let (broker, mut producer, mut consumer) = two_clients(config).await;
    producer.publish_numbers(0..2).await;
    producer
        .expect_refusal(send("/queue/q", "2"), "queue-full")
        .await;
    consumer.consume("0", "/queue/q").await;
    let messages = consumer.expect_numbers(0..2, false).await;
    producer
        .expect_refusal(send("/queue/q", "2"), "queue-full")
        .await;
    consumer.ack(&messages[0]).await;
    producer.publish_numbers(2..3).await;
    producer
        .expect_refusal(send("/queue/q", "3"), "queue-full")
        .await;
    let error = broker.publish("/queue/q", "3").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "queue-full: The queue \"/queue/q\" is full: it holds at most 2 messages (max_messages) of 16777216 bytes \
         in total (max_bytes)."
    );
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_full_temporary_queue_hides_its_name() {
    let mut config = MemoryConfig::default();
    config.queues.max_messages = 1;
    let (_, mut client, _) = two_clients(config).await;
    client.consume("0", "/temp-queue/replies").await;
    client.send(send("/temp-queue/replies", "1")).await;
    client.expect_message("1").await;
    client.send(send("/temp-queue/replies", "2")).await;
    let error = client.expect_error("queue-full").await;
    let text = std::str::from_utf8(&error.body).unwrap();
    assert!(text.starts_with("The temporary queue is full"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_each_queue_and_of_all_queues_are_limited() {
    let large = "x".repeat(1_000);
    let mut config = MemoryConfig::default();
    (config.queues.max_bytes, config.max_total_queue_bytes) = (2_500, 4_000);
    let (_, mut producer, mut consumer) = two_clients(config).await;
    for queue in ["/queue/a", "/queue/a", "/queue/b"] {
        producer.publish(queue, &large).await;
    }
    let one_by_one =
        subscribe_with_ack("0", "/queue/a", "client").with_header("prefetch-count", "1");
    consumer.receipt(one_by_one).await;
    for queue in ["/queue/a", "/queue/a", "/queue/c"] {
        let message = consumer.expect_message(&large).await;
        for full in ["/queue/a", "/queue/c"] {
            producer
                .expect_refusal(send(full, &large), "queue-full")
                .await;
        }
        consumer.ack(&message).await;
        producer.publish(queue, &large).await;
    }
    // The queue has room, but all queues together have none.
    producer
        .expect_refusal(send("/queue/a", &large), "queue-full")
        .await;
}

#[tokio::test(start_paused = true)]
async fn with_drop_oldest_a_full_queue_makes_its_oldest_messages_dead_letters() {
    let mut config = MemoryConfig::default();
    (config.queues.max_messages, config.queues.overflow) = (2, QueueOverflow::DropOldest);
    let (broker, mut producer, mut consumer) = two_clients(config).await;
    producer.publish_numbers(0..5).await;
    consumer.consume("0", "/queue/dead-letters").await;
    for message in consumer.expect_numbers(1..3, false).await {
        assert_eq!(message.headers.get("dead-letter-reason"), Some("overflow"));
    }
    let statistics = statistics_of(&broker);
    assert_eq!(
        (statistics.dead_lettered, statistics.dropped),
        (3, 1),
        "the dead-letter queue is bounded as well"
    );
    consumer.consume("1", "/queue/q").await;
    consumer.expect_numbers(3..5, false).await;
    producer
        .expect_refusal(send("/queue/q", "5"), "queue-full")
        .await;
}
