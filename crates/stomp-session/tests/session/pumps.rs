//! Delivery of the messages of a hub: by publishers, and by tasks of one or several runtimes.

use futures_util::{FutureExt, StreamExt};
use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use stomp_session::{BacklogConfig, Hub, MemoryBudget, Message, Overflow, Subscriber, Topic};
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
    let published = {
        let _entered = idle.enter();
        // More than has room, and less than the publisher would deliver itself.
        let mut all: Vec<_> = (0..2_000).map(|_| publish()).collect();
        for published in &mut all {
            published.start();
        }
        all.pop().unwrap()
    };
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

/// Subscribers that are polled, and the number of them that were woken since.
struct Audience {
    subscribers: Vec<Subscriber>,
    woken: Arc<Count>,
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Completes after the other tasks that are ready have run once.
async fn next_turn() {
    let mut has_waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Audience {
    fn new(count: usize, subscribe: impl Fn() -> Subscriber) -> Audience {
        let mut audience = Audience {
            subscribers: (0..count).map(|_| subscribe()).collect(),
            woken: Arc::default(),
        };
        let waker = Waker::from(Arc::clone(&audience.woken));
        for subscriber in &mut audience.subscribers {
            let next = subscriber.poll_next_unpin(&mut Context::from_waker(&waker));
            assert!(next.is_pending());
        }
        audience
    }

    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::SeqCst)
    }

    /// Returns the largest number of subscribers that are woken before other tasks run, until all are woken.
    async fn most_at_once(self) -> usize {
        let watch = async move {
            let mut most = 0;
            while self.woken() < self.subscribers.len() {
                let before = self.woken();
                next_turn().await;
                most = most.max(self.woken() - before);
            }
            most
        };
        tokio::spawn(watch).await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_publisher_that_does_not_wait_wakes_no_large_audience() {
    for (count, bytes) in [(1, 8 << 20), (3, 2 << 20), (3_000, 10)] {
        let topic = Topic::<Message>::new();
        let audience = Audience::new(1_000, || topic.subscribe());
        for _ in 0..count {
            topic.publish(Message::new(vec![b'x'; bytes])).unwrap();
        }
        assert_eq!(audience.woken(), 0, "{count} messages of {bytes} bytes");
        assert!(audience.most_at_once().await <= 64);
    }
}

#[tokio::test(start_paused = true)]
async fn other_tasks_run_after_every_16_subscribers_and_after_8192_copies_of_messages() {
    for (count, most) in [(1, 16), (100, 16), (512, 16), (1_024, 8)] {
        let topic = Topic::<Message>::new();
        let audience = Audience::new(200, || topic.subscribe());
        for _ in 0..count {
            topic.publish(Message::new("text")).unwrap();
        }
        assert_eq!(audience.most_at_once().await, most, "{count} messages");
    }
}

#[test]
fn the_pumps_of_all_runtimes_continue_when_the_slow_subscriber_has_caught_up() {
    let config = BacklogConfig::default()
        .max_messages(1)
        .overflow(Overflow::Wait(Duration::from_secs(3_600)));
    let hub = Hub::new(config, MemoryBudget::default());
    let mut members: Vec<_> = (0..10).map(|_| hub.subscribe(Vec::new())).collect();
    let runtimes = [runtime(), runtime()];
    let turn = |runtime: &Runtime| runtime.block_on(async { next_turn().await });
    // The pumps deliver two messages, and with the others they wait for the members.
    for runtime in runtimes.iter().cycle().take(4) {
        runtime.block_on(async { hub.publish(Message::new("text")).start() });
        (0..20).for_each(|_| turn(runtime));
    }
    let mut count = 0;
    for round in 0..100 {
        // The last one catches up after the others.
        let (others, last) = members.split_at_mut(9);
        for member in if round % 2 == 0 { others } else { last } {
            while let Some(next) = member.next().now_or_never() {
                assert!(next.unwrap().is_ok());
                count += 1;
            }
        }
        runtimes.iter().for_each(turn);
    }
    assert_eq!(count, 40);
    // Both pumps have ended, so a publication on each runtime starts one.
    for runtime in &runtimes {
        runtime.block_on(async { hub.publish(Message::new("text")).start() });
        (0..20).for_each(|_| turn(runtime));
        for member in &mut members {
            assert!(member.next().now_or_never().is_some());
        }
    }
}
