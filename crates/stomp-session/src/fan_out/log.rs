//! The messages of a hub that not all members have yet.

use super::batch::Batch;
use crate::guarded::Leftovers;
use std::{collections::VecDeque, sync::Arc};

/// Consecutive batches, from the first that a member may lack.
#[derive(Default)]
pub(super) struct Log {
    batches: VecDeque<Arc<Batch>>,
    /// The last result of [`Log::since`], which most members of a small step share with those of the next one.
    joined: Option<Arc<Batch>>,
}

impl Log {
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Adds the messages that follow the last ones.
    pub(super) fn push(&mut self, batch: Arc<Batch>) {
        self.batches.push_back(batch);
    }

    /// Returns the number of the message that follows the last one, if there is one.
    pub(super) fn end(&self) -> Option<u64> {
        self.batches.back().map(|batch| batch.end())
    }

    /// The number and the weight of the messages from this number on, rounded up to whole batches.
    pub(super) fn size_since(&self, number: u64) -> (usize, usize) {
        let batches = self.batches.iter().rev();
        batches
            .take_while(|batch| batch.end() > number)
            .fold((0, 0), |(messages, weight), batch| {
                (messages + batch.len(), weight + batch.weight())
            })
    }

    /// Returns the messages from this number on, and perhaps a few before it, as one batch.
    pub(super) fn since(&mut self, number: u64, leftovers: &mut Leftovers) -> Option<Arc<Batch>> {
        let newer = self.batches.iter().rev();
        let count = newer.take_while(|batch| batch.end() > number).count();
        let start = self.batches.len() - count;
        let first = self.batches.get(start)?;
        if count == 1 {
            return Some(Arc::clone(first));
        }
        let (first, end) = (first.first(), self.end());
        if let Some(joined) = &self.joined {
            if joined.first() == first && Some(joined.end()) == end {
                return Some(Arc::clone(joined));
            }
        }
        let joined = Arc::new(Batch::join(self.batches.range(start..).cloned().collect()));
        if let Some(former) = self.joined.replace(Arc::clone(&joined)) {
            leftovers.drop_shared(former);
        }
        Some(joined)
    }

    /// Drops the batches whose messages all come before this number.
    pub(super) fn drop_before(&mut self, number: u64, leftovers: &mut Leftovers) {
        while self.batches.front().is_some_and(|it| it.end() <= number) {
            self.batches
                .pop_front()
                .into_iter()
                .for_each(|batch| leftovers.drop_shared(batch));
        }
        if self.batches.is_empty() {
            if let Some(joined) = self.joined.take() {
                leftovers.drop_shared(joined);
            }
            // Frees the memory of a large burst.
            if self.batches.capacity() > 16 {
                self.batches = VecDeque::new();
            }
        }
    }
}
