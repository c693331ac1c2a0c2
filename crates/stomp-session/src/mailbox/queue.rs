//! A bounded queue of messages, with overflow policies.

use super::{
    budget::{Budget, BudgetedBytes},
    config::{BacklogConfig, Overflow, SlowConsumer},
};
use crate::{
    delivery::Delivery, fan_out::Batch, guarded::Leftovers, id::SubscriptionKey,
    memory_budget::MemoryCharge, message::Message,
};
use std::{collections::VecDeque, sync::Arc};

/// A message in a queue.
#[derive(Debug, Clone)]
pub(crate) struct QueuedMessage {
    /// The recipient, in a queue that several subscriptions share. `None` in a queue for one subscription.
    pub(crate) subscription: Option<SubscriptionKey>,
    pub(crate) message: Message,
    /// Messages for this recipient that are missing before this one, or [`UNKNOWN_GAP`](crate::delivery::UNKNOWN_GAP).
    pub(crate) missing: u64,
    /// Counts the message in a memory budget, once for all queues in which it waits.
    pub(crate) charge: Option<MessageCharge>,
}

/// A value that counts a message in a memory budget. Clones share it.
#[derive(Debug, Clone)]
pub(crate) enum MessageCharge {
    Own(#[expect(dead_code, reason = "it counts until it is dropped")] Arc<MemoryCharge>),
    /// The batch that contains the message, and no other.
    Batch(Arc<Batch>),
}

impl QueuedMessage {
    pub(crate) fn new(subscription: Option<SubscriptionKey>, message: Message) -> QueuedMessage {
        QueuedMessage {
            subscription,
            message,
            missing: 0,
            charge: None,
        }
    }

    pub(crate) fn with_charge(self, charge: Option<MessageCharge>) -> QueuedMessage {
        QueuedMessage { charge, ..self }
    }

    pub(crate) fn with_missing(self, missing: u64) -> QueuedMessage {
        QueuedMessage { missing, ..self }
    }

    /// Makes the message a leftover.
    pub(crate) fn drop_later(self, leftovers: &mut Leftovers) {
        leftovers.drop_message(self.message);
        if let Some(MessageCharge::Batch(batch)) = self.charge {
            leftovers.drop_shared(batch);
        }
    }
}

impl From<QueuedMessage> for Delivery {
    fn from(queued: QueuedMessage) -> Delivery {
        Delivery {
            missing: queued.missing,
            ..Delivery::new(queued.message)
        }
    }
}

/// An item of a [`BoundedQueue`]: a message, or anything else. Only messages count towards the bounds, and only
/// messages can be dropped.
pub(crate) trait QueueItem: From<QueuedMessage> + Send + 'static {
    fn message(&self) -> Option<&QueuedMessage>;
    fn message_mut(&mut self) -> Option<&mut QueuedMessage>;
    fn into_message(self) -> Option<QueuedMessage>;
}

impl QueueItem for QueuedMessage {
    fn message(&self) -> Option<&QueuedMessage> {
        Some(self)
    }

    fn message_mut(&mut self) -> Option<&mut QueuedMessage> {
        Some(self)
    }

    fn into_message(self) -> Option<QueuedMessage> {
        Some(self)
    }
}

/// Queue in which the number and the bytes of the messages are bounded. The caller bounds the other items.
///
/// The queue is used under locks, so it hands over the messages that it removes, as [`Leftovers`].
#[derive(Debug)]
pub(crate) struct BoundedQueue<T> {
    items: VecDeque<T>,
    /// Number of messages among the items.
    messages: usize,
    /// Bytes of these messages.
    bytes: BudgetedBytes,
    /// True if the bounds were exceeded under [`Overflow::Disconnect`]. The queue stays empty from then on.
    has_overflowed: bool,
    /// Numbers of missing messages, by recipient, that no queued message reports. The next message for the recipient
    /// will report them.
    unreported_gaps: Vec<(Option<SubscriptionKey>, u64)>,
}

impl<T> Default for BoundedQueue<T> {
    fn default() -> Self {
        BoundedQueue {
            items: VecDeque::new(),
            messages: 0,
            bytes: BudgetedBytes::default(),
            has_overflowed: false,
            unreported_gaps: Vec::new(),
        }
    }
}

impl<T: QueueItem> BoundedQueue<T> {
    /// Adds an item that is not a message. After an overflow, the item is a leftover.
    pub(crate) fn push_other(&mut self, item: T, leftovers: &mut Leftovers) {
        if self.has_overflowed {
            leftovers.drop_later(item);
        } else {
            self.items.push_back(item);
        }
    }

    /// Adds a message. If there is no room, applies the overflow policy.
    pub(crate) fn push(
        &mut self,
        queued: QueuedMessage,
        config: &BacklogConfig,
        leftovers: &mut Leftovers,
    ) {
        if self.has_overflowed {
            return queued.drop_later(leftovers);
        }
        let mut queued = match self.conflate(queued, config, leftovers) {
            None => return,
            Some(queued) => queued,
        };
        while self.is_full(config) {
            if config.overflow.disconnects() {
                queued.drop_later(leftovers);
                return self.overflow(leftovers);
            }
            self.drop_oldest(config.overflow == Overflow::Conflate, leftovers);
        }
        let missing = self.take_gap(queued.subscription);
        queued.missing = queued.missing.saturating_add(missing);
        self.messages += 1;
        self.bytes.add(queued.message.weight());
        self.items.push_back(T::from(queued));
    }

    /// Drops all items. The next [`take`](BoundedQueue::take) fails.
    pub(crate) fn overflow(&mut self, leftovers: &mut Leftovers) {
        leftovers.drop_later(std::mem::take(&mut self.items));
        self.bytes.clear();
        leftovers.wake(self.bytes.set_overflowed());
        *self = BoundedQueue {
            has_overflowed: true,
            bytes: std::mem::take(&mut self.bytes),
            ..BoundedQueue::default()
        };
    }

    /// Returns true if there is no room for another message. An empty queue always has room for one.
    fn is_full(&self, config: &BacklogConfig) -> bool {
        let exceeds_bounds =
            self.messages >= config.max_messages || self.bytes.get() >= config.max_bytes;
        self.messages > 0 && (exceeds_bounds || self.bytes.is_budget_exhausted())
    }

    /// Makes the bytes of the queue count in the current budget, unless they count in a budget already.
    pub(crate) fn join_budget(&mut self) {
        if !self.bytes.has_budget() {
            if let Some(budget) = Budget::current() {
                self.bytes.set_budget(budget);
            }
        }
    }

    /// Under [`Overflow::Conflate`], puts `new` in the place of a queued message with the same key and recipient. Returns
    /// `new` if there is none.
    fn conflate(
        &mut self,
        new: QueuedMessage,
        config: &BacklogConfig,
        leftovers: &mut Leftovers,
    ) -> Option<QueuedMessage> {
        let Some(key) = new
            .message
            .key()
            .filter(|_| config.overflow == Overflow::Conflate)
        else {
            return Some(new);
        };
        let mut queued = self.items.iter_mut().filter_map(T::message_mut).rev();
        let Some(old) = queued
            .find(|old| old.subscription == new.subscription && old.message.key() == Some(key))
        else {
            return Some(new);
        };
        self.bytes.sub(old.message.weight());
        self.bytes.add(new.message.weight());
        let missing = old.missing.saturating_add(new.missing).saturating_add(1);
        std::mem::replace(old, new.with_missing(missing)).drop_later(leftovers);
        None
    }

    /// Drops the oldest message. With `prefers_keyless`, drops the oldest one without a key if there is any.
    fn drop_oldest(&mut self, prefers_keyless: bool, leftovers: &mut Leftovers) {
        let position = |matches: fn(&QueuedMessage) -> bool| {
            self.items
                .iter()
                .position(|item| item.message().is_some_and(matches))
        };
        let keyless = if prefers_keyless {
            position(|queued| queued.message.key().is_none())
        } else {
            None
        };
        let oldest = keyless
            .or_else(|| position(|_| true))
            .and_then(|at| self.items.remove(at));
        let Some(oldest) = oldest.and_then(T::into_message) else {
            return;
        };
        self.messages -= 1;
        self.bytes.sub(oldest.message.weight());
        let recipient = oldest.subscription;
        let missing = oldest.missing.saturating_add(1);
        oldest.drop_later(leftovers);
        let next = self
            .items
            .iter_mut()
            .filter_map(T::message_mut)
            .find(|queued| queued.subscription == recipient);
        match next {
            Some(next) => next.missing = next.missing.saturating_add(missing),
            None => self.note_gap(recipient, missing),
        }
    }

    /// Adds `missing` to the number of missing messages that the next message for `recipient` reports.
    pub(crate) fn note_gap(&mut self, recipient: Option<SubscriptionKey>, missing: u64) {
        if missing == 0 {
            return;
        }
        let noted = self
            .unreported_gaps
            .iter_mut()
            .find(|(subscription, _)| *subscription == recipient);
        match noted {
            Some((_, count)) => *count = count.saturating_add(missing),
            None => self.unreported_gaps.push((recipient, missing)),
        }
    }

    /// Takes the number of missing messages that the next message for `recipient` would report.
    pub(crate) fn take_gap(&mut self, recipient: Option<SubscriptionKey>) -> u64 {
        let mut gaps = self.unreported_gaps.iter();
        let position = gaps.position(|(subscription, _)| *subscription == recipient);
        position.map_or(0, |at| self.unreported_gaps.swap_remove(at).1)
    }

    /// Removes and returns the first item.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let item = self.items.pop_front()?;
        if let Some(queued) = item.message() {
            self.messages -= 1;
            self.bytes.sub(queued.message.weight());
        }
        Some(item)
    }

    /// Moves all items into `empty`. The queue continues with the memory of `empty`.
    ///
    /// # Errors
    ///
    /// Returns [`SlowConsumer`] if the bounds were exceeded under [`Overflow::Disconnect`].
    pub(crate) fn take(&mut self, empty: &mut VecDeque<T>) -> Result<(), SlowConsumer> {
        if self.has_overflowed {
            self.bytes.end_overflow();
            return Err(SlowConsumer);
        }
        std::mem::swap(&mut self.items, empty);
        self.messages = 0;
        self.bytes.clear();
        Ok(())
    }

    /// Returns true if messages exceeded the bounds under [`Overflow::Disconnect`].
    pub(crate) fn has_overflowed(&self) -> bool {
        self.has_overflowed
    }

    /// Returns true if more messages or bytes wait than `factor` times the bounds.
    pub(crate) fn exceeds(&self, config: &BacklogConfig, factor: usize) -> bool {
        self.messages > config.max_messages.saturating_mul(factor)
            || self.bytes.get() > config.max_bytes.saturating_mul(factor)
    }

    /// The bytes of all messages in the queue.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Makes the queue smaller, to half its bytes, as its overflow policy says.
    pub(crate) fn halve(&mut self, overflow: Overflow, leftovers: &mut Leftovers) {
        let max_bytes = self.bytes.get() / 2;
        while self.messages > 0 && self.bytes.get() > max_bytes {
            self.drop_oldest(overflow == Overflow::Conflate, leftovers);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Removes the first item for which `matches` returns true. It must return false for messages.
    pub(crate) fn remove_other(&mut self, matches: impl Fn(&T) -> bool) -> Option<T> {
        let position = self.items.iter().position(matches)?;
        self.items.remove(position)
    }

    /// Removes the messages for a subscription that has ended, and forgets its gap. They would take room from other
    /// subscriptions, and leave gaps that no message reports.
    pub(crate) fn remove_recipient(
        &mut self,
        subscription: SubscriptionKey,
        leftovers: &mut Leftovers,
    ) {
        self.unreported_gaps
            .retain(|(recipient, _)| *recipient != Some(subscription));
        if self.messages == 0 {
            return;
        }
        for item in std::mem::take(&mut self.items) {
            match item.message() {
                Some(queued) if queued.subscription == Some(subscription) => {
                    self.messages -= 1;
                    self.bytes.sub(queued.message.weight());
                    leftovers.drop_later(item);
                }
                _ => self.items.push_back(item),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_for_an_ended_recipient_take_no_room_and_leave_no_gap() {
        let config = BacklogConfig::default()
            .max_messages(3)
            .overflow(Overflow::DropOldest);
        let [ended, active] = [1, 2].map(|key| Some(SubscriptionKey(key)));
        let mut queue = BoundedQueue::<QueuedMessage>::default();
        let mut leftovers = Leftovers::default();
        let mut push = |queue: &mut BoundedQueue<_>, recipient| {
            let queued = QueuedMessage::new(recipient, Message::new("text"));
            queue.push(queued, &config, &mut leftovers);
        };
        for recipient in [ended, active, ended, ended] {
            push(&mut queue, recipient);
        }
        queue.remove_recipient(SubscriptionKey(1), &mut Leftovers::default());
        for _ in 0..2 {
            push(&mut queue, active);
        }
        let mut taken = VecDeque::new();
        queue.take(&mut taken).unwrap();
        let taken: Vec<_> = taken
            .iter()
            .map(|it| (it.subscription, it.missing))
            .collect();
        assert_eq!(taken, [(active, 0); 3]);
        assert!(queue.unreported_gaps.is_empty() && queue.bytes.get() == 0);
    }
}
