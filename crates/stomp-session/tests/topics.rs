//! Topics: who gets what, in which order, and what becomes of those that do not keep up.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::{FutureExt, StreamExt};
use std::{collections::HashMap, ops::Range, thread, time::Duration};
use stomp_session::{Json, MailboxConfig, Overflow, SlowConsumer, Subscriber, Topic};
use tokio::{task::yield_now, time::timeout};

/// A topic in which nobody is too slow.
fn roomy() -> Topic<String> {
    Topic::with_mailboxes(
        MailboxConfig::default()
            .max_messages(usize::MAX)
            .max_bytes(usize::MAX),
    )
}

fn subscribe(topic: &Topic<String>, count: usize) -> Vec<Subscriber> {
    (0..count).map(|_| topic.subscribe()).collect()
}

fn publish(topic: &Topic<String>, numbers: Range<usize>) {
    numbers.for_each(|number| topic.publish(number.to_string()).unwrap());
}

/// The next message, which comes at once or never.
async fn next(subscriber: &mut Subscriber) -> String {
    let message = timeout(Duration::from_secs(1), subscriber.next())
        .await
        .expect("a message");
    String::from_utf8(message.unwrap().unwrap().body().to_vec()).unwrap()
}

/// The subscriber gets just these next.
async fn gets(subscriber: &mut Subscriber, numbers: Range<usize>) {
    gets_all(subscriber, numbers).await;
    assert!(
        subscriber.next().now_or_never().is_none(),
        "nothing is left"
    );
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
                gets(subscriber, start..start + burst).await;
            }
            start += burst;
        }
    }
}

/// With as many on their way, publishers carry them out themselves.
#[tokio::test(start_paused = true)]
async fn a_burst_may_be_of_any_length() {
    for count in [1, 65] {
        let topic = roomy();
        let mut subscribers = subscribe(&topic, count);
        publish(&topic, 0..10);
        yield_now().await;
        publish(&topic, 10..2_000);
        for subscriber in &mut subscribers {
            gets(subscriber, 0..2_000).await;
        }
    }
}

/// Whatever comes together for a mailbox fits into an empty one.
#[tokio::test(start_paused = true)]
async fn who_keeps_up_is_not_left() {
    let topic = Topic::<String>::with_mailboxes(MailboxConfig::default().max_messages(16));
    let mut readers = subscribe(&topic, 1_000);
    for burst in 0..20 {
        // The first is on its way to some when the others come.
        publish(&topic, burst * 16..burst * 16 + 1);
        yield_now().await;
        publish(&topic, burst * 16 + 1..burst * 16 + 16);
        for reader in &mut readers {
            gets_all(reader, burst * 16..burst * 16 + 16).await;
        }
    }
}

async fn gets_all(subscriber: &mut Subscriber, numbers: Range<usize>) {
    for number in numbers {
        assert_eq!(next(subscriber).await, number.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn who_joins_gets_what_is_published_from_then_on() {
    for yields in 0..4 {
        let topic = Topic::new();
        let mut subscribers = subscribe(&topic, 150);
        publish(&topic, 0..3);
        // The first of them are served before, the others after.
        for _ in 0..yields {
            yield_now().await;
        }
        let mut late = topic.subscribe();
        publish(&topic, 3..5);
        gets(&mut late, 3..5).await;
        for subscriber in &mut subscribers {
            gets(subscriber, 0..5).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_is_gone_and_hinders_nobody() {
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
            gets(subscriber, 0..4).await;
        }
        publish(&topic, 4..6);
        for _ in 0..yields {
            yield_now().await;
        }
        // Those that take the places of others get nothing from before.
        let mut late = subscribe(&topic, 50);
        assert_eq!(topic.clone().subscribers(), 150);
        publish(&topic, 6..8);
        for subscriber in &mut subscribers {
            gets(subscriber, 4..8).await;
        }
        for subscriber in &mut late {
            gets(subscriber, 6..8).await;
        }
        drop((subscribers, late));
        assert_eq!(topic.subscribers(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_slow_overflows_alone() {
    for count in [2, 64, 65, 200] {
        let topic = Topic::with_mailboxes(MailboxConfig::default().max_messages(4));
        let mut subscribers = subscribe(&topic, count);
        let mut slow = topic.subscribe();
        let mut just_in_time = topic.subscribe();
        for number in 0..10 {
            publish(&topic, number..number + 1);
            for subscriber in &mut subscribers {
                gets(subscriber, number..number + 1).await;
            }
            if number == 3 {
                gets(&mut just_in_time, 0..4).await;
            }
            if number == 7 {
                gets(&mut just_in_time, 4..8).await;
            }
        }
        gets(&mut just_in_time, 8..10).await;
        let Some(Some(Err(error))) = slow.next().now_or_never() else {
            panic!("no overflow")
        };
        assert!(error.is::<SlowConsumer>(), "{error}");
        assert!(slow.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn or_loses_the_oldest_where_that_is_the_policy() {
    let config = MailboxConfig::default()
        .max_messages(4)
        .overflow(Overflow::DropOldest);
    for count in [0, 100] {
        let topic = Topic::with_mailboxes(config);
        let mut others = subscribe(&topic, count);
        let mut slow = topic.subscribe();
        for number in 0..10 {
            publish(&topic, number..number + 1);
            for other in &mut others {
                gets(other, number..number + 1).await;
            }
        }
        gets(&mut slow, 6..10).await;
    }
}

/// The subscriber has just these.
fn are_there(subscriber: &mut Subscriber, numbers: Range<usize>) {
    for number in numbers {
        let message = subscriber
            .next()
            .now_or_never()
            .expect("nothing to wait for");
        assert_eq!(
            message.unwrap().unwrap().body(),
            number.to_string().as_str()
        );
    }
    assert!(
        subscriber.next().now_or_never().is_none(),
        "nothing is left"
    );
}

#[test]
fn outside_a_runtime_messages_are_there_at_once() {
    let topic = Topic::new();
    let mut subscribers = subscribe(&topic, 200);
    publish(&topic, 0..100);
    for subscriber in &mut subscribers {
        are_there(subscriber, 0..100);
    }
}

#[test]
fn a_runtime_that_ends_takes_no_messages_along() {
    let topic = roomy();
    let mut subscribers = subscribe(&topic, 200);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async { publish(&topic, 0..3) });
    drop(runtime);
    publish(&topic, 3..5);
    for subscriber in &mut subscribers {
        are_there(subscriber, 0..5);
    }
}

#[test]
fn whoever_publishes_from_wherever_all_get_the_same_order() {
    const EACH: usize = 500;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let topic = roomy();
    let mut subscribers = subscribe(&topic, 100);
    let publishers: Vec<_> = (0..4)
        .map(|publisher| {
            let (topic, runtime) = (topic.clone(), runtime.handle().clone());
            thread::spawn(move || {
                // Half of them are inside the runtime.
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
                let message = timeout(Duration::from_secs(30), subscriber.next())
                    .await
                    .expect("a message");
                let message = message.unwrap().unwrap();
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
fn what_cannot_be_written_is_not_published() {
    let topic = Topic::new();
    let mut subscriber = topic.subscribe();
    // The keys of a JSON object are texts.
    assert!(topic.publish(Json(HashMap::from([((1, 2), 3)]))).is_err());
    assert!(subscriber.next().now_or_never().is_none());
}
