//! Foreign code that uses the broker while the broker runs it: destructors of bodies, of destinations and of principals'
//! values, wakers, predicates, and engines.
//!
//! No lock may be held meanwhile. With a lock, a test would hang, so each test has a time limit.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use bytes::Bytes;
use bytestring::ByteString;
use futures_util::{FutureExt, StreamExt};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
};
use stomp_broker::{
    Address, Broker, Capabilities, Config, Engine, EngineFuture, EngineTransaction, Event, Memory,
    MemoryConfig, Publication, Retain, Rules, SubscribeRequest, Who,
};
use stomp_frame::{Command, Frame};
use stomp_session::{
    BacklogConfig, Message, MessageStream, Overflow, Principal, Request, Settlement,
};
use stomp_testing::{
    frames::{send, transaction},
    without_deadlock,
};
use tower::Service;

/// Foreign code that uses all of a broker that has locks: its groups, retained messages, mailboxes and counts.
#[derive(Clone, Default)]
struct Foreign {
    broker: Arc<Mutex<Option<Broker>>>,
    calls: Arc<AtomicUsize>,
    is_running: Arc<AtomicBool>,
}

impl Foreign {
    /// Creates a broker for this code, with retained messages.
    fn with_broker(config: Config, memory: MemoryConfig) -> (Foreign, Broker) {
        let memory = memory.max_retained_messages(2);
        let broker = Broker::with_engine(config, Memory::new(memory).unwrap()).unwrap();
        let foreign = Foreign::default();
        foreign.uses(&broker);
        (foreign, broker)
    }

    fn uses(&self, broker: &Broker) {
        *self.broker.lock().unwrap() = Some(broker.clone());
    }

    fn run(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let broker = self.broker.lock().unwrap().clone();
        // Its own messages may drop more values with this code.
        let (Some(broker), false) = (broker, self.is_running.swap(true, Ordering::SeqCst)) else {
            return;
        };
        // Each call fails after a shutdown, but none may hang.
        let _ = broker.statistics().now_or_never();
        let stream = broker.subscribe("/topic/>").now_or_never().unwrap();
        for topic in ["/topic/a", "/topic/other"] {
            let _ = broker.publish(topic, "plain").now_or_never();
        }
        drop(stream);
        self.is_running.store(false, Ordering::SeqCst);
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Bytes whose destructor is this code.
    fn bytes(&self, text: &'static str) -> Bytes {
        Bytes::from_owner(Owner(self.clone(), text))
    }

    fn message(&self) -> Message {
        Message::new(self.bytes("foreign"))
    }

    fn waker(&self) -> Waker {
        Waker::from(Arc::new(Owner(self.clone(), "")))
    }
}

/// A value that runs foreign code when it is dropped or woken.
struct Owner(Foreign, &'static str);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.1.as_bytes()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.run();
    }
}

impl Wake for Owner {
    fn wake(self: Arc<Self>) {
        self.0.run();
    }
}

fn publish(broker: &Broker, to: &str, message: Message) {
    broker.publish(to, message).now_or_never().unwrap().unwrap();
}

fn subscribed(broker: &Broker, to: &str) -> MessageStream {
    broker.subscribe(to).now_or_never().unwrap().unwrap()
}

#[test]
fn a_retained_message_is_dropped_without_a_lock() {
    without_deadlock(|| {
        let (foreign, broker) = Foreign::with_broker(Config::default(), MemoryConfig::default());
        let set = |to: &str| publish(&broker, to, foreign.message().with_header("retain", "set"));
        set("/topic/a");
        set("/topic/a");
        assert_eq!(foreign.calls(), 1, "replaced");
        publish(
            &broker,
            "/topic/a",
            Message::new("").with_header("retain", "remove"),
        );
        assert_eq!(foreign.calls(), 2, "removed");
        ["/topic/a", "/topic/b", "/topic/c"]
            .iter()
            .for_each(|to| set(to));
        assert_eq!(foreign.calls(), 3, "more than the maximum");
        broker.shutdown().now_or_never().unwrap().unwrap();
        assert_eq!(foreign.calls(), 5, "shut down");
    });
}

#[test]
fn a_message_without_room_in_a_mailbox_is_dropped_without_a_lock() {
    for overflow in [
        Overflow::DropOldest,
        Overflow::Conflate,
        Overflow::Disconnect,
    ] {
        without_deadlock(move || {
            let mailbox = BacklogConfig::default().max_messages(1).overflow(overflow);
            let memory = MemoryConfig::default().backlog(mailbox);
            let (foreign, broker) = Foreign::with_broker(Config::default(), memory);
            let stream = subscribed(&broker, "/topic/a");
            for _ in 0..3 {
                publish(&broker, "/topic/a", foreign.message().with_key("k"));
            }
            assert!(foreign.calls() >= 2, "{overflow:?}");
            drop(stream);
            assert_eq!(foreign.calls(), 3, "{overflow:?}");
        });
    }
}

#[test]
fn a_stream_drops_its_messages_without_a_lock() {
    without_deadlock(|| {
        let (foreign, broker) = Foreign::with_broker(Config::default(), MemoryConfig::default());
        let mut stream = subscribed(&broker, "/topic/a");
        for _ in 0..3 {
            publish(&broker, "/topic/a", foreign.message());
        }
        drop(stream.next().now_or_never());
        assert_eq!(foreign.calls(), 1, "delivered");
        drop(stream);
        assert_eq!(foreign.calls(), 3, "not delivered");
        publish(&broker, "/topic/a", foreign.message());
        assert_eq!(foreign.calls(), 4, "nobody is subscribed");
        let expired = foreign.message().with_header("expires", "1");
        publish(&broker, "/topic/a", expired);
        assert_eq!(foreign.calls(), 5, "expired");
    });
}

#[test]
fn a_waker_is_cloned_woken_and_dropped_without_a_lock() {
    without_deadlock(|| {
        let (foreign, broker) = Foreign::with_broker(Config::default(), MemoryConfig::default());
        let mut stream = subscribed(&broker, "/topic/a");
        let mut poll = || {
            let waker = foreign.waker();
            let mut cx = Context::from_waker(&waker);
            while stream.poll_next_unpin(&mut cx).is_ready() {}
        };
        // A stream drops the waker of the poll before the last one.
        for _ in 0..3 {
            poll();
        }
        let replaced = foreign.calls();
        assert!(replaced > 0);
        poll();
        publish(&broker, "/topic/a", Message::new("1"));
        let woken = foreign.calls();
        assert!(woken > replaced);
        poll();
        drop(stream);
        assert!(foreign.calls() > woken, "dropped with its stream");
    });
}

#[test]
fn the_value_of_a_principal_and_the_memory_of_a_destination_are_not_kept() {
    without_deadlock(|| {
        let (foreign, broker) = Foreign::with_broker(Config::default(), MemoryConfig::default());
        let mut events = broker.events();
        let ann = Principal::new("ann").with_value(Owner(foreign.clone(), ""));
        let retained = |retain: &str| Message::new("1").with_header("retain", retain);
        let to_ann = broker.send_to_user(&ann, "/news", retained("set"));
        to_ann.now_or_never().unwrap().unwrap();
        drop(ann);
        assert_eq!(foreign.calls(), 1, "the value of a principal");

        let topic = ByteString::try_from(foreign.bytes("/topic/a")).unwrap();
        broker
            .publish(topic, retained("set"))
            .now_or_never()
            .unwrap()
            .unwrap();
        assert_eq!(foreign.calls(), 2, "the memory of a text");

        let topic = ByteString::try_from(foreign.bytes("/topic/b")).unwrap();
        let topic = stomp_broker::destination_syntax().parse(topic).unwrap();
        let stream = broker.subscribe(topic).now_or_never().unwrap().unwrap();
        assert_eq!(foreign.calls(), 3, "the memory of a parsed destination");
        drop(stream);
        publish(&broker, "/topic/a", retained("remove"));
        while events.next().now_or_never().is_some() {}
    });
}

#[test]
fn a_predicate_of_a_rule_may_use_the_broker() {
    without_deadlock(|| {
        let foreign = Foreign::default();
        let predicate = foreign.clone();
        let rules = Rules::new().send_and_subscribe(
            "/topic/>",
            Who::when(move |_, _| {
                predicate.run();
                true
            }),
        );
        let broker = Broker::new(Config::default().rules(rules)).unwrap();
        foreign.uses(&broker);
        for command in [Command::Subscribe, Command::Send] {
            let syntax = stomp_broker::destination_syntax();
            let request = Request::new(Frame::new(command).with_header("id", "0"))
                .with_destination(syntax.parse("/topic/a").unwrap());
            let answer = broker.clone().call(request).now_or_never().unwrap();
            drop(answer.unwrap());
        }
        assert_eq!(foreign.calls(), 2);
    });
}

/// An engine that handles another request of the same transaction while it is called.
#[derive(Clone)]
struct Nested {
    memory: Memory,
    next: Arc<Mutex<Option<(Broker, Request)>>>,
}

impl Nested {
    fn run(&self) {
        let next = self.next.lock().unwrap().take();
        if let Some((mut broker, request)) = next {
            broker.call(request).now_or_never().unwrap().unwrap();
        }
    }
}

impl Engine for Nested {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    fn publish(&self, to: &Address, publication: Publication) -> EngineFuture<()> {
        self.memory.publish(to, publication)
    }

    fn begin(&self) -> Box<dyn EngineTransaction> {
        self.run();
        Box::new(NestedTransaction(self.clone(), self.memory.begin()))
    }

    fn subscribe(&self, request: SubscribeRequest) -> EngineFuture<MessageStream> {
        self.memory.subscribe(request)
    }

    fn shutdown(&self) -> EngineFuture<()> {
        self.memory.shutdown()
    }
}

struct NestedTransaction(Nested, Box<dyn EngineTransaction>);

impl EngineTransaction for NestedTransaction {
    fn prepare(&mut self, to: &Address, publication: Publication) -> EngineFuture<()> {
        self.0.run();
        self.1.prepare(to, publication)
    }

    fn commit(self: Box<Self>) -> EngineFuture<()> {
        self.0.run();
        self.1.commit()
    }
}

#[test]
fn an_engine_may_handle_a_request_of_the_transaction_that_it_is_called_for() {
    without_deadlock(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        runtime.unwrap().block_on(async {
            let engine = Nested {
                memory: Memory::new(MemoryConfig::default()).unwrap(),
                next: Arc::default(),
            };
            let broker = Broker::with_engine(support::open(), engine.clone()).unwrap();
            let inner = broker.clone();
            let service = tower::service_fn(move |request: Request| {
                if request.transaction().is_some() {
                    let again = (inner.clone(), request.clone());
                    engine.next.lock().unwrap().replace(again);
                }
                inner.clone().call(request)
            });
            let mut messages = subscribed(&broker, "/topic/a");
            let mut client = support::connect_to(service, Arc::default()).await;
            client.receipt(transaction(Command::Begin, "t")).await;
            for _ in 0..2 {
                let in_transaction = send("/topic/a", "1").with_header("transaction", "t");
                client.receipt(in_transaction).await;
            }
            client.receipt(transaction(Command::Commit, "t")).await;
            let count = std::iter::from_fn(|| messages.next().now_or_never()).count();
            assert_eq!(count, 4, "each message twice");
        });
    });
}

#[test]
fn a_principal_in_the_address_of_an_engine_is_dropped_without_a_lock() {
    without_deadlock(|| {
        let (foreign, broker) = Foreign::with_broker(Config::default(), MemoryConfig::default());
        let memory = MemoryConfig::default().max_retained_messages(1);
        let engine = Memory::new(memory).unwrap();
        foreign.uses(&Broker::with_engine(Config::default(), engine.clone()).unwrap());
        drop(broker);
        let publish = |principal: Principal, retain: Retain| {
            let topic = Address::user(principal, "news");
            let publication = Publication::new(Message::new("1")).retain(retain);
            let published = engine.publish(&topic, publication).now_or_never();
            published.unwrap().unwrap();
        };
        let owner = Owner(foreign.clone(), "");
        publish(Principal::new("ann").with_value(owner), Retain::Set);
        publish(Principal::new("ann"), Retain::Remove);
        assert_eq!(foreign.calls(), 1);
    });
}

/// Polls and acknowledges a message of a queue when it is woken.
#[derive(Default)]
struct Worker(Mutex<Option<MessageStream>>);

impl Wake for Worker {
    fn wake(self: Arc<Self>) {
        let mut stream = self.0.lock().unwrap().take().unwrap();
        let delivery = stream.next().now_or_never().unwrap().unwrap();
        delivery.unwrap().settle(Settlement::Acked);
    }
}

#[test]
fn a_message_that_is_acknowledged_while_it_is_published_was_published_before() {
    without_deadlock(|| {
        let broker = Broker::new(Config::default().rules(Rules::open())).unwrap();
        let mut events = broker.events();
        let worker = Arc::new(Worker::default());
        let mut stream = broker
            .subscribe("/queue/a")
            .now_or_never()
            .unwrap()
            .unwrap();
        let waker = Waker::from(Arc::clone(&worker));
        let polled = stream.poll_next_unpin(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        *worker.0.lock().unwrap() = Some(stream);
        let published = broker.publish("/queue/a", "1").now_or_never().unwrap();
        published.unwrap();
        let address = Address::queue("a");
        let (published, delivered) = (
            Event::Published {
                address: address.clone(),
            },
            Event::Delivered {
                address,
                recipients: 1,
            },
        );
        let mut all = std::iter::from_fn(|| events.next().now_or_never().flatten());
        assert!(matches!(all.next(), Some(Event::Subscribed { .. })));
        assert_eq!(all.next(), Some(published));
        assert_eq!(all.next(), Some(delivered));
    });
}
