//! Counters of a broker's messages.

use crate::Statistics;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counts of [`Statistics`], since the engine was created.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) published: Counter,
    pub(crate) delivered: Counter,
    pub(crate) dead_lettered: Counter,
    pub(crate) expired: Counter,
    pub(crate) dropped: Counter,
}

impl Counters {
    pub(crate) fn statistics(&self) -> Statistics {
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

/// A count that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
