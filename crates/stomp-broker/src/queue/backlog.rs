//! The messages that wait in a queue.

use super::{message::QueuedMessage, refused::Refused};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// The messages that wait, by position. A delivered message keeps its position, so that putting it back restores the
/// order.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// The messages that any consumer may take.
    messages: BTreeMap<u64, QueuedMessage>,
    /// The messages whose last delivery was refused.
    refused: BTreeMap<u64, QueuedMessage>,
    /// The positions of the refused messages that may be taken, by the consumer that refused them.
    available: Refused,
    /// The positions of the refused messages that may not be taken yet, by the time from which they may be.
    delayed: BTreeSet<(Instant, u64)>,
    /// The positions of the messages that expire, earliest deadline first.
    deadlines: BTreeSet<(Instant, u64)>,
}

impl Backlog {
    /// The number of messages that wait, also of those that may not be taken yet.
    pub(super) fn len(&self) -> usize {
        self.messages.len() + self.refused.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of messages that may be taken now.
    pub(super) fn available(&self) -> usize {
        self.len() - self.delayed.len()
    }

    /// Returns true if any waiting message can expire.
    pub(super) fn has_deadlines(&self) -> bool {
        !self.deadlines.is_empty()
    }

    /// The earliest time at which a delayed message may be taken. `None` if no message is delayed.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.delayed.first().map(|(at, _)| *at)
    }

    /// Adds a message. If it was refused, it may be taken from `due` on.
    pub(super) fn insert(&mut self, position: u64, message: QueuedMessage, due: Option<Instant>) {
        self.deadlines
            .extend(message.expires_at.map(|at| (at, position)));
        let Some(consumer) = message.refused_by else {
            self.messages.insert(position, message);
            return;
        };
        match due {
            Some(at) => drop(self.delayed.insert((at, position))),
            None => self.available.insert(consumer, position),
        }
        self.refused
            .insert(position, QueuedMessage { due, ..message });
    }

    /// Makes the next message available that is due at `now`. Returns the consumer that refused it.
    pub(super) fn release_due(&mut self, now: Instant) -> Option<u64> {
        let (_, position) = self.delayed.first().copied().filter(|(at, _)| *at <= now)?;
        self.delayed.pop_first();
        let message = self.refused.get_mut(&position)?;
        message.due = None;
        let consumer = message.refused_by?;
        self.available.insert(consumer, position);
        Some(consumer)
    }

    /// Removes and returns the first message that may be taken and that the consumer `except` has not refused, with its
    /// position.
    pub(super) fn take_next(&mut self, except: Option<u64>) -> Option<(u64, QueuedMessage)> {
        let first = self
            .messages
            .first_key_value()
            .map(|(position, _)| *position);
        let refused = self.available.first_except(except);
        let taken = if refused.is_some_and(|refused| first.is_none_or(|first| refused < first)) {
            let position = refused?;
            (position, self.remove_refused(position)?)
        } else {
            self.messages.pop_first()?
        };
        self.forget_deadline(taken.0, &taken.1);
        Some(taken)
    }

    /// Removes and returns the message with the first position.
    pub(super) fn take_oldest(&mut self) -> Option<QueuedMessage> {
        let first = [&self.messages, &self.refused].map(BTreeMap::first_key_value);
        let position = first.into_iter().flatten().map(|(at, _)| *at).min()?;
        self.remove(position)
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
    pub(super) fn take_all(&mut self) -> Vec<QueuedMessage> {
        let Backlog {
            messages, refused, ..
        } = std::mem::take(self);
        messages
            .into_values()
            .chain(refused.into_values())
            .collect()
    }

    /// Returns the first `max` messages in the order of their positions, also those that may not be taken yet.
    pub(super) fn first(&self, max: usize) -> impl Iterator<Item = (u64, &QueuedMessage)> {
        let parts = [&self.messages, &self.refused].map(|part| part.iter().take(max));
        let [messages, refused] = parts;
        let mut first: Vec<_> = messages.chain(refused).map(|(at, it)| (*at, it)).collect();
        first.sort_unstable_by_key(|(position, _)| *position);
        first.into_iter().take(max)
    }

    fn remove(&mut self, position: u64) -> Option<QueuedMessage> {
        let message = match self.messages.remove(&position) {
            Some(message) => message,
            None => self.remove_refused(position)?,
        };
        self.forget_deadline(position, &message);
        Some(message)
    }

    fn forget_deadline(&mut self, position: u64, message: &QueuedMessage) {
        if let Some(at) = message.expires_at {
            self.deadlines.remove(&(at, position));
        }
    }

    fn remove_refused(&mut self, position: u64) -> Option<QueuedMessage> {
        let message = self.refused.remove(&position)?;
        match (message.due, message.refused_by) {
            (Some(due), _) => drop(self.delayed.remove(&(due, position))),
            (None, Some(consumer)) => self.available.remove(consumer, position),
            (None, None) => {}
        }
        Some(message)
    }
}
