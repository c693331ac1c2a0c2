//! A bound on the bytes that are queued in all mailboxes of a session.
//!
//! When a publisher creates a mailbox, the mailbox cannot know its session: its stream may be mapped, merged and boxed
//! before it reaches a subscription. So each session makes its budget the current one of the thread while it polls a
//! stream, and a mailbox joins the current budget when it is read for the first time.
//!
//! The budget also tells the session about a mailbox that has overflowed. A stream without credit is not polled, and so
//! cannot tell.

use crate::task_signal::TaskSignal;
use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Waker,
};

/// Budget of one session: the bytes in its mailboxes, and their maximum. Clones share the budget.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Usage>);

#[derive(Debug)]
struct Usage {
    bytes: AtomicUsize,
    max_bytes: usize,
    /// Number of mailboxes that have overflowed, whose policy is to disconnect, and that have not reported it yet.
    overflowed: AtomicUsize,
    /// Wakes the session's task.
    signal: Arc<TaskSignal>,
}

thread_local! {
    static CURRENT: Cell<Option<Budget>> = const { Cell::new(None) };
}

impl Budget {
    pub(crate) fn new(max_bytes: usize, signal: Arc<TaskSignal>) -> Budget {
        Budget(Arc::new(Usage {
            bytes: AtomicUsize::new(0),
            max_bytes,
            overflowed: AtomicUsize::new(0),
            signal,
        }))
    }

    /// Returns true if a mailbox of the session has overflowed, whose policy is to disconnect, and has not reported it to
    /// its reader yet.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.0.overflowed.load(Ordering::Acquire) > 0
    }

    /// Calls `act` while `budget` is the current one of the thread. The budget is moved there and back, because a clone
    /// would cost two atomic operations for each polled stream. `act` must not panic, or the budget is not moved back.
    pub(crate) fn with_current<T>(budget: &mut Option<Budget>, act: impl FnOnce() -> T) -> T {
        let outer = CURRENT.replace(budget.take());
        let result = act();
        *budget = CURRENT.replace(outer);
        result
    }

    /// The budget of the session that polls the running stream, if any.
    pub(crate) fn current() -> Option<Budget> {
        let budget = CURRENT.take();
        CURRENT.set(budget.clone());
        budget
    }

    fn is_exhausted(&self) -> bool {
        self.0.bytes.load(Ordering::Relaxed) >= self.0.max_bytes
    }
}

/// Number of bytes in one queue. If a budget is set, the bytes count in it too.
#[derive(Debug, Default)]
pub(crate) struct BudgetedBytes {
    bytes: usize,
    budget: Option<Budget>,
    /// True if the queue counts as an overflowed one in the budget.
    is_overflowed: bool,
}

impl BudgetedBytes {
    pub(crate) fn get(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_budget_exhausted(&self) -> bool {
        self.budget.as_ref().is_some_and(Budget::is_exhausted)
    }

    /// Notes that the queue has overflowed, until [`end_overflow`](BudgetedBytes::end_overflow). Returns the waker of its
    /// session's task, for the caller to wake.
    pub(crate) fn set_overflowed(&mut self) -> Option<Waker> {
        let Budget(usage) = self.budget.as_ref()?;
        self.is_overflowed = true;
        usage.overflowed.fetch_add(1, Ordering::Release);
        usage.signal.take_waker()
    }

    /// Notes that the reader of the queue knows of the overflow.
    pub(crate) fn end_overflow(&mut self) {
        if let Some(Budget(usage)) = self.budget.as_ref().filter(|_| self.is_overflowed) {
            self.is_overflowed = false;
            usage.overflowed.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn has_budget(&self) -> bool {
        self.budget.is_some()
    }

    /// Sets the budget in which the bytes of this queue count from now on.
    pub(crate) fn set_budget(&mut self, budget: Budget) {
        let bytes = self.bytes;
        self.clear();
        self.budget = Some(budget);
        self.add(bytes);
    }

    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        if let Some(Budget(usage)) = &self.budget {
            usage.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn sub(&mut self, bytes: usize) {
        self.bytes -= bytes;
        if let Some(Budget(usage)) = &self.budget {
            usage.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.sub(self.bytes);
    }
}

impl Drop for BudgetedBytes {
    fn drop(&mut self) {
        self.clear();
        self.end_overflow();
    }
}
