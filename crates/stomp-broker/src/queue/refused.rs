//! The positions of refused messages, by the consumers that refused them.

use std::collections::{BTreeMap, BTreeSet};

/// The positions of refused messages, by the consumers that refused them. All operations take logarithmic time.
#[derive(Debug, Default)]
pub(super) struct Refused {
    positions: BTreeMap<u64, BTreeSet<u64>>,
    /// The first position of each consumer, with the consumer.
    first: BTreeSet<(u64, u64)>,
}

impl Refused {
    pub(super) fn insert(&mut self, consumer: u64, position: u64) {
        self.change(consumer, |positions| positions.insert(position));
    }

    pub(super) fn remove(&mut self, consumer: u64, position: u64) {
        self.change(consumer, |positions| positions.remove(&position));
    }

    /// The first position of a message that the consumer `except` has not refused.
    pub(super) fn first_except(&self, except: Option<u64>) -> Option<u64> {
        // Only one consumer is excepted, so this finds one of the first two.
        let mut first = self.first.iter();
        let found = first.find(|(_, consumer)| Some(*consumer) != except);
        found.map(|(position, _)| *position)
    }

    fn change(&mut self, consumer: u64, change: impl FnOnce(&mut BTreeSet<u64>) -> bool) {
        let positions = self.positions.entry(consumer).or_default();
        let before = positions.first().copied();
        change(positions);
        let after = positions.first().copied();
        if after != before {
            before.map(|position| self.first.remove(&(position, consumer)));
            self.first
                .extend(after.map(|position| (position, consumer)));
        }
        if after.is_none() {
            self.positions.remove(&consumer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_position_is_found_for_each_consumer() {
        let mut refused = Refused::default();
        for (consumer, position) in [(1, 5), (1, 3), (2, 4), (3, 9)] {
            refused.insert(consumer, position);
        }
        assert_eq!(refused.first_except(None), Some(3));
        assert_eq!(refused.first_except(Some(1)), Some(4));
        assert_eq!(refused.first_except(Some(2)), Some(3));
        refused.remove(1, 3);
        assert_eq!(refused.first_except(None), Some(4));
        assert_eq!(refused.first_except(Some(2)), Some(5));
    }

    #[test]
    fn nothing_is_kept_for_a_consumer_without_positions() {
        let mut refused = Refused::default();
        refused.insert(1, 5);
        refused.remove(1, 5);
        assert_eq!(refused.first_except(None), None);
        assert!(refused.positions.is_empty() && refused.first.is_empty());
    }
}
