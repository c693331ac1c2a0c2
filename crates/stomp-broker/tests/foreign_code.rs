//! Destructors of messages, wakers and callbacks may use the broker: they run under no lock of it.
//!
//! A test fails after a while, instead of hanging, if a lock is held.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use stomp_broker::{
    Address, Broker, Config, Engine, Memory, MemoryConfig, Publication, QueueOverflow,
    QueueSettings, SubscribeRequest,
};
use stomp_frame::Headers;
use stomp_session::{BoxError, Delivery, Message, MessageStream, Principal, Settlement};
use stomp_testing::without_deadlock;
use support::{broker_with, statistics_of};
use tokio::time::advance;

const QUEUE: &str = "/queue/q";
const OTHER: &str = "/queue/other";

/// Uses the broker in all ways that take its locks, for the same queue and for others.
fn use_broker(broker: &Broker) {
    let _ = broker.publish(QUEUE, "again").now_or_never();
    let _ = broker.publish(OTHER, "again").now_or_never();
    let _ = broker.browse(QUEUE, 1).now_or_never();
    let subscribed = broker.subscribe(QUEUE).now_or_never();
    if let Some(Ok(mut stream)) = subscribed {
        let _ = stream.next().now_or_never();
    }
    let _ = broker.purge(OTHER).now_or_never();
    statistics_of(broker);
}

/// A body whose destructor uses the broker.
struct Body {
    broker: Broker,
    dropped: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        b"body"
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        use_broker(&self.broker);
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// A waker that uses the broker when it is woken and when it is dropped.
struct UnrulyWaker(Broker);

impl Wake for UnrulyWaker {
    fn wake(self: Arc<Self>) {
        use_broker(&self.0);
    }
}

impl Drop for UnrulyWaker {
    fn drop(&mut self) {
        use_broker(&self.0);
    }
}

struct Scene {
    broker: Broker,
    dropped: Arc<AtomicUsize>,
}

impl Scene {
    fn new(settings: QueueSettings) -> Scene {
        let broker = broker_with(MemoryConfig::default().queue_pattern(QUEUE, settings));
        // It never becomes unused, so a paused clock that starts later has no sweep.
        let other = broker.declare(OTHER, QueueSettings::default());
        other.now_or_never().unwrap().unwrap();
        Scene {
            broker,
            dropped: Arc::default(),
        }
    }

    fn message(&self) -> Message {
        let body = Body {
            broker: self.broker.clone(),
            dropped: Arc::clone(&self.dropped),
        };
        Message::from_parts(Headers::new(), Bytes::from_owner(body))
    }

    fn try_publish(&self, message: Message) -> Result<(), BoxError> {
        self.broker.publish(QUEUE, message).now_or_never().unwrap()
    }

    fn publish(&self) {
        self.try_publish(self.message()).unwrap();
    }

    fn subscribe(&self) -> MessageStream {
        self.broker
            .subscribe(QUEUE)
            .now_or_never()
            .unwrap()
            .unwrap()
    }

    /// A consumer that waits, with a waker that uses the broker.
    fn waiting_consumer(&self) -> MessageStream {
        let mut stream = self.subscribe();
        assert!(self.poll(&mut stream).is_none());
        stream
    }

    /// Polls with a new waker each time, so that the last one is dropped.
    fn poll(&self, stream: &mut MessageStream) -> Option<Delivery> {
        let waker = Waker::from(Arc::new(UnrulyWaker(self.broker.clone())));
        match stream.poll_next_unpin(&mut Context::from_waker(&waker)) {
            Poll::Ready(Some(Ok(delivery))) => Some(delivery),
            _ => None,
        }
    }

    fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

/// Runs a scene with a queue of these settings. Fails if it does not end.
fn in_time(settings: QueueSettings, run: fn(&Scene)) {
    without_deadlock(move || run(&Scene::new(settings)));
}

/// Runs a part of a scene on a paused clock. Nothing sweeps queues that exist already.
fn paused(part: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(part);
}

fn settings() -> QueueSettings {
    QueueSettings::default().dead_letter_queue(None)
}

#[test]
fn purged_messages_are_dropped_without_a_lock() {
    in_time(settings(), |scene| {
        scene.publish();
        scene.publish();
        let purged = scene.broker.purge(QUEUE).now_or_never().unwrap().unwrap();
        assert_eq!((purged, scene.dropped()), (2, 2));
    });
}

#[test]
fn messages_of_a_deleted_queue_are_dropped_without_a_lock() {
    in_time(settings(), |scene| {
        let _consumer = scene.waiting_consumer();
        scene.publish();
        scene.publish();
        scene.broker.delete(QUEUE).now_or_never().unwrap().unwrap();
        assert!(scene.dropped() > 0);
    });
}

#[test]
fn expired_messages_are_dropped_without_a_lock() {
    in_time(
        settings().time_to_live(Some(Duration::from_millis(1))),
        |scene| {
            let mut consumer = scene.subscribe();
            paused(async {
                scene.publish();
                advance(Duration::from_millis(2)).await;
                let _ = scene.poll(&mut consumer);
                assert_eq!(scene.dropped(), 1);
            });
            let expired = scene.message().with_header("expires", "1");
            scene.try_publish(expired).unwrap();
            assert_eq!(scene.dropped(), 2);
        },
    );
}

#[test]
fn messages_that_leave_a_full_queue_are_dropped_without_a_lock() {
    let full = settings()
        .max_messages(1)
        .overflow(QueueOverflow::DropOldest);
    in_time(full, |scene| {
        scene.publish();
        scene.publish();
        assert!(scene.dropped() > 0);
    });
}

#[test]
fn a_refused_publication_is_dropped_without_a_lock() {
    in_time(settings().max_messages(1), |scene| {
        scene.publish();
        assert!(scene.try_publish(scene.message()).is_err());
        assert_eq!(scene.dropped(), 1);
    });
}

#[test]
fn dead_letters_that_leave_their_full_queue_are_dropped_without_a_lock() {
    let dead = "/queue/dead";
    let settings = settings()
        .max_delivery_attempts(1)
        .dead_letter_queue(Some(dead.to_owned()));
    in_time(settings, |scene| {
        let small = QueueSettings::default().max_messages(1);
        let declared = scene.broker.declare("/queue/dead", small).now_or_never();
        declared.unwrap().unwrap();
        for _ in 0..2 {
            let mut consumer = scene.subscribe();
            scene.publish();
            let taken = scene.poll(&mut consumer).unwrap();
            taken.settle(Settlement::Nacked);
        }
        assert!(scene.dropped() > 0);
    });
}

#[test]
fn an_acknowledged_message_is_dropped_without_a_lock() {
    in_time(settings(), |scene| settle(scene, Settlement::Acked));
}

#[test]
fn a_message_that_is_given_up_is_dropped_without_a_lock() {
    let once = settings().max_delivery_attempts(1);
    in_time(once, |scene| settle(scene, Settlement::Nacked));
}

fn settle(scene: &Scene, settlement: Settlement) {
    let mut consumer = scene.subscribe();
    scene.publish();
    let taken = scene.poll(&mut consumer).unwrap();
    taken.settle(settlement);
    assert!(scene.dropped() > 0);
}

#[test]
fn a_consumer_that_leaves_drops_its_waker_without_a_lock() {
    in_time(settings(), |scene| {
        let (one, mut two) = (scene.waiting_consumer(), scene.waiting_consumer());
        // The waker of the first poll is dropped.
        drop(scene.poll(&mut two));
        drop(one);
        drop(two);
    });
}

#[test]
fn a_waiting_consumer_is_woken_without_a_lock() {
    in_time(settings(), |scene| {
        let mut consumers = [scene.waiting_consumer(), scene.waiting_consumer()];
        scene.publish();
        for consumer in &mut consumers {
            if let Some(taken) = scene.poll(consumer) {
                taken.settle(Settlement::Nacked);
            }
        }
    });
}

#[test]
fn a_shutdown_drops_messages_and_wakes_consumers_without_a_lock() {
    in_time(settings(), |scene| {
        scene.publish();
        scene.publish();
        let mut taker = scene.subscribe();
        let taken = scene.poll(&mut taker).unwrap();
        let mut waiting = scene
            .broker
            .subscribe(OTHER)
            .now_or_never()
            .unwrap()
            .unwrap();
        assert!(scene.poll(&mut waiting).is_none());
        scene.broker.shutdown().now_or_never().unwrap().unwrap();
        assert!(scene.dropped() > 0);
        drop(taken);
    });
}

#[test]
fn a_delayed_message_that_is_due_wakes_consumers_without_a_lock() {
    let short = settings().redelivery_delay(Duration::from_millis(1));
    in_time(short, |scene| {
        let mut consumer = scene.subscribe();
        paused(async {
            scene.publish();
            for _ in 0..2 {
                let taken = consumer.next().now_or_never().flatten();
                taken.unwrap().unwrap().settle(Settlement::Nacked);
            }
            let _waiting = scene.waiting_consumer();
            advance(Duration::from_millis(2)).await;
            // This finds the message due, and wakes the consumer that waits.
            let browsed = scene.broker.browse(QUEUE, 1).now_or_never();
            assert_eq!(browsed.unwrap().unwrap().len(), 1);
        });
    });
}

#[test]
fn the_value_of_a_principal_is_dropped_without_a_lock() {
    in_time(settings(), |scene| {
        let engine = Memory::new(MemoryConfig::default()).unwrap();
        let broker = Broker::with_engine(Config::default(), engine.clone()).unwrap();
        let queue = Address::queue("q");
        let dropped = &scene.dropped;
        let principal = |name: &str| {
            Some(Principal::new(name).with_value(Body {
                broker: broker.clone(),
                dropped: Arc::clone(dropped),
            }))
        };
        for name in ["ann", "bob", "ann"] {
            let publication = Publication::new(Message::new("1")).principal(principal(name));
            let published = engine.publish(&queue, publication);
            published.now_or_never().unwrap().unwrap();
            let request = SubscribeRequest::new(queue.clone()).principal(principal(name));
            drop(engine.subscribe(request).now_or_never());
        }
        assert_eq!(scene.dropped(), 6, "no value is kept");
    });
}

#[test]
fn messages_of_a_temporary_queue_are_dropped_without_a_lock() {
    in_time(settings(), |scene| {
        let name = format!("/temp-queue/{}", "a".repeat(32));
        let Some(Ok(stream)) = scene.broker.subscribe(&*name).now_or_never() else {
            return;
        };
        let published = scene.broker.publish(&*name, scene.message());
        published.now_or_never().unwrap().unwrap();
        drop(stream);
        assert_eq!(scene.dropped(), 1);
    });
}

/// A body whose destructor panics.
struct PanickingBody;

impl AsRef<[u8]> for PanickingBody {
    fn as_ref(&self) -> &[u8] {
        b"body"
    }
}

impl Drop for PanickingBody {
    fn drop(&mut self) {
        panic!("a body panics");
    }
}

struct PanickingWaker;

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        panic!("a waker panics");
    }
}

#[tokio::test(start_paused = true)]
async fn expired_messages_whose_bodies_panic_do_not_stop_the_sweep_of_queues() {
    let scene = Scene::new(settings().time_to_live(Some(Duration::from_secs(1))));
    for _ in 0..3 {
        let message = Message::from_parts(Headers::new(), Bytes::from_owner(PanickingBody));
        scene.try_publish(message).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(statistics_of(&scene.broker).expired, 3);
    scene.try_publish(Message::new("later")).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(statistics_of(&scene.broker).expired, 4);
}

#[tokio::test(start_paused = true)]
async fn wakers_that_panic_lose_no_message_and_do_not_keep_others_from_waking() {
    let scene = Scene::new(settings());
    let mut consumers = [(); 3].map(|()| scene.subscribe());
    let waker = Waker::from(Arc::new(PanickingWaker));
    for consumer in &mut consumers {
        let polled = consumer.poll_next_unpin(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    for number in 0..3 {
        scene.try_publish(Message::new(number.to_string())).unwrap();
    }
    for consumer in &mut consumers {
        let delivery = consumer.next().now_or_never().unwrap().unwrap().unwrap();
        delivery.settle(Settlement::Acked);
    }
    let waiting = consumers.each_mut().map(|it| it.next().now_or_never());
    assert!(waiting.iter().all(Option::is_none));
    for consumer in &mut consumers {
        let polled = consumer.poll_next_unpin(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    scene.broker.delete(QUEUE).now_or_never().unwrap().unwrap();
    for mut consumer in consumers {
        assert!(consumer.next().now_or_never().unwrap().is_none());
    }
}
