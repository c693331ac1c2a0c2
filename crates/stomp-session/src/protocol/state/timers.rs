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

    /// The bit for this timer in [`Timers::postponed`].
    fn bit(self) -> u16 {
        1 << self as u16
    }

    /// Returns true if the peer must meet this deadline. If this process stood still, the peer may have met it although
    /// its data is still unread.
    fn judges_peer(self) -> bool {
        matches!(
            self,
            Timer::Connect | Timer::Silence | Timer::Write | Timer::Frame | Timer::Close
        )
    }
}

/// The deadlines that are set, one of each kind. They lie in two cache lines, because each wake reads them.
#[derive(Debug)]
pub(crate) struct Timers {
    start: Instant,
    /// The deadlines in nanoseconds after `start`, or [`NEVER`].
    deadlines: [u64; Timer::ALL.len()],
    /// A bit for each deadline that was postponed. This happens at most once.
    postponed: u16,
}

/// The value of a deadline that is not set. It is 584 years after the start.
const NEVER: u64 = u64::MAX;

/// Delay above which a deadline is noticed late. The process has then probably stood still.
const LATE: Duration = Duration::from_millis(250);

/// Time by which a deadline for the peer is postponed if it is noticed late.
const GRACE: Duration = Duration::from_secs(1);

impl Timers {
    /// Creates the timers of a session that starts now. None is set.
    pub(crate) fn new(start: Instant) -> Timers {
        Timers {
            start,
            deadlines: [NEVER; Timer::ALL.len()],
            postponed: 0,
        }
    }

    /// Sets a deadline at `now + after`. If that exceeds the range of `Instant`, clears the deadline.
    pub(crate) fn set(&mut self, timer: Timer, now: Instant, after: Duration) {
        match now.checked_add(after) {
            Some(at) => self.set_at(timer, at),
            None => self.clear(timer),
        }
    }

    /// Sets a deadline. One before the start of the session passes at the start.
    pub(crate) fn set_at(&mut self, timer: Timer, at: Instant) {
        self.put(timer, self.nanos(at), false);
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        self.put(timer, NEVER, false);
    }

    pub(crate) fn clear_all_but<const N: usize>(&mut self, kept: [Timer; N]) {
        for timer in Timer::ALL.into_iter().filter(|timer| !kept.contains(timer)) {
            self.clear(timer);
        }
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.get(timer) != NEVER
    }

    /// The earliest deadline.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        let earliest = self.deadlines.iter().copied().min()?;
        if earliest == NEVER {
            return None;
        }
        self.start.checked_add(Duration::from_nanos(earliest))
    }

    /// Takes a deadline that has passed. If a deadline for the peer is noticed late, postpones it once instead: a pause
    /// of this process must not count against the peer.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Option<Timer> {
        let passed = self.nanos(now);
        for timer in Timer::ALL {
            let at = self.get(timer);
            if at > passed {
                continue;
            }
            let is_late = u128::from(passed - at) > LATE.as_nanos();
            if timer.judges_peer() && is_late && self.postponed & timer.bit() == 0 {
                self.put(timer, self.nanos(now + GRACE), true);
                continue;
            }
            self.clear(timer);
            return Some(timer);
        }
        None
    }

    fn nanos(&self, at: Instant) -> u64 {
        let nanos = at.saturating_duration_since(self.start).as_nanos();
        u64::try_from(nanos).unwrap_or(NEVER)
    }

    fn get(&self, timer: Timer) -> u64 {
        self.deadlines.get(timer as usize).copied().unwrap_or(NEVER)
    }

    fn put(&mut self, timer: Timer, at: u64, is_postponed: bool) {
        if let Some(deadline) = self.deadlines.get_mut(timer as usize) {
            *deadline = at;
        }
        self.postponed &= !timer.bit();
        if is_postponed {
            self.postponed |= timer.bit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_earliest_deadline_is_next() {
        let now = Instant::now();
        let mut timers = Timers::new(now);
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
        let now = Instant::now();
        let mut timers = Timers::new(now);
        timers.set(Timer::Linger, now, SECOND);
        timers.set(Timer::Linger, now, Duration::MAX);
        assert!(!timers.is_set(Timer::Linger));
    }

    #[test]
    fn a_deadline_before_the_start_has_passed() {
        let now = Instant::now();
        let mut timers = Timers::new(now + SECOND);
        timers.set_at(Timer::Expiry, now);
        assert_eq!(timers.take_expired(now + SECOND), Some(Timer::Expiry));
    }

    #[test]
    fn a_deadline_for_the_peer_is_postponed_once_if_it_is_noticed_late() {
        let now = Instant::now();
        let mut timers = Timers::new(now);
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
        let now = Instant::now();
        let mut timers = Timers::new(now);
        timers.set(Timer::Handler, now, SECOND);
        assert_eq!(timers.take_expired(now + 60 * SECOND), Some(Timer::Handler));
    }
}
