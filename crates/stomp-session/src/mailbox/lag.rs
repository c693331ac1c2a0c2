//! Waits of publishers for slow subscribers, under [`Overflow::Wait`](super::config::Overflow::Wait).

use std::{task::Waker, time::Duration};
use tokio::time::Instant;

/// The time in which one subscriber may make publishers wait for no longer than the patience, unless it catches up.
const WINDOW: Duration = Duration::from_secs(60);

/// A look of a hub at its slow subscribers. The waker is that of the hub's own task, so it is not foreign code.
#[derive(Clone, Copy)]
pub(crate) struct LagCheck<'a> {
    pub(crate) now: Instant,
    pub(crate) patience: Duration,
    pub(crate) waker: &'a Waker,
}

/// The state of a subscriber for a hub that looks at it.
pub(crate) enum LagState {
    KeepsUp,
    /// The hub waits, until this time at most.
    Lags(Instant),
    /// The time is over, and the subscriber is disconnected.
    TooSlow,
}

/// The time for which publishers still wait for one subscriber, or one session.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// The begin of the time that [`WINDOW`] limits. `None` before the first wait, and after the subscriber has caught up.
    window: Option<Instant>,
    /// The rest of the patience in this window.
    remaining: Duration,
    /// The end of the wait that is going on.
    end: Option<Instant>,
}

impl Patience {
    /// Begins or continues a wait.
    pub(crate) fn wait(&mut self, check: LagCheck<'_>) -> LagState {
        let LagCheck { now, patience, .. } = check;
        let end = *self.end.get_or_insert_with(|| {
            let is_over = |window| now.saturating_duration_since(window) >= WINDOW;
            if self.window.is_none_or(is_over) {
                (self.window, self.remaining) = (Some(now), patience);
            }
            now + self.remaining.min(WINDOW)
        });
        if now < end {
            LagState::Lags(end)
        } else {
            LagState::TooSlow
        }
    }

    /// Notes that publishers wait no longer.
    pub(crate) fn end_wait(&mut self, now: Instant) {
        if let Some(end) = self.end.take() {
            self.remaining = end.saturating_duration_since(now);
        }
    }

    /// Notes that the subscriber has caught up, so that the whole patience is there again.
    pub(crate) fn renew(&mut self) {
        *self = Patience::default();
    }
}
