//! A bound on the bytes that are queued in all mailboxes of a session.
//!
//! A mailbox is made by a publisher, often long before its session is known: on the way to a subscription its stream is
//! mapped, merged and boxed. So a session makes its budget current while it polls a stream, and a mailbox that is read
//! for the first time joins the current budget.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Budget of one session. Clones share the count.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Usage>);

#[derive(Debug)]
struct Usage {
    bytes: AtomicUsize,
    max_bytes: usize,
}

thread_local! {
    static CURRENT: Cell<Option<Budget>> = const { Cell::new(None) };
}

impl Budget {
    pub(crate) fn new(max_bytes: usize) -> Budget {
        Budget(Arc::new(Usage {
            bytes: AtomicUsize::new(0),
            max_bytes,
        }))
    }

    /// Calls `act` with `budget` as the current one. Moves the budget instead of cloning it, which would cost two
    /// atomic operations per polled stream; so `act` must not panic.
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

/// Bytes that are queued in one place, and count in a budget as soon as one is set.
#[derive(Debug, Default)]
pub(crate) struct BudgetedBytes {
    bytes: usize,
    budget: Option<Budget>,
}

impl BudgetedBytes {
    pub(crate) fn get(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_budget_exhausted(&self) -> bool {
        self.budget.as_ref().is_some_and(Budget::is_exhausted)
    }

    pub(crate) fn has_budget(&self) -> bool {
        self.budget.is_some()
    }

    /// Counts these bytes, and later ones, in `budget`.
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
    }
}
