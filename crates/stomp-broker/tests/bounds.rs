//! Bounds of everything that clients can make grow, and freedom from deadlocks.
//!
//! `SOAK=1` makes the numbers large: 100,000 destinations, 10,000 subscribers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use futures_util::{FutureExt, StreamExt};
use std::{
    cell::RefCell,
    future::poll_fn,
    mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use stomp_broker::{Broker, Config, MemoryConfig};
use stomp_frame::Command;
use stomp_session::{MessageStream, Request, Response, Settlement};
use stomp_testing::{
    frames::{send, subscribe},
    usual_or_soak,
};
use support::{broker_with, connect, connect_to, open, statistics_of};
use tokio::time::advance;

fn subscribed(broker: &Broker, destination: &str) -> MessageStream {
    broker
        .subscribe(destination)
        .now_or_never()
        .unwrap()
        .unwrap()
}

fn publish(broker: &Broker, destination: &str, text: &str) {
    broker
        .publish(destination, text)
        .now_or_never()
        .unwrap()
        .unwrap();
}

fn has_next(stream: &mut MessageStream) -> bool {
    stream.next().now_or_never().is_some()
}

#[test]
fn unused_destinations_leave_no_memory_behind() {
    let count = usual_or_soak(5_000, 100_000);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let mut config = MemoryConfig::default();
    (config.idle_timeout, config.max_destinations) = (Duration::from_secs(10), count);
    let broker = broker_with(config);
    let leaks = RefCell::new(0);
    let info = allocation_counter::measure(|| {
        runtime.block_on(async {
            for number in 0..count {
                drop(subscribed(&broker, &format!("/topic/a.{number}.*.b")));
                publish(
                    &broker,
                    &format!("/topic/a.{number}.c.b"),
                    "without subscribers",
                );
                let queue = format!("/queue/{number}");
                publish(&broker, &queue, "1");
                let mut consumer = subscribed(&broker, &queue);
                let delivery = consumer.next().await.unwrap().unwrap();
                delivery.settle(Settlement::Acked);
            }
            assert_eq!(statistics_of(&broker).destinations.len(), count);
            for _ in 0..12 {
                advance(Duration::from_secs(1)).await;
                // The sweep yields after every 64 queues.
                for _ in 0..count / 64 + 2 {
                    tokio::task::yield_now().await;
                }
            }
            *leaks.borrow_mut() = statistics_of(&broker).destinations.len();
        });
    });
    assert_eq!(leaks.into_inner(), 0);
    println!(
        "{} bytes left of a maximum of {}",
        info.bytes_current, info.bytes_max
    );
    assert!(info.bytes_current < 16 << 10, "{info:?}");
}

#[test]
fn the_number_of_destinations_is_limited() {
    let mut config = MemoryConfig::default();
    config.max_destinations = 3;
    let broker = broker_with(config);
    let mut streams: Vec<_> = ["/topic/a", "/topic/b.*", "/topic/>"]
        .map(|destination| subscribed(&broker, destination))
        .into();
    streams.push(subscribed(&broker, "/topic/a"));
    let is_refused = |destination: &str| {
        let error = broker
            .subscribe(destination)
            .now_or_never()
            .unwrap()
            .err()
            .unwrap();
        error.to_string().starts_with("too-many-destinations")
    };
    assert!(is_refused("/topic/c"));
    publish(
        &broker,
        "/topic/c",
        "a message does not count as a destination",
    );
    drop(streams.remove(1));
    streams.push(subscribed(&broker, "/topic/c"));
    for queue in ["/queue/a", "/queue/b", "/queue/c"] {
        publish(&broker, queue, "1");
    }
    assert!(is_refused("/queue/d"));
    assert!(
        broker
            .publish("/queue/d", "1")
            .now_or_never()
            .unwrap()
            .is_err()
    );
    publish(&broker, "/queue/a", "2");
}

/// Completes after the other tasks that are ready have run once.
async fn let_others_run() {
    let mut has_waited = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if mem::replace(&mut has_waited, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_reaches_many_subscribers_in_steps_of_64() {
    let count = usual_or_soak(1_000, 10_000);
    let broker = Broker::new(Config::default()).unwrap();
    let mut streams: Vec<_> = (0..count)
        .map(|_| subscribed(&broker, "/topic/a"))
        .collect();
    publish(&broker, "/topic/a", "1");
    publish(&broker, "/topic/a", "2");
    assert!(
        !streams.iter_mut().any(has_next),
        "the publisher does not serve so many"
    );
    let count_steps = async move {
        let (mut reached, mut steps) = (Vec::new(), 0);
        while !streams.is_empty() {
            let (served, others): (Vec<_>, _) = streams
                .into_iter()
                .map(|mut it| (has_next(&mut it), it))
                .partition(|(has_message, _)| *has_message);
            assert!(served.len() <= 64, "{}", served.len());
            reached.extend(served.into_iter().map(|(_, stream)| stream));
            streams = others.into_iter().map(|(_, stream)| stream).collect();
            steps += 1;
            let_others_run().await;
        }
        assert!(
            reached.iter_mut().all(has_next),
            "both messages are one batch"
        );
        assert!(steps >= count / 64);
        reached
    };
    let mut streams = tokio::spawn(count_steps).await.unwrap();
    assert!(!streams.iter_mut().any(has_next));
    assert_eq!(statistics_of(&broker).delivered, 2 * count as u64);
}

/// A waker that counts.
#[derive(Default)]
struct WakeCount(AtomicUsize);

impl Wake for WakeCount {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn consecutive_messages_wake_each_subscriber_once() {
    let broker = Broker::new(Config::default()).unwrap();
    let mut subscribers: Vec<_> = (0..100)
        .map(|_| (subscribed(&broker, "/topic/a"), Arc::<WakeCount>::default()))
        .collect();
    for (stream, count) in &mut subscribers {
        let waker = Waker::from(Arc::clone(count));
        let polled = stream.poll_next_unpin(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    for number in 0..50 {
        publish(&broker, "/topic/a", &number.to_string());
    }
    for _ in 0..10 {
        let_others_run().await;
        tokio::task::yield_now().await;
    }
    for (stream, count) in &mut subscribers {
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        for number in 0..50 {
            let delivery = stream.next().now_or_never().unwrap().unwrap().unwrap();
            assert_eq!(delivery.body(), number.to_string().as_str());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_clients_of_one_topic_all_get_every_message() {
    let count = usual_or_soak(300, 10_000);
    let broker = Broker::new(open()).unwrap();
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = connect(&broker).await;
        client.subscribe("0", "/topic/a").await;
        clients.push(client);
    }
    let mut publisher = connect(&broker).await;
    for number in 0..20 {
        publisher.publish("/topic/a", &number.to_string()).await;
    }
    for client in &mut clients {
        for number in 0..20 {
            client.expect_message(&number.to_string()).await;
        }
    }
    // Some subscribers of each chunk leave.
    for (number, client) in clients.into_iter().enumerate() {
        if number % 3 > 0 {
            client.break_connection().await;
        }
    }
    publisher.publish("/topic/a", "20").await;
}

#[test]
fn a_message_reaches_all_patterns_within_the_limit_of_wildcards() {
    let (segments, max_wildcards) = (16u32, 3);
    let broker = Broker::new(Config::default()).unwrap();
    let pattern = |places: u32| -> String {
        let segments: Vec<_> = (0..segments)
            .map(|at| if places >> at & 1 == 1 { "*" } else { "a" })
            .collect();
        format!("/topic/{}", segments.join("."))
    };
    let mut streams = Vec::new();
    for places in 0..1u32 << segments {
        if places.count_ones() <= max_wildcards {
            streams.push(subscribed(&broker, &pattern(places)));
        }
    }
    assert!(
        broker
            .subscribe(pattern(0b1111))
            .now_or_never()
            .unwrap()
            .is_err()
    );
    assert!(
        broker
            .subscribe(format!("{}.a", pattern(0)))
            .now_or_never()
            .unwrap()
            .is_err()
    );
    drop(broker.publish(pattern(0), "1"));
    assert_eq!(
        streams
            .iter_mut()
            .filter_map(|it| has_next(it).then_some(()))
            .count(),
        697
    );
    drop(streams);
    assert!(statistics_of(&broker).destinations.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_handler_can_publish_to_a_topic_of_its_own_session() {
    let broker = Broker::new(open()).unwrap();
    let inner = broker.clone();
    let service = tower::service_fn(move |request: Request| {
        let mut broker = inner.clone();
        async move {
            if request.command() == Command::Send {
                for number in 0..100 {
                    broker.publish("/topic/own", number.to_string()).await?;
                    broker.publish("/queue/own", number.to_string()).await?;
                }
                return Ok(Response::Done);
            }
            tower::Service::call(&mut broker, request).await
        }
    });
    let mut client = connect_to(service, Arc::default()).await;
    client.subscribe("0", "/topic/own").await;
    client.subscribe("1", "/queue/own").await;
    client.request(send("/app/go", "")).await;
    let (mut messages, mut has_receipt) = ([0, 0], false);
    while messages != [100, 100] || !has_receipt {
        let frame = client.next_frame().await.unwrap();
        match frame.headers.get("subscription") {
            Some(subscription) => {
                let count = &mut messages[subscription.parse::<usize>().unwrap()];
                assert_eq!(frame.body, count.to_string().as_str());
                *count += 1;
            }
            None => has_receipt = frame.command == Command::Receipt,
        }
    }
}

/// A waker that uses the broker while the broker wakes it.
struct ReentrantWaker {
    broker: Broker,
    woken: AtomicUsize,
}

impl Wake for ReentrantWaker {
    fn wake(self: Arc<Self>) {
        if self.woken.fetch_add(1, Ordering::SeqCst) >= 10 {
            return;
        }
        for destination in ["/topic/a", "/queue/a"] {
            publish(&self.broker, destination, "again");
            let mut stream = subscribed(&self.broker, destination);
            let waker = Waker::from(Arc::clone(&self));
            // The delivery is dropped, and so returns to the queue.
            assert!(
                stream
                    .poll_next_unpin(&mut Context::from_waker(&waker))
                    .is_ready()
                    || destination == "/topic/a"
            );
            drop(stream);
        }
        assert!(!statistics_of(&self.broker).destinations.is_empty());
    }
}

/// This test hangs if a lock is held during a wake.
#[test]
fn no_lock_is_held_while_a_subscriber_is_woken() {
    let broker = Broker::new(Config::default()).unwrap();
    let reentrant = Arc::new(ReentrantWaker {
        broker: broker.clone(),
        woken: AtomicUsize::new(0),
    });
    let waker = Waker::from(Arc::clone(&reentrant));
    let mut cx = Context::from_waker(&waker);
    let (mut topic, mut queue) = (
        subscribed(&broker, "/topic/a"),
        subscribed(&broker, "/queue/a"),
    );
    assert!(topic.poll_next_unpin(&mut cx).is_pending());
    assert!(queue.poll_next_unpin(&mut cx).is_pending());
    publish(&broker, "/topic/a", "1");
    assert!(matches!(
        topic.poll_next_unpin(&mut cx),
        Poll::Ready(Some(Ok(_)))
    ));
    publish(&broker, "/queue/a", "1");
    let Poll::Ready(Some(Ok(delivery))) = queue.poll_next_unpin(&mut cx) else {
        panic!("no message arrived")
    };
    delivery.settle(Settlement::Nacked);
    drop(queue);
    assert!(reentrant.woken.load(Ordering::SeqCst) > 3);
}

#[tokio::test(start_paused = true)]
async fn the_subscriptions_of_one_client_are_limited() {
    let broker = Broker::new(open()).unwrap();
    let mut client = connect(&broker).await;
    for number in 0..256 {
        client
            .subscribe(&number.to_string(), &format!("/topic/{number}.*.*.>"))
            .await;
    }
    client.send(subscribe("256", "/topic/a")).await;
    client.expect_error("too-many-subscriptions").await;
    client.expect_end().await;
    assert!(statistics_of(&broker).destinations.is_empty());
}
