//! What happens often in bad times, in few lines of the log.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Counts events of one kind. The first of a burst is to be logged at once; the others are told as a number, by the
/// first event after a while.
#[derive(Debug)]
pub(crate) struct LogThrottle(Mutex<Option<Told>>);

#[derive(Debug)]
struct Told {
    at: Instant,
    since: u64,
}

/// So long after a line of the log, events are only counted.
const QUIET: Duration = Duration::from_secs(10);

impl LogThrottle {
    pub(crate) const fn new() -> LogThrottle {
        LogThrottle(Mutex::new(None))
    }

    /// Notes an event, and gives how many there were since the last line of the log, if it is time for another.
    pub(crate) fn note(&self) -> Option<u64> {
        self.note_at(Instant::now())
    }

    fn note_at(&self, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match &mut *told {
            Some(Told { at, since }) => {
                *since += 1;
                if now.duration_since(*at) < QUIET {
                    return None;
                }
                *since
            }
            None => 1,
        };
        *told = Some(Told { at: now, since: 0 });
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_rest_as_a_number() {
        let (burst, start) = (LogThrottle::new(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(burst.note_at(after(0)), Some(1));
        assert_eq!(burst.note_at(after(1)), None);
        assert_eq!(burst.note_at(after(9)), None);
        assert_eq!(burst.note_at(after(10)), Some(3));
        assert_eq!(burst.note_at(after(11)), None);
        assert_eq!(burst.note_at(after(60)), Some(2));
    }
}
