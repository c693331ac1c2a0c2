//! The deadlines of a session.

use std::time::{Duration, Instant};

/// Kind of a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    /// Time by which `CONNECT` must have arrived.
    Connect,
    /// Time by which the service must be ready, or must have answered.
    Handler,
    /// Time at which a heart-beat is sent, if nothing else was sent before.
    HeartBeat,
    /// Time by which the peer must have sent something. Otherwise it gets a ping, or the session ends.
    Silence,
    /// Time by which the peer must have taken some of the output.
    Write,
    /// Time by which the rest of an incomplete frame must have arrived.
    Frame,
    /// Time at which the credentials of the peer expire.
    Expiry,
    /// Time by which the peer must have closed the connection, after it was sent everything.
    Linger,
    /// Time by which the connection is dropped, once its close has begun.
    Close,
}

impl Timer {
    const ALL: [Timer; 9] = [
        Timer::Connect,
        Timer::Handler,
        Timer::HeartBeat,
        Timer::Silence,
        Timer::Write,
        Timer::Frame,
        Timer::Expiry,
        Timer::Linger,
        Timer::Close,
    ];

    /// Returns true if the peer must meet this deadline. If this process stood still, the peer may have met it although
    /// its data is still unread.
    fn judges_peer(self) -> bool {
        matches!(
            self,
            Timer::Connect | Timer::Silence | Timer::Write | Timer::Frame | Timer::Close
        )
    }
}

/// The deadlines that are set, one of each kind.
#[derive(Debug, Default)]
pub(crate) struct Timers([Option<Deadline>; Timer::ALL.len()]);

#[derive(Debug, Clone, Copy)]
struct Deadline {
    at: Instant,
    /// True if the deadline was postponed. This happens at most once.
    is_postponed: bool,
}

/// Delay above which a deadline is noticed late. The process has then probably stood still.
const LATE: Duration = Duration::from_millis(250);

/// Time by which a deadline for the peer is postponed if it is noticed late.
const GRACE: Duration = Duration::from_secs(1);

impl Timers {
    /// Sets a deadline at `now + after`. If that exceeds the range of `Instant`, clears the deadline.
    pub(crate) fn set(&mut self, timer: Timer, now: Instant, after: Duration) {
        match now.checked_add(after) {
            Some(at) => self.set_at(timer, at),
            None => self.clear(timer),
        }
    }

    pub(crate) fn set_at(&mut self, timer: Timer, at: Instant) {
        let deadline = Deadline {
            at,
            is_postponed: false,
        };
        self.put(timer, Some(deadline));
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        self.put(timer, None);
    }

    pub(crate) fn clear_all_but<const N: usize>(&mut self, kept: [Timer; N]) {
        for timer in Timer::ALL.into_iter().filter(|timer| !kept.contains(timer)) {
            self.clear(timer);
        }
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.get(timer).is_some()
    }

    /// The earliest deadline.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.0.iter().flatten().map(|deadline| deadline.at).min()
    }

    /// Takes a deadline that has passed. If a deadline for the peer is noticed late, postpones it once instead: a pause
    /// of this process must not count against the peer.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Option<Timer> {
        for timer in Timer::ALL {
            let Some(Deadline { at, is_postponed }) =
                self.get(timer).filter(|deadline| deadline.at <= now)
            else {
                continue;
            };
            if timer.judges_peer() && !is_postponed && now - at > LATE {
                let postponed = Deadline {
                    at: now + GRACE,
                    is_postponed: true,
                };
                self.put(timer, Some(postponed));
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_earliest_deadline_is_next() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        assert_eq!(timers.earliest(), None);
        timers.set(Timer::Handler, now, 2 * SECOND);
        timers.set(Timer::Expiry, now, SECOND);
        assert_eq!(timers.earliest(), Some(now + SECOND));
        assert_eq!(timers.take_expired(now), None);
        assert_eq!(timers.take_expired(now + SECOND), Some(Timer::Expiry));
        assert_eq!(timers.take_expired(now + SECOND), None);
        assert_eq!(timers.earliest(), Some(now + 2 * SECOND));
    }

    #[test]
    fn an_endless_duration_clears_the_deadline() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        timers.set(Timer::Linger, now, SECOND);
        timers.set(Timer::Linger, now, Duration::MAX);
        assert!(!timers.is_set(Timer::Linger));
    }

    #[test]
    fn a_deadline_for_the_peer_is_postponed_once_if_it_is_noticed_late() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        timers.set(Timer::Silence, now, SECOND);
        let late = now + SECOND + 2 * LATE;
        assert_eq!(timers.take_expired(late), None);
        assert_eq!(timers.earliest(), Some(late + GRACE));
        assert_eq!(
            timers.take_expired(late + GRACE + 2 * LATE),
            Some(Timer::Silence)
        );
    }

    #[test]
    fn a_deadline_for_the_server_is_never_postponed() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        timers.set(Timer::Handler, now, SECOND);
        assert_eq!(timers.take_expired(now + 60 * SECOND), Some(Timer::Handler));
    }
}
