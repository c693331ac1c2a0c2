//! The children of a node of a trie.

use std::{collections::BTreeMap, mem};

/// A map from segments to nodes. All operations take logarithmic time, and it releases memory when it shrinks.
///
/// A map with one node needs no more memory than that node: a `BTreeMap` has room for eleven, and most nodes of long
/// patterns have one child.
#[derive(Debug)]
pub(super) enum Children<N> {
    One(Box<(Box<str>, N)>),
    /// None, or several.
    Many(BTreeMap<Box<str>, N>),
}

impl<N> Children<N> {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Children::Many(nodes) if nodes.is_empty())
    }

    pub(super) fn get(&self, segment: &str) -> Option<&N> {
        match self {
            Children::One(child) => (*child.0 == *segment).then_some(&child.1),
            Children::Many(nodes) => nodes.get(segment),
        }
    }

    pub(super) fn get_mut(&mut self, segment: &str) -> Option<&mut N> {
        match self {
            Children::One(child) => (*child.0 == *segment).then_some(&mut child.1),
            Children::Many(nodes) => nodes.get_mut(segment),
        }
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &N> {
        let (one, many) = match self {
            Children::One(child) => (Some(&child.1), None),
            Children::Many(nodes) => (None, Some(nodes.values())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    pub(super) fn remove(&mut self, segment: &str) {
        if self.get(segment).is_none() {
            return;
        }
        let Children::Many(nodes) = self else {
            *self = Children::default();
            return;
        };
        nodes.remove(segment);
        if nodes.len() == 1 {
            *self = nodes
                .pop_first()
                .map_or_else(Children::default, |last| Children::One(Box::new(last)));
        }
    }
}

impl<N: Default> Children<N> {
    pub(super) fn get_or_insert_default(&mut self, segment: &str) -> &mut N {
        if self.is_empty() {
            *self = Children::One(Box::new((segment.into(), N::default())));
        } else if self.get(segment).is_none() {
            if let Children::One(child) = self {
                let (name, node) = mem::take(&mut **child);
                *self = Children::Many(BTreeMap::from([(name, node)]));
            }
        }
        match self {
            Children::One(child) => &mut child.1,
            Children::Many(nodes) => nodes.entry(segment.into()).or_default(),
        }
    }
}

impl<N> Default for Children<N> {
    fn default() -> Self {
        Children::Many(BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_found_whatever_their_number() {
        let mut children = Children::default();
        for count in 1..=3 {
            let names = || ["b", "c", "a"].into_iter().take(count);
            for name in names() {
                *children.get_or_insert_default(name) = name;
            }
            let mut expected: Vec<_> = names().collect();
            expected.sort_unstable();
            assert!(children.values().eq(expected.iter()));
            assert_eq!(matches!(children, Children::One(_)), count == 1);
            assert!(names().all(|name| children.get(name) == Some(&name)));
            assert!(children.get("d").is_none() && children.get_mut("d").is_none());
            children.remove("d");
            assert!(names().all(|name| children.get_mut(name) == Some(&mut { name })));
        }
        for (removed, left) in [("b", 2), ("a", 1), ("c", 0)] {
            children.remove(removed);
            assert_eq!(children.values().count(), left);
            assert_eq!(matches!(children, Children::One(_)), left == 1);
        }
        assert!(children.is_empty());
    }
}
