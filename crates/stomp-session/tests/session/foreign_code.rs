//! Code of the application that calls back into the session from places where it is easily overlooked: destructors of
//! streams, of bodies and of values, clones of values, and wakers. None of it runs under a lock of this crate.
//!
//! A call under a lock would wait for ever, so each test runs in a thread of its own, with a watchdog.

use crate::support::*;
use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use std::{
    cell::Cell,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};
use stomp_frame::Version;
use stomp_session::{
    BacklogConfig, BoxError, ClientError, CloseCode, Config, Connected, Mailbox, Message, Messages,
    Overflow, Principal, Request, Response, Session, Sessions, Staging, Topic,
};
use stomp_testing::without_deadlock;
use tower::service_fn;

/// Runs a test in a thread, on a paused clock. Fails if it does not end.
fn watched<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    without_deadlock(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(test());
    });
}

/// Calls everything that takes a lock. Its clones share the things that they call.
#[derive(Clone, Default)]
struct Caller(Arc<Things>);

#[derive(Default)]
struct Things {
    sessions: Sessions,
    session: Mutex<Option<Session>>,
    topic: Mutex<Option<Topic<Message>>>,
    mailbox: Mutex<Option<Mailbox>>,
    staging: Mutex<Option<Staging>>,
    calls: AtomicUsize,
    /// The number of messages that the mailbox has taken from a call.
    taken: AtomicUsize,
}

thread_local! {
    /// True while a caller calls, so that the code which these calls run does not call again.
    static IS_CALLING: Cell<bool> = const { Cell::new(false) };
}

impl Caller {
    fn set_session(&self, session: &Session) {
        *self.0.session.lock().unwrap() = Some(session.clone());
    }

    fn count(&self) -> usize {
        self.0.calls.load(Ordering::Relaxed)
    }

    fn call(&self) {
        if IS_CALLING.replace(true) {
            return;
        }
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        let _ = self.0.sessions.all();
        let session = self.0.session.lock().unwrap().clone();
        if let Some(session) = session {
            let _ = session.message("/a", "from foreign code");
            let _ = session.error(ClientError::new("foreign", ""));
            if let Ok(observed) = session.observe("/a", stream::empty::<Message>()) {
                observed.unhook();
            }
            session.insert(7_u8);
            let _ = (session.get::<u8>(), session.is_closed());
        }
        let topic = self.0.topic.lock().unwrap().clone();
        if let Some(topic) = topic {
            let _ = (topic.subscribers(), topic.publish("more".into_message()));
        }
        let mailbox = self.0.mailbox.lock().unwrap().clone();
        if let Some(mailbox) = mailbox {
            mailbox.mark_gap();
            if mailbox.push(&["more".into_message()]) {
                self.0.taken.fetch_add(1, Ordering::Relaxed);
            }
        }
        let staging = self.0.staging.lock().unwrap().clone();
        if let Some(staging) = staging {
            staging.stage(|| {});
            staging.get_or_insert_with(|| 7_u8);
        }
        IS_CALLING.set(false);
    }

    /// A message whose body calls when it is dropped.
    fn message(&self) -> Message {
        Message::new(Bytes::from_owner(Calling(self.clone())))
    }
}

trait IntoTestMessage {
    fn into_message(self) -> Message;
}

impl IntoTestMessage for &'static str {
    fn into_message(self) -> Message {
        Message::new(self)
    }
}

/// A value that calls when it is dropped, cloned, woken or polled.
struct Calling(Caller);

impl Drop for Calling {
    fn drop(&mut self) {
        self.0.call();
    }
}

impl Clone for Calling {
    fn clone(&self) -> Calling {
        self.0.call();
        Calling(self.0.clone())
    }
}

impl Wake for Calling {
    fn wake(self: Arc<Self>) {
        self.0.call();
    }
}

impl Stream for Calling {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Message>> {
        self.0.call();
        Poll::Pending
    }
}

/// The bytes of a body.
impl AsRef<[u8]> for Calling {
    fn as_ref(&self) -> &[u8] {
        b"body"
    }
}

/// A connected session with a subscription to `/a`.
async fn subscribed(caller: &Caller, config: Config) -> (Session, stomp_testing::Client) {
    let config = config.sessions(caller.0.sessions.clone());
    let (session, mut client, _) = start(config, accept).await;
    client.receipt(subscribe("0", "/a")).await;
    caller.set_session(&session);
    (session, client)
}

fn bounded(overflow: Overflow) -> BacklogConfig {
    BacklogConfig::default().max_messages(2).overflow(overflow)
}

const POLICIES: [Overflow; 3] = [
    Overflow::Disconnect,
    Overflow::DropOldest,
    Overflow::Conflate,
];

#[test]
fn streams_that_an_overflow_drops_may_call_the_session() {
    watched(async || {
        let caller = Caller::default();
        let config = Config::default().backlog(bounded(Overflow::Disconnect));
        let (session, _client) = subscribed(&caller, config).await;
        drop(session.observe("/a", Calling(caller.clone())).unwrap());
        for _ in 0..4 {
            session.message("/a", "x").unwrap();
        }
        assert_eq!(caller.count(), 1);
        let _ = session.observe("/a", Calling(caller.clone()));
        assert_eq!(caller.count(), 2);
        settle().await;
    });
}

#[test]
fn streams_may_call_the_session_when_they_are_polled_refused_detached_and_dropped() {
    watched(async || {
        let caller = Caller::default();
        let (session, client) = subscribed(&caller, Config::default()).await;
        let queued = session.observe("/a", Calling(caller.clone())).unwrap();
        queued.unhook();
        assert_eq!(caller.count(), 1, "dropped in the queue");
        let attached = session.observe("/a", Calling(caller.clone())).unwrap();
        settle().await;
        assert_eq!(caller.count(), 2, "polled");
        attached.unhook();
        settle().await;
        assert_eq!(caller.count(), 3, "detached");
        assert!(session.observe("/b", Calling(caller.clone())).is_err());
        assert_eq!(caller.count(), 4, "refused");
        let _observed = session.observe("/a", Calling(caller.clone())).unwrap();
        drop(client);
        settle().await;
        assert!(session.is_closed());
        assert!(caller.count() >= 5, "dropped with the session");
    });
}

#[test]
fn bodies_that_a_queue_drops_may_call_the_session() {
    for overflow in POLICIES {
        watched(move || async move {
            let caller = Caller::default();
            let config = Config::default().backlog(bounded(overflow));
            let (session, _client) = subscribed(&caller, config).await;
            for _ in 0..5 {
                let message = caller.message().with_key("key");
                session.message("/a", message).unwrap();
            }
            assert!(caller.count() > 0, "{overflow:?}");
            let _ = session.observe("/b", stream::empty::<Message>());
            session.close(CloseCode::Away);
            settle().await;
        });
    }
}

#[test]
fn values_of_a_session_may_call_it_when_they_are_cloned_and_dropped() {
    watched(async || {
        let caller = Caller::default();
        let (session, client) = subscribed(&caller, Config::default()).await;
        session.insert(Calling(caller.clone()));
        let copy = session.get::<Calling>().unwrap();
        assert_eq!(caller.count(), 1, "cloned");
        drop(session.insert(copy));
        let before = caller.count();
        assert!(before >= 2, "replaced");
        drop(client);
        settle().await;
        assert!(caller.count() > before, "dropped with the session");
    });
}

#[test]
fn a_mailbox_may_be_called_by_its_bodies_and_wakers() {
    for overflow in POLICIES {
        watched(move || async move {
            let caller = Caller::default();
            let (mailbox, mut messages) = Mailbox::new(bounded(overflow));
            *caller.0.mailbox.lock().unwrap() = Some(mailbox.clone());
            for _ in 0..3 {
                poll_with_waker(&caller, &mut messages);
            }
            let replaced = caller.count();
            assert!(replaced > 0, "a waker is replaced");
            mailbox.push(&[caller.message()]);
            assert!(caller.count() > replaced, "the reader is woken");
            for _ in 0..5 {
                mailbox.push(&[caller.message().with_key("key")]);
            }
            drop(messages.next().now_or_never());
            mailbox.push(&[caller.message()]);
            let before = caller.count();
            drop(messages);
            mailbox.push(&[caller.message()]);
            assert!(caller.count() > before);
        });
    }
}

/// Polls a stream until it has no message, with a waker that calls when it is woken and when it is dropped.
fn poll_with_waker(caller: &Caller, messages: &mut Messages) {
    let waker = Waker::from(Arc::new(Calling(caller.clone())));
    let mut cx = Context::from_waker(&waker);
    while messages.poll_next_unpin(&mut cx).is_ready() {}
}

#[test]
fn a_mailbox_takes_nothing_from_the_bodies_that_it_drops_with_its_reader() {
    watched(async || {
        let caller = Caller::default();
        let (mailbox, messages) = Mailbox::new(BacklogConfig::default());
        *caller.0.mailbox.lock().unwrap() = Some(mailbox.clone());
        for _ in 0..3 {
            assert!(mailbox.push(&[caller.message()]));
        }
        drop(messages);
        assert_eq!(caller.count(), 3);
        assert_eq!(caller.0.taken.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_topic_may_be_called_by_its_bodies_and_wakers() {
    for overflow in POLICIES {
        for subscribers in [1, 200] {
            watched(move || async move {
                let caller = Caller::default();
                let topic = Topic::with_backlogs(bounded(overflow));
                *caller.0.topic.lock().unwrap() = Some(topic.clone());
                let mut all: Vec<_> = (0..subscribers).map(|_| topic.subscribe()).collect();
                for subscriber in &mut all {
                    let waker = Waker::from(Arc::new(Calling(caller.clone())));
                    let mut cx = Context::from_waker(&waker);
                    assert!(pin!(subscriber).poll_next(&mut cx).is_pending());
                }
                for _ in 0..5 {
                    topic.publish(caller.message().with_key("key")).unwrap();
                }
                settle().await;
                let before = caller.count();
                // Subscribers that such a call wakes do not call.
                assert!(before >= subscribers.min(16), "{before}");
                let more = topic.subscribe();
                topic.publish(caller.message()).unwrap();
                drop((all, more));
                settle().await;
                assert!(caller.count() > before);
            });
        }
    }
}

#[test]
fn the_registry_may_be_called_by_the_value_of_a_principal() {
    watched(async || {
        let caller = Caller::default();
        let config = Arc::new(Config::default().sessions(caller.0.sessions.clone()));
        let mut clients = Vec::new();
        for _ in 0..2 {
            let principal = Principal::new("ann").with_value(Calling(caller.clone()));
            let log_in = service_fn(move |request: Request| {
                let principal = principal.clone();
                async move {
                    Ok::<_, BoxError>(match request.command() {
                        Command::Connect => Response::Connected(Connected::from(principal)),
                        _ => Response::Done,
                    })
                }
            });
            let (session, mut client, connection) = run(Arc::clone(&config), log_in);
            client.connect(Version::V1_2).await;
            drop(session);
            clients.push((client, connection));
        }
        // The registry's key is a clone of the principal of the first session, which ends first.
        for (client, connection) in clients {
            drop(client);
            finished(connection).await;
        }
        assert!(caller.0.sessions.is_empty());
        assert_eq!(caller.count(), 2);
    });
}

#[test]
fn a_staging_area_may_be_called_by_what_it_drops() {
    for is_refused in [false, true] {
        watched(move || async move {
            let caller = Caller::default();
            let stage = caller.clone();
            let (_, mut client, _) = start(Config::default(), move |request| {
                if let Some(staging) = request.transaction() {
                    *stage.0.staging.lock().unwrap() = Some(staging.clone());
                    let (effect, commit) = (Calling(stage.clone()), Calling(stage.clone()));
                    staging.stage(move || drop(effect));
                    staging.on_commit(move || async move {
                        drop(commit);
                        Ok(())
                    });
                    staging.get_or_insert_with(|| Mutex::new(Calling(stage.clone())));
                    if is_refused {
                        return Err("refused".into());
                    }
                }
                Ok(Response::Done)
            })
            .await;
            for command in [
                Frame::new(Command::Begin).with_header("transaction", "t"),
                send("/a", "").with_header("transaction", "t"),
                Frame::new(Command::Commit).with_header("transaction", "t"),
            ] {
                client.send(command).await;
            }
            settle().await;
            assert!(caller.count() >= 3, "{}", caller.count());
            let late = Calling(caller.clone());
            let staging = caller.0.staging.lock().unwrap().clone().unwrap();
            staging.stage(move || drop(late));
        });
    }
}
