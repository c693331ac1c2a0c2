//! Times at which a connection is used for HTTP.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// The time since which a connection waits for its next request.
pub(crate) struct Activity(Mutex<State>);

struct State {
    is_busy: bool,
    has_answered: bool,
    idle_since: Instant,
}

impl Activity {
    pub(crate) fn new() -> Activity {
        Activity(Mutex::new(State {
            is_busy: false,
            has_answered: false,
            idle_since: Instant::now(),
        }))
    }

    /// The time since which the connection is idle, and true if a request was answered before. `None` if it is busy.
    pub(crate) fn idle(&self) -> Option<(Instant, bool)> {
        let state = self.state();
        (!state.is_busy).then_some((state.idle_since, state.has_answered))
    }

    /// Records that bytes of a response were written. hyper buffers whole chunks, so this may happen long after it has
    /// dropped the body.
    pub(crate) fn record_write(&self) {
        let mut state = self.state();
        if state.has_answered {
            state.idle_since = Instant::now();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks a connection as busy until it is dropped. HTTP/1 answers one request at a time.
pub(crate) struct Busy(Arc<Activity>);

impl Busy {
    pub(crate) fn new(activity: &Arc<Activity>) -> Busy {
        activity.state().is_busy = true;
        Busy(Arc::clone(activity))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_busy = false;
        state.has_answered = true;
        state.idle_since = Instant::now();
    }
}
