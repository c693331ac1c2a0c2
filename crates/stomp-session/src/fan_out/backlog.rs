//! The batches that wait for a session.
//!
//! All subscriptions of a session to hubs share one queue, so a batch wakes the session once, however many of them get
//! it. A batch waits here as a pointer and a range. Only a subscription that exceeds its bounds gets a queue of single
//! messages, to which its policy applies.

use super::batch::Batch;
use crate::{
    delivery::UNKNOWN_GAP,
    guarded::{Guarded, Leftovers},
    id::{StreamId, SubscriptionKey},
    mailbox::{
        config::{BacklogConfig, Overflow, SlowConsumer},
        lag::{LagCheck, LagState, Patience},
        queue::{BoundedQueue, QueuedMessage},
    },
    message::Message,
};
use futures_util::task::AtomicWaker;
use slab::Slab;
use std::{
    collections::VecDeque,
    mem,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
};

/// The batches that hubs have pushed for the subscriptions of one session.
pub(crate) struct Backlog {
    state: Guarded<State>,
    /// True if something was pushed since the session last looked.
    has_news: AtomicBool,
    /// True if a subscription has exceeded its bounds, and its policy is to disconnect.
    has_overflowed: AtomicBool,
    /// Waker of the session's task.
    task: Arc<AtomicWaker>,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    feeds: Slab<Feed>,
    /// The time for which publishers still wait for this session.
    patience: Patience,
}

/// The backlog of one subscription, or of one stream of it.
struct Feed {
    subscription: SubscriptionKey,
    /// The id of the stream; `None` for the stream with which the service answered `SUBSCRIBE`.
    stream: Option<StreamId>,
    /// The number and the weight of the messages in the entries of this feed.
    messages: usize,
    bytes: usize,
    /// Messages that are missing before the next one that is pushed.
    missing: u64,
    /// The waker of the hub that waits, and the numbers of messages and bytes at which it continues.
    waiter: Option<(Waker, usize, usize)>,
    /// The messages of a subscription that exceeds its bounds. One entry stands for all of them.
    lagging: Option<Box<BoundedQueue<QueuedMessage>>>,
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

impl Backlog {
    /// Creates an empty backlog of the session with this task.
    pub(crate) fn new(task: Arc<AtomicWaker>) -> Backlog {
        Backlog {
            state: Guarded::default(),
            has_news: AtomicBool::new(false),
            has_overflowed: AtomicBool::new(false),
            task,
        }
    }

    /// Returns true if something was pushed since the last call. The session calls it whenever it is polled, also without
    /// room for messages: so hubs know that it had the chance to send what they have pushed.
    pub(crate) fn take_news(&self) -> bool {
        self.has_news() && self.has_news.swap(false, Ordering::AcqRel)
    }

    /// Returns true if something was pushed since the last [`take_news`](Backlog::take_news).
    pub(crate) fn has_news(&self) -> bool {
        self.has_news.load(Ordering::Acquire)
    }

    /// Returns true if a subscription has exceeded its bounds, and its policy is to disconnect.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.has_overflowed.load(Ordering::Acquire)
    }

    /// Takes the next item.
    pub(crate) fn next(&self) -> Option<BacklogItem> {
        self.state.with(State::next)
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
        let key = self.state.with_leftovers(leftovers, |state, _| {
            let key = state.feeds.insert(Feed {
                subscription,
                stream,
                messages: 0,
                bytes: 0,
                missing: 0,
                waiter: None,
                lagging: None,
            });
            if !first.is_empty() {
                let batch = Batch::new(0, first.into_iter().map(|message| (message, None)));
                state.add_part(key, &batch, 0..batch.len(), 0, false);
            }
            for QueuedMessage {
                message, missing, ..
            } in queued
            {
                let batch = Batch::new(0, [(message, None)].into_iter());
                state.add_part(key, &batch, 0..1, missing, true);
            }
            key
        });
        self.notify(leftovers);
        key
    }

    /// Removes a feed with its entries.
    pub(super) fn remove_feed(&self, feed: usize) {
        let removed = self.state.with(|state, leftovers| {
            let removed = state.feeds.try_remove(feed).map(|mut feed| {
                leftovers.wake(feed.waiter.take().map(|(waker, ..)| waker));
                feed
            });
            let (others, own): (_, VecDeque<_>) = mem::take(&mut state.entries)
                .into_iter()
                .partition(|entry| entry.feed != feed);
            state.entries = others;
            (removed, own)
        });
        drop(removed);
    }

    /// Adds a part of a batch. Beyond the bounds, applies the policy.
    ///
    /// The bounds concern only what the session had the chance to send: entries that it has left since it was polled
    /// last. So a burst always fits. A session that is not polled at all may have twice the bounds.
    ///
    /// Returns true if the feed exceeds its bounds under [`Overflow::Wait`], so that the hub has to wait.
    pub(super) fn push(
        &self,
        feed: usize,
        batch: &Arc<Batch>,
        range: Range<usize>,
        config: &BacklogConfig,
        leftovers: &mut Leftovers,
    ) -> bool {
        let was_polled = !self.has_news();
        let pushed = self.state.with_leftovers(leftovers, |state, leftovers| {
            state.push(feed, batch, range, config, was_polled, leftovers)
        });
        if pushed.is_err() {
            self.set_overflowed();
        }
        self.notify(leftovers);
        pushed.unwrap_or(false)
    }

    /// Looks at a feed that may exceed its bounds, under [`Overflow::Wait`].
    pub(super) fn check_lag(
        &self,
        feed: usize,
        config: &BacklogConfig,
        check: LagCheck<'_>,
        leftovers: &mut Leftovers,
    ) -> LagState {
        let state = self
            .state
            .with_leftovers(leftovers, |state, _| state.check_lag(feed, config, check));
        if let LagState::TooSlow = state {
            self.set_overflowed();
            self.notify(leftovers);
        }
        state
    }

    /// Marks the next message that is pushed with an unknown gap.
    pub(super) fn mark_gap(&self, feed: usize) {
        self.state.with(|state, _| {
            if let Some(feed) = state.feeds.get_mut(feed) {
                match &mut feed.lagging {
                    Some(queue) => queue.note_gap(None, UNKNOWN_GAP),
                    None => feed.missing = UNKNOWN_GAP,
                }
            }
        });
    }

    /// Notes that nothing more comes for a feed.
    pub(super) fn end_feed(&self, feed: usize, leftovers: &mut Leftovers) {
        self.state.with_leftovers(leftovers, |state, _| {
            state.entries.push_back(Entry {
                feed,
                content: Content::End,
            });
        });
        self.notify(leftovers);
    }

    /// Notes that a subscription has exceeded its bounds, and its policy is to disconnect.
    pub(super) fn set_overflowed(&self) {
        self.has_overflowed.store(true, Ordering::Release);
    }

    fn notify(&self, leftovers: &mut Leftovers) {
        if !self.has_news.swap(true, Ordering::AcqRel) {
            leftovers.wake(self.task.take());
        }
    }
}

impl Feed {
    /// Returns true if more messages or bytes wait than `factor` times the bounds.
    fn exceeds(&self, config: &BacklogConfig, factor: usize) -> bool {
        self.messages > config.max_messages.saturating_mul(factor)
            || self.bytes > config.max_bytes.saturating_mul(factor)
    }

    /// Takes the waker of the hub that waits, if it can continue.
    fn take_waiter(&mut self) -> Option<Waker> {
        let (_, messages, bytes) = self.waiter.as_ref()?;
        if self.messages > *messages || self.bytes > *bytes {
            return None;
        }
        self.waiter.take().map(|(waker, ..)| waker)
    }
}

impl State {
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
        self.entries.push_back(Entry {
            feed: key,
            content: Content::Part {
                batch: Arc::clone(batch),
                range,
                missing,
                is_counted,
            },
        });
    }

    /// Adds a part of a batch. Returns true if the hub has to wait.
    fn push(
        &mut self,
        key: usize,
        batch: &Arc<Batch>,
        range: Range<usize>,
        config: &BacklogConfig,
        was_polled: bool,
        leftovers: &mut Leftovers,
    ) -> Result<bool, SlowConsumer> {
        let Some(feed) = self.feeds.get(key) else {
            return Ok(false);
        };
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
            for message in batch.get(range) {
                queue.push(QueuedMessage::new(None, message.clone()), config, leftovers);
            }
        }
        Ok(false)
    }

    fn exceeds(&self, key: usize, config: &BacklogConfig) -> bool {
        self.feeds
            .get(key)
            .is_some_and(|feed| feed.exceeds(config, 1))
    }

    fn check_lag(&mut self, key: usize, config: &BacklogConfig, check: LagCheck<'_>) -> LagState {
        let Some(feed) = self.feeds.get_mut(key) else {
            return LagState::KeepsUp;
        };
        // A session that has only just come below its bounds would soon exceed them again.
        let (messages, bytes) = (config.max_messages / 2, config.max_bytes / 2);
        let lags = if feed.waiter.is_some() {
            feed.messages > messages || feed.bytes > bytes
        } else {
            feed.exceeds(config, 1)
        };
        if !lags {
            feed.waiter = None;
            self.patience.end_wait(check.now);
            return LagState::KeepsUp;
        }
        feed.waiter = Some((check.waker.clone(), messages, bytes));
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
                    for message in batch.get(range) {
                        let missing = mem::take(&mut missing);
                        let queued = QueuedMessage::new(None, message.clone());
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
        self.entries.push_back(Entry {
            feed: key,
            content: Content::Lagging,
        });
    }

    fn next(&mut self, leftovers: &mut Leftovers) -> Option<BacklogItem> {
        loop {
            let Some(Entry { feed: key, content }) = self.entries.pop_front() else {
                self.patience.renew();
                // Frees the memory of a large burst.
                if self.entries.capacity() > 16 {
                    self.entries = VecDeque::new();
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
