//! The counts and the events of an engine.

use crate::{EventSource, Statistics};
use std::sync::atomic::{AtomicU64, Ordering};

/// The counts of messages since the engine was created, and the source of its events.
#[derive(Debug)]
pub(crate) struct Activity {
    pub(crate) published: Counter,
    pub(crate) delivered: Counter,
    pub(crate) dead_lettered: Counter,
    pub(crate) expired: Counter,
    pub(crate) dropped: Counter,
    pub(crate) events: EventSource,
}

impl Activity {
    /// Creates counts of 0, and a source of events. At most `max_unread_events` events wait for each reader.
    pub(crate) fn new(max_unread_events: usize) -> Activity {
        Activity {
            published: Counter::default(),
            delivered: Counter::default(),
            dead_lettered: Counter::default(),
            expired: Counter::default(),
            dropped: Counter::default(),
            events: EventSource::new(max_unread_events),
        }
    }

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
