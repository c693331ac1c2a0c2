//! The counts of principals for `RejectOverRateLayer`, in bounded memory.

use super::reject_over_rate::{Bucket, Rate};
use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Mutex, PoisonError},
    time::Instant,
};
use stomp_session::Principal;

/// Maximum entries of each of the two maps.
const MAX_ENTRIES: usize = 1 << 16;

/// A bucket for each principal that has sent frames recently.
///
/// There are two maps. A bucket moves into the recent one when its principal sends. When the recent map is older than
/// the period of the rate, or full, it becomes the other one, whose buckets are dropped. A bucket that is dropped because
/// of its age has no debt any more, so a new one is the same. This takes no search for old buckets.
#[derive(Default)]
pub(super) struct PrincipalBuckets(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    recent: HashMap<Principal, Bucket>,
    older: HashMap<Principal, Bucket>,
    /// The time since which `recent` is used.
    since: Option<Instant>,
}

impl PrincipalBuckets {
    /// Counts a frame of the principal and returns true, or returns false if the frame exceeds the rate.
    pub(super) fn admits(&self, principal: &Principal, rate: Rate, now: Instant) -> bool {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *generations.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= rate.per {
            generations.rotate(now);
        }
        if let Some(bucket) = generations.recent.get_mut(principal) {
            return bucket.admits(rate, now);
        }
        if generations.recent.len() >= MAX_ENTRIES {
            generations.rotate(now);
        }
        let known = generations.older.remove(principal);
        let mut bucket = known.unwrap_or_else(|| Bucket::new(now));
        let is_admitted = bucket.admits(rate, now);
        // A bare name holds no value of the application, whose destructor could run under the lock.
        generations.recent.insert(principal.name_only(), bucket);
        is_admitted
    }
}

impl Generations {
    fn rotate(&mut self, now: Instant) {
        self.older = mem::take(&mut self.recent);
        self.since = Some(now);
    }
}

impl fmt::Debug for PrincipalBuckets {
    /// Omits the principals, of which there may be many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrincipalBuckets").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// One frame in ten seconds.
    fn rate() -> Rate {
        Rate::new(1, Duration::from_secs(10))
    }

    #[test]
    fn buckets_are_dropped_when_they_have_no_debt_and_not_before() {
        let buckets = PrincipalBuckets::default();
        let start = Instant::now();
        let admits = |name: &str, second| {
            let now = start + Duration::from_secs(second);
            buckets.admits(&Principal::new(name), rate(), now)
        };
        assert!(admits("ann", 0));
        assert!(admits("bob", 9));
        // At 10 s the maps change their places. The bucket of bob must survive it.
        assert!(admits("cid", 10));
        assert!(!admits("bob", 18));
        assert!(admits("bob", 19));
        assert!(admits("ann", 25));
        let generations = buckets.0.lock().unwrap();
        assert!(!generations.older.contains_key(&Principal::new("ann")));
        assert!(generations.recent.contains_key(&Principal::new("ann")));
    }

    #[test]
    fn the_number_of_buckets_is_bounded_and_recent_ones_are_kept() {
        let buckets = PrincipalBuckets::default();
        let now = Instant::now();
        let last = 3 * MAX_ENTRIES;
        for number in 0..=last {
            assert!(buckets.admits(&Principal::new(number.to_string()), rate(), now));
        }
        {
            let generations = buckets.0.lock().unwrap();
            assert!(generations.recent.len() <= MAX_ENTRIES);
            assert!(generations.older.len() <= MAX_ENTRIES);
        }
        for number in [last, last - 1, last - MAX_ENTRIES] {
            let name = Principal::new(number.to_string());
            assert!(!buckets.admits(&name, rate(), now), "{number}");
        }
    }
}
