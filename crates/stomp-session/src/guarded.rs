//! A mutex under which no code of the application runs.

use crate::{catch_drop::CatchDrop, message::Message};
use smallvec::SmallVec;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    task::Waker,
};

/// Mutex whose critical sections hand over the foreign values that they remove. These are woken or dropped after the
/// lock is released.
///
/// Streams, bodies of messages, values of the application and wakers of foreign executors may run any code when they
/// are dropped or woken. Under the lock, a call back into the session would wait for itself.
#[derive(Debug, Default)]
pub(crate) struct Guarded<T>(Mutex<T>);

/// Foreign values that were removed under a lock.
#[derive(Default)]
pub(crate) struct Leftovers {
    wakers: Vec<Waker>,
    messages: SmallVec<[Message; 2]>,
    shared: SmallVec<[Arc<dyn Send + Sync>; 1]>,
    others: Vec<Box<dyn Send>>,
}

impl<T> Guarded<T> {
    pub(crate) fn new(value: T) -> Guarded<T> {
        Guarded(Mutex::new(value))
    }

    /// Calls `act` under the lock. Wakes and drops the leftovers after it.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut T, &mut Leftovers) -> R) -> R {
        let mut leftovers = Leftovers::default();
        let result = self.with_leftovers(&mut leftovers, act);
        leftovers.release();
        result
    }

    /// Calls `act` under the lock, for a caller that holds another lock and releases the leftovers after it.
    pub(crate) fn with_leftovers<R>(
        &self,
        leftovers: &mut Leftovers,
        act: impl FnOnce(&mut T, &mut Leftovers) -> R,
    ) -> R {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut guard, leftovers)
    }
}

impl Leftovers {
    /// Adds wakers that are to be woken.
    pub(crate) fn wake(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.wakers.extend(wakers);
    }

    pub(crate) fn drop_message(&mut self, message: Message) {
        self.messages.push(message);
    }

    /// Adds a value that is dropped after the lock is released. Its destructor must not panic.
    pub(crate) fn drop_shared(&mut self, value: Arc<impl Send + Sync + 'static>) {
        self.shared.push(value);
    }

    pub(crate) fn drop_later(&mut self, value: impl Send + 'static) {
        self.others.push(Box::new(value));
    }

    /// Wakes the wakers, then drops the other values. A panic of one does not affect the others; the panic hook has
    /// reported it. Messages catch panics of their bodies themselves.
    #[inline]
    fn release(self) {
        // Most critical sections leave nothing.
        if !self.is_empty() {
            self.release_all();
        }
    }

    fn is_empty(&self) -> bool {
        self.wakers.is_empty()
            && self.messages.is_empty()
            && self.shared.is_empty()
            && self.others.is_empty()
    }

    fn release_all(self) {
        for waker in self.wakers {
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
        drop(self.messages);
        drop(self.shared);
        for other in self.others {
            drop(CatchDrop::new(other));
        }
    }
}
