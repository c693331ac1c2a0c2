//! The batches that wait for a session.
//!
//! All subscriptions of a session to hubs share one backlog, so a batch wakes the session once, however many of them get
//! it. A batch waits here as a pointer and a range. Only a subscription that exceeds its bounds gets a queue of single
//! messages, to which its policy applies.

use super::{
    batch::Batch,
    feeds::{BacklogItem, Feeds},
};
use crate::{
    guarded::{Guarded, Leftovers},
    id::{StreamId, SubscriptionKey},
    mailbox::{
        config::BacklogConfig,
        lag::{LagCheck, LagState},
        queue::QueuedMessage,
    },
    memory_budget::MemoryBudget,
    message::Message,
    task_signal::TaskSignal,
};
use std::{
    collections::VecDeque,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The batches that hubs have pushed for the subscriptions of one session.
pub(crate) struct Backlog {
    feeds: Guarded<Feeds>,
    /// True if a subscription has exceeded its bounds, and its policy is to disconnect.
    has_overflowed: AtomicBool,
    /// Wakes the session's task.
    signal: Arc<TaskSignal>,
}

/// The result of a push.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pushed {
    /// True if the subscriber exceeds its bounds under [`Overflow::Wait`](crate::Overflow::Wait), so that the hub has to
    /// wait.
    pub(super) exceeds_bounds: bool,
    /// True if the session has not looked since the last push, or gets several messages at once.
    pub(super) is_burst: bool,
}

/// The place in a session to which a subscriber is attached.
pub(crate) struct Attachment<'a> {
    pub(crate) backlog: &'a Arc<Backlog>,
    pub(crate) subscription: SubscriptionKey,
    /// The id of the stream; `None` for the stream with which the service answered `SUBSCRIBE`.
    pub(crate) stream: Option<StreamId>,
}

impl Backlog {
    /// Creates an empty backlog of the session with this task. A long list of entries counts in `budget`.
    pub(crate) fn new(signal: Arc<TaskSignal>, budget: &MemoryBudget) -> Backlog {
        Backlog {
            feeds: Guarded::new(Feeds::new(budget)),
            has_overflowed: AtomicBool::new(false),
            signal,
        }
    }

    /// Returns true if the session was polled since something was pushed. It resets this flag whenever it is polled, also
    /// without room for messages: so hubs know that it had the chance to send what they have pushed.
    fn was_polled(&self) -> bool {
        !self.signal.batches.is_set()
    }

    /// Returns true if a subscription has exceeded its bounds, and its policy is to disconnect.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.has_overflowed.load(Ordering::Acquire)
    }

    /// Takes the next item.
    pub(crate) fn next(&self) -> Option<BacklogItem> {
        self.feeds.with(Feeds::next)
    }

    /// Adds a feed. It begins with `first`, which does not count towards the bounds, and then with messages that were
    /// queued elsewhere.
    pub(super) fn add_feed(
        &self,
        subscription: SubscriptionKey,
        stream: Option<StreamId>,
        first: Vec<Message>,
        queued: VecDeque<QueuedMessage>,
        leftovers: &mut Leftovers,
    ) -> usize {
        let is_empty = first.is_empty() && queued.is_empty();
        let add = |feeds: &mut Feeds, _: &mut _| feeds.add(subscription, stream, first, queued);
        let key = self.feeds.with_leftovers(leftovers, add);
        if !is_empty {
            self.notify(leftovers);
        }
        key
    }

    /// Removes a feed with its messages.
    pub(super) fn remove_feed(&self, feed: usize) {
        let removed = self
            .feeds
            .with(|feeds, leftovers| feeds.remove(feed, leftovers));
        drop(removed);
    }

    /// Adds a part of a batch. Beyond the bounds, applies the policy.
    ///
    /// The bounds concern only what the session had the chance to send: parts that it has left since it was polled
    /// last. So a burst always fits. A session that is not polled at all may have twice the bounds.
    ///
    pub(super) fn push(
        &self,
        feed: usize,
        batch: &Arc<Batch>,
        range: Range<usize>,
        config: &BacklogConfig,
        leftovers: &mut Leftovers,
    ) -> Pushed {
        let was_polled = self.was_polled();
        let pushed = self.feeds.with_leftovers(leftovers, |feeds, leftovers| {
            feeds.push(feed, batch, range, config, was_polled, leftovers)
        });
        if pushed.is_err() {
            self.overflow(leftovers);
        }
        self.notify(leftovers);
        Pushed {
            exceeds_bounds: pushed.unwrap_or(false),
            is_burst: !was_polled || batch.len() > 1,
        }
    }

    /// Looks at a feed that may exceed its bounds, under [`Overflow::Wait`].
    pub(super) fn check_lag(
        &self,
        feed: usize,
        config: &BacklogConfig,
        check: LagCheck<'_>,
        leftovers: &mut Leftovers,
    ) -> LagState {
        let state = self.feeds.with_leftovers(leftovers, |feeds, leftovers| {
            feeds.check_lag(feed, config, check, leftovers)
        });
        if let LagState::TooSlow = state {
            self.overflow(leftovers);
        }
        state
    }

    /// The bytes of a feed that the session had the chance to send, and has not sent. With `counts_unpolled`, all bytes.
    pub(super) fn held_back(&self, feed: usize, counts_unpolled: bool) -> usize {
        let counts_all = counts_unpolled || self.was_polled();
        self.feeds
            .with(|feeds, _| feeds.held_back(feed, counts_all))
    }

    /// Applies the policy to a feed, although it does not exceed its bounds. Returns true if the hub has to wait.
    pub(super) fn relieve(
        &self,
        feed: usize,
        config: &BacklogConfig,
        may_wait: bool,
        leftovers: &mut Leftovers,
    ) -> bool {
        let relieved = self.feeds.with_leftovers(leftovers, |feeds, leftovers| {
            feeds.relieve(feed, config, may_wait, leftovers)
        });
        if relieved.is_err() {
            self.overflow(leftovers);
        }
        relieved.unwrap_or(false)
    }

    /// Marks the next message that is pushed with an unknown gap.
    pub(super) fn mark_gap(&self, feed: usize) {
        self.feeds.with(|feeds, _| feeds.mark_gap(feed));
    }

    /// Notes that nothing more comes for a feed.
    pub(super) fn end_feed(&self, feed: usize, leftovers: &mut Leftovers) {
        self.feeds
            .with_leftovers(leftovers, |feeds, _| feeds.end(feed));
        self.notify(leftovers);
    }

    /// Notes that a subscription has exceeded its bounds, and its policy is to disconnect. The messages for the session
    /// are dropped at once: it sends none of them.
    pub(super) fn overflow(&self, leftovers: &mut Leftovers) {
        self.has_overflowed.store(true, Ordering::Release);
        self.feeds.with_leftovers(leftovers, Feeds::close);
        self.notify(leftovers);
    }

    fn notify(&self, leftovers: &mut Leftovers) {
        if !self.signal.batches.set() {
            leftovers.wake(self.signal.take_waker());
        }
    }
}
