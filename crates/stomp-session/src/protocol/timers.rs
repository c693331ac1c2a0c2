//! All deadlines of a session.

use std::time::{Duration, Instant};

/// What there is to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// When `CONNECT` must have come.
    Connect,
    /// When the service must have answered.
    Handler,
    /// When to send a heart-beat, if nothing else was sent.
    BeatOut,
    /// When the peer counts as dead, if nothing came.
    BeatIn,
    /// When what waits to be written must have become less.
    Stall,
    /// When a peer that was told the last word is cut.
    Linger,
}

impl Timer {
    pub(super) const ALL: [Timer; 6] =
        [Timer::Connect, Timer::Handler, Timer::BeatOut, Timer::BeatIn, Timer::Stall, Timer::Linger];
}

/// The deadlines that are set.
#[derive(Debug, Default)]
pub(super) struct Timers([Option<Instant>; Timer::ALL.len()]);

impl Timers {
    /// Sets a deadline `after` some time. A time that does not end is no deadline.
    pub(super) fn set(&mut self, timer: Timer, now: Instant, after: Duration) {
        if let Some(slot) = self.0.get_mut(timer as usize) {
            *slot = now.checked_add(after);
        }
    }

    pub(super) fn clear(&mut self, timer: Timer) {
        if let Some(slot) = self.0.get_mut(timer as usize) {
            *slot = None;
        }
    }

    pub(super) fn clear_all_but<const N: usize>(&mut self, kept: [Timer; N]) {
        for timer in Timer::ALL.into_iter().filter(|timer| !kept.contains(timer)) {
            self.clear(timer);
        }
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.0.get(timer as usize).is_some_and(Option::is_some)
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes a deadline that has passed.
    pub(super) fn expired(&mut self, now: Instant) -> Option<Timer> {
        let timer = Timer::ALL
            .into_iter()
            .find(|timer| self.0.get(*timer as usize).is_some_and(|at| at.is_some_and(|at| at <= now)))?;
        self.clear(timer);
        Some(timer)
    }
}
