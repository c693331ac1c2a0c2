//! What clients can make grow has bounds, and nothing waits for itself.
//!
//! `SOAK=1` makes the numbers large: 100,000 destinations, 10,000 subscribers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod clients;

use clients::{Client, open, send, size, subscribe};
use futures_util::{FutureExt, StreamExt};
use std::{
    cell::RefCell,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use stomp_broker::{Broker, Config};
use stomp_frame::Command;
use stomp_session::{MessageStream, Request, Response, Settlement};
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
fn destinations_that_are_abandoned_leave_nothing_behind() {
    let count = size(5_000, 100_000);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let mut config = Config::default();
    (config.idle_timeout, config.max_destinations) = (Duration::from_secs(10), count);
    let broker = Broker::new(config).unwrap();
    let leaks = RefCell::new(0);
    let info = allocation_counter::measure(|| {
        runtime.block_on(async {
            for number in 0..count {
                drop(subscribed(&broker, &format!("/topic/a.{number}.*.b")));
                publish(
                    &broker,
                    &format!("/topic/a.{number}.c.b"),
                    "nobody is there",
                );
                let queue = format!("/queue/{number}");
                publish(&broker, &queue, "1");
                let mut consumer = subscribed(&broker, &queue);
                let delivery = consumer.next().await.unwrap().unwrap();
                delivery.settle(Settlement::Acked);
            }
            assert_eq!(broker.statistics().destinations.len(), count);
            for _ in 0..12 {
                advance(Duration::from_secs(1)).await;
                // The sweep has a pause after each few of them.
                for _ in 0..count / 64 + 2 {
                    tokio::task::yield_now().await;
                }
            }
            *leaks.borrow_mut() = broker.statistics().destinations.len();
        });
    });
    assert_eq!(leaks.into_inner(), 0);
    println!(
        "{} bytes left of {} at most",
        info.bytes_current, info.bytes_max
    );
    assert!(info.bytes_current < 16 << 10, "{info:?}");
}

#[test]
fn there_are_no_more_destinations_than_there_may_be() {
    let mut config = Config::default();
    config.max_destinations = 3;
    let broker = Broker::new(config).unwrap();
    let mut streams: Vec<_> = ["/topic/a", "/topic/b.*", "/topic/>"]
        .map(|destination| subscribed(&broker, destination))
        .into();
    streams.push(subscribed(&broker, "/topic/a"));
    let refused = |destination: &str| {
        let error = broker
            .subscribe(destination)
            .now_or_never()
            .unwrap()
            .err()
            .unwrap();
        error.to_string().starts_with("too-many-destinations")
    };
    assert!(refused("/topic/c"));
    publish(&broker, "/topic/c", "that takes no place");
    drop(streams.remove(1));
    streams.push(subscribed(&broker, "/topic/c"));
    for queue in ["/queue/a", "/queue/b", "/queue/c"] {
        publish(&broker, queue, "1");
    }
    assert!(refused("/queue/d"));
    assert!(
        broker
            .publish("/queue/d", "1")
            .now_or_never()
            .unwrap()
            .is_err()
    );
    publish(&broker, "/queue/a", "2");
}

#[tokio::test(start_paused = true)]
async fn many_subscribers_of_one_topic_are_served_in_steps() {
    let count = size(1_000, 10_000);
    let broker = Broker::new(Config::default()).unwrap();
    let mut streams: Vec<_> = (0..count)
        .map(|_| subscribed(&broker, "/topic/a"))
        .collect();
    let have = |streams: &mut Vec<MessageStream>| {
        streams
            .iter_mut()
            .filter_map(|it| has_next(it).then_some(()))
            .count()
    };
    let mut answer = pin!(broker.publish("/topic/a", "1"));
    assert_eq!(have(&mut streams), 64, "the first have it at once");
    let mut cx = Context::from_waker(Waker::noop());
    let mut reached = 64;
    while answer.as_mut().poll(&mut cx).is_pending() {
        let more = have(&mut streams);
        assert!(more <= 64, "{more}");
        reached += more;
    }
    assert_eq!(reached + have(&mut streams), count);
    // Half a fan-out is none.
    drop(broker.publish("/topic/a", "2"));
    assert_eq!(have(&mut streams), count);
    assert_eq!(broker.statistics().delivered, 2 * count as u64);
}

#[tokio::test(start_paused = true)]
async fn many_clients_of_one_topic_all_get_everything() {
    let count = size(300, 10_000);
    let broker = Broker::new(open()).unwrap();
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = Client::of(&broker).await;
        client.subscribes("0", "/topic/a").await;
        clients.push(client);
    }
    let mut publisher = Client::of(&broker).await;
    for number in 0..20 {
        publisher.sends("/topic/a", &number.to_string()).await;
    }
    for client in &mut clients {
        for number in 0..20 {
            client.gets_message(&number.to_string()).await;
        }
    }
    // Any of them may leave.
    for (number, client) in clients.into_iter().enumerate() {
        if number % 3 > 0 {
            client.breaks_off().await;
        }
    }
    publisher.sends("/topic/a", "20").await;
}

#[test]
fn wildcards_cost_each_message_no_more_than_they_may() {
    let (segments, most) = (16u32, 3);
    let broker = Broker::new(Config::default()).unwrap();
    let pattern = |places: u32| -> String {
        let segments: Vec<_> = (0..segments)
            .map(|at| if places >> at & 1 == 1 { "*" } else { "a" })
            .collect();
        format!("/topic/{}", segments.join("."))
    };
    let mut streams = Vec::new();
    for places in 0..1u32 << segments {
        if places.count_ones() <= most {
            streams.push(subscribed(&broker, &pattern(places)));
        }
    }
    assert!(
        broker
            .subscribe(&pattern(0b1111))
            .now_or_never()
            .unwrap()
            .is_err()
    );
    assert!(
        broker
            .subscribe(&format!("{}.a", pattern(0)))
            .now_or_never()
            .unwrap()
            .is_err()
    );
    drop(broker.publish(&pattern(0), "1"));
    assert_eq!(
        streams
            .iter_mut()
            .filter_map(|it| has_next(it).then_some(()))
            .count(),
        697
    );
    drop(streams);
    assert!(broker.statistics().destinations.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_publish_to_the_topic_that_its_own_session_is_subscribed_to() {
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
    let mut client = Client::with(service, Arc::default()).await;
    client.subscribes("0", "/topic/own").await;
    client.subscribes("1", "/queue/own").await;
    client
        .send(send("/app/go", "").with_header("receipt", "done"))
        .await;
    let (mut messages, mut has_receipt) = ([0, 0], false);
    while messages != [100, 100] || !has_receipt {
        let frame = client.next().await.unwrap();
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

/// Does all that a broker can be asked, in the middle of being woken by it.
struct Meddler {
    broker: Broker,
    woken: AtomicUsize,
}

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        if self.woken.fetch_add(1, Ordering::SeqCst) >= 10 {
            return;
        }
        for destination in ["/topic/a", "/queue/a"] {
            publish(&self.broker, destination, "again");
            let mut stream = subscribed(&self.broker, destination);
            let waker = Waker::from(Arc::clone(&self));
            // What it gets is dropped, and so goes back.
            assert!(
                stream
                    .poll_next_unpin(&mut Context::from_waker(&waker))
                    .is_ready()
                    || destination == "/topic/a"
            );
            drop(stream);
        }
        assert!(!self.broker.statistics().destinations.is_empty());
    }
}

/// A lock that was held while something is woken would be waited for here for ever.
#[test]
fn no_lock_is_held_while_somebody_is_woken() {
    let broker = Broker::new(Config::default()).unwrap();
    let meddler = Arc::new(Meddler {
        broker: broker.clone(),
        woken: AtomicUsize::new(0),
    });
    let waker = Waker::from(Arc::clone(&meddler));
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
        panic!("nothing came")
    };
    delivery.settle(Settlement::Nacked);
    drop(queue);
    assert!(meddler.woken.load(Ordering::SeqCst) > 3);
}

#[tokio::test(start_paused = true)]
async fn one_client_cannot_subscribe_without_end() {
    let broker = Broker::new(open()).unwrap();
    let mut client = Client::of(&broker).await;
    for number in 0..256 {
        client
            .subscribes(&number.to_string(), &format!("/topic/{number}.*.*.>"))
            .await;
    }
    client.send(subscribe("256", "/topic/a")).await;
    client.gets_error("too-many-subscriptions").await;
    assert!(client.next().await.is_none());
    assert!(broker.statistics().destinations.is_empty());
}
