//! The state of one subscription in a backlog.

use crate::{
    id::{StreamId, SubscriptionKey},
    mailbox::{
        config::BacklogConfig,
        queue::{BoundedQueue, QueuedMessage},
    },
};
use std::task::Waker;

/// The backlog of one subscription, or of one stream of it.
pub(super) struct Feed {
    pub(super) subscription: SubscriptionKey,
    /// The id of the stream; `None` for the stream with which the service answered `SUBSCRIBE`.
    pub(super) stream: Option<StreamId>,
    /// The number and the weight of the messages in the entries of this feed.
    pub(super) messages: usize,
    pub(super) bytes: usize,
    /// The bytes that the session had left when the first push since its last poll came.
    pub(super) left_bytes: usize,
    /// Messages that are missing before the next one that is pushed.
    pub(super) missing: u64,
    /// The numbers of messages and bytes that the subscription must reach, because it exceeds its bounds or the memory
    /// budget under [`Overflow::Wait`](crate::Overflow::Wait).
    pub(super) goal: Option<(usize, usize)>,
    /// The waker of the hub that waits until then.
    pub(super) waiter: Option<Waker>,
    /// The messages of a subscription that exceeds its bounds. One entry stands for all of them.
    pub(super) lagging: Option<Box<BoundedQueue<QueuedMessage>>>,
}

impl Feed {
    pub(super) fn new(subscription: SubscriptionKey, stream: Option<StreamId>) -> Feed {
        Feed {
            subscription,
            stream,
            messages: 0,
            bytes: 0,
            left_bytes: 0,
            missing: 0,
            goal: None,
            waiter: None,
            lagging: None,
        }
    }

    /// Returns true if more messages or bytes wait than `factor` times the bounds.
    pub(super) fn exceeds(&self, config: &BacklogConfig, factor: usize) -> bool {
        self.messages > config.max_messages.saturating_mul(factor)
            || self.bytes > config.max_bytes.saturating_mul(factor)
    }

    /// Returns true if the subscription has a goal, and has not reached it.
    pub(super) fn misses_goal(&self) -> bool {
        self.goal
            .is_some_and(|(messages, bytes)| self.messages > messages || self.bytes > bytes)
    }

    /// Takes the waker of the hub that waits, if it can continue.
    pub(super) fn take_waiter(&mut self) -> Option<Waker> {
        if self.misses_goal() {
            return None;
        }
        self.goal = None;
        self.waiter.take()
    }

    /// The bytes that wait.
    pub(super) fn waiting_bytes(&self) -> usize {
        let lagging = self.lagging.as_ref();
        lagging.map_or(self.bytes, |queue| queue.bytes())
    }

    /// The bytes that wait, or those of them that the session had left when it was polled.
    pub(super) fn held_back(&self, counts_all: bool) -> usize {
        let bytes = self.waiting_bytes();
        if counts_all {
            bytes
        } else {
            bytes.min(self.left_bytes)
        }
    }
}
