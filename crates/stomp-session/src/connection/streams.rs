//! The streams that a session sends to its peer.

use crate::{
    catch_drop::Foreign,
    delivery::Delivery,
    error::{BoxError, Panicked},
    id::{StreamId, SubscriptionKey},
    mailbox::budget::Budget,
    response::MessageStream,
};
use futures_util::task::AtomicWaker;
use slab::Slab;
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// All streams of a session. Only those that have woken are polled, in turn.
pub(crate) struct Observers {
    slots: Slab<Slot>,
    /// Slots to be polled.
    ready: VecDeque<usize>,
    /// Slots that would be, if their subscriptions had credit.
    resting: Vec<usize>,
    /// Lent to the stream that is polled.
    budget: Option<Budget>,
    woken: Arc<Woken>,
}

struct Slot {
    key: SubscriptionKey,
    hook: Option<StreamId>,
    stream: Foreign<MessageStream>,
    bell: Arc<Bell>,
    waker: Waker,
}

/// What a stream says.
pub(crate) enum Said {
    Message(SubscriptionKey, Delivery),
    Failed(SubscriptionKey, BoxError),
    /// The stream that the subscription was answered with has ended.
    Ended(SubscriptionKey),
    Nothing,
}

impl Observers {
    /// `session` is woken with any of the streams. What waits in them counts in `budget`.
    pub(crate) fn new(session: Arc<AtomicWaker>, budget: Budget) -> Observers {
        let woken = Woken {
            any: AtomicBool::new(false),
            slots: Mutex::default(),
            session,
        };
        Observers {
            slots: Slab::new(),
            ready: VecDeque::new(),
            resting: Vec::new(),
            budget: Some(budget),
            woken: Arc::new(woken),
        }
    }

    /// Whether a stream waits to be polled.
    pub(crate) fn are_ready(&self, has_credit: impl Fn(SubscriptionKey) -> bool) -> bool {
        !self.ready.is_empty()
            || self.woken.any.load(Ordering::Acquire)
            || self.resting.iter().any(|index| {
                self.slots
                    .get(*index)
                    .is_none_or(|slot| has_credit(slot.key))
            })
    }

    pub(crate) fn insert(
        &mut self,
        key: SubscriptionKey,
        hook: Option<StreamId>,
        stream: MessageStream,
    ) {
        let entry = self.slots.vacant_entry();
        let slot = entry.key();
        let bell = Arc::new(Bell {
            slot,
            is_rung: AtomicBool::new(true),
            woken: Arc::clone(&self.woken),
        });
        let waker = Waker::from(Arc::clone(&bell));
        entry.insert(Slot {
            key,
            hook,
            stream: Foreign::new(stream),
            bell,
            waker,
        });
        self.ready.push_back(slot);
    }

    /// Drops the streams of a subscription.
    pub(crate) fn remove(&mut self, key: SubscriptionKey) {
        self.slots.retain(|_, slot| slot.key != key);
    }

    pub(crate) fn unhook(&mut self, hook: StreamId) {
        self.slots.retain(|_, slot| slot.hook != Some(hook));
    }

    /// Looks which streams have woken or have credit again. Once a turn: a stream that wakes itself again and again
    /// waits for the next.
    pub(crate) fn look(&mut self, has_credit: impl Fn(SubscriptionKey) -> bool) {
        let Observers {
            slots,
            ready,
            resting,
            ..
        } = self;
        resting.retain(|index| {
            let stays = slots.get(*index).is_some_and(|slot| !has_credit(slot.key));
            if !stays {
                ready.push_back(*index);
            }
            stays
        });
        if self.woken.any.swap(false, Ordering::AcqRel) {
            self.ready.append(&mut self.woken.lock());
        }
    }

    /// Polls the next stream that has woken; `None` if there is none left.
    pub(crate) fn next(&mut self, has_credit: impl Fn(SubscriptionKey) -> bool) -> Option<Said> {
        let index = self.ready.pop_front()?;
        // A slot may be gone, and even used again: then it is polled once for nothing.
        let Some(slot) = self.slots.get_mut(index) else {
            return Some(Said::Nothing);
        };
        if !has_credit(slot.key) {
            self.resting.push(index);
            return Some(Said::Nothing);
        }
        slot.bell.is_rung.store(false, Ordering::Release);
        let (key, is_own) = (slot.key, slot.hook.is_none());
        Some(match Budget::lend(&mut self.budget, || slot.poll()) {
            Poll::Pending => Said::Nothing,
            Poll::Ready(Some(Ok(delivery))) => {
                // It may have more. If it has woken meanwhile, it is listed already.
                if !slot.bell.is_rung.swap(true, Ordering::AcqRel) {
                    self.ready.push_back(index);
                }
                Said::Message(key, delivery)
            }
            Poll::Ready(Some(Err(error))) => {
                self.slots.remove(index);
                Said::Failed(key, error)
            }
            Poll::Ready(None) => {
                self.slots.remove(index);
                if is_own {
                    Said::Ended(key)
                } else {
                    Said::Nothing
                }
            }
        })
    }
}

impl Slot {
    fn poll(&mut self) -> Poll<Option<Result<Delivery, BoxError>>> {
        let mut cx = Context::from_waker(&self.waker);
        let Some(stream) = self.stream.get_mut() else {
            return Poll::Ready(None);
        };
        catch_unwind(AssertUnwindSafe(|| stream.as_mut().poll_next(&mut cx)))
            .unwrap_or_else(|_| Poll::Ready(Some(Err(Panicked.into()))))
    }
}

/// The slots that have woken since they were last looked at.
struct Woken {
    any: AtomicBool,
    slots: Mutex<VecDeque<usize>>,
    session: Arc<AtomicWaker>,
}

impl Woken {
    fn lock(&self) -> MutexGuard<'_, VecDeque<usize>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One slot's waker.
struct Bell {
    slot: usize,
    /// The slot waits to be polled already.
    is_rung: AtomicBool,
    woken: Arc<Woken>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_rung.swap(true, Ordering::AcqRel) {
            self.woken.lock().push_back(self.slot);
            self.woken.any.store(true, Ordering::Release);
            self.woken.session.wake();
        }
    }
}
