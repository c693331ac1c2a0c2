//! Retained messages and expiry of topics, in the in-memory engine.

use crate::support::{broker_with, connect, statistics_of};
use futures_util::StreamExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use stomp_broker::MemoryConfig;
use stomp_session::{BacklogConfig, Message};
use stomp_testing::{frames::send, soon};
use tokio::{task::yield_now, time::advance};

/// The value of a header `expires`, so long from now.
fn after(time: Duration) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    (now + time).as_millis().to_string()
}

#[tokio::test(start_paused = true)]
async fn a_message_that_has_expired_is_not_published_to_a_topic() {
    let broker = broker_with(MemoryConfig::default());
    let mut client = connect(&broker).await;
    client.subscribe("0", "/topic/a").await;
    client
        .receipt(send("/topic/a", "1").with_header("expires", "1"))
        .await;
    client.expect_nothing().await;
    let later = after(Duration::from_secs(60));
    client
        .send(send("/topic/a", "2").with_header("expires", &later))
        .await;
    client.expect_message("2").await;
    let statistics = statistics_of(&broker);
    assert_eq!((statistics.published, statistics.expired), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_retained_message_that_has_expired_is_not_delivered() {
    let broker = broker_with(MemoryConfig::default().max_retained_messages(10));
    let mut client = connect(&broker).await;
    for (topic, seconds) in [("/topic/a", 10), ("/topic/b", 1_000)] {
        let message = send(topic, topic)
            .with_header("retain", "set")
            .with_header("expires", &after(Duration::from_secs(seconds)));
        client.receipt(message).await;
    }
    client.subscribe("0", "/topic/*").await;
    client.expect_message("/topic/a").await;
    client.expect_message("/topic/b").await;
    advance(Duration::from_secs(11)).await;
    client.subscribe("1", "/topic/*").await;
    client.expect_message("/topic/b").await;
    client.expect_nothing().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_subscriber_gets_retained_and_later_messages_exactly_once() {
    let count = 2_000;
    let broker = broker_with(
        MemoryConfig::default().max_retained_messages(1).backlog(
            BacklogConfig::default()
                .max_messages(usize::MAX)
                .max_bytes(usize::MAX),
        ),
    );
    let publisher = {
        let broker = broker.clone();
        async move {
            for number in 0..count {
                let message = Message::new(number.to_string()).with_header("retain", "set");
                broker.publish("/topic/a", message).await.unwrap();
                yield_now().await;
            }
        }
    };
    let publisher = tokio::spawn(publisher);
    let subscribers = (0..100).map(|number| {
        let broker = broker.clone();
        tokio::spawn(async move {
            for _ in 0..10 * number {
                yield_now().await;
            }
            let mut stream = broker.subscribe("/topic/a").await.unwrap();
            let mut expected = None;
            while expected != Some(count) {
                let delivery = soon(stream.next()).await.unwrap().unwrap();
                let number: u32 = std::str::from_utf8(delivery.body())
                    .unwrap()
                    .parse()
                    .unwrap();
                assert_eq!(number, expected.unwrap_or(number));
                expected = Some(number + 1);
            }
        })
    });
    // Collected, so that all of them run at the same time.
    for subscriber in subscribers.collect::<Vec<_>>() {
        subscriber.await.unwrap();
    }
    publisher.await.unwrap();
}
