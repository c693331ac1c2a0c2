//! The times at which a connection is used for HTTP.

use crate::connections::Place;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// The progress of the requests of one connection. HTTP/1 answers one request at a time.
pub(crate) struct Activity {
    place: Place,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    has_answered: bool,
}

enum Phase {
    /// The connection waits for the next request.
    Idle { since: Instant },
    /// A request is being answered.
    Busy,
    /// hyper has taken the whole response, but has not written all of it yet. It buffers chunks of any size.
    Answered,
}

impl Activity {
    /// The activity of a connection that is open since `since`.
    pub(crate) fn new(place: Place, since: Instant) -> Activity {
        Activity {
            place,
            state: Mutex::new(State {
                phase: Phase::Idle { since },
                has_answered: false,
            }),
        }
    }

    /// The time since which the connection is idle, and true if a request was answered before. `None` if it is not idle.
    pub(crate) fn idle(&self) -> Option<(Instant, bool)> {
        let state = self.state();
        match state.phase {
            Phase::Idle { since } => Some((since, state.has_answered)),
            Phase::Busy | Phase::Answered => None,
        }
    }

    /// Returns true if the connection has been used for a request. Without an HTTP service, requests do not count.
    pub(crate) fn is_used(&self) -> bool {
        let state = self.state();
        state.has_answered || !matches!(state.phase, Phase::Idle { .. })
    }

    /// Records that all bytes are written that hyper has taken so far.
    pub(crate) fn record_flush(&self) {
        let mut state = self.state();
        if matches!(state.phase, Phase::Answered) {
            let since = Instant::now();
            state.phase = Phase::Idle { since };
            drop(state);
            self.place.end_request();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks a connection as busy until it is dropped.
pub(crate) struct Busy(Arc<Activity>);

impl Busy {
    pub(crate) fn new(activity: &Arc<Activity>) -> Busy {
        activity.state().phase = Phase::Busy;
        Busy(Arc::clone(activity))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.phase = Phase::Answered;
        state.has_answered = true;
    }
}
