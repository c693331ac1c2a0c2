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
    /// When the frame must be whole whose beginning has come.
    Frame,
    /// When what the peer has shown of itself expires.
    Expiry,
    /// When a peer that was told the last word is cut.
    Linger,
}

impl Timer {
    pub(super) const ALL: [Timer; 8] = [
        Timer::Connect,
        Timer::Handler,
        Timer::BeatOut,
        Timer::BeatIn,
        Timer::Stall,
        Timer::Frame,
        Timer::Expiry,
        Timer::Linger,
    ];

    /// Whether it is the peer who did not do something in time. It may have, if it is this side that stood still.
    fn judges_peer(self) -> bool {
        matches!(
            self,
            Timer::Connect | Timer::BeatIn | Timer::Stall | Timer::Frame
        )
    }
}

/// The deadlines that are set.
#[derive(Debug, Default)]
pub(super) struct Timers([Option<Deadline>; Timer::ALL.len()]);

#[derive(Debug, Clone, Copy)]
struct Deadline {
    at: Instant,
    /// It has been put off once.
    is_put_off: bool,
}

/// A deadline that is noticed later than this was not noticed because this side stood still.
const LATE: Duration = Duration::from_millis(250);

/// How long a peer then has to show that it did not.
const GRACE: Duration = Duration::from_secs(1);

impl Timers {
    /// Sets a deadline `after` some time. A time that does not end is no deadline.
    pub(super) fn set(&mut self, timer: Timer, now: Instant, after: Duration) {
        self.put(
            timer,
            now.checked_add(after).map(|at| Deadline {
                at,
                is_put_off: false,
            }),
        );
    }

    pub(super) fn set_at(&mut self, timer: Timer, at: Instant) {
        self.put(
            timer,
            Some(Deadline {
                at,
                is_put_off: false,
            }),
        );
    }

    pub(super) fn clear(&mut self, timer: Timer) {
        self.put(timer, None);
    }

    pub(super) fn clear_all_but<const N: usize>(&mut self, kept: [Timer; N]) {
        for timer in Timer::ALL.into_iter().filter(|timer| !kept.contains(timer)) {
            self.clear(timer);
        }
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.get(timer).is_some()
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().map(|deadline| deadline.at).min()
    }

    /// Takes a deadline that has passed. One that judges the peer is put off, once, if it is noticed late.
    pub(super) fn expired(&mut self, now: Instant) -> Option<Timer> {
        for timer in Timer::ALL {
            let Some(Deadline { at, is_put_off }) =
                self.get(timer).filter(|deadline| deadline.at <= now)
            else {
                continue;
            };
            if timer.judges_peer() && !is_put_off && now - at > LATE {
                self.put(
                    timer,
                    Some(Deadline {
                        at: now + GRACE,
                        is_put_off: true,
                    }),
                );
                continue;
            }
            self.clear(timer);
            return Some(timer);
        }
        None
    }

    fn get(&self, timer: Timer) -> Option<Deadline> {
        self.0.get(timer as usize).copied().flatten()
    }

    fn put(&mut self, timer: Timer, deadline: Option<Deadline>) {
        if let Some(slot) = self.0.get_mut(timer as usize) {
            *slot = deadline;
        }
    }
}
