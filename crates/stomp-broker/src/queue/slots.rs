//! Values with small keys.

use std::collections::BTreeSet;

/// A map from small keys, which it chooses, to values. Access takes constant time, all else logarithmic time.
///
/// Unlike a `Slab` it gives memory back: a new value gets the smallest vacant key, and there are no places above the
/// largest key in use.
#[derive(Debug)]
pub(super) struct Slots<T> {
    /// The values by key. The last place is not vacant.
    places: Vec<Option<T>>,
    /// The keys of the vacant places.
    vacant: BTreeSet<usize>,
    /// The number of accesses to single values, for tests of the cost of other operations.
    #[cfg(test)]
    pub(super) visits: std::cell::Cell<usize>,
}

impl<T> Slots<T> {
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.vacant.len()
    }

    pub(super) fn get(&self, key: usize) -> Option<&T> {
        #[cfg(test)]
        self.visits.set(self.visits.get() + 1);
        self.places.get(key)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, key: usize) -> Option<&mut T> {
        #[cfg(test)]
        self.visits.set(self.visits.get() + 1);
        self.places.get_mut(key)?.as_mut()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten()
    }

    /// Adds a value. Returns its key.
    pub(super) fn insert(&mut self, value: T) -> usize {
        let vacant = self.vacant.pop_first();
        if let Some((key, place)) = vacant.and_then(|key| Some((key, self.places.get_mut(key)?))) {
            *place = Some(value);
            return key;
        }
        if self.places.is_empty() {
            // Most queues have one consumer, and a `Vec` would make room for four.
            self.places.reserve_exact(1);
        }
        self.places.push(Some(value));
        self.places.len() - 1
    }

    pub(super) fn remove(&mut self, key: usize) -> Option<T> {
        let value = self.places.get_mut(key)?.take()?;
        if key + 1 < self.places.len() {
            self.vacant.insert(key);
        }
        while let Some(None) = self.places.last() {
            self.places.pop();
            self.vacant.remove(&self.places.len());
        }
        // So many values were removed before that moving the others costs little.
        if self.places.len() < self.places.capacity() / 4 {
            self.places.shrink_to(self.places.len() * 2);
        }
        Some(value)
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots {
            places: Vec::new(),
            vacant: BTreeSet::new(),
            #[cfg(test)]
            visits: std::cell::Cell::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_returned_when_most_values_have_gone() {
        for is_reversed in [false, true] {
            let mut slots = Slots::default();
            let keys: Vec<_> = (0..10_000).map(|value| slots.insert(value)).collect();
            let (kept, mut removed) = (&keys[..10], keys[10..].to_vec());
            if is_reversed {
                removed.reverse();
            }
            for key in removed {
                assert_eq!(slots.remove(key), Some(key));
            }
            assert!(kept.iter().all(|key| slots.get(*key) == Some(key)));
            assert!(slots.places.capacity() <= 40 && slots.vacant.is_empty());
            for key in kept {
                slots.remove(*key);
            }
            assert_eq!((slots.len(), slots.places.capacity()), (0, 0));
        }
    }

    #[test]
    fn a_new_value_gets_the_smallest_vacant_key() {
        let mut slots = Slots::default();
        for value in 0..5 {
            slots.insert(value);
        }
        for value in [3, 1, 4] {
            assert_eq!(slots.remove(value), Some(value));
        }
        assert_eq!((slots.len(), slots.places.len()), (2, 3));
        assert!(slots.get(1).is_none() && slots.get(3).is_none());
        assert_eq!([7, 8, 9].map(|value| slots.insert(value)), [1, 3, 4]);
        assert_eq!(slots.values().collect::<Vec<_>>(), [&0, &7, &2, &8, &9]);
        assert_eq!(slots.remove(5), None);
    }
}
