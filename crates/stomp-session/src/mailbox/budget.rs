//! How much may wait in all mailboxes of one session.
//!
//! A mailbox is made by whoever publishes, often long before it is known whose it is: its stream is mapped, merged and
//! boxed on the way to a subscription. So a session lends its budget to whatever it polls, and a mailbox that finds one
//! when it is first read keeps it.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A session's account of the bytes that wait for it.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Account>);

#[derive(Debug)]
struct Account {
    bytes: AtomicUsize,
    most: usize,
}

thread_local! {
    static LENT: Cell<Option<Budget>> = const { Cell::new(None) };
}

impl Budget {
    pub(crate) fn new(most: usize) -> Budget {
        Budget(Arc::new(Account {
            bytes: AtomicUsize::new(0),
            most,
        }))
    }

    /// Lends a budget to the mailboxes that `act` reads: moves it there and back. A panic of `act` must have been caught
    /// in it.
    pub(crate) fn lend<T>(own: &mut Option<Budget>, act: impl FnOnce() -> T) -> T {
        let before = LENT.replace(own.take());
        let result = act();
        *own = LENT.replace(before);
        result
    }

    /// The budget of the session that reads, if one does.
    pub(crate) fn lent() -> Option<Budget> {
        let budget = LENT.take();
        LENT.set(budget.clone());
        budget
    }

    fn is_spent(&self) -> bool {
        self.0.bytes.load(Ordering::Relaxed) >= self.0.most
    }
}

/// Bytes that wait in one place, and count in a session's budget once it is known which.
#[derive(Debug, Default)]
pub(crate) struct Held {
    bytes: usize,
    budget: Option<Budget>,
}

impl Held {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_budget_spent(&self) -> bool {
        self.budget.as_ref().is_some_and(Budget::is_spent)
    }

    pub(crate) fn has_budget(&self) -> bool {
        self.budget.is_some()
    }

    pub(crate) fn set_budget(&mut self, budget: Budget) {
        let bytes = self.bytes;
        self.clear();
        self.budget = Some(budget);
        self.add(bytes);
    }

    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        if let Some(Budget(account)) = &self.budget {
            account.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn sub(&mut self, bytes: usize) {
        self.bytes -= bytes;
        if let Some(Budget(account)) = &self.budget {
            account.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.sub(self.bytes);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.clear();
    }
}
