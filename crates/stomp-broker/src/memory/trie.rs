//! Patterns, found by what they match.

use crate::destination::{is_any, is_rest, segments};
use std::collections::BTreeMap;

/// Values by pattern. A path's segments are followed one by one: to the branch of the same name and to that of `*`, so
/// that what is looked at depends on the path and its patterns, not on how many others there are.
///
/// How deep it gets, and how often it branches, is bounded by what [`Destination::check`](crate::Destination) lets in.
#[derive(Debug)]
pub(super) struct Trie<T> {
    root: Node<T>,
}

#[derive(Debug)]
struct Node<T> {
    /// Trees, which get smaller again.
    branches: BTreeMap<Box<str>, Node<T>>,
    /// The branch of `*`.
    any: Option<Box<Node<T>>>,
    /// What ends here.
    here: Option<T>,
    /// What ends here with `>` or `#`.
    rest: Option<T>,
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Trie {
            root: Node::default(),
        }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Node {
            branches: BTreeMap::new(),
            any: None,
            here: None,
            rest: None,
        }
    }
}

impl<T> Trie<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// The value of a pattern.
    pub(super) fn get_mut(&mut self, pattern: &str) -> Option<&mut T> {
        let mut node = &mut self.root;
        for segment in segments(pattern) {
            node = match segment {
                _ if is_rest(segment) => return node.rest.as_mut(),
                _ if is_any(segment) => node.any.as_deref_mut()?,
                _ => node.branches.get_mut(segment)?,
            };
        }
        node.here.as_mut()
    }

    /// Sets the value of a pattern.
    pub(super) fn insert(&mut self, pattern: &str, value: T) {
        let mut node = &mut self.root;
        for segment in segments(pattern) {
            node = match segment {
                _ if is_rest(segment) => {
                    node.rest = Some(value);
                    return;
                }
                _ if is_any(segment) => node.any.get_or_insert_default(),
                _ => node.branches.entry(segment.into()).or_default(),
            };
        }
        node.here = Some(value);
    }

    /// Takes out the value of a pattern, and the branches that led only there.
    pub(super) fn remove(&mut self, pattern: &str) -> Option<T> {
        self.root.remove(segments(pattern))
    }

    /// The values of all patterns that match a path.
    pub(super) fn matches<'a>(&'a self, path: &str, found: &mut impl FnMut(&'a T)) {
        self.root.matches(segments(path), found);
    }

    /// All values.
    pub(super) fn for_each<'a>(&'a self, found: &mut impl FnMut(&'a T)) {
        self.root.for_each(found);
    }
}

impl<T> Node<T> {
    fn is_empty(&self) -> bool {
        self.branches.is_empty() && self.any.is_none() && self.here.is_none() && self.rest.is_none()
    }

    fn remove<'p>(&mut self, mut segments: impl Iterator<Item = &'p str>) -> Option<T> {
        let Some(segment) = segments.next() else {
            return self.here.take();
        };
        if is_rest(segment) {
            return self.rest.take();
        }
        if is_any(segment) {
            let branch = self.any.as_mut()?;
            let value = branch.remove(segments);
            if branch.is_empty() {
                self.any = None;
            }
            return value;
        }
        let branch = self.branches.get_mut(segment)?;
        let value = branch.remove(segments);
        if branch.is_empty() {
            self.branches.remove(segment);
        }
        value
    }

    fn matches<'a, 'p>(
        &'a self,
        mut segments: impl Iterator<Item = &'p str> + Clone,
        found: &mut impl FnMut(&'a T),
    ) {
        self.rest.iter().for_each(&mut *found);
        match segments.next() {
            None => self.here.iter().for_each(found),
            Some(segment) => {
                if let Some(branch) = self.branches.get(segment) {
                    branch.matches(segments.clone(), found);
                }
                if let Some(any) = &self.any {
                    any.matches(segments, found);
                }
            }
        }
    }

    fn for_each<'a>(&'a self, found: &mut impl FnMut(&'a T)) {
        self.here.iter().chain(&self.rest).for_each(&mut *found);
        self.branches
            .values()
            .chain(self.any.as_deref())
            .for_each(|branch| branch.for_each(found));
    }
}

/// Whether a pattern matches a path.
pub(super) fn is_match(pattern: &str, path: &str) -> bool {
    let mut path = segments(path);
    for segment in segments(pattern) {
        if is_rest(segment) {
            return true;
        }
        if path
            .next()
            .is_none_or(|other| !is_any(segment) && segment != other)
        {
            return false;
        }
    }
    path.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pattern, what it matches, and what it does not.
    const TABLE: &[(&str, &[&str], &[&str])] = &[
        ("a", &["a"], &["b", "a.a", "", "A", "aa"]),
        ("a.b", &["a.b", "a/b"], &["a", "a.b.c", "b.a", "ab"]),
        ("a/b.c", &["a.b/c", "a.b.c"], &["a.b", "a//b.c"]),
        ("*", &["a", "b", ""], &["a.b", "a."]),
        ("*.b", &["a.b", "b/b", ".b"], &["b", "a.b.c", "a.c"]),
        (
            "a.*.c",
            &["a.b.c", "a..c", "a.c.c"],
            &["a.c", "a.b.b.c", "a.b.c.d"],
        ),
        ("*.*", &["a.b", "/"], &["a", "a.b.c"]),
        (">", &["a", "a.b", "a.b.c", ""], &[]),
        ("a.>", &["a", "a.b", "a/b.c"], &["b", "b.a", "aa.b"]),
        ("a.#", &["a", "a.b", "a/b.c"], &["b"]),
        ("*.#", &["a", "a.b", "b.c.d"], &[]),
        ("a.*.>", &["a.b", "a.b.c.d"], &["a", "b.a"]),
        ("a..b", &["a..b", "a/.b"], &["a.b", "a.x.b"]),
        ("a*", &["a*"], &["ab", "a"]),
    ];

    fn found(trie: &Trie<&'static str>, path: &str) -> Vec<&'static str> {
        let mut found = Vec::new();
        trie.matches(path, &mut |value| found.push(*value));
        found.sort_unstable();
        found
    }

    #[test]
    fn a_pattern_matches_what_it_should() {
        for (pattern, matching, others) in TABLE {
            let mut trie = Trie::default();
            trie.insert(pattern, *pattern);
            for path in *matching {
                assert_eq!(found(&trie, path), [*pattern], "{path:?}");
                assert!(is_match(pattern, path), "{pattern:?} {path:?}");
            }
            for path in *others {
                assert!(found(&trie, path).is_empty(), "{pattern:?} {path:?}");
                assert!(!is_match(pattern, path), "{pattern:?} {path:?}");
            }
        }
    }

    #[test]
    fn all_that_match_are_found_whatever_else_there_is() {
        let mut trie = Trie::default();
        for (pattern, ..) in TABLE {
            // `a.>` and `a.#` are one pattern.
            if trie.get_mut(pattern).is_none() {
                trie.insert(pattern, *pattern);
            }
        }
        let paths = TABLE
            .iter()
            .flat_map(|(_, matching, others)| matching.iter().chain(*others));
        for path in paths {
            let patterns = TABLE.iter().map(|(pattern, ..)| *pattern);
            let mut expected: Vec<_> = patterns
                .filter(|it| *it != "a.#" && is_match(it, path))
                .collect();
            expected.sort_unstable();
            assert_eq!(found(&trie, path), expected, "{path:?}");
        }
    }

    #[test]
    fn what_is_removed_leaves_nothing_behind() {
        let mut trie = Trie::default();
        for (pattern, ..) in TABLE {
            trie.insert(pattern, *pattern);
        }
        assert_eq!(trie.remove("a.x.y"), None);
        assert_eq!(trie.remove("*.*.*"), None);
        let mut count = 0;
        trie.for_each(&mut |_| count += 1);
        assert_eq!(count, TABLE.len() - 1);
        for (pattern, ..) in TABLE {
            assert!(
                trie.remove(pattern).is_some() || *pattern == "a.#",
                "{pattern}"
            );
            assert!(trie.get_mut(pattern).is_none(), "{pattern}");
        }
        assert!(trie.is_empty());
    }

    /// How many branches a path is followed into.
    fn looked_at(trie: &Trie<()>, path: &str) -> usize {
        fn count<'p>(
            node: &Node<()>,
            mut segments: impl Iterator<Item = &'p str> + Clone,
        ) -> usize {
            let Some(segment) = segments.next() else {
                return 1;
            };
            let branch = node
                .branches
                .get(segment)
                .map_or(0, |branch| count(branch, segments.clone()));
            1 + branch + node.any.as_ref().map_or(0, |any| count(any, segments))
        }
        count(&trie.root, segments(path))
    }

    #[test]
    fn wildcards_cost_no_more_than_they_are_allowed_to() {
        let (length, most) = (16, 3);
        let mut trie = Trie::default();
        // All patterns of sixteen segments that have at most three wildcards.
        for places in 0u32..1 << length {
            if places.count_ones() <= most {
                let segments: Vec<_> = (0..length)
                    .map(|at| if places >> at & 1 == 1 { "*" } else { "a" })
                    .collect();
                trie.insert(&segments.join("."), ());
            }
        }
        let path = vec!["a"; length].join(".");
        let mut matches = 0;
        trie.matches(&path, &mut |()| matches += 1);
        assert_eq!(matches, 1 + 16 + 120 + 560);
        assert!(
            looked_at(&trie, &path) <= 17usize.pow(most),
            "{}",
            looked_at(&trie, &path)
        );
    }

    #[test]
    fn without_wildcards_a_path_is_followed_once() {
        let mut trie = Trie::default();
        (0..1_000).for_each(|number| trie.insert(&format!("a.{number}.b"), ()));
        assert_eq!(looked_at(&trie, "a.500.b"), 4);
    }
}
