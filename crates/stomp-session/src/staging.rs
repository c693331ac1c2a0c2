//! What a transaction will do when all of it is agreed to.

use crate::{catch_drop::Foreign, delivery::Settlement, id::SubscriptionKey};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

/// Where a handler puts what it would do, for a `SEND` that is part of a transaction.
///
/// When the client commits, the service is called with each `SEND` of the transaction, in order. One that can should
/// check, reserve what it needs, and [`stage`](Staging::stage) the effect instead of acting. If all agree the effects
/// run, in order; if one refuses, all are dropped, and with them what they have reserved. A handler that acts at once
/// takes no part in this: what it did stays done.
#[derive(Clone)]
pub struct Staging(Arc<Mutex<Option<Vec<Effect>>>>);

/// What is done when a transaction is agreed to.
pub(crate) enum Effect {
    Run(Foreign<Box<dyn FnOnce() + Send>>),
    Settle(Settling),
}

/// Deliveries of one subscription that are settled together.
#[derive(Debug)]
pub(crate) struct Settling {
    pub(crate) key: SubscriptionKey,
    pub(crate) numbers: Vec<u64>,
    pub(crate) settlement: Settlement,
}

impl Staging {
    pub(crate) fn new() -> Staging {
        Staging(Arc::new(Mutex::new(Some(Vec::new()))))
    }

    /// Adds an effect, which runs on the session's task when the transaction is agreed to. It must not keep that
    /// waiting. Its panics are caught.
    ///
    /// When the transaction is over, the effect is dropped at once.
    pub fn stage(&self, effect: impl FnOnce() + Send + 'static) {
        self.push(Effect::Run(Foreign::new(Box::new(effect))));
    }

    pub(crate) fn push(&self, effect: Effect) {
        let mut effects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = match &mut *effects {
            Some(effects) => {
                effects.push(effect);
                None
            }
            None => Some(effect),
        };
        // Foreign code is not dropped under the lock.
        drop(effects);
        drop(refused);
    }

    /// The effects. What is added after this is dropped.
    pub(crate) fn close(&self) -> Vec<Effect> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or_default()
    }
}

impl fmt::Debug for Staging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staging").finish_non_exhaustive()
    }
}

/// Runs what a handler has staged.
pub(crate) fn run(effect: Foreign<Box<dyn FnOnce() + Send>>) {
    let Some(effect) = effect.take() else { return };
    // The panic hook has told of it.
    let _ = catch_unwind(AssertUnwindSafe(effect));
}
