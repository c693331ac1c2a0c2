//! The messages of a backlog by subscription, and the turns in which a session sends them.

use super::{
    batch::Batch,
    feed::{Feed, Part},
};
use crate::{
    delivery::UNKNOWN_GAP,
    guarded::Leftovers,
    id::{StreamId, SubscriptionKey},
    mailbox::{
        config::{BacklogConfig, Overflow, SlowConsumer},
        lag::{LagCheck, LagState},
        queue::{BoundedQueue, QueuedMessage},
    },
    memory_budget::{MemoryBudget, MemoryCharge},
    message::Message,
};
use slab::Slab;
use std::{collections::VecDeque, mem, ops::Range, sync::Arc};

/// Bytes that the parts and turns of a session may take without being counted in the memory budget.
pub(crate) const UNCOUNTED_ENTRY_BYTES: usize = 4 << 10;

/// The bytes of a turn and of its part.
const ENTRY_BYTES: usize = size_of::<Turn>() + size_of::<Part>();

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

/// The queue of a session. Each subscription has its own messages, and one list of turns gives the order of all.
pub(super) struct Feeds {
    /// The order in which the feeds send: a turn for each part, in the order of the pushes. A feed that lags has one turn
    /// at a time.
    turns: VecDeque<Turn>,
    /// The number of dead turns: their feed was removed, or lags since.
    dead_turns: usize,
    feeds: Slab<Feed>,
    /// The number of the next series of turns.
    next_series: u64,
    /// Counts the memory of the turns and their parts in the memory budget, if there are many. The messages count
    /// elsewhere.
    charge: MemoryCharge,
    /// True if the session is disconnected, because it was too slow.
    is_closed: bool,
}

struct Turn {
    feed: usize,
    /// The value of [`Feed::series`]. If it differs, the turn is dead.
    series: u64,
}

impl Feeds {
    pub(super) fn new(budget: &MemoryBudget) -> Feeds {
        Feeds {
            turns: VecDeque::new(),
            dead_turns: 0,
            feeds: Slab::new(),
            next_series: 0,
            charge: budget.charge(0),
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
        if self.feeds.capacity() == 0 {
            // Most sessions have one subscription to a hub.
            self.feeds.reserve_exact(1);
        }
        let feed = Feed::new(subscription, stream, self.next_series);
        let key = self.feeds.insert(feed);
        self.next_series += 1;
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

    /// Removes a feed with its messages, which the caller drops without the lock.
    pub(super) fn remove(&mut self, key: usize, leftovers: &mut Leftovers) -> impl Send + use<> {
        let mut feed = self.feeds.try_remove(key)?;
        leftovers.wake(mem::take(&mut feed.waiters));
        self.dead_turns += feed.turns;
        self.drop_dead_turns();
        Some(feed)
    }

    /// Drops the dead turns if they are more than half of all. A pass over all turns for each of many subscriptions that
    /// end would take too long.
    fn drop_dead_turns(&mut self) {
        if self.dead_turns > self.turns.len() / 2 {
            let feeds = &self.feeds;
            self.turns.retain(|turn| {
                let feed = feeds.get(turn.feed);
                feed.is_some_and(|feed| feed.series == turn.series)
            });
            self.turns.shrink_to_fit();
            self.dead_turns = 0;
            self.count_entries();
        }
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
        let Some(feed) = self.feeds.get_mut(key) else {
            return;
        };
        feed.has_ended = true;
        // A feed that lags continues its turns until it is empty.
        if feed.lagging.is_none() {
            self.add_turn(key);
        }
    }

    /// Drops all messages, because the session is disconnected. Further ones are dropped too.
    pub(super) fn close(&mut self, leftovers: &mut Leftovers) {
        self.is_closed = true;
        (self.turns, self.dead_turns) = (VecDeque::new(), 0);
        self.count_entries();
        for (_, feed) in &mut self.feeds {
            (feed.messages, feed.bytes, feed.turns) = (0, 0, 0);
            leftovers.wake(feed.take_waiters());
            leftovers.drop_later(mem::take(&mut feed.parts));
            if let Some(queue) = feed.lagging.take() {
                leftovers.drop_later(queue);
            }
        }
    }

    /// Adds a turn of a feed after all others.
    fn add_turn(&mut self, key: usize) {
        if let Some(feed) = self.feeds.get_mut(key) {
            feed.turns += 1;
            let series = feed.series;
            self.turns.push_back(Turn { feed: key, series });
            if self.turns.capacity() * ENTRY_BYTES > UNCOUNTED_ENTRY_BYTES {
                self.count_entries();
            }
        }
    }

    /// Counts the memory of the turns and their parts in the memory budget, if there are many.
    fn count_entries(&mut self) {
        let bytes = self.turns.capacity() * ENTRY_BYTES;
        let counted = if bytes > UNCOUNTED_ENTRY_BYTES {
            bytes
        } else {
            0
        };
        if counted != self.charge.bytes() {
            self.charge.resize(counted);
        }
    }

    /// Adds a part, which counts towards the bounds if `is_counted`.
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
        if feed.parts.capacity() == 0 {
            // Most subscriptions have at most one.
            feed.parts.reserve_exact(1);
        }
        feed.parts.push_back(Part {
            batch: Arc::clone(batch),
            range,
            missing,
            is_counted,
        });
        self.add_turn(key);
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
        leftovers: &mut Leftovers,
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
            feed.goal = None;
            leftovers.wake(mem::take(&mut feed.waiters));
            feed.patience.renew();
            return LagState::KeepsUp;
        }
        check.register(&mut feed.waiters);
        feed.patience.wait(check)
    }

    fn lagging(&mut self, key: usize) -> Option<&mut BoundedQueue<QueuedMessage>> {
        self.feeds.get_mut(key)?.lagging.as_deref_mut()
    }

    /// Moves the messages of a feed into a queue of single messages, which a policy can drop.
    fn begin_lag(&mut self, key: usize, config: &BacklogConfig, leftovers: &mut Leftovers) {
        let Some(feed) = self.feeds.get_mut(key) else {
            return;
        };
        let mut queue = BoundedQueue::default();
        // Parts that do not count come first.
        let uncounted = feed.parts.iter().take_while(|part| !part.is_counted);
        for mut part in feed.parts.split_off(uncounted.count()) {
            for queued in part.batch.queued(part.range) {
                let missing = mem::take(&mut part.missing);
                queue.push(queued.with_missing(missing), config, leftovers);
            }
            leftovers.drop_shared(part.batch);
        }
        (feed.messages, feed.bytes) = (0, 0);
        queue.note_gap(None, mem::take(&mut feed.missing));
        feed.lagging = Some(Box::new(queue));
        self.dead_turns += mem::take(&mut feed.turns);
        feed.series = self.next_series;
        self.next_series += 1;
        self.add_turn(key);
        self.drop_dead_turns();
    }

    /// Takes the next item.
    pub(super) fn next(&mut self, leftovers: &mut Leftovers) -> Option<BacklogItem> {
        while let Some(turn) = self.turns.pop_front() {
            let feed = self.feeds.get_mut(turn.feed);
            let Some(feed) = feed.filter(|feed| feed.series == turn.series) else {
                self.dead_turns -= 1;
                continue;
            };
            feed.turns -= 1;
            let item = feed.take(leftovers);
            if feed.turns == 0 && !feed.is_empty() {
                self.add_turn(turn.feed);
            }
            if item.is_some() {
                return item;
            }
        }
        // Frees the memory of a large burst.
        if self.turns.capacity() > 16 {
            self.turns = VecDeque::new();
            self.count_entries();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Arc<Batch> {
        Arc::new(Batch::new(0, [(Message::new("text"), None)].into_iter()))
    }

    #[test]
    fn the_removal_of_feeds_drops_their_messages_at_once_and_passes_over_the_turns_seldom() {
        const FEEDS: usize = 64;
        const ROUNDS: usize = 8;
        let mut feeds = Feeds::new(&MemoryBudget::default());
        let mut leftovers = Leftovers::default();
        let keys: Vec<_> = (0..FEEDS as u64)
            .map(|key| feeds.add(SubscriptionKey(key), None, Vec::new(), VecDeque::new()))
            .collect();
        let batches = [(); ROUNDS].map(|()| batch());
        for batch in &batches {
            for key in &keys {
                feeds.add_part(*key, batch, 0..1, 0, true);
            }
        }
        let mut passes = 0;
        for (removed, key) in keys.iter().enumerate() {
            let before = feeds.turns.len();
            drop(feeds.remove(*key, &mut leftovers));
            passes += usize::from(feeds.turns.len() < before);
            let left = FEEDS - removed - 1;
            assert!(feeds.turns.len() <= 2 * left * ROUNDS);
            assert!(batches.iter().all(|it| Arc::strong_count(it) == 1 + left));
        }
        assert!(passes < 10, "{passes}");
        assert_eq!((feeds.turns.capacity(), feeds.dead_turns), (0, 0));
    }

    #[test]
    fn a_new_feed_gets_no_turn_of_a_removed_one() {
        let mut feeds = Feeds::new(&MemoryBudget::default());
        let mut leftovers = Leftovers::default();
        let add = |feeds: &mut Feeds, key| {
            let feed = feeds.add(SubscriptionKey(key), None, Vec::new(), VecDeque::new());
            feeds.add_part(feed, &batch(), 0..1, 0, true);
            feed
        };
        let removed = add(&mut feeds, 0);
        for key in 1..3 {
            add(&mut feeds, key);
        }
        drop(feeds.remove(removed, &mut leftovers));
        assert_eq!(add(&mut feeds, 3), removed);
        let order = std::iter::from_fn(|| match feeds.next(&mut leftovers)? {
            BacklogItem::Part(part) => Some(part.subscription.0),
            _ => None,
        });
        assert_eq!(order.collect::<Vec<_>>(), [1, 2, 3]);
    }
}
