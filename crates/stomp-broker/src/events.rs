//! Events of an engine, for monitoring.

use crate::Address;
use futures_core::Stream;
use futures_util::stream;
use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use stomp_session::SessionId;
use tokio::sync::broadcast::{self, error::RecvError};

/// Something that happened in an engine. [`Engine::events`](crate::Engine::events) streams it.
///
/// Keep the addresses of temporary queues secret: a client that knows the public name of such a queue may send to it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The engine accepted a message.
    Published {
        /// The destination of the message.
        address: Address,
    },
    /// A message of a topic goes to the mailboxes of its subscribers, or a message of a queue was acknowledged.
    Delivered {
        /// The destination of the message.
        address: Address,
        /// The number of subscribers. It may be 0 for a topic, and is 1 for a queue.
        recipients: usize,
    },
    /// A queue gave up a message, which becomes a dead letter. There is no such event without a dead-letter queue.
    DeadLettered {
        /// The queue that gave up the message.
        queue: Address,
        /// The header `dead-letter-reason` of the dead letter.
        reason: &'static str,
    },
    /// A subscription began.
    Subscribed {
        /// The topic, pattern or queue of the subscription.
        address: Address,
        /// The session of the subscriber. `None` if the subscriber is the application.
        session: Option<SessionId>,
    },
    /// A subscription ended.
    Left {
        /// The topic, pattern or queue of the subscription.
        address: Address,
        /// The session of the subscriber. `None` if the subscriber is the application.
        session: Option<SessionId>,
    },
    /// This number of events is missing here, because the stream was read too slowly.
    Missed(u64),
}

/// The events of an engine, in order, since the call of [`Engine::events`](crate::Engine::events).
///
/// A bounded number of events waits for a slow reader. If there are more, the reader loses the oldest, and gets
/// [`Event::Missed`] instead of them. The stream ends when the engine is dropped.
pub struct EventStream(Pin<Box<dyn Stream<Item = Event> + Send>>);

impl EventStream {
    /// Creates a stream of events from any stream.
    pub fn new(events: impl Stream<Item = Event> + Send + 'static) -> EventStream {
        EventStream(Box::pin(events))
    }

    /// Creates a stream that ends at once, for engines that report no events.
    #[must_use]
    pub fn empty() -> EventStream {
        EventStream::new(stream::empty())
    }
}

impl Stream for EventStream {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").finish_non_exhaustive()
    }
}

/// The sending side of [`EventStream`]s, for engines.
///
/// [`EventSource::emit`] is cheap while no stream exists: it only reads one number.
pub struct EventSource {
    /// The number of streams. The channel knows this number too, but needs its lock to read it.
    listeners: Arc<AtomicUsize>,
    /// Created with the first stream, because the channel allocates its whole buffer at once.
    sender: OnceLock<broadcast::Sender<Event>>,
    max_unread: usize,
}

impl EventSource {
    /// The largest possible number of unread events: 1,048,576. It is bounded because the whole buffer is allocated at
    /// once.
    pub const MAX_UNREAD: usize = 1 << 20;

    /// Creates a source without streams. `max_unread` is the maximum number of events that wait for a slow reader. It
    /// is raised to at least 1, limited to [`EventSource::MAX_UNREAD`], and rounded up to a power of two.
    #[must_use]
    pub fn new(max_unread: usize) -> EventSource {
        EventSource {
            listeners: Arc::default(),
            sender: OnceLock::new(),
            max_unread: max_unread.clamp(1, EventSource::MAX_UNREAD),
        }
    }

    /// Returns true if any stream exists.
    pub(crate) fn has_streams(&self) -> bool {
        self.listeners.load(Ordering::Relaxed) != 0
    }

    /// Sends an event to all streams. The function `event` is called only if a stream exists.
    pub fn emit(&self, event: impl FnOnce() -> Event) {
        if !self.has_streams() {
            return;
        }
        if let Some(sender) = self.sender.get() {
            // Sending fails if the last stream was just dropped.
            let _ = sender.send(event());
        }
    }

    /// Creates a stream of the events from now on.
    #[must_use]
    pub fn stream(&self) -> EventStream {
        let sender = self
            .sender
            .get_or_init(|| broadcast::channel(self.max_unread).0);
        let listener = Listener {
            receiver: sender.subscribe(),
            _count: ListenerCount::new(&self.listeners),
        };
        EventStream::new(stream::unfold(listener, |mut listener| async {
            let event = match listener.receiver.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(count)) => Event::Missed(count),
                Err(RecvError::Closed) => return None,
            };
            Some((event, listener))
        }))
    }
}

impl fmt::Debug for EventSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventSource")
            .field("listeners", &self.listeners)
            .finish_non_exhaustive()
    }
}

struct Listener {
    receiver: broadcast::Receiver<Event>,
    _count: ListenerCount,
}

/// Counts as one listener of a source until it is dropped.
struct ListenerCount(Arc<AtomicUsize>);

impl ListenerCount {
    fn new(listeners: &Arc<AtomicUsize>) -> ListenerCount {
        listeners.fetch_add(1, Ordering::Relaxed);
        ListenerCount(Arc::clone(listeners))
    }
}

impl Drop for ListenerCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, StreamExt};

    fn event(path: &str) -> Event {
        Event::Published {
            address: Address::topic(path),
        }
    }

    fn drain(stream: &mut EventStream) -> Vec<Event> {
        std::iter::from_fn(|| stream.next().now_or_never().flatten()).collect()
    }

    #[test]
    fn no_event_is_created_while_nobody_listens() {
        let source = EventSource::new(4);
        source.emit(|| unreachable!());
        let stream = source.stream();
        drop(stream);
        source.emit(|| unreachable!());
    }

    #[test]
    fn each_stream_gets_the_events_since_its_creation() {
        let source = EventSource::new(4);
        let mut one = source.stream();
        source.emit(|| event("a"));
        let mut two = source.stream();
        source.emit(|| event("b"));
        assert_eq!(drain(&mut one), [event("a"), event("b")]);
        assert_eq!(drain(&mut two), [event("b")]);
        drop(source);
        assert_eq!(one.next().now_or_never(), Some(None));
    }

    #[test]
    fn a_slow_reader_learns_how_many_events_it_missed() {
        let source = EventSource::new(4);
        let mut stream = source.stream();
        for number in 0..10 {
            source.emit(|| event(&number.to_string()));
        }
        assert_eq!(
            drain(&mut stream),
            [
                Event::Missed(6),
                event("6"),
                event("7"),
                event("8"),
                event("9")
            ]
        );
    }
}
