//! Expiry of messages, and removal of idle queues.

use super::{support::statistics_of, two_clients};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use stomp_broker::MemoryConfig;
use stomp_frame::Command;
use stomp_testing::frames::{send, unsubscribe};
use tokio::time::advance;

/// The value of a header `expires`, so many milliseconds from now.
fn in_millis(millis: i64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis();
    (i64::try_from(now).unwrap() + millis).to_string()
}

#[tokio::test(start_paused = true)]
async fn expired_messages_are_not_delivered() {
    let mut config = MemoryConfig::default();
    config.queues.max_messages = 4;
    let (broker, mut producer, mut consumer) = two_clients(config).await;
    for expires in [
        in_millis(-1),
        "1".to_owned(),
        in_millis(60_000),
        "0".to_owned(),
        in_millis(600_000),
    ] {
        producer
            .receipt(send("/queue/q", &expires).with_header("expires", &expires))
            .await;
    }
    producer
        .expect_refusal(
            send("/queue/q", "").with_header("expires", "soon"),
            "bad-request",
        )
        .await;
    assert_eq!(statistics_of(&broker).expired, 2);
    advance(Duration::from_secs(61)).await;
    consumer.consume("0", "/queue/q").await;
    let first = consumer.expect_message("0").await;
    assert_eq!(first.headers.get("expires"), Some("0"));
    consumer.expect(Command::Message).await;
    consumer.expect_nothing().await;
    assert_eq!(statistics_of(&broker).expired, 3);
}

#[tokio::test(start_paused = true)]
async fn expired_messages_take_no_room() {
    let mut config = MemoryConfig::default();
    config.queues.max_messages = 1;
    let (broker, mut producer, _) = two_clients(config).await;
    producer
        .receipt(send("/queue/q", "0").with_header("expires", &in_millis(500)))
        .await;
    producer
        .expect_refusal(send("/queue/q", "1"), "queue-full")
        .await;
    advance(Duration::from_millis(501)).await;
    producer
        .receipt(send("/queue/q", "1").with_header("expires", &in_millis(500)))
        .await;
    advance(Duration::from_secs(3)).await;
    tokio::task::yield_now().await;
    assert_eq!(
        statistics_of(&broker).expired,
        2,
        "the sweep finds expired messages of an unused queue"
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_is_removed_after_the_idle_timeout() {
    let mut config = MemoryConfig::default();
    config.idle_timeout = Duration::from_secs(10);
    let (broker, mut producer, mut consumer) = two_clients(config).await;
    let queues = || statistics_of(&broker).destinations.len();
    let pass = async |seconds| {
        for _ in 0..seconds {
            advance(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
        }
    };
    producer.publish_numbers(0..1).await;
    pass(60).await;
    assert_eq!(queues(), 1, "a queue with a message is not idle");
    consumer.consume("0", "/queue/q").await;
    let message = consumer.expect_message("0").await;
    consumer.ack(&message).await;
    pass(60).await;
    assert_eq!(queues(), 1, "a queue with a consumer is not idle");
    consumer.receipt(unsubscribe("0")).await;
    pass(5).await;
    assert_eq!(queues(), 1, "the idle timeout has not passed");
    pass(10).await;
    assert_eq!(queues(), 0);
    // The next message creates it again.
    producer.publish_numbers(1..2).await;
    consumer.subscribe("1", "/queue/q").await;
    consumer.expect_numbers([1], false).await;
    consumer.receipt(unsubscribe("1")).await;
    pass(15).await;
    assert_eq!(queues(), 0);
}
