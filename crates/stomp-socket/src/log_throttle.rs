//! A limit for log lines about events that may be very frequent.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Limits the log lines about one kind of event to one in 10 s, and counts the events in between.
///
/// The first event is logged at once. The first event after the interval is logged next, together with the number of
/// events since the last line.
#[derive(Debug, Default)]
pub struct LogThrottle(Mutex<Option<LastLine>>);

#[derive(Debug)]
struct LastLine {
    at: Instant,
    /// The number of events since the last line.
    events: u64,
}

/// Minimum time between two log lines.
const INTERVAL: Duration = Duration::from_secs(10);

impl LogThrottle {
    /// Creates the throttle of one kind of event.
    #[must_use]
    pub const fn new() -> LogThrottle {
        LogThrottle(Mutex::new(None))
    }

    /// Records an event. If it is time for another log line, returns the number of events since the last line, this
    /// event included.
    pub fn record(&self) -> Option<u64> {
        self.record_at(Instant::now())
    }

    fn record_at(&self, now: Instant) -> Option<u64> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match &mut *last {
            Some(LastLine { at, events }) => {
                *events += 1;
                if now.duration_since(*at) < INTERVAL {
                    return None;
                }
                *events
            }
            None => 1,
        };
        *last = Some(LastLine { at: now, events: 0 });
        Some(count)
    }
}

/// A [`LogThrottle`] for each kind of event.
#[derive(Debug, Default)]
pub struct LogThrottles(Mutex<BTreeMap<Box<str>, LogThrottle>>);

impl LogThrottles {
    /// Maximum number of kinds. Further kinds share one throttle, so that names from outside cannot use up memory.
    pub const MAX_KINDS: usize = 64;

    /// Creates the throttles.
    #[must_use]
    pub const fn new() -> LogThrottles {
        LogThrottles(Mutex::new(BTreeMap::new()))
    }

    /// Records an event of this kind. If it is time for another log line about the kind, returns the number of its
    /// events since the last line, this event included.
    pub fn record(&self, kind: &str) -> Option<u64> {
        let mut throttles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(throttle) = throttles.get(kind) {
            return throttle.record();
        }
        let is_full = throttles.len() >= LogThrottles::MAX_KINDS;
        let kind = if is_full { "" } else { kind };
        throttles.entry(kind.into()).or_default().record()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_event_is_logged_at_once_and_later_ones_are_counted() {
        let (throttle, start) = (LogThrottle::new(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(throttle.record_at(after(0)), Some(1));
        assert_eq!(throttle.record_at(after(1)), None);
        assert_eq!(throttle.record_at(after(9)), None);
        assert_eq!(throttle.record_at(after(10)), Some(3));
        assert_eq!(throttle.record_at(after(11)), None);
        assert_eq!(throttle.record_at(after(60)), Some(2));
    }

    #[test]
    fn kinds_have_throttles_of_their_own_and_their_number_is_bounded() {
        let throttles = LogThrottles::new();
        for number in 0..LogThrottles::MAX_KINDS {
            assert_eq!(throttles.record(&number.to_string()), Some(1));
        }
        assert_eq!(throttles.record("0"), None);
        assert_eq!(throttles.record("one more"), Some(1));
        assert_eq!(throttles.record("yet another"), None, "shares a throttle");
        assert_eq!(
            throttles.0.lock().unwrap().len(),
            LogThrottles::MAX_KINDS + 1
        );
    }
}
