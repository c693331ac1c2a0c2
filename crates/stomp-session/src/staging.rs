//! Effects of a transaction, which run when it is committed.

use crate::{
    catch_drop::CatchDrop,
    delivery::Settlement,
    id::{DeliveryTag, SubscriptionKey},
};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

/// Staging area of a transaction: handlers of its `SEND`s add effects, which run if all handlers agree.
///
/// When the client commits, the service is called with each `SEND` of the transaction, in order. A handler that
/// supports transactions checks the message, reserves what it needs, and [stages](Staging::stage) the effect instead of
/// acting. If all handlers succeed, the effects run in this order. If one fails, all effects are dropped, and with them
/// what they have reserved. A handler that acts at once takes no part in this: its action is not undone.
#[derive(Clone)]
pub struct Staging(Arc<Mutex<Option<Vec<Effect>>>>);

/// Effect of a committed transaction.
pub(crate) enum Effect {
    Run(CatchDrop<Box<dyn FnOnce() + Send>>),
    Acknowledge(Acknowledgment),
}

/// Deliveries of one subscription that an `ACK` or `NACK` settles together.
#[derive(Debug)]
pub(crate) struct Acknowledgment {
    pub(crate) subscription: SubscriptionKey,
    /// Tags in ascending order. The last one is the tag that the frame named.
    pub(crate) tags: Vec<DeliveryTag>,
    pub(crate) settlement: Settlement,
}

impl Staging {
    pub(crate) fn new() -> Staging {
        Staging(Arc::new(Mutex::new(Some(Vec::new()))))
    }

    /// Adds an effect, which runs on the task of the session when the transaction is committed. It must not block. Its
    /// panics are caught.
    ///
    /// If the transaction has ended, the effect is dropped at once.
    pub fn stage(&self, effect: impl FnOnce() + Send + 'static) {
        self.push(Effect::Run(CatchDrop::new(Box::new(effect))));
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
        // Foreign code is dropped outside the lock.
        drop(effects);
        drop(refused);
    }

    /// Takes the effects. Effects that are added later are dropped.
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

/// Runs a staged effect and catches its panic, which the panic hook has already reported.
pub(crate) fn run(effect: CatchDrop<Box<dyn FnOnce() + Send>>) {
    let Some(effect) = effect.take() else { return };
    let _ = catch_unwind(AssertUnwindSafe(effect));
}
