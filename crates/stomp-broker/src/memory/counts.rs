//! What is counted.

use crate::Statistics;
use std::sync::atomic::{AtomicU64, Ordering};

/// See [`Statistics`].
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) published: Count,
    pub(super) delivered: Count,
    pub(super) dead_lettered: Count,
    pub(super) expired: Count,
    pub(super) dropped: Count,
}

impl Counts {
    pub(super) fn statistics(&self) -> Statistics {
        Statistics {
            published: self.published.get(),
            delivered: self.delivered.get(),
            dead_lettered: self.dead_lettered.get(),
            expired: self.expired.get(),
            dropped: self.dropped.get(),
            ..Statistics::default()
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
