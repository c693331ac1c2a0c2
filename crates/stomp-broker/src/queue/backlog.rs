//! The messages that wait in a queue.

use super::{message::QueuedMessage, refused::Refused};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tokio::time::Instant;

/// The messages that wait, by position. A delivered message keeps its position, so that putting it back restores the
/// order.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Messages that any consumer may take, in the order of their positions. Most messages are added at the end and taken
    /// from the start. Messages that expire are not here, so that none is ever removed from the middle.
    messages: VecDeque<(u64, QueuedMessage)>,
    /// The other messages that any consumer may take: they expire, or were put back between others.
    others: BTreeMap<u64, QueuedMessage>,
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
        self.messages.len() + self.others.len() + self.refused.len()
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
        if let Some(at) = message.expires_at {
            self.deadlines.insert((at, position));
        }
        let Some(consumer) = message.refused_by else {
            self.insert_available(position, message);
            return;
        };
        match due {
            Some(at) => drop(self.delayed.insert((at, position))),
            None => self.available.insert(consumer, position),
        }
        self.refused
            .insert(position, QueuedMessage { due, ..message });
    }

    /// Adds a message that any consumer may take.
    fn insert_available(&mut self, position: u64, message: QueuedMessage) {
        let Backlog {
            messages, others, ..
        } = self;
        let is_last = messages.back().is_none_or(|(last, _)| *last < position);
        if message.expires_at.is_some() {
            others.insert(position, message);
        } else if is_last {
            messages.push_back((position, message));
        } else if messages.front().is_some_and(|(at, _)| position < *at) {
            messages.push_front((position, message));
        } else {
            others.insert(position, message);
        }
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
        if self.others.is_empty() && self.refused.is_empty() {
            return self.pop_front();
        }
        let others = self.others.first_key_value().map(|(position, _)| *position);
        let refused = self.available.first_except(except);
        self.take_before([others, refused])
    }

    /// Removes and returns the first message of all that any consumer may take, and of those at these positions.
    fn take_before(&mut self, others: [Option<u64>; 2]) -> Option<(u64, QueuedMessage)> {
        let other = others.into_iter().flatten().min();
        let first = self.messages.front().map(|(position, _)| *position);
        match other {
            Some(other) if first.is_none_or(|first| other < first) => {
                Some((other, self.remove(other)?))
            }
            _ => self.pop_front(),
        }
    }

    fn pop_front(&mut self) -> Option<(u64, QueuedMessage)> {
        let first = self.messages.pop_front()?;
        // Gives memory back after a burst. So many messages were taken before that moving the others costs little.
        let capacity = self.messages.capacity();
        if capacity > 32 && self.messages.len() < capacity / 8 {
            self.messages.shrink_to(capacity / 4);
        }
        Some(first)
    }

    /// Removes and returns the message with the first position.
    pub(super) fn take_oldest(&mut self) -> Option<QueuedMessage> {
        let first = |part: &BTreeMap<u64, _>| part.first_key_value().map(|(at, _)| *at);
        let others = [first(&self.others), first(&self.refused)];
        self.take_before(others).map(|(_, message)| message)
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
            messages,
            others,
            refused,
            ..
        } = std::mem::take(self);
        let messages = messages.into_iter().map(|(_, message)| message);
        let others = others.into_values().chain(refused.into_values());
        messages.chain(others).collect()
    }

    /// Returns the first `max` messages in the order of their positions, also those that may not be taken yet.
    pub(super) fn first(&self, max: usize) -> impl Iterator<Item = (u64, &QueuedMessage)> {
        let [others, refused] = [&self.others, &self.refused].map(|part| part.iter().take(max));
        let messages = self.messages.iter().take(max).map(|(at, it)| (at, it));
        let parts = messages.chain(others).chain(refused);
        let mut first: Vec<_> = parts.map(|(at, it)| (*at, it)).collect();
        first.sort_unstable_by_key(|(position, _)| *position);
        first.into_iter().take(max)
    }

    /// Removes a message that expires, that was put back between others, or that was refused.
    fn remove(&mut self, position: u64) -> Option<QueuedMessage> {
        let message = match self.others.remove(&position) {
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

#[cfg(test)]
mod tests {
    use super::{
        super::{holder::Holder, shares::Shares},
        *,
    };
    use std::{iter, sync::Arc};
    use stomp_session::Message;

    struct Maker(Arc<Shares>, Instant);

    impl Maker {
        fn new() -> Maker {
            Maker(Shares::new(usize::MAX), Instant::now())
        }

        /// Creates a message whose body is its position.
        fn message(&self, position: u64, expires_at: Option<Instant>) -> QueuedMessage {
            let reserved = self.0.take(&Holder::Application, 1).unwrap();
            QueuedMessage::new(Message::new(position.to_string()), reserved, expires_at)
        }

        fn refused(&self, position: u64, consumer: u64) -> QueuedMessage {
            QueuedMessage {
                refused_by: Some(consumer),
                ..self.message(position, None)
            }
        }
    }

    fn taken(backlog: &mut Backlog) -> Vec<u64> {
        iter::from_fn(|| backlog.take_next(None))
            .map(|(position, message)| {
                assert_eq!(message.message.body(), &position.to_string());
                position
            })
            .collect()
    }

    #[test]
    fn messages_are_taken_in_the_order_of_their_positions_however_they_were_put_back() {
        let make = Maker::new();
        let later = make.1.checked_add(std::time::Duration::from_secs(60));
        for order in [[1, 3, 5], [5, 3, 1], [3, 1, 5], [5, 1, 3]] {
            let mut backlog = Backlog::default();
            for position in [2, 4, 6] {
                backlog.insert(position, make.message(position, None), None);
            }
            backlog.insert(7, make.message(7, later), None);
            backlog.insert(8, make.message(8, None), None);
            for position in order {
                backlog.insert(position, make.message(position, None), None);
            }
            backlog.insert(0, make.refused(0, 9), None);
            let first: Vec<_> = backlog.first(4).map(|(position, _)| position).collect();
            assert_eq!(first, [0, 1, 2, 3]);
            assert_eq!(
                backlog.take_next(Some(9)).unwrap().0,
                1,
                "0 is refused by 9"
            );
            assert_eq!(backlog.take_oldest().unwrap().message.body(), "0");
            assert_eq!((backlog.len(), backlog.has_deadlines()), (7, true));
            assert_eq!(taken(&mut backlog), [2, 3, 4, 5, 6, 7, 8]);
            assert!(backlog.is_empty() && !backlog.has_deadlines());
        }
    }

    #[test]
    fn an_expired_message_leaves_the_others_in_order() {
        let make = Maker::new();
        let mut backlog = Backlog::default();
        for position in 0..6 {
            let expires_at = Some(make.1).filter(|_| position % 2 == 0);
            backlog.insert(position, make.message(position, expires_at), None);
        }
        assert_eq!(backlog.take_expired(make.1).len(), 3);
        assert_eq!(taken(&mut backlog), [1, 3, 5]);
    }

    #[test]
    fn the_memory_of_a_burst_is_given_back() {
        let make = Maker::new();
        let mut backlog = Backlog::default();
        for position in 0..10_000 {
            backlog.insert(position, make.message(position, None), None);
        }
        assert_eq!(taken(&mut backlog).len(), 10_000);
        assert!(backlog.messages.capacity() <= 64);
    }
}
