//! Topics: order, subscribers that come and go, and overflow.

use crate::support::{PIPE, pair, settle, unbounded_topic};
use futures_util::{FutureExt, StreamExt};
use std::{collections::HashMap, ops::Range, thread};
use stomp_session::{BacklogConfig, Config, Json, Overflow, SlowConsumer, Subscriber, Topic};
use stomp_testing::soon;
use tokio::task::yield_now;

fn subscribe(topic: &Topic<String>, count: usize) -> Vec<Subscriber> {
    (0..count).map(|_| topic.subscribe()).collect()
}

fn publish(topic: &Topic<String>, numbers: Range<usize>) {
    numbers.for_each(|number| topic.publish(number.to_string()).unwrap());
}

/// The text of the next message.
async fn next(subscriber: &mut Subscriber) -> String {
    let message = soon(subscriber.next()).await;
    String::from_utf8(message.unwrap().unwrap().body().to_vec()).unwrap()
}

/// Expects these messages next.
async fn expect(subscriber: &mut Subscriber, numbers: Range<usize>) {
    for number in numbers {
        assert_eq!(next(subscriber).await, number.to_string());
    }
}

/// Expects these messages next, and no more.
async fn expect_only(subscriber: &mut Subscriber, numbers: Range<usize>) {
    expect(subscriber, numbers).await;
    expect_nothing(subscriber);
}

/// Expects these messages without waiting, and no more.
fn expect_only_now(subscriber: &mut Subscriber, numbers: Range<usize>) {
    for number in numbers {
        let message = subscriber
            .next()
            .now_or_never()
            .expect("a message is ready");
        assert_eq!(
            message.unwrap().unwrap().body(),
            number.to_string().as_str()
        );
    }
    expect_nothing(subscriber);
}

fn expect_nothing(subscriber: &mut Subscriber) {
    let message = subscriber.next().now_or_never();
    assert!(message.is_none(), "an unexpected message");
}

#[tokio::test(start_paused = true)]
async fn each_subscriber_gets_every_message_in_order() {
    for count in [1, 64, 65, 1_000] {
        let topic = Topic::new();
        let mut subscribers = subscribe(&topic, count);
        let mut start = 0;
        for burst in [1, 2, 100, 0, 200] {
            publish(&topic, start..start + burst);
            for subscriber in &mut subscribers {
                expect_only(subscriber, start..start + burst).await;
            }
            start += burst;
        }
    }
}

/// The burst is so long that publishers deliver the messages themselves.
#[tokio::test(start_paused = true)]
async fn a_burst_of_any_length_arrives_in_order() {
    for count in [1, 65] {
        let topic = unbounded_topic();
        let mut subscribers = subscribe(&topic, count);
        publish(&topic, 0..10);
        yield_now().await;
        publish(&topic, 10..2_000);
        for subscriber in &mut subscribers {
            expect_only(subscriber, 0..2_000).await;
        }
    }
}

/// Messages that a mailbox receives at once always fit into an empty mailbox.
#[tokio::test(start_paused = true)]
async fn a_burst_that_fits_into_an_empty_mailbox_overflows_no_mailbox() {
    let topic = Topic::<String>::with_backlogs(BacklogConfig::default().max_messages(16));
    let mut readers = subscribe(&topic, 1_000);
    for burst in 0..20 {
        // The first message has not reached all subscribers when the others are published.
        publish(&topic, burst * 16..burst * 16 + 1);
        yield_now().await;
        publish(&topic, burst * 16 + 1..burst * 16 + 16);
        for reader in &mut readers {
            expect(reader, burst * 16..burst * 16 + 16).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_subscriber_receives_only_messages_that_are_published_later() {
    for yields in 0..4 {
        let topic = Topic::new();
        let mut subscribers = subscribe(&topic, 150);
        publish(&topic, 0..3);
        // Some of the subscribers get the messages before the late one subscribes, the others after.
        for _ in 0..yields {
            yield_now().await;
        }
        let mut late = topic.subscribe();
        publish(&topic, 3..5);
        expect_only(&mut late, 3..5).await;
        for subscriber in &mut subscribers {
            expect_only(subscriber, 0..5).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_other_subscribers_receive_everything_when_one_leaves() {
    for yields in 0..4 {
        let topic = Topic::new();
        assert_eq!(topic.subscribers(), 0);
        let mut subscribers = subscribe(&topic, 150);
        publish(&topic, 0..2);
        for _ in 0..yields {
            yield_now().await;
        }
        let mut place = 0;
        subscribers.retain(|_| {
            place += 1;
            place % 3 != 0
        });
        assert_eq!(topic.subscribers(), 100);
        publish(&topic, 2..4);
        for subscriber in &mut subscribers {
            expect_only(subscriber, 0..4).await;
        }
        publish(&topic, 4..6);
        for _ in 0..yields {
            yield_now().await;
        }
        // New subscribers that reuse the slots of former ones get no earlier messages.
        let mut late = subscribe(&topic, 50);
        assert_eq!(topic.clone().subscribers(), 150);
        publish(&topic, 6..8);
        for subscriber in &mut subscribers {
            expect_only(subscriber, 4..8).await;
        }
        for subscriber in &mut late {
            expect_only(subscriber, 6..8).await;
        }
        drop((subscribers, late));
        assert_eq!(topic.subscribers(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_overflow_ends_only_the_slow_subscriber() {
    for count in [2, 64, 65, 200] {
        let topic = Topic::with_backlogs(BacklogConfig::default().max_messages(4));
        let mut subscribers = subscribe(&topic, count);
        let mut slow = topic.subscribe();
        let mut just_in_time = topic.subscribe();
        for number in 0..10 {
            publish(&topic, number..number + 1);
            for subscriber in &mut subscribers {
                expect_only(subscriber, number..number + 1).await;
            }
            if number == 3 {
                expect_only(&mut just_in_time, 0..4).await;
            }
            if number == 7 {
                expect_only(&mut just_in_time, 4..8).await;
            }
        }
        expect_only(&mut just_in_time, 8..10).await;
        let Some(Some(Err(error))) = slow.next().now_or_never() else {
            panic!("the slow subscriber did not overflow")
        };
        assert!(error.is::<SlowConsumer>(), "{error}");
        assert!(slow.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn drop_oldest_keeps_the_newest_messages() {
    let config = BacklogConfig::default()
        .max_messages(4)
        .overflow(Overflow::DropOldest);
    for count in [0, 100] {
        let topic = Topic::with_backlogs(config);
        let mut others = subscribe(&topic, count);
        let mut slow = topic.subscribe();
        for number in 0..10 {
            publish(&topic, number..number + 1);
            for other in &mut others {
                expect_only(other, number..number + 1).await;
            }
        }
        expect_only(&mut slow, 6..10).await;
    }
}

#[test]
fn messages_are_delivered_at_once_outside_a_runtime() {
    let topic = Topic::new();
    let mut subscribers = subscribe(&topic, 200);
    publish(&topic, 0..100);
    for subscriber in &mut subscribers {
        expect_only_now(subscriber, 0..100);
    }
}

#[test]
fn messages_survive_the_end_of_a_runtime() {
    let topic = unbounded_topic();
    let mut subscribers = subscribe(&topic, 200);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async { publish(&topic, 0..3) });
    drop(runtime);
    publish(&topic, 3..5);
    for subscriber in &mut subscribers {
        expect_only_now(subscriber, 0..5);
    }
}

#[test]
fn all_subscribers_receive_concurrent_publications_in_the_same_order() {
    const EACH: usize = 500;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let topic = unbounded_topic();
    let mut subscribers = subscribe(&topic, 100);
    let publishers: Vec<_> = (0..4)
        .map(|publisher| {
            let (topic, runtime) = (topic.clone(), runtime.handle().clone());
            thread::spawn(move || {
                // Half of the publishers run inside the runtime.
                let _inside = (publisher % 2 == 0).then(|| runtime.enter());
                (0..EACH)
                    .for_each(|number| topic.publish(format!("{publisher} {number}")).unwrap());
            })
        })
        .collect();
    runtime.block_on(async {
        let mut first = Vec::new();
        let mut counts = HashMap::new();
        for (place, subscriber) in subscribers.iter_mut().enumerate() {
            for at in 0..4 * EACH {
                let message = soon(subscriber.next()).await.unwrap().unwrap();
                let text = String::from_utf8(message.body().to_vec()).unwrap();
                if place == 0 {
                    let (publisher, number) = text.split_once(' ').unwrap();
                    let count = counts.entry(publisher.to_owned()).or_insert(0);
                    assert_eq!(number, count.to_string(), "of publisher {publisher}");
                    *count += 1;
                    first.push(text);
                } else {
                    assert_eq!(Some(&text), first.get(at), "at subscriber {place}");
                }
            }
        }
    });
    publishers
        .into_iter()
        .for_each(|publisher| publisher.join().unwrap());
}

#[test]
fn a_payload_that_fails_to_serialize_is_not_published() {
    let topic = Topic::new();
    let mut subscriber = topic.subscribe();
    // The keys of a JSON object must be strings.
    assert!(topic.publish(Json(HashMap::from([((1, 2), 3)]))).is_err());
    assert!(subscriber.next().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_message_for_the_others_reaches_all_subscribers_but_those_of_one_session() {
    let (ann, _, _, _) = pair(Config::default(), PIPE);
    let (bob, _, _, _) = pair(Config::default(), PIPE);
    // Few members are served by the publisher, many by a task, in batches.
    for watchers in [1, 200] {
        let topic = Topic::new();
        let mut of_ann = [topic.subscribe_for(&ann), topic.subscribe_for(&ann)];
        let mut of_bob = topic.subscribe_for(&bob);
        let mut others: Vec<_> = (0..watchers).map(|_| topic.subscribe()).collect();
        topic.publish("all").unwrap();
        topic.publish_except(&ann, "not ann").unwrap();
        topic.publish_except(&ann, "nor now").unwrap();
        topic.publish_except(&bob, "not bob").unwrap();
        topic.publish("end").unwrap();
        settle().await;
        for stream in &mut of_ann {
            assert_eq!(bodies(stream), ["all", "not bob", "end"]);
        }
        assert_eq!(bodies(&mut of_bob), ["all", "not ann", "nor now", "end"]);
        for stream in &mut others {
            let all = ["all", "not ann", "nor now", "not bob", "end"];
            assert_eq!(bodies(stream), all);
        }
    }
}

/// The bodies of the messages that wait for a subscriber.
fn bodies(stream: &mut Subscriber) -> Vec<String> {
    let next = || stream.next().now_or_never().flatten();
    let body = |delivery: Result<stomp_session::Delivery, _>| {
        String::from_utf8_lossy(delivery.unwrap().body()).into_owned()
    };
    std::iter::from_fn(next).map(body).collect()
}
