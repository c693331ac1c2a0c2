//! Delivery of the messages of a hub: by publishers, and by tasks of one or several runtimes.

use futures_util::{FutureExt, StreamExt};
use std::time::Duration;
use stomp_session::{BacklogConfig, Hub, MemoryBudget, Message, Topic};
use tokio::{runtime::Runtime, time::timeout};

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

#[test]
fn a_runtime_that_nobody_drives_stops_no_topic_and_no_publisher() {
    let topic = Topic::<String>::new();
    let hub = Hub::new(BacklogConfig::default(), MemoryBudget::default());
    let mut subscribers: Vec<_> = (0..10).map(|_| topic.subscribe()).collect();
    let mut members: Vec<_> = (0..10).map(|_| hub.subscribe(Vec::new())).collect();
    // It runs only for a single call, so its task that delivers the messages never runs.
    let idle = runtime();
    idle.block_on(async {
        topic.publish("0".to_owned()).unwrap();
        drop(hub.publish(Message::new("0")));
    });
    runtime().block_on(async {
        topic.publish("1".to_owned()).unwrap();
        for number in 1..3_000 {
            let published = hub.publish(Message::new(number.to_string()));
            let published = timeout(Duration::from_secs(1), published).await;
            published.expect("the publisher gets room").unwrap();
        }
        for (stream, count) in [(&mut subscribers[0], 2), (&mut members[0], 3_000)] {
            for number in 0..count {
                let next = timeout(Duration::from_secs(1), stream.next()).await;
                let delivery = next.expect("the message arrives").unwrap().unwrap();
                assert_eq!(*delivery.body(), *number.to_string());
            }
        }
    });
}

#[test]
fn a_publication_that_is_moved_to_another_runtime_is_delivered_there() {
    let hub = Hub::new(BacklogConfig::default(), MemoryBudget::default());
    let _members: Vec<_> = (0..10).map(|_| hub.subscribe(Vec::new())).collect();
    let publish = || hub.publish(Message::new("text"));
    let idle = runtime();
    let published = idle.block_on(async {
        // More than has room, and less than the publisher would deliver itself.
        let mut all: Vec<_> = (0..2_000).map(|_| publish()).collect();
        for published in &mut all {
            published.start();
        }
        all.pop().unwrap()
    });
    runtime().block_on(async {
        let published = timeout(Duration::from_secs(1), published).await;
        published.expect("the publisher gets room").unwrap();
    });
}

#[tokio::test(start_paused = true)]
async fn a_publication_that_is_held_delays_no_other() {
    for members in [1, 10] {
        let hub = Hub::new(BacklogConfig::default(), MemoryBudget::default());
        let mut members: Vec<_> = (0..members).map(|_| hub.subscribe(Vec::new())).collect();
        let held = hub.publish(Message::new("1"));
        hub.publish(Message::new("2")).await.unwrap();
        for text in ["1", "2"] {
            let next = timeout(Duration::from_secs(1), members[0].next()).await;
            let delivery = next.expect("the message arrives").unwrap().unwrap();
            assert_eq!(delivery.body(), text);
        }
        drop(held);
        assert!(members[0].next().now_or_never().is_none());
    }
}
