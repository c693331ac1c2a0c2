//! How much a mailbox holds.

use thiserror::Error;

/// How much a mailbox holds, and what happens when more comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailboxConfig {
    /// Messages. Default: 256.
    pub max_messages: usize,
    /// Bytes, about what the messages take on the wire. One message more than fits is taken. Default: 256 KiB.
    pub max_bytes: usize,
    /// What happens when it is full. Default: [`Overflow::Disconnect`].
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

/// What happens to a subscriber that does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// Its session is closed. It may come back and start afresh: nothing is lost unseen.
    #[default]
    Disconnect,
    /// It loses the oldest messages. The next that it gets says in `dropped-messages` how many they were.
    DropOldest,
    /// A message takes the place of one with the same [key](crate::Message::with_key) that still waits: only the latest value
    /// of each thing matters. If even so there is not room for all, the oldest without a key goes first, then the
    /// oldest, as in [`Overflow::DropOldest`].
    Conflate,
}

/// A mailbox overflowed under [`Overflow::Disconnect`]. A session whose stream fails with this is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("messages come faster than the subscriber takes them")]
pub struct SlowConsumer;
