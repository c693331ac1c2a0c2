//! Waits of publishers for slow subscribers, under [`Overflow::Wait`](super::config::Overflow::Wait).

use std::{task::Waker, time::Duration};
use tokio::time::Instant;

/// Longest patience. A longer one might exceed what the clock can represent.
const MAX_PATIENCE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A look of a hub at its slow subscribers. The waker is that of the hub's own task, so it is not foreign code.
#[derive(Clone, Copy)]
pub(crate) struct LagCheck<'a> {
    pub(crate) now: Instant,
    pub(crate) patience: Duration,
    pub(crate) waker: &'a Waker,
}

impl LagCheck<'_> {
    /// Adds the waker, unless it is there. Pumps of several runtimes may wait for one subscriber.
    pub(crate) fn register(self, waiters: &mut Vec<Waker>) {
        if !waiters.iter().any(|known| known.will_wake(self.waker)) {
            waiters.push(self.waker.clone());
        }
    }
}

/// The state of a subscriber for a hub that looks at it.
pub(crate) enum LagState {
    KeepsUp,
    /// The hub waits, until this time at most.
    Lags(Instant),
    /// The time is over, and the subscriber is disconnected.
    TooSlow,
}

/// The time for which publishers still wait for one subscriber.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// The end of the wait that is going on.
    end: Option<Instant>,
}

impl Patience {
    /// Begins or continues a wait.
    pub(crate) fn wait(&mut self, check: LagCheck<'_>) -> LagState {
        let LagCheck { now, patience, .. } = check;
        let end = *self
            .end
            .get_or_insert_with(|| now + patience.min(MAX_PATIENCE));
        if now < end {
            LagState::Lags(end)
        } else {
            LagState::TooSlow
        }
    }

    /// Notes that the subscriber has caught up: the next wait has the whole patience.
    pub(crate) fn renew(&mut self) {
        self.end = None;
    }
}
