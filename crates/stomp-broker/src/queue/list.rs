//! Doubly linked lists of the elements of slots.

use super::slots::Slots;

/// A list of elements of [`Slots`], by their keys. All operations take constant time and allocate nothing.
///
/// An element is in at most one list that uses its [`Links`].
#[derive(Debug, Default)]
pub(super) struct List {
    first: Option<usize>,
    last: Option<usize>,
    len: usize,
}

/// The neighbours of an element in its list.
#[derive(Debug, Default)]
pub(super) struct Links {
    previous: Option<usize>,
    next: Option<usize>,
}

/// An element that can be in a list.
pub(super) trait Linked {
    fn links(&self) -> &Links;
    fn links_mut(&mut self) -> &mut Links;
}

impl List {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The key of the first element.
    pub(super) fn first(&self) -> Option<usize> {
        self.first
    }

    /// Appends an element, which is in no list.
    pub(super) fn push<T: Linked>(&mut self, elements: &mut Slots<T>, key: usize) {
        let previous = self.last.replace(key);
        set(elements, previous, |links| links.next = Some(key));
        set(elements, Some(key), |links| {
            *links = Links {
                previous,
                next: None,
            };
        });
        self.first.get_or_insert(key);
        self.len += 1;
    }

    /// Removes an element, which is in this list.
    pub(super) fn remove<T: Linked>(&mut self, elements: &mut Slots<T>, key: usize) {
        let Some(element) = elements.get_mut(key) else {
            return;
        };
        let Links { previous, next } = std::mem::take(element.links_mut());
        match previous {
            Some(_) => set(elements, previous, |links| links.next = next),
            None => self.first = next,
        }
        match next {
            Some(_) => set(elements, next, |links| links.previous = previous),
            None => self.last = previous,
        }
        self.len -= 1;
    }

    /// Returns the keys of the elements in their order.
    pub(super) fn keys<T: Linked>(&self, elements: &Slots<T>) -> impl Iterator<Item = usize> {
        let next = |key: &usize| elements.get(*key)?.links().next;
        std::iter::successors(self.first, next)
    }
}

fn set<T: Linked>(elements: &mut Slots<T>, key: Option<usize>, change: impl FnOnce(&mut Links)) {
    if let Some(element) = key.and_then(|key| elements.get_mut(key)) {
        change(element.links_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Linked for Links {
        fn links(&self) -> &Links {
            self
        }

        fn links_mut(&mut self) -> &mut Links {
            self
        }
    }

    #[test]
    fn elements_are_removed_at_any_place() {
        for removed in 0..4 {
            let mut elements = Slots::default();
            let mut list = List::default();
            for _ in 0..4 {
                let key = elements.insert(Links::default());
                list.push(&mut elements, key);
            }
            list.remove(&mut elements, removed);
            let mut expected: Vec<_> = (0..4).filter(|key| *key != removed).collect();
            assert!(list.keys(&elements).eq(expected.iter().copied()));
            list.push(&mut elements, removed);
            expected.push(removed);
            assert!(list.keys(&elements).eq(expected.iter().copied()));
            for key in expected {
                list.remove(&mut elements, key);
            }
            assert!(list.is_empty() && list.keys(&elements).next().is_none());
        }
    }
}
