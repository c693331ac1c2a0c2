//! The memory that messages for subscribers may use.

mod machine;

use std::{
    cmp::Ordering,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Minimum time between two warnings of one budget.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// A bound on the bytes of all messages that wait for subscribers at the same time. Clones share the budget.
///
/// A message of a hub counts once, however many of its subscribers wait for it. The budget never refuses a message. If
/// the bytes exceed the limit:
///
/// - After each delivery, a [`Hub`](crate::Hub) or [`Topic`](crate::Topic) applies its [overflow policy](crate::Overflow)
///   to the subscriber that holds back most, and to those that hold back at least half as much, as if they were beyond
///   their bounds. [`Disconnect`](crate::Overflow::Disconnect) closes their sessions;
///   [`DropOldest`](crate::Overflow::DropOldest) and [`Conflate`](crate::Overflow::Conflate) drop messages until they
///   hold half; [`Wait`](crate::Overflow::Wait) makes the publishers wait until they do, or the patience is over. Only
///   messages that a session had the chance to send count for this, unless twice the limit is used. A subscriber that
///   holds back less than 1/1,024 of the limit is spared.
/// - Publishers wait when a sixteenth of the usual number of messages waits for a delivery.
/// - A warning is logged, at most once a minute.
///
/// So the bytes in use stay near the limit, as long as the hubs that have slow subscribers deliver messages. Messages in queues and retained messages do not count: they have bounds of their
/// own, and do not depend on how fast the subscribers of topics read.
///
/// Each [`Config`](crate::Config) contains a budget of [256 MiB](MemoryBudget::DEFAULT_LIMIT). Give clones of one budget
/// to all parts of a process that together may use the memory.
///
/// ```
/// use stomp_session::{Config, MemoryBudget};
///
/// let budget = MemoryBudget::new(64 << 20);
/// let config = Config::default().memory_budget(budget.clone());
///
/// let charge = budget.charge(1_000);
/// assert_eq!(config.memory_budget.used(), 1_000);
/// drop(charge);
/// assert_eq!(budget.used(), 0);
/// ```
#[derive(Clone)]
pub struct MemoryBudget(Arc<Account>);

struct Account {
    limit: usize,
    used: AtomicUsize,
    warned_at: Mutex<Option<Instant>>,
}

/// Bytes that count in a [`MemoryBudget`] until this is dropped. Made by [`MemoryBudget::charge`].
#[must_use = "the bytes count only until the charge is dropped"]
pub struct MemoryCharge {
    budget: MemoryBudget,
    bytes: usize,
}

impl MemoryBudget {
    /// The limit of a budget by default: 256 MiB.
    pub const DEFAULT_LIMIT: usize = 256 << 20;

    /// Creates a budget with this limit in bytes. `usize::MAX` is no limit.
    #[must_use]
    pub fn new(limit: usize) -> MemoryBudget {
        MemoryBudget(Arc::new(Account {
            limit,
            used: AtomicUsize::new(0),
            warned_at: Mutex::new(None),
        }))
    }

    /// Creates a budget of a quarter of the memory that this process may use. The other three quarters are for the
    /// buffers and tables of sessions, for the application, and for messages in their encoded form, which the budget
    /// does not count.
    ///
    /// On Linux, this memory is the smallest of these:
    ///
    /// - the limits of the process's control group, and of all groups that contain it: `memory.max` in version 2 of
    ///   control groups, `memory.limit_in_bytes` in version 1, in the usual directory `/sys/fs/cgroup`. A container has
    ///   such a limit, and so has a systemd service with `MemoryMax`;
    /// - the physical memory in `/proc/meminfo`.
    ///
    /// On other systems, and if none of these can be read, the limit is [`MemoryBudget::DEFAULT_LIMIT`]. The function
    /// reads a few small files of the kernel. A change of the limits has no effect on a budget that exists.
    #[must_use]
    pub fn from_machine() -> MemoryBudget {
        let share = machine::memory_limit().map(|limit| limit / 4);
        MemoryBudget::new(share.map_or(MemoryBudget::DEFAULT_LIMIT, |share| {
            usize::try_from(share).unwrap_or(usize::MAX).max(1)
        }))
    }

    /// The limit in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// The bytes of all messages that count.
    #[must_use]
    pub fn used(&self) -> usize {
        self.0.used.load(Relaxed)
    }

    /// Returns true if more bytes are used than the limit allows.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.used() > self.limit()
    }

    /// Counts bytes until the returned value is dropped. This always succeeds, also beyond the limit. It costs one atomic
    /// addition and the clone of an `Arc`, and runs no foreign code, so a lock may be held.
    pub fn charge(&self, bytes: usize) -> MemoryCharge {
        self.0.used.fetch_add(bytes, Relaxed);
        MemoryCharge {
            budget: self.clone(),
            bytes,
        }
    }

    /// Logs a warning if the limit is exceeded, at most once a minute for each budget. Call it after charges, while no
    /// lock is held: the log may be code of the application.
    pub fn warn_if_exceeded(&self) {
        let used = self.used();
        if used > self.limit() && self.may_warn(Instant::now()) {
            tracing::warn!(
                used,
                limit = self.limit(),
                "the messages that wait exceed the memory budget"
            );
        }
    }

    /// Returns true if it is time for another warning, and records that it was given.
    fn may_warn(&self, now: Instant) -> bool {
        let mut warned_at = self
            .0
            .warned_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let may_warn = warned_at.is_none_or(|at| now.duration_since(at) >= WARNING_INTERVAL);
        if may_warn {
            *warned_at = Some(now);
        }
        may_warn
    }
}

impl Default for MemoryBudget {
    /// Creates a budget of [`MemoryBudget::DEFAULT_LIMIT`].
    fn default() -> Self {
        MemoryBudget::new(MemoryBudget::DEFAULT_LIMIT)
    }
}

impl fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBudget")
            .field("limit", &self.limit())
            .field("used", &self.used())
            .finish()
    }
}

impl MemoryCharge {
    /// Changes the number of bytes that count.
    pub(crate) fn resize(&mut self, bytes: usize) {
        let used = &self.budget.0.used;
        match bytes.cmp(&self.bytes) {
            Ordering::Equal => return,
            Ordering::Greater => used.fetch_add(bytes - self.bytes, Relaxed),
            Ordering::Less => used.fetch_sub(self.bytes - bytes, Relaxed),
        };
        self.bytes = bytes;
    }

    /// Moves bytes, of which there must be as many, into a charge of their own.
    pub(crate) fn split(&mut self, bytes: usize) -> MemoryCharge {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        MemoryCharge {
            budget: self.budget.clone(),
            bytes,
        }
    }

    pub(crate) fn budget(&self) -> &MemoryBudget {
        &self.budget
    }

    /// The number of bytes that count.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for MemoryCharge {
    fn drop(&mut self) {
        let used = &self.budget.0.used;
        used.fetch_sub(self.bytes, Relaxed);
    }
}

impl fmt::Debug for MemoryCharge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryCharge").field(&self.bytes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn bytes_count_in_all_clones_until_their_charge_is_dropped() {
        let budget = MemoryBudget::new(100);
        let clone = budget.clone();
        let (one, two) = (budget.charge(60), clone.charge(40));
        assert_eq!((budget.used(), clone.used()), (100, 100));
        assert!(!budget.is_exceeded());
        let three = clone.charge(1);
        assert!(budget.is_exceeded());
        drop(one);
        assert_eq!(budget.used(), 41);
        drop((two, three));
        assert_eq!(clone.used(), 0);
    }

    #[test]
    fn a_charge_can_be_resized_and_split() {
        let budget = MemoryBudget::new(100);
        let mut charge = budget.charge(10);
        charge.resize(60);
        let part = charge.split(25);
        assert_eq!((budget.used(), charge.bytes(), part.bytes()), (60, 35, 25));
        charge.resize(5);
        assert_eq!(budget.used(), 30);
        drop(part);
        assert_eq!(budget.used(), 5);
    }

    #[test]
    fn a_charge_outlives_the_handles_of_its_budget() {
        let charge = MemoryBudget::default().charge(7);
        assert_eq!(charge.bytes(), 7);
        assert_eq!(format!("{charge:?}"), "MemoryCharge(7)");
        drop(charge);
    }

    #[test]
    fn charges_of_several_threads_are_all_given_back() {
        let budget = MemoryBudget::new(usize::MAX);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let charges: Vec<_> = (0..1_000).map(|bytes| budget.charge(bytes)).collect();
                    assert!(budget.used() >= 999 * 500);
                    drop(charges);
                });
            }
        });
        assert_eq!(budget.used(), 0);
        assert!(!budget.is_exceeded());
    }

    #[test]
    fn absurd_charges_exceed_the_budget_and_are_given_back() {
        let budget = MemoryBudget::new(10);
        let charge = budget.charge(usize::MAX);
        assert!(budget.is_exceeded());
        drop(charge);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_budget_warns_at_most_once_a_minute() {
        let (budget, start) = (MemoryBudget::new(1), Instant::now());
        let at = |seconds| budget.may_warn(start + Duration::from_secs(seconds));
        assert_eq!(
            [0, 1, 59, 60, 61, 300, 301].map(at),
            [true, false, false, true, false, true, false]
        );
    }

    #[test]
    fn a_charge_and_a_handle_are_small_and_may_cross_threads() {
        fn crosses_threads<T: Send + Sync>() {}
        crosses_threads::<MemoryBudget>();
        crosses_threads::<MemoryCharge>();
        assert!(size_of::<MemoryCharge>() <= 2 * size_of::<usize>());
    }

    #[test]
    fn the_budget_of_this_machine_is_not_empty() {
        assert!(MemoryBudget::from_machine().limit() > 0);
    }
}
