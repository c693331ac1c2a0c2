//! Bounds of the messages that wait for a subscriber.

use crate::client_error::ClientError;
use std::{error::Error, fmt, sync::LazyLock, time::Duration};

/// Bounds of the messages that wait for one subscription, and the policy for messages beyond them.
///
/// A message exists once, however many subscriptions wait for it, so these bounds say how far a subscriber may be behind
/// and not how much memory it takes.
///
/// If a session reads from a [`Hub`](crate::Hub) or a [`Topic`](crate::Topic) itself, only messages that it had the
/// chance to send count: a burst always fits into an empty backlog. A session that is not polled at all may have twice
/// these bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BacklogConfig {
    /// Maximum messages that wait, at least 1. Default: 65,536.
    pub max_messages: usize,
    /// Maximum bytes that wait, at least 1. A message counts with about its size on the wire. The message that exceeds
    /// the bound is still accepted, so that one message always fits. Default: 16 MiB.
    pub max_bytes: usize,
    /// Policy for messages beyond the bounds. Default: [`Overflow::Disconnect`].
    pub overflow: Overflow,
}

impl BacklogConfig {
    /// Sets [`BacklogConfig::max_messages`].
    #[must_use]
    pub fn max_messages(mut self, messages: usize) -> BacklogConfig {
        self.max_messages = messages;
        self
    }

    /// Sets [`BacklogConfig::max_bytes`].
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> BacklogConfig {
        self.max_bytes = bytes;
        self
    }

    /// Sets [`BacklogConfig::overflow`].
    #[must_use]
    pub fn overflow(mut self, overflow: Overflow) -> BacklogConfig {
        self.overflow = overflow;
        self
    }
}

impl BacklogConfig {
    /// A sixteenth of the bounds, for queues that fill while the memory budget is exceeded.
    pub(crate) fn reduced(self) -> BacklogConfig {
        self.max_messages((self.max_messages / 16).max(1))
            .max_bytes((self.max_bytes / 16).max(1))
    }
}

impl Overflow {
    /// Returns true if a subscriber beyond its bounds is disconnected, where nobody can wait for it.
    pub(crate) fn disconnects(self) -> bool {
        matches!(self, Overflow::Disconnect | Overflow::Wait(_))
    }
}

impl Default for BacklogConfig {
    fn default() -> Self {
        BacklogConfig {
            max_messages: 65_536,
            max_bytes: 16 << 20,
            overflow: Overflow::Disconnect,
        }
    }
}

/// Policy for a subscriber that is too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// Closes the subscriber's session at once, also if its subscription has no credit. No message is lost silently: the
    /// client can reconnect and start afresh.
    #[default]
    Disconnect,
    /// Drops the oldest messages. The next message that the subscriber receives reports their number in the header
    /// `dropped-messages`.
    DropOldest,
    /// Replaces a queued message by a new one with the same [key](crate::Message::with_key), for subscribers that need
    /// only the latest value of each thing. If there is still no room, drops the oldest message without a key, or else
    /// the oldest of all, as [`Overflow::DropOldest`] does.
    Conflate,
    /// Makes the publishers of the topic wait, so that a subscriber that is slow for a moment can catch up. After this
    /// time, the sessions of all subscribers that are still beyond their bounds are closed as with
    /// [`Overflow::Disconnect`]. The publishers wait at most this time together, however many subscribers are slow, and
    /// publishers of other topics do not wait.
    ///
    /// A subscriber has caught up when at most half its bounds wait. Then publishers wait for it again, for the whole
    /// time, if it exceeds its bounds once more. So the time and the bounds are the least speed of a subscriber: half the
    /// bounds in this time. Publishers are slowed down to the speed of the slowest subscriber that is not below it.
    ///
    /// Some publishers cannot wait: [`Session::message`](crate::Session::message),
    /// [`Mailbox::push`](crate::Mailbox::push), [`Topic::publish`](crate::Topic::publish), and all publishers outside a
    /// runtime of tokio. For them, this is [`Overflow::Disconnect`], for a hub or topic with twice the bounds. It is also
    /// that if they exceed the [memory budget](crate::MemoryBudget).
    Wait(Duration),
}

/// Error: a subscriber exceeded its bounds under [`Overflow::Disconnect`] or [`Overflow::Wait`]. A session closes if one
/// of its streams fails with this error, also if the error is wrapped in another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowConsumer;

/// The form of [`SlowConsumer`] for clients. It is its source, so that [`ClientError::find`] finds it.
static SLOW_CONSUMER: LazyLock<ClientError> = LazyLock::new(ClientError::slow_consumer);

impl fmt::Display for SlowConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the subscriber is too slow: its backlog is full")
    }
}

impl Error for SlowConsumer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*SLOW_CONSUMER)
    }
}
