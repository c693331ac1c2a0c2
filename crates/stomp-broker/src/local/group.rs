//! The subscribers of one topic or pattern.

use super::fan_out::{CHUNK_SIZE, Chunk, Subscriber};
use crate::{Address, activity::Counter};
use std::collections::BTreeMap;

/// All subscribers of one topic or pattern.
pub(super) struct Group {
    /// The destination as its first subscriber wrote it.
    pub(super) pattern: Address,
    /// The chunks by number. A subscriber stays in its chunk, so that removing it does not search the others.
    chunks: BTreeMap<u64, Chunk>,
    pub(super) published: Counter,
}

/// The place of a subscriber in its group: its chunk, and its id there.
#[derive(Clone, Copy)]
pub(super) struct SubscriberKey {
    pub(super) chunk: u64,
    pub(super) id: u64,
}

impl Group {
    pub(super) fn new(pattern: Address) -> Group {
        Group {
            pattern,
            chunks: BTreeMap::new(),
            published: Counter::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(super) fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.chunks.values()
    }

    /// Adds a subscriber to the last chunk, or to a new one if that is full. Returns its place.
    pub(super) fn add(&mut self, subscriber: Subscriber) -> SubscriberKey {
        let id = subscriber.id;
        let last = self.chunks.last_key_value();
        let (number, others) = match last {
            Some((number, chunk)) if chunk.len() < CHUNK_SIZE => (*number, &**chunk),
            Some((number, _)) => (number + 1, &[] as &[Subscriber]),
            None => (0, &[] as &[Subscriber]),
        };
        let chunk: Chunk = others.iter().cloned().chain([subscriber]).collect();
        self.chunks.insert(number, chunk);
        SubscriberKey { chunk: number, id }
    }

    /// Removes a subscriber by replacing its chunk. Returns the old chunk, which still has the subscriber.
    pub(super) fn remove(&mut self, key: SubscriberKey) -> Option<Chunk> {
        let replaced = self.chunks.remove(&key.chunk)?;
        let chunk: Chunk = replaced
            .iter()
            .filter(|subscriber| subscriber.id != key.id)
            .cloned()
            .collect();
        if !chunk.is_empty() {
            self.chunks.insert(key.chunk, chunk);
        }
        Some(replaced)
    }
}
