//! A bounded queue of messages, with overflow policies.

use super::{
    budget::{Budget, BudgetedBytes},
    config::{BacklogConfig, Overflow, SlowConsumer},
    places::Places,
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

/// The items of a queue. Some slots are vacant, but not the first one; in those that
/// [`BoundedQueue::take`] returns, none is.
pub(crate) type Slots<T> = VecDeque<Option<T>>;

/// The number of messages up to which a queue that conflates is searched without an index.
const MAX_UNINDEXED: usize = 32;

/// Queue in which the number and the bytes of the messages are bounded. The caller bounds the other items.
///
/// The queue is used under locks, so it hands over the messages that it removes, as [`Leftovers`].
#[derive(Debug)]
pub(crate) struct BoundedQueue<T> {
    items: Slots<T>,
    /// Number of vacant slots. They cost less than moving all items behind them.
    vacant: usize,
    /// The places of the messages, in a long queue under [`Overflow::Conflate`].
    places: Option<Box<Places>>,
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
            vacant: 0,
            places: None,
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
            self.items.push_back(Some(item));
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
        if let Some(places) = &mut self.places {
            places.push(&queued, self.items.len());
        }
        self.items.push_back(Some(T::from(queued)));
        let conflates = config.overflow == Overflow::Conflate;
        if conflates && self.places.is_none() && self.messages > MAX_UNINDEXED {
            let slots = self.items.iter().enumerate();
            let messages = slots.filter_map(|(slot, item)| Some((slot, item.as_ref()?.message()?)));
            self.places = Some(Box::new(Places::new(messages)));
        }
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
        let is_old = |old: &QueuedMessage| {
            old.subscription == new.subscription && old.message.key() == Some(key)
        };
        let slot = match &mut self.places {
            Some(places) => places.replace(&new),
            None => self.position(is_old),
        };
        let old = slot.and_then(|slot| self.items.get_mut(slot)?.as_mut()?.message_mut());
        let Some(old) = old else {
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
        let keyless = match &self.places {
            _ if !prefers_keyless => None,
            Some(places) => places.oldest_keyless(),
            None => self.position(|queued| queued.message.key().is_none()),
        };
        let oldest = keyless
            .or_else(|| self.position(|_| true))
            .and_then(|slot| self.remove(slot));
        let Some(oldest) = oldest.and_then(T::into_message) else {
            return;
        };
        let recipient = oldest.subscription;
        let missing = oldest.missing.saturating_add(1);
        oldest.drop_later(leftovers);
        let next = self
            .items
            .iter_mut()
            .flatten()
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

    /// The slot of the first message for which `matches` returns true.
    fn position(&self, matches: impl Fn(&QueuedMessage) -> bool) -> Option<usize> {
        self.items
            .iter()
            .position(|item| item.as_ref().and_then(T::message).is_some_and(&matches))
    }

    /// Removes and returns the first item.
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.remove(0)
    }

    /// Removes the item in a slot. A message is the oldest of all, or of those without a key.
    fn remove(&mut self, slot: usize) -> Option<T> {
        let item = self.items.get_mut(slot)?.take()?;
        if let Some(queued) = item.message() {
            self.messages -= 1;
            self.bytes.sub(queued.message.weight());
            if let Some(places) = &mut self.places {
                places.remove(queued);
            }
        }
        self.vacant += 1;
        while let Some(None) = self.items.front() {
            self.items.pop_front();
            self.vacant -= 1;
            if let Some(places) = &mut self.places {
                places.first_removed();
            }
        }
        if self.vacant > self.items.len() / 2 {
            self.remove_vacant();
        }
        Some(item)
    }

    /// Removes the vacant slots, and with them the index.
    fn remove_vacant(&mut self) {
        if self.vacant > 0 {
            self.items.retain(Option::is_some);
        }
        (self.vacant, self.places) = (0, None);
    }

    /// Moves all items into `empty`. The queue continues with the memory of `empty`.
    ///
    /// # Errors
    ///
    /// Returns [`SlowConsumer`] if the bounds were exceeded under [`Overflow::Disconnect`].
    pub(crate) fn take(&mut self, empty: &mut Slots<T>) -> Result<(), SlowConsumer> {
        if self.has_overflowed {
            self.bytes.end_overflow();
            return Err(SlowConsumer);
        }
        self.remove_vacant();
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
        let mut items = self.items.iter();
        let slot = items.position(|item| item.as_ref().is_some_and(&matches))?;
        self.remove(slot)
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
        self.remove_vacant();
        for item in std::mem::take(&mut self.items) {
            match item.as_ref().and_then(T::message) {
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
            .flatten()
            .map(|it| (it.subscription, it.missing))
            .collect();
        assert_eq!(taken, [(active, 0); 3]);
        assert!(queue.unreported_gaps.is_empty() && queue.bytes.get() == 0);
    }

    /// A queue that conflates, without bounds on bytes or an index: body, key, and missing messages.
    struct Model(Vec<(u64, Option<u64>, u64)>, u64);

    impl Model {
        const MAX: usize = 200;

        fn push(&mut self, body: u64, key: Option<u64>) {
            let old = self.0.iter_mut().find(|it| key.is_some() && it.1 == key);
            if let Some(old) = old {
                (old.0, old.2) = (body, old.2 + 1);
                return;
            }
            if self.0.len() == Model::MAX {
                let keyless = self.0.iter().position(|it| it.1.is_none());
                let (_, _, missing) = self.0.remove(keyless.unwrap_or(0));
                self.0[0].2 += missing + 1;
            }
            self.0.push((body, key, std::mem::take(&mut self.1)));
        }
    }

    #[test]
    fn a_long_queue_conflates_like_a_short_one_and_with_few_vacant_slots() {
        let config = BacklogConfig::default()
            .max_messages(Model::MAX)
            .overflow(Overflow::Conflate);
        let mut leftovers = Leftovers::default();
        let mut random = 1_u64;
        let mut random = |below: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) % below
        };
        for keys in [20, 190, 210, 1_000_000] {
            let mut queue = BoundedQueue::<QueuedMessage>::default();
            let mut model = Model(Vec::new(), 0);
            let mut was_indexed = false;
            for number in 0..10_000 {
                let key = (random(3) > 0).then(|| random(keys));
                let message = Message::new(number.to_string());
                let message = match key {
                    Some(key) => message.with_key(key.to_string()),
                    None => message,
                };
                queue.push(QueuedMessage::new(None, message), &config, &mut leftovers);
                model.push(number, key);
                assert!(queue.items.len() <= 2 * queue.messages + 1);
                was_indexed |= queue.places.is_some();
                if random(20) == 0 {
                    for expected in model.0.drain(..1) {
                        let popped = queue.pop().unwrap();
                        assert_eq!(*popped.message.body(), *expected.0.to_string());
                        assert_eq!(popped.missing, expected.2);
                    }
                }
            }
            assert!(was_indexed);
            let mut taken = Slots::new();
            queue.take(&mut taken).unwrap();
            assert_eq!(taken.len(), model.0.len());
            for (queued, expected) in taken.iter().map(Option::as_ref).zip(&model.0) {
                let queued = queued.unwrap();
                assert_eq!(*queued.message.body(), *expected.0.to_string());
                assert_eq!(queued.missing, expected.2);
            }
            assert!(queue.bytes.get() == 0 && queue.places.is_none());
        }
    }
}
