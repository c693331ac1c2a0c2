//! The messages of a hub that not all members have yet.

use super::batch::Batch;
use crate::guarded::Leftovers;
use std::{collections::VecDeque, sync::Arc};

/// Consecutive batches, from the first that a member may lack.
#[derive(Default)]
pub(super) struct Log {
    batches: VecDeque<Arc<Batch>>,
    /// The number and the weight of the messages.
    size: (usize, usize),
    /// The batch that [`Log::since`] has joined last. Other members often lack the same messages.
    joined: Option<Arc<Batch>>,
}

impl Log {
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Adds the messages that follow the last ones.
    pub(super) fn push(&mut self, batch: Arc<Batch>) {
        let (messages, weight) = self.size;
        self.size = (messages + batch.len(), weight + batch.weight());
        self.batches.push_back(batch);
    }

    /// Returns the number of the message that follows the last one, if there is one.
    pub(super) fn end(&self) -> Option<u64> {
        self.batches.back().map(|batch| batch.end())
    }

    /// The number and the weight of the messages.
    pub(super) fn size(&self) -> (usize, usize) {
        self.size
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
            let Some(batch) = self.batches.pop_front() else {
                return;
            };
            let (messages, weight) = self.size;
            self.size = (messages - batch.len(), weight - batch.weight());
            leftovers.drop_shared(batch);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{memory_budget::MemoryBudget, message::Message};

    fn batch(first: u64, count: usize, budget: &MemoryBudget) -> Arc<Batch> {
        let messages = (0..count as u64).map(|place| {
            let number = (first + place).to_string();
            (Message::new(number), None)
        });
        let batch = Batch::new(first, messages);
        let charge = budget.charge(batch.memory());
        Arc::new(batch.with_charge(charge))
    }

    fn bodies(batch: &Batch) -> Vec<&[u8]> {
        let messages = batch.get(0..batch.len()).iter();
        messages.map(|message| &message.body()[..]).collect()
    }

    #[test]
    fn batches_are_joined_once_for_all_members_that_lack_the_same_messages() {
        let budget = MemoryBudget::new(1 << 20);
        let leftovers = &mut Leftovers::default();
        let mut log = Log::default();
        for (first, count) in [(0, 2), (2, 1), (3, 2)] {
            log.push(batch(first, count, &budget));
        }
        let counted = budget.used();
        assert_eq!(log.size().0, 5);
        let joined = log.since(2, leftovers).unwrap();
        assert_eq!(bodies(&joined), [b"2", b"3", b"4"]);
        assert_eq!((joined.first(), joined.end()), (2, 5));
        assert!(Arc::ptr_eq(&joined, &log.since(2, leftovers).unwrap()));
        // The messages are counted where they were before.
        let weight = joined.weight();
        assert!(budget.used() < counted + weight, "{weight}");
        // A single batch is not copied.
        assert_eq!(log.since(3, leftovers).unwrap().len(), 2);
        assert_eq!(log.since(4, leftovers).unwrap().first(), 3);
        assert!(log.since(5, leftovers).is_none());
        drop(joined);
        log.drop_before(3, leftovers);
        assert_eq!(log.size().0, 2);
        log.drop_before(5, leftovers);
        assert_eq!(log.size(), (0, 0));
        std::mem::take(leftovers);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn single_messages_of_a_joined_batch_count_once_for_all_queues() {
        let budget = MemoryBudget::new(1 << 20);
        let leftovers = &mut Leftovers::default();
        let mut log = Log::default();
        log.push(batch(0, 1, &budget));
        log.push(batch(1, 2, &budget));
        let joined = log.since(0, leftovers).unwrap();
        let once: Vec<_> = joined.queued(0..3).collect();
        let used = budget.used();
        log.push(batch(3, 1, &budget));
        let longer = log.since(0, leftovers).unwrap();
        let more = budget.used();
        let twice: Vec<_> = longer.queued(0..3).collect();
        assert_eq!((once.len(), twice.len()), (3, 3));
        assert!(used > 0 && budget.used() == more);
    }
}
