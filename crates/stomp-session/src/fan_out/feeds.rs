//! The entries of a backlog, and the subscriptions that they are for.

use super::{batch::Batch, feed::Feed};
use crate::{
    delivery::UNKNOWN_GAP,
    guarded::Leftovers,
    id::{StreamId, SubscriptionKey},
    mailbox::{
        config::{BacklogConfig, Overflow, SlowConsumer},
        lag::{LagCheck, LagState, Patience},
        queue::{BoundedQueue, QueuedMessage},
    },
    memory_budget::{MemoryBudget, MemoryCharge},
    message::Message,
};
use slab::Slab;
use std::{collections::VecDeque, mem, ops::Range, sync::Arc};

/// Bytes that the entries of a session may take without being counted in the memory budget.
pub(crate) const UNCOUNTED_ENTRY_BYTES: usize = 4 << 10;

/// The next item for a session to send.
pub(crate) enum BacklogItem {
    Part(BatchPart),
    Message(SubscriptionKey, QueuedMessage),
    /// Nothing more comes for this subscription, or for this stream of it.
    End(SubscriptionKey, Option<StreamId>),
}

/// Consecutive messages of a batch, for one subscription.
pub(crate) struct BatchPart {
    pub(crate) subscription: SubscriptionKey,
    pub(crate) batch: Arc<Batch>,
    pub(crate) range: Range<usize>,
    /// Messages that are missing before the first one.
    pub(crate) missing: u64,
}

/// The queue of a session: the batches, in the order of the pushes.
pub(super) struct Feeds {
    entries: VecDeque<Entry>,
    /// Counts the memory of the list of entries in the memory budget, if it is long. The messages count elsewhere.
    charge: MemoryCharge,
    feeds: Slab<Feed>,
    /// The time for which publishers still wait for this session.
    patience: Patience,
    /// True if the session is disconnected, because it was too slow.
    is_closed: bool,
}

struct Entry {
    feed: usize,
    content: Content,
}

enum Content {
    Part {
        batch: Arc<Batch>,
        range: Range<usize>,
        /// Messages that are missing before the first one.
        missing: u64,
        /// False for messages that do not count towards the bounds, because the subscription began with them.
        is_counted: bool,
    },
    /// The messages of [`Feed::lagging`].
    Lagging,
    /// The hub was closed.
    End,
}

impl Feeds {
    pub(super) fn new(budget: &MemoryBudget) -> Feeds {
        Feeds {
            entries: VecDeque::new(),
            charge: budget.charge(0),
            feeds: Slab::new(),
            patience: Patience::default(),
            is_closed: false,
        }
    }

    /// Adds a feed. It begins with `first`, which does not count towards the bounds, and then with messages that were
    /// queued elsewhere.
    pub(super) fn add(
        &mut self,
        subscription: SubscriptionKey,
        stream: Option<StreamId>,
        first: Vec<Message>,
        queued: VecDeque<QueuedMessage>,
    ) -> usize {
        let key = self.feeds.insert(Feed::new(subscription, stream));
        if !first.is_empty() {
            let first = first.into_iter().map(|message| (message, None));
            let batch = Arc::new(Batch::new(0, first));
            self.add_part(key, &batch, 0..batch.len(), 0, false);
        }
        for QueuedMessage {
            message,
            missing,
            charge,
            ..
        } in queued
        {
            let batch = Arc::new(Batch::of_queued(message, charge));
            self.add_part(key, &batch, 0..1, missing, true);
        }
        key
    }

    /// Removes a feed with its entries, which the caller drops without the lock.
    pub(super) fn remove(&mut self, key: usize, leftovers: &mut Leftovers) -> impl Send + use<> {
        let feed = self.feeds.try_remove(key).map(|mut feed| {
            leftovers.wake(feed.waiter.take());
            feed
        });
        let (others, own): (_, VecDeque<_>) = mem::take(&mut self.entries)
            .into_iter()
            .partition(|entry| entry.feed != key);
        self.entries = others;
        (feed, own)
    }

    /// Marks the next message of a feed with an unknown gap.
    pub(super) fn mark_gap(&mut self, key: usize) {
        if let Some(feed) = self.feeds.get_mut(key) {
            match &mut feed.lagging {
                Some(queue) => queue.note_gap(None, UNKNOWN_GAP),
                None => feed.missing = UNKNOWN_GAP,
            }
        }
    }

    /// Adds the end of a feed.
    pub(super) fn end(&mut self, key: usize) {
        self.push_entry(key, Content::End);
    }

    fn push_entry(&mut self, feed: usize, content: Content) {
        self.entries.push_back(Entry { feed, content });
        let bytes = self.entries.capacity() * size_of::<Entry>();
        if bytes > UNCOUNTED_ENTRY_BYTES && bytes > self.charge.bytes() {
            self.charge.resize(bytes);
        }
    }

    /// Drops all messages, because the session is disconnected. Further ones are dropped too.
    pub(super) fn close(&mut self, leftovers: &mut Leftovers) {
        self.is_closed = true;
        leftovers.drop_later(mem::take(&mut self.entries));
        self.charge.resize(0);
        for (_, feed) in &mut self.feeds {
            (feed.messages, feed.bytes) = (0, 0);
            leftovers.wake(feed.take_waiter());
            if let Some(queue) = feed.lagging.take() {
                leftovers.drop_later(queue);
            }
        }
    }

    /// Adds an entry, which counts towards the bounds if `is_counted`.
    fn add_part(
        &mut self,
        key: usize,
        batch: &Arc<Batch>,
        range: Range<usize>,
        missing: u64,
        is_counted: bool,
    ) {
        let Some(feed) = self.feeds.get_mut(key) else {
            return;
        };
        if is_counted {
            feed.messages += range.len();
            feed.bytes += batch.weight_of(&range);
        }
        let missing = missing.saturating_add(mem::take(&mut feed.missing));
        let part = Content::Part {
            batch: Arc::clone(batch),
            range,
            missing,
            is_counted,
        };
        self.push_entry(key, part);
    }

    /// Adds a part of a batch. Returns true if the hub has to wait.
    pub(super) fn push(
        &mut self,
        key: usize,
        batch: &Arc<Batch>,
        range: Range<usize>,
        config: &BacklogConfig,
        was_polled: bool,
        leftovers: &mut Leftovers,
    ) -> Result<bool, SlowConsumer> {
        let Some(feed) = self.feeds.get_mut(key).filter(|_| !self.is_closed) else {
            return Ok(false);
        };
        if was_polled {
            feed.left_bytes = feed.waiting_bytes();
        }
        if let Overflow::Wait(_) = config.overflow {
            if feed.exceeds(config, 2) {
                return Err(SlowConsumer);
            }
            self.add_part(key, batch, range, 0, true);
            return Ok(self.exceeds(key, config));
        }
        if feed.lagging.is_none() {
            let factor = if was_polled { 1 } else { 2 };
            let is_full = feed.messages >= config.max_messages.saturating_mul(factor)
                || feed.bytes >= config.max_bytes.saturating_mul(factor);
            if !is_full {
                self.add_part(key, batch, range, 0, true);
                return Ok(false);
            }
            if config.overflow == Overflow::Disconnect {
                return Err(SlowConsumer);
            }
            self.begin_lag(key, config, leftovers);
        }
        if let Some(queue) = self.lagging(key) {
            for message in batch.queued(range) {
                queue.push(message, config, leftovers);
            }
        }
        Ok(false)
    }

    /// The bytes of a feed that wait, or those of them that the session had left when it was polled.
    pub(super) fn held_back(&self, key: usize, counts_all: bool) -> usize {
        let feed = self.feeds.get(key);
        feed.map_or(0, |feed| feed.held_back(counts_all))
    }

    /// Applies the policy to a feed, although it does not exceed its bounds, so that it holds half as much. Returns true
    /// if the hub has to wait.
    pub(super) fn relieve(
        &mut self,
        key: usize,
        config: &BacklogConfig,
        may_wait: bool,
        leftovers: &mut Leftovers,
    ) -> Result<bool, SlowConsumer> {
        let Some(feed) = self.feeds.get_mut(key) else {
            return Ok(false);
        };
        match config.overflow {
            Overflow::Wait(_) if may_wait => {
                feed.goal.get_or_insert((usize::MAX, feed.bytes / 2));
                return Ok(true);
            }
            Overflow::Wait(_) | Overflow::Disconnect => return Err(SlowConsumer),
            Overflow::DropOldest | Overflow::Conflate => {}
        }
        if feed.lagging.is_none() {
            self.begin_lag(key, config, leftovers);
        }
        if let Some(queue) = self.lagging(key) {
            queue.halve(config.overflow, leftovers);
        }
        Ok(false)
    }

    fn exceeds(&self, key: usize, config: &BacklogConfig) -> bool {
        self.feeds
            .get(key)
            .is_some_and(|feed| feed.exceeds(config, 1))
    }

    pub(super) fn check_lag(
        &mut self,
        key: usize,
        config: &BacklogConfig,
        check: LagCheck<'_>,
    ) -> LagState {
        let Some(feed) = self.feeds.get_mut(key) else {
            return LagState::KeepsUp;
        };
        if feed.goal.is_none() && feed.exceeds(config, 1) {
            // A session that has only just come below its bounds would soon exceed them again. At half of them, it has
            // caught up.
            feed.goal = Some((config.max_messages / 2, config.max_bytes / 2));
        }
        if !feed.misses_goal() {
            (feed.goal, feed.waiter) = (None, None);
            self.patience.renew();
            return LagState::KeepsUp;
        }
        feed.waiter = Some(check.waker.clone());
        self.patience.wait(check)
    }

    fn lagging(&mut self, key: usize) -> Option<&mut BoundedQueue<QueuedMessage>> {
        self.feeds.get_mut(key)?.lagging.as_deref_mut()
    }

    /// Moves the messages of a feed into a queue of their own, in which a policy can drop single messages.
    fn begin_lag(&mut self, key: usize, config: &BacklogConfig, leftovers: &mut Leftovers) {
        let mut queue = BoundedQueue::default();
        for entry in mem::take(&mut self.entries) {
            match entry.content {
                Content::Part {
                    batch,
                    range,
                    mut missing,
                    is_counted: true,
                } if entry.feed == key => {
                    for queued in batch.queued(range) {
                        let missing = mem::take(&mut missing);
                        queue.push(queued.with_missing(missing), config, leftovers);
                    }
                    leftovers.drop_shared(batch);
                }
                _ => self.entries.push_back(entry),
            }
        }
        if let Some(feed) = self.feeds.get_mut(key) {
            (feed.messages, feed.bytes) = (0, 0);
            queue.note_gap(None, mem::take(&mut feed.missing));
            feed.lagging = Some(Box::new(queue));
        }
        self.push_entry(key, Content::Lagging);
    }

    pub(super) fn next(&mut self, leftovers: &mut Leftovers) -> Option<BacklogItem> {
        loop {
            let Some(Entry { feed: key, content }) = self.entries.pop_front() else {
                // Frees the memory of a large burst.
                if self.entries.capacity() > 16 {
                    self.entries = VecDeque::new();
                    self.charge.resize(0);
                }
                return None;
            };
            let Some(feed) = self.feeds.get_mut(key) else {
                continue;
            };
            match content {
                Content::Part {
                    batch,
                    range,
                    missing,
                    is_counted,
                } => {
                    if is_counted {
                        feed.messages -= range.len();
                        feed.bytes -= batch.weight_of(&range);
                        leftovers.wake(feed.take_waiter());
                    }
                    return Some(BacklogItem::Part(BatchPart {
                        subscription: feed.subscription,
                        batch,
                        range,
                        missing,
                    }));
                }
                Content::End => return Some(BacklogItem::End(feed.subscription, feed.stream)),
                Content::Lagging => {
                    let Some(queue) = &mut feed.lagging else {
                        continue;
                    };
                    let message = queue.pop();
                    if queue.is_empty() {
                        feed.missing = queue.take_gap(None);
                        feed.lagging = None;
                    } else {
                        self.entries.push_front(Entry { feed: key, content });
                    }
                    if let Some(message) = message {
                        return Some(BacklogItem::Message(feed.subscription, message));
                    }
                }
            }
        }
    }
}
