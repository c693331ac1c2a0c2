//! The signals to the task of a session.

use futures_util::task::AtomicWaker;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    task::Waker,
};

/// The waker of a session's task, and the causes for which it is woken.
///
/// They are one allocation, because each wake touches all of them, and among thousands of sessions none of them is in the
/// processor's cache then.
#[derive(Debug, Default)]
pub(crate) struct TaskSignal {
    waker: AtomicWaker,
    /// Set when commands were pushed since the session last took them.
    pub(crate) commands: Flag,
    /// Set when hubs have pushed something since the session was last polled.
    pub(crate) batches: Flag,
    /// Set when streams were woken since the session last collected them.
    pub(crate) streams: Flag,
}

impl TaskSignal {
    /// Registers the waker of the session's task.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// Takes the waker, for a caller that wakes it later.
    pub(crate) fn take_waker(&self) -> Option<Waker> {
        self.waker.take()
    }
}

/// Cause for which a session's task is woken.
#[derive(Debug, Default)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    /// Sets the flag. Returns true if it was set already.
    pub(crate) fn set(&self) -> bool {
        self.0.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Resets the flag. Returns true if it was set. To be called before what it stands for is taken, so that nothing is
    /// missed.
    pub(crate) fn reset(&self) -> bool {
        self.is_set() && self.0.swap(false, Ordering::AcqRel)
    }
}
