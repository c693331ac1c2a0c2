//! The messages that wait in a queue.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use stomp_session::{ClientError, Message};
use tokio::time::Instant;

/// A message that waits in a queue, or that was delivered from it and is not yet acknowledged.
#[derive(Debug)]
pub(super) struct QueuedMessage {
    pub(super) message: Message,
    pub(super) reserved: ReservedBytes,
    /// The number of times that the message was sent and not acknowledged. A delivery that was dropped unsent does not
    /// count.
    pub(super) attempts: u32,
    /// The consumer that refused the last delivery of the message. `None` if that delivery ended in another way.
    pub(super) refused_by: Option<u64>,
    pub(super) expires_at: Option<Instant>,
    /// True if the message is a dead letter of another queue. It does not become a dead letter again.
    pub(super) is_dead_letter: bool,
}

impl QueuedMessage {
    pub(super) fn new(
        message: Message,
        reserved: ReservedBytes,
        expires_at: Option<Instant>,
    ) -> QueuedMessage {
        QueuedMessage {
            message,
            reserved,
            attempts: 0,
            refused_by: None,
            expires_at,
            is_dead_letter: false,
        }
    }

    /// Turns the message into a dead letter, which never expires. Headers name the queue and the reason. The id stays, so
    /// that a dead letter can be found in the logs of the consumers that have failed.
    pub(super) fn into_dead_letter(self, reason: &str, queue: &str) -> QueuedMessage {
        let mut headers = self.message.headers().clone();
        headers.remove("expires");
        headers.insert("original-destination", queue);
        headers.insert("dead-letter-reason", reason);
        let message =
            Message::from_parts(headers, self.message.body().clone()).with_id(self.message.id());
        QueuedMessage {
            is_dead_letter: true,
            ..QueuedMessage::new(message, self.reserved, None)
        }
    }
}

/// The bytes that one message takes of the total for all queues. Dropping this value releases them.
#[derive(Debug)]
pub(super) struct ReservedBytes {
    pub(super) bytes: usize,
    total: Arc<AtomicUsize>,
}

impl ReservedBytes {
    /// Reserves bytes of the total: adds `bytes` to `total`.
    ///
    /// # Errors
    ///
    /// Returns `queue-full` if the sum exceeds `max`.
    pub(super) fn try_reserve(
        total: &Arc<AtomicUsize>,
        bytes: usize,
        max: usize,
    ) -> Result<ReservedBytes, ClientError> {
        let add = |reserved: usize| reserved.checked_add(bytes).filter(|sum| *sum <= max);
        if total
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .is_err()
        {
            let text = format!(
                "All queues together are full: they hold at most {max} bytes (max_total_queue_bytes)."
            );
            return Err(ClientError::new("queue-full", text));
        }
        Ok(ReservedBytes {
            bytes,
            total: Arc::clone(total),
        })
    }
}

impl Drop for ReservedBytes {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The messages that wait, by position. A delivered message keeps its position, so that putting it back restores the
/// order.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    messages: BTreeMap<u64, QueuedMessage>,
    /// The positions of the messages that expire, earliest deadline first.
    deadlines: BTreeSet<(Instant, u64)>,
}

impl Backlog {
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Returns true if any waiting message can expire.
    pub(super) fn has_deadlines(&self) -> bool {
        !self.deadlines.is_empty()
    }

    pub(super) fn insert(&mut self, position: u64, message: QueuedMessage) {
        self.deadlines
            .extend(message.expires_at.map(|at| (at, position)));
        self.messages.insert(position, message);
    }

    /// Removes and returns the first message for which `is_wanted` returns true, with its position.
    pub(super) fn take_first(
        &mut self,
        is_wanted: impl Fn(&QueuedMessage) -> bool,
    ) -> Option<(u64, QueuedMessage)> {
        let position = self
            .messages
            .iter()
            .find(|(_, message)| is_wanted(message))
            .map(|(position, _)| *position)?;
        self.remove(position).map(|message| (position, message))
    }

    /// Removes and returns all messages that have expired.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<QueuedMessage> {
        let mut expired = Vec::new();
        while let Some((_, position)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now)
        {
            expired.extend(self.remove(position));
        }
        expired
    }

    /// Removes and returns all messages.
    pub(super) fn take_all(&mut self) -> BTreeMap<u64, QueuedMessage> {
        self.deadlines.clear();
        std::mem::take(&mut self.messages)
    }

    /// Returns the messages in the order of their positions.
    pub(super) fn iter(&self) -> impl Iterator<Item = &QueuedMessage> {
        self.messages.values()
    }

    fn remove(&mut self, position: u64) -> Option<QueuedMessage> {
        let message = self.messages.remove(&position)?;
        if let Some(at) = message.expires_at {
            self.deadlines.remove(&(at, position));
        }
        Some(message)
    }
}
