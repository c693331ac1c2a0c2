//! A limit for log lines about events that may be very frequent.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Limits the log lines about one kind of event to one per [`INTERVAL`], and counts the events in between.
///
/// The first event is logged at once. The first event after the interval is logged next, together with the number of
/// events since the last line.
#[derive(Debug)]
pub(crate) struct LogThrottle(Mutex<Option<LastLine>>);

#[derive(Debug)]
struct LastLine {
    at: Instant,
    /// The number of events since the last line.
    events: u64,
}

/// Minimum time between two log lines.
const INTERVAL: Duration = Duration::from_secs(10);

impl LogThrottle {
    pub(crate) const fn new() -> LogThrottle {
        LogThrottle(Mutex::new(None))
    }

    /// Records an event. If it is time for another log line, returns the number of events since the last line, this
    /// event included.
    pub(crate) fn record(&self) -> Option<u64> {
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
}
