//! The state of one subscription in a backlog.

use super::{
    batch::Batch,
    feeds::{BacklogItem, BatchPart},
};
use crate::{
    guarded::Leftovers,
    id::{StreamId, SubscriptionKey},
    mailbox::{
        config::BacklogConfig,
        lag::Patience,
        queue::{BoundedQueue, QueuedMessage},
    },
};
use std::{collections::VecDeque, mem, ops::Range, sync::Arc, task::Waker};

/// The backlog of one subscription, or of one stream of it. Parts come first, then the messages of `lagging`, then the
/// end.
pub(super) struct Feed {
    pub(super) subscription: SubscriptionKey,
    /// The id of the stream; `None` for the stream with which the service answered `SUBSCRIBE`.
    pub(super) stream: Option<StreamId>,
    pub(super) parts: VecDeque<Part>,
    /// The messages of a subscription that exceeds its bounds.
    pub(super) lagging: Option<Box<BoundedQueue<QueuedMessage>>>,
    /// True if the hub was closed, and the session does not know it yet.
    pub(super) has_ended: bool,
    /// The series and the number of the turns of this feed.
    pub(super) series: u64,
    pub(super) turns: usize,
    /// The number and the weight of the messages in the parts that count towards the bounds.
    pub(super) messages: usize,
    pub(super) bytes: usize,
    /// The bytes that the session had left when the first push since its last poll came.
    pub(super) left_bytes: usize,
    /// Messages that are missing before the next one that is pushed.
    pub(super) missing: u64,
    /// The numbers of messages and bytes that the subscription must reach, because it exceeds its bounds or the memory
    /// budget under [`Overflow::Wait`](crate::Overflow::Wait).
    pub(super) goal: Option<(usize, usize)>,
    /// The wakers of the hub's tasks that wait until then.
    pub(super) waiters: Vec<Waker>,
    /// The time for which the hub still waits.
    pub(super) patience: Patience,
}

pub(super) struct Part {
    pub(super) batch: Arc<Batch>,
    pub(super) range: Range<usize>,
    /// Messages that are missing before the first one.
    pub(super) missing: u64,
    /// False for messages that do not count towards the bounds, because the subscription began with them.
    pub(super) is_counted: bool,
}

impl Feed {
    /// Creates an empty feed, whose turns have this series.
    pub(super) fn new(
        subscription: SubscriptionKey,
        stream: Option<StreamId>,
        series: u64,
    ) -> Feed {
        Feed {
            subscription,
            stream,
            parts: VecDeque::new(),
            lagging: None,
            has_ended: false,
            series,
            turns: 0,
            messages: 0,
            bytes: 0,
            left_bytes: 0,
            missing: 0,
            goal: None,
            waiters: Vec::new(),
            patience: Patience::default(),
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

    /// Takes the wakers of the hub's tasks that wait, if the subscription has caught up.
    pub(super) fn take_waiters(&mut self) -> Vec<Waker> {
        if self.goal.is_none() || self.misses_goal() {
            return Vec::new();
        }
        self.goal = None;
        self.patience.renew();
        mem::take(&mut self.waiters)
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

    /// Returns true if the session has nothing to send for this feed.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.lagging.is_none() && !self.has_ended
    }

    /// Takes the next item, if there is one.
    pub(super) fn take(&mut self, leftovers: &mut Leftovers) -> Option<BacklogItem> {
        let subscription = self.subscription;
        if let Some(part) = self.parts.pop_front() {
            // Frees the memory of a large burst.
            if self.parts.is_empty() && self.parts.capacity() > 16 {
                self.parts = VecDeque::new();
            }
            if part.is_counted {
                self.messages -= part.range.len();
                self.bytes -= part.batch.weight_of(&part.range);
                leftovers.wake(self.take_waiters());
            }
            return Some(BacklogItem::Part(BatchPart {
                subscription,
                batch: part.batch,
                range: part.range,
                missing: part.missing,
            }));
        }
        if let Some(queue) = &mut self.lagging {
            let message = queue.pop();
            if queue.is_empty() {
                self.missing = queue.take_gap(None);
                self.lagging = None;
            }
            return message.map(|message| BacklogItem::Message(subscription, message));
        }
        mem::take(&mut self.has_ended).then_some(BacklogItem::End(subscription, self.stream))
    }
}
