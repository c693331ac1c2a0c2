//! Foreign code that uses a session or a mailbox while that runs it: destructors, and `Clone` of stored values. No lock
//! may be held meanwhile.

use crate::{foreign_code::watched, support::*};
use bytes::Bytes;
use futures_util::stream;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use stomp_session::{BacklogConfig, Config, Mailbox, Message, Session};
use stomp_testing::without_deadlock;

/// A value whose destructor is this function.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl<F: Fn()> AsRef<[u8]> for OnDrop<F> {
    fn as_ref(&self) -> &[u8] {
        b"foreign"
    }
}

#[test]
fn a_mailbox_drops_messages_without_its_lock() {
    without_deadlock(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (mailbox, messages) = Mailbox::new(BacklogConfig::default());
        for _ in 0..3 {
            let (count, other) = (Arc::clone(&dropped), mailbox.clone());
            let body = Bytes::from_owner(OnDrop(move || {
                count.fetch_add(1, Ordering::SeqCst);
                assert!(!other.push(&[Message::new("late")]));
            }));
            assert!(mailbox.push(&[Message::new(body)]));
        }
        drop(messages);
        assert_eq!(dropped.load(Ordering::SeqCst), 3);
    });
}

/// Attaches a stream whose destructor uses the session.
fn observe(session: &Session, dropped: &Arc<AtomicUsize>) {
    let (count, other) = (Arc::clone(dropped), session.clone());
    let guard = OnDrop(move || {
        count.fetch_add(1, Ordering::SeqCst);
        let _ = other.message("/a", "from the destructor");
    });
    let items = stream::poll_fn(move |_| {
        let _ = &guard;
        std::task::Poll::<Option<Message>>::Pending
    });
    session.observe("/a", items).unwrap();
}

#[test]
fn a_stream_that_leaves_a_full_queue_of_commands_is_dropped_without_a_lock() {
    watched(|| async {
        let config = Config::default().backlog(BacklogConfig::default().max_messages(256));
        let (session, mut client, _) = start(config, accept).await;
        client.receipt(subscribe("0", "/a")).await;
        let dropped = Arc::new(AtomicUsize::new(0));
        observe(&session, &dropped);
        for _ in 0..300 {
            session
                .message("/a", "more than the backlog holds")
                .unwrap();
        }
        assert_eq!(dropped.load(Ordering::SeqCst), 1, "by the overflow");
        observe(&session, &dropped);
        assert_eq!(dropped.load(Ordering::SeqCst), 2, "after the overflow");
    });
}

/// A value whose `Clone` uses the session.
struct Greedy(Session);

impl Clone for Greedy {
    fn clone(&self) -> Greedy {
        assert_eq!(self.0.get::<u8>(), Some(7));
        Greedy(self.0.clone())
    }
}

#[test]
fn a_stored_value_is_cloned_without_a_lock() {
    watched(|| async {
        let (session, _client, _) = start(Config::default(), accept).await;
        session.insert(7_u8);
        session.insert(Greedy(session.clone()));
        assert!(session.get::<Greedy>().is_some());
        assert!(session.insert(Greedy(session.clone())).is_some());
    });
}
