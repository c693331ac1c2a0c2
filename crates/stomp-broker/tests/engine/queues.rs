//! Settings of queues by pattern, and their administration, in the in-memory engine.

use crate::support::{broker_with, connect, statistics_of};
use futures_util::StreamExt;
use std::time::Duration;
use stomp_broker::{Broker, MemoryConfig, QueueOverflow, QueueSettings};
use stomp_session::Settlement;
use stomp_testing::frames::{send, unsubscribe};
use tokio::time::advance;

fn settings() -> QueueSettings {
    QueueSettings::default()
}

fn to(queue: &str) -> QueueSettings {
    settings().dead_letter_queue(Some(queue.to_owned()))
}

/// The bodies of the messages that wait in a queue.
async fn bodies(broker: &Broker, queue: &str) -> Vec<String> {
    let messages = broker.browse(queue, usize::MAX).await.unwrap();
    messages
        .iter()
        .map(|message| String::from_utf8_lossy(message.body()).into_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn queues_have_the_settings_of_the_first_pattern_that_matches() {
    let config = MemoryConfig::default()
        .queue_pattern("/queue/jobs.small", settings().max_messages(1))
        .queue_pattern(
            "/queue/jobs.>",
            to("/queue/dead-jobs").max_delivery_attempts(1),
        );
    let broker = broker_with(config);
    let mut client = connect(&broker).await;
    client.publish("/queue/jobs.small", "1").await;
    let full = send("/queue/jobs.small", "2");
    client.expect_refusal(full, "queue-full").await;
    client.publish("/queue/others", "1").await;
    client.publish("/queue/others", "2").await;
    client.publish("/queue/jobs/large", "3").await;
    client.consume("0", "/queue/jobs/large").await;
    let message = client.expect_message("3").await;
    client.nack(&message).await;
    client.consume("1", "/queue/dead-jobs").await;
    let message = client.expect_message("3").await;
    assert_eq!(
        message.headers.get("original-destination"),
        Some("/queue/jobs/large")
    );
}

#[tokio::test(start_paused = true)]
async fn messages_expire_after_the_time_to_live_unless_they_say_otherwise() {
    let minute = settings().time_to_live(Some(Duration::from_secs(60)));
    let broker = broker_with(MemoryConfig::default().queue_pattern("/queue/news", minute));
    let mut client = connect(&broker).await;
    let with_expires = |value: &str| send("/queue/news", value).with_header("expires", value);
    let far_future = u64::MAX.to_string();
    client.publish("/queue/news", "1").await;
    client.receipt(with_expires(&far_future)).await;
    client.publish("/queue/other", "2").await;
    assert_eq!(bodies(&broker, "/queue/news").await.len(), 2);
    advance(Duration::from_secs(61)).await;
    assert_eq!(bodies(&broker, "/queue/news").await, [far_future]);
    assert_eq!(bodies(&broker, "/queue/other").await, ["2"]);
    assert_eq!(statistics_of(&broker).expired, 1);
}

#[tokio::test(start_paused = true)]
async fn a_time_to_live_is_set_for_all_queues_or_by_pattern() {
    let second = Duration::from_secs(1);
    let lifetime = |seconds| settings().time_to_live(Some(seconds * second));
    let config = MemoryConfig::default()
        .queues(lifetime(10))
        .queue_pattern("/queue/news.>", lifetime(5))
        .queue_pattern("/queue/kept", settings());
    let broker = broker_with(config);
    let queues = ["/queue/a", "/queue/news.b", "/queue/kept"];
    for queue in queues {
        broker.publish(queue, "1").await.unwrap();
    }
    for (seconds, expected) in [(4, [1, 1, 1]), (2, [1, 0, 1]), (5, [0, 0, 1])] {
        advance(seconds * second).await;
        for (queue, expected) in queues.into_iter().zip(expected) {
            assert_eq!(bodies(&broker, queue).await.len(), expected, "{queue}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn queues_are_browsed_purged_and_deleted() {
    let broker = broker_with(MemoryConfig::default());
    let mut client = connect(&broker).await;
    assert!(bodies(&broker, "/queue/a").await.is_empty());
    assert_eq!(broker.purge("/queue/a").await.unwrap(), 0);
    assert_eq!(broker.delete("/queue/a").await.unwrap(), 0);
    let mut consumer = broker.subscribe("/queue/a").await.unwrap();
    for number in ["1", "2", "3", "4"] {
        client.publish("/queue/a", number).await;
    }
    let taken = consumer.next().await.unwrap().unwrap();
    assert_eq!(bodies(&broker, "/queue/a").await, ["2", "3", "4"]);
    let first = broker.browse("/queue/a", 1).await.unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!(broker.purge("/queue/a").await.unwrap(), 3);
    taken.settle(Settlement::Nacked);
    assert_eq!(
        bodies(&broker, "/queue/a").await,
        ["1"],
        "a message that a consumer had is not purged"
    );
    client.publish("/queue/a", "5").await;
    let taken = consumer.next().await.unwrap().unwrap();
    assert_eq!(broker.delete("/queue/a").await.unwrap(), 1);
    assert!(consumer.next().await.is_none(), "its streams end");
    taken.settle(Settlement::Nacked);
    drop(consumer);
    client.publish("/queue/a", "6").await;
    assert_eq!(bodies(&broker, "/queue/a").await, ["6"]);
    let statistics = statistics_of(&broker);
    assert_eq!(statistics.dropped, 5, "those purged, deleted and returned");
}

#[tokio::test(start_paused = true)]
async fn the_session_goes_on_when_the_queue_of_a_consumer_is_deleted() {
    let broker = broker_with(MemoryConfig::default());
    let mut client = connect(&broker).await;
    client.consume("0", "/queue/a").await;
    assert_eq!(broker.delete("/queue/a").await.unwrap(), 0);
    client.expect_nothing().await;
    client.receipt(unsubscribe("0")).await;
    client.consume("0", "/queue/a").await;
    client.send(send("/queue/a", "1")).await;
    client.expect_message("1").await;
}

#[tokio::test(start_paused = true)]
async fn a_declared_queue_keeps_its_settings_until_it_is_deleted() {
    let mut config = MemoryConfig::default();
    config.idle_timeout = Duration::from_secs(10);
    let broker = broker_with(config);
    let queues = || statistics_of(&broker).destinations.len();
    broker
        .declare("/queue/a", settings().max_messages(1))
        .await
        .unwrap();
    for _ in 0..60 {
        advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(queues(), 1, "a declared queue stays when it is idle");
    broker.publish("/queue/a", "1").await.unwrap();
    assert!(broker.publish("/queue/a", "2").await.is_err());
    broker.declare("/queue/a", settings()).await.unwrap();
    broker.publish("/queue/a", "2").await.unwrap();
    assert_eq!(broker.delete("/queue/a").await.unwrap(), 2);
    assert_eq!(queues(), 0);
    for (queue, settings, code) in [
        ("/topic/a", settings(), "bad-destination"),
        ("/temp-queue/a", settings(), "not-found"),
        ("/queue/a.*", settings(), "bad-destination"),
        ("/queue/a", settings().max_bytes(0), "bad-request"),
    ] {
        let error = broker.declare(queue, settings).await.unwrap_err();
        assert!(error.to_string().starts_with(code), "{queue}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn queues_that_are_each_others_dead_letter_queues_do_not_loop() {
    let broker = broker_with(MemoryConfig::default());
    let full = |queue| {
        to(queue)
            .max_messages(100)
            .overflow(QueueOverflow::DropOldest)
    };
    broker.declare("/queue/a", full("/queue/b")).await.unwrap();
    broker.declare("/queue/b", full("/queue/a")).await.unwrap();
    for number in 0..10_000 {
        let queue = if number % 2 == 0 {
            "/queue/a"
        } else {
            "/queue/b"
        };
        broker.publish(queue, number.to_string()).await.unwrap();
    }
    for queue in ["/queue/a", "/queue/b"] {
        assert_eq!(bodies(&broker, queue).await.len(), 100);
    }
    let statistics = statistics_of(&broker);
    assert_eq!(
        statistics.dropped,
        10_000 - 200,
        "none is a dead letter twice"
    );
}

#[tokio::test(start_paused = true)]
async fn a_commit_creates_a_queue_again_that_was_deleted_meanwhile() {
    use stomp_broker::{Address, Engine, Memory, Publication};
    use stomp_session::Message;

    let engine = Memory::new(MemoryConfig::default()).unwrap();
    let queue = Address::queue("a");
    let mut transaction = engine.begin();
    let publication = Publication::new(Message::new("1"));
    transaction.prepare(&queue, publication).await.unwrap();
    assert_eq!(engine.delete(&queue).await.unwrap(), 0);
    transaction.commit().await.unwrap();
    assert_eq!(engine.browse(&queue, 2).await.unwrap().len(), 1);
    assert_eq!(engine.statistics().await.unwrap().dropped, 0);
}
