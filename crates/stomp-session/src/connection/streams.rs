//! The streams whose items a session sends to its peer.

use crate::{
    catch_drop::CatchDrop,
    config::Config,
    delivery::Delivery,
    error::{BoxError, HandlerPanicked},
    fan_out::{Attachment, Backlog},
    id::{StreamId, SubscriptionKey},
    mailbox::{Mailbox, budget::Budget, queue::QueuedMessage},
    response::MessageStream,
    task_signal::TaskSignal,
};
use futures_core::Stream;
use slab::Slab;
use std::{
    collections::{BTreeSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// All streams of a session. Each has a waker of its own, so that only streams that were woken are polled, in turn.
///
/// A stream cannot overflow: it is not polled while its peer takes nothing, nor while its subscription has no credit.
pub(super) struct Streams {
    slots: Slab<Slot>,
    /// `None` before the first stream that is polled. Most sessions only have subscribers of hubs.
    polled: Option<Box<Polled>>,
    /// The batches that hubs have pushed. `None` before the first subscriber of a hub is attached.
    pub(super) backlog: Option<Arc<Backlog>>,
    config: Arc<Config>,
    /// The signals to the session's task.
    pub(super) signal: Arc<TaskSignal>,
}

/// The state of the streams that are polled.
struct Polled {
    /// Indices of slots to be polled.
    ready: VecDeque<usize>,
    /// Indices of slots that were woken while their subscriptions had no credit, by subscription. Many may wait, so no
    /// turn visits all of them.
    out_of_credit: BTreeSet<(SubscriptionKey, usize)>,
    /// Budget of the session, which a mailbox joins when a stream reads it.
    budget: Option<Budget>,
    woken: Arc<ReadyQueue>,
    /// The mailboxes that [`Streams::push`] has made.
    mailboxes: Vec<(SubscriptionKey, Mailbox)>,
}

struct Slot {
    subscription: SubscriptionKey,
    /// `None` for the stream with which the service answered `SUBSCRIBE`.
    id: Option<StreamId>,
    stream: CatchDrop<MessageStream>,
    /// `None` for an attached subscriber of a hub, which is not polled.
    waker: Option<(Arc<SlotWaker>, Waker)>,
}

/// Result of polling a stream.
pub(super) enum StreamEvent {
    Message(SubscriptionKey, Delivery),
    Failed(SubscriptionKey, BoxError),
    /// The stream with which the service answered `SUBSCRIBE` has ended, and so the subscription ends.
    Ended(SubscriptionKey),
    /// A stream that was attached later has ended.
    Detached(StreamId),
    Nothing,
}

impl Streams {
    /// Creates an empty set, which wakes the session's task when a stream is woken. All mailboxes that the streams read
    /// together have at most [`Config::max_total_backlog_bytes`].
    pub(super) fn new(signal: Arc<TaskSignal>, config: Arc<Config>) -> Streams {
        Streams {
            slots: Slab::new(),
            polled: None,
            backlog: None,
            config,
            signal,
        }
    }

    /// Adds a message of a `Session` handle for a subscription with acknowledgment. It waits in a mailbox until the
    /// subscription has credit.
    pub(super) fn push(&mut self, subscription: SubscriptionKey, message: QueuedMessage) {
        let config = self.config.backlog;
        let polled = self.polled();
        let mut mailboxes = polled.mailboxes.iter();
        if let Some((_, mailbox)) = mailboxes.find(|(known, _)| *known == subscription) {
            mailbox.push_queued([message]);
            return;
        }
        // The bytes of the mailbox count in the budget of the session from the beginning, and not only from the first
        // poll, for which its subscription may have no credit.
        let (mailbox, messages) = Budget::with_current(&mut polled.budget, || {
            let (mailbox, messages) = Mailbox::new(config);
            messages.join_budget();
            (mailbox, messages)
        });
        mailbox.push_queued([message]);
        polled.mailboxes.push((subscription, mailbox));
        let stream = CatchDrop::new(MessageStream::new(messages));
        self.insert(subscription, Some(StreamId::next()), stream);
    }

    fn polled(&mut self) -> &mut Polled {
        self.polled.get_or_insert_with(|| {
            let max_bytes = self.config.max_total_backlog_bytes;
            Box::new(Polled {
                ready: VecDeque::new(),
                out_of_credit: BTreeSet::new(),
                budget: Some(Budget::new(max_bytes, Arc::clone(&self.signal))),
                woken: Arc::new(ReadyQueue {
                    slots: Mutex::default(),
                    signal: Arc::clone(&self.signal),
                }),
                mailboxes: Vec::new(),
            })
        })
    }

    /// Returns true if a stream is to be polled.
    pub(super) fn has_ready(&self) -> bool {
        self.polled
            .as_ref()
            .is_some_and(|polled| !polled.ready.is_empty() || self.signal.streams.is_set())
    }

    /// Returns true if a mailbox has overflowed, whose policy is to disconnect, and the stream that would report it has
    /// no credit, so that it may never be polled again.
    pub(super) fn has_unreported_overflow(&self) -> bool {
        self.polled.as_ref().is_some_and(|polled| {
            let has_overflowed = polled.budget.as_ref().is_some_and(Budget::has_overflowed);
            has_overflowed && !polled.out_of_credit.is_empty()
        })
    }

    pub(super) fn insert(
        &mut self,
        subscription: SubscriptionKey,
        id: Option<StreamId>,
        stream: CatchDrop<MessageStream>,
    ) {
        let index = self.slots.vacant_key();
        let polled = self.polled();
        polled.ready.push_back(index);
        let slot_waker = Arc::new(SlotWaker {
            index,
            is_queued: AtomicBool::new(true),
            queue: Arc::clone(&polled.woken),
        });
        let waker = Waker::from(Arc::clone(&slot_waker));
        self.insert_slot(Slot {
            subscription,
            id,
            stream,
            waker: Some((slot_waker, waker)),
        });
    }

    /// Adds a stream whose messages need no credit. A subscriber of a hub is attached to the backlog of the session.
    pub(super) fn insert_without_credit(
        &mut self,
        subscription: SubscriptionKey,
        id: Option<StreamId>,
        mut stream: CatchDrop<MessageStream>,
    ) {
        let Some(subscriber) = stream.get_mut().and_then(MessageStream::subscriber) else {
            return self.insert(subscription, id, stream);
        };
        let (signal, budget) = (&self.signal, &self.config.memory_budget);
        let backlog = self
            .backlog
            .get_or_insert_with(|| Arc::new(Backlog::new(Arc::clone(signal), budget)));
        subscriber.attach(&Attachment {
            backlog,
            subscription,
            stream: id,
        });
        self.insert_slot(Slot {
            subscription,
            id,
            stream,
            waker: None,
        });
    }

    fn insert_slot(&mut self, slot: Slot) {
        if self.slots.capacity() == 0 {
            // Most sessions have one stream, and without this there would be room for four.
            self.slots.reserve_exact(1);
        }
        self.slots.insert(slot);
    }

    /// Drops all streams. To remove them by their subscriptions would take quadratic time.
    pub(super) fn clear(&mut self) {
        self.slots = Slab::new();
        if let Some(polled) = &mut self.polled {
            polled.ready = VecDeque::new();
            polled.out_of_credit = BTreeSet::new();
            polled.mailboxes = Vec::new();
        }
    }

    /// Drops the streams of a subscription.
    pub(super) fn remove_subscription(&mut self, subscription: SubscriptionKey) {
        self.slots
            .retain(|_, slot| slot.subscription != subscription);
        if let Some(polled) = &mut self.polled {
            let mailboxes = &mut polled.mailboxes;
            mailboxes.retain(|(known, _)| *known != subscription);
            while polled.pop_out_of_credit(subscription).is_some() {}
        }
    }

    /// Drops one stream.
    pub(super) fn remove(&mut self, id: StreamId) {
        let Streams { slots, polled, .. } = self;
        slots.retain(|index, slot| {
            let stays = slot.id != Some(id);
            if let (false, Some(polled)) = (stays, &mut *polled) {
                polled.out_of_credit.remove(&(slot.subscription, index));
            }
            stays
        });
    }

    /// Notes that a subscription has credit again.
    pub(super) fn give_credit(&mut self, subscription: SubscriptionKey) {
        if let Some(polled) = &mut self.polled {
            while let Some(index) = polled.pop_out_of_credit(subscription) {
                polled.ready.push_back(index);
            }
        }
    }

    /// Collects the streams that were woken. To be called once per turn: a stream that wakes itself all the time is polled
    /// again in the next turn only.
    pub(super) fn collect_ready(&mut self) {
        let Some(polled) = &mut self.polled else {
            return;
        };
        let Polled { ready, woken, .. } = &mut **polled;
        if woken.signal.streams.reset() {
            ready.append(&mut woken.lock());
        }
    }

    /// Polls the next stream that is ready. Returns `None` if none is left.
    pub(super) fn poll_next(
        &mut self,
        has_credit: impl Fn(SubscriptionKey) -> bool,
    ) -> Option<StreamEvent> {
        let polled = self.polled.as_mut()?;
        let index = polled.ready.pop_front()?;
        // The slot may have been removed, and reused by another stream, which is then polled once in vain.
        let Some(slot) = self.slots.get_mut(index) else {
            return Some(StreamEvent::Nothing);
        };
        if !has_credit(slot.subscription) {
            polled.out_of_credit.insert((slot.subscription, index));
            return Some(StreamEvent::Nothing);
        }
        let Some((slot_waker, waker)) = &slot.waker else {
            return Some(StreamEvent::Nothing);
        };
        slot_waker.is_queued.store(false, Ordering::Release);
        let (subscription, id) = (slot.subscription, slot.id);
        let item = Budget::with_current(&mut polled.budget, || poll(&mut slot.stream, waker));
        Some(match item {
            Poll::Pending => StreamEvent::Nothing,
            Poll::Ready(Some(Ok(delivery))) => {
                // The stream may have more items. If it was woken meanwhile, it is queued already.
                if !slot_waker.is_queued.swap(true, Ordering::AcqRel) {
                    polled.ready.push_back(index);
                }
                StreamEvent::Message(subscription, delivery)
            }
            Poll::Ready(Some(Err(error))) => {
                self.slots.remove(index);
                StreamEvent::Failed(subscription, error)
            }
            Poll::Ready(None) => {
                self.slots.remove(index);
                id.map_or(StreamEvent::Ended(subscription), StreamEvent::Detached)
            }
        })
    }
}

impl Polled {
    /// Removes and returns a slot of a subscription that had no credit.
    fn pop_out_of_credit(&mut self, subscription: SubscriptionKey) -> Option<usize> {
        let mut slots = self.out_of_credit.range((subscription, 0)..);
        let first = *slots.next()?;
        let is_found = first.0 == subscription && self.out_of_credit.remove(&first);
        is_found.then_some(first.1)
    }
}

/// Polls a stream. A panic becomes an error.
fn poll(
    stream: &mut CatchDrop<MessageStream>,
    waker: &Waker,
) -> Poll<Option<Result<Delivery, BoxError>>> {
    let Some(stream) = stream.get_mut() else {
        return Poll::Ready(None);
    };
    let mut cx = Context::from_waker(waker);
    catch_unwind(AssertUnwindSafe(|| Pin::new(stream).poll_next(&mut cx)))
        .unwrap_or_else(|_| Poll::Ready(Some(Err(HandlerPanicked.into()))))
}

/// Slots that were woken since the last [`Streams::collect_ready`].
struct ReadyQueue {
    slots: Mutex<VecDeque<usize>>,
    /// Wakes the session's task.
    signal: Arc<TaskSignal>,
}

impl ReadyQueue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<usize>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waker of one slot.
struct SlotWaker {
    index: usize,
    /// True if the slot is queued to be polled.
    is_queued: AtomicBool,
    queue: Arc<ReadyQueue>,
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            self.queue.lock().push_back(self.index);
            self.queue.signal.streams.set();
            self.queue.signal.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{command_queue::SessionCommand, message::Message};
    use futures_util::stream;
    use std::cell::Cell;

    #[test]
    fn a_stream_that_has_credit_again_is_polled_without_a_visit_to_the_others() {
        let mut streams = Streams::new(Arc::default(), Arc::default());
        let keys: Vec<_> = (1..=1_000).map(SubscriptionKey).collect();
        for key in &keys {
            let message = Ok::<_, BoxError>(Delivery::new(Message::new("1")));
            let stream = CatchDrop::new(MessageStream::new(stream::iter([message])));
            streams.insert(*key, None, stream);
        }
        let visits = Cell::new(0);
        let poll = |streams: &mut Streams, credited: Option<SubscriptionKey>| {
            streams.collect_ready();
            streams.poll_next(|key| {
                visits.set(visits.get() + 1);
                Some(key) == credited
            })
        };
        while poll(&mut streams, None).is_some() {}
        assert_eq!(visits.replace(0), 1_000);
        assert!(!streams.has_ready());
        streams.give_credit(keys[500]);
        assert!(streams.has_ready());
        let event = poll(&mut streams, Some(keys[500]));
        assert!(matches!(event, Some(StreamEvent::Message(key, _)) if key == keys[500]));
        assert_eq!(visits.get(), 1);
        streams.remove_subscription(keys[1]);
        streams.give_credit(keys[1]);
        assert!(matches!(
            poll(&mut streams, None),
            Some(StreamEvent::Nothing)
        ));
        assert!(
            poll(&mut streams, None).is_none(),
            "no slot of an ended subscription"
        );
    }

    #[test]
    fn the_records_of_a_stream_fit_into_the_bytes_that_the_worst_case_counts() {
        // The reference counts of the waker, the entries of two queues, the id in the list of the subscription, and the
        // allocations of growing buffers, which may be twice as large as their content.
        let record = size_of::<Slot>() + size_of::<SlotWaker>() + size_of::<SessionCommand>();
        assert!(record + 6 * size_of::<usize>() <= 512 / 2, "{record}");
    }
}
