//! Settings of mailboxes.

use crate::client_error::ClientError;
use std::{error::Error, fmt, sync::LazyLock};

/// Bounds of a mailbox, and the policy for messages beyond them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailboxConfig {
    /// Maximum messages in the mailbox, at least 1. Default: 256.
    pub max_messages: usize,
    /// Maximum bytes in the mailbox, at least 1. A message counts with about its size on the wire. The message that
    /// exceeds the bound is still accepted, so that one message always fits. Default: 256 KiB.
    pub max_bytes: usize,
    /// Policy for messages that arrive when the mailbox is full. Default: [`Overflow::Disconnect`].
    pub overflow: Overflow,
}

impl MailboxConfig {
    /// Sets [`MailboxConfig::max_messages`].
    #[must_use]
    pub fn max_messages(mut self, messages: usize) -> MailboxConfig {
        self.max_messages = messages;
        self
    }

    /// Sets [`MailboxConfig::max_bytes`].
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> MailboxConfig {
        self.max_bytes = bytes;
        self
    }

    /// Sets [`MailboxConfig::overflow`].
    #[must_use]
    pub fn overflow(mut self, overflow: Overflow) -> MailboxConfig {
        self.overflow = overflow;
        self
    }
}

impl Default for MailboxConfig {
    fn default() -> Self {
        MailboxConfig {
            max_messages: 256,
            max_bytes: 256 << 10,
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
}

/// Error: a mailbox overflowed under [`Overflow::Disconnect`]. A session closes if one of its streams fails with this
/// error, also if the error is wrapped in another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowConsumer;

/// The form of [`SlowConsumer`] for clients. It is its source, so that [`ClientError::find`] finds it.
static SLOW_CONSUMER: LazyLock<ClientError> = LazyLock::new(ClientError::slow_consumer);

impl fmt::Display for SlowConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the subscriber is too slow: its mailbox is full")
    }
}

impl Error for SlowConsumer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*SLOW_CONSUMER)
    }
}
