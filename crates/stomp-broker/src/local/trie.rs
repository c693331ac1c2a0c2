//! A trie of topic patterns.

use super::children::Children;

/// A map from patterns to values. A lookup walks the path: at each segment it follows the child of the same name and
/// the child `*`.
///
/// So the cost of a lookup does not depend on the number of all patterns, but on the length of the path and on the
/// patterns that match its beginning. Patterns and paths are [canonical](crate::Address::path).
///
/// `Address::check` limits the segments and wildcards of a pattern. These limits bound the depth of the recursion, and
/// the number of nodes that one lookup visits.
#[derive(Debug)]
pub(super) struct Trie<T> {
    root: Node<T>,
}

#[derive(Debug)]
struct Node<T> {
    /// The children by segment.
    children: Children<Node<T>>,
    /// The child for the segment `*`.
    wildcard_child: Option<Box<Node<T>>>,
    /// The value of the pattern that ends at this node. Values are in boxes, because most nodes have none.
    value: Option<Box<T>>,
    /// The value of the pattern that continues from this node with `>`, which ends it.
    rest_value: Option<Box<T>>,
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
            children: Children::default(),
            wildcard_child: None,
            value: None,
            rest_value: None,
        }
    }
}

impl<T> Trie<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// Returns the value of exactly this pattern.
    pub(super) fn get(&self, pattern: &str) -> Option<&T> {
        let mut node = &self.root;
        for segment in segments(pattern) {
            node = match segment {
                _ if is_rest_wildcard(segment) => return node.rest_value.as_deref(),
                _ if is_single_wildcard(segment) => node.wildcard_child.as_deref()?,
                _ => node.children.get(segment)?,
            };
        }
        node.value.as_deref()
    }

    /// Sets the value of a pattern.
    pub(super) fn insert(&mut self, pattern: &str, value: T) {
        let mut node = &mut self.root;
        for segment in segments(pattern) {
            node = match segment {
                _ if is_rest_wildcard(segment) => {
                    node.rest_value = Some(Box::new(value));
                    return;
                }
                _ if is_single_wildcard(segment) => node.wildcard_child.get_or_insert_default(),
                _ => node.children.get_or_insert_default(segment),
            };
        }
        node.value = Some(Box::new(value));
    }

    /// Removes and returns the value of a pattern. Also removes the nodes that are empty then.
    pub(super) fn remove(&mut self, pattern: &str) -> Option<T> {
        self.root.remove(segments(pattern))
    }

    /// Calls `visit` with the values of all patterns that match a path.
    pub(super) fn for_each_match<'a>(&'a self, path: &str, visit: &mut impl FnMut(&'a T)) {
        self.root.for_each_match(segments(path), visit);
    }

    /// Calls `visit` with the values of all paths that match a pattern, if the values belong to paths and not to
    /// patterns. The cost depends only on the paths that match the beginning of the pattern.
    pub(super) fn for_each_covered<'a>(&'a self, pattern: &str, visit: &mut impl FnMut(&'a T)) {
        self.root.for_each_covered(segments(pattern), visit);
    }

    /// Calls `visit` with all values.
    pub(super) fn for_each<'a>(&'a self, visit: &mut impl FnMut(&'a T)) {
        self.root.for_each(visit);
    }
}

impl<T> Node<T> {
    fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.wildcard_child.is_none()
            && self.value.is_none()
            && self.rest_value.is_none()
    }

    fn remove<'p>(&mut self, mut segments: impl Iterator<Item = &'p str>) -> Option<T> {
        let Some(segment) = segments.next() else {
            return self.value.take().map(|value| *value);
        };
        if is_rest_wildcard(segment) {
            return self.rest_value.take().map(|value| *value);
        }
        if is_single_wildcard(segment) {
            let child = self.wildcard_child.as_mut()?;
            let value = child.remove(segments);
            if child.is_empty() {
                self.wildcard_child = None;
            }
            return value;
        }
        let child = self.children.get_mut(segment)?;
        let value = child.remove(segments);
        if child.is_empty() {
            self.children.remove(segment);
        }
        value
    }

    fn for_each_match<'a, 'p>(
        &'a self,
        mut segments: impl Iterator<Item = &'p str> + Clone,
        visit: &mut impl FnMut(&'a T),
    ) {
        self.rest_value.as_deref().into_iter().for_each(&mut *visit);
        match segments.next() {
            None => self.value.as_deref().into_iter().for_each(visit),
            Some(segment) => {
                if let Some(child) = self.children.get(segment) {
                    child.for_each_match(segments.clone(), visit);
                }
                if let Some(child) = &self.wildcard_child {
                    child.for_each_match(segments, visit);
                }
            }
        }
    }

    fn for_each_covered<'a, 'p>(
        &'a self,
        mut segments: impl Iterator<Item = &'p str> + Clone,
        visit: &mut impl FnMut(&'a T),
    ) {
        match segments.next() {
            None => self.value.as_deref().into_iter().for_each(visit),
            Some(segment) if is_rest_wildcard(segment) => self.for_each(visit),
            Some(segment) if is_single_wildcard(segment) => self
                .children
                .values()
                .for_each(|child| child.for_each_covered(segments.clone(), visit)),
            Some(segment) => {
                if let Some(child) = self.children.get(segment) {
                    child.for_each_covered(segments, visit);
                }
            }
        }
    }

    fn for_each<'a>(&'a self, visit: &mut impl FnMut(&'a T)) {
        self.value
            .iter()
            .chain(&self.rest_value)
            .for_each(|value| visit(value));
        self.children
            .values()
            .chain(self.wildcard_child.as_deref())
            .for_each(|child| child.for_each(visit));
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> + Clone {
    path.split('/')
}

/// Returns true for the wildcard that matches any one segment.
fn is_single_wildcard(segment: &str) -> bool {
    segment == "*"
}

/// Returns true for the wildcard that matches all remaining segments.
fn is_rest_wildcard(segment: &str) -> bool {
    segment == ">"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Address;

    /// Patterns, each with some paths that it matches, and some that it does not match.
    const TABLE: &[(&str, &[&str], &[&str])] = &[
        ("a", &["a"], &["b", "a/a", "A", "aa"]),
        ("a/b", &["a/b"], &["a", "a/b/c", "b/a", "ab"]),
        ("*", &["a", "b"], &["a/b"]),
        ("*/b", &["a/b", "b/b"], &["b", "a/b/c", "a/c"]),
        ("a/*/c", &["a/b/c", "a/c/c"], &["a/c", "a/b/b/c", "a/b/c/d"]),
        ("*/*", &["a/b"], &["a", "a/b/c"]),
        (">", &["a", "a/b", "a/b/c"], &[]),
        ("a/>", &["a", "a/b", "a/b/c"], &["b", "b/a", "aa/b"]),
        ("*/>", &["a", "a/b", "b/c/d"], &[]),
        ("a/*/>", &["a/b", "a/b/c/d"], &["a", "b/a"]),
        ("a*", &["a*"], &["ab", "a"]),
    ];

    /// Returns true if a pattern matches a path, by the same code as for rules and retained messages.
    fn is_match(pattern: &str, path: &str) -> bool {
        Address::topic(pattern).matches(&Address::topic(path))
    }

    fn found(trie: &Trie<&'static str>, path: &str) -> Vec<&'static str> {
        let mut found = Vec::new();
        trie.for_each_match(path, &mut |value| found.push(*value));
        found.sort_unstable();
        found
    }

    #[test]
    fn each_pattern_matches_exactly_the_paths_of_the_table() {
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
    fn all_matching_patterns_are_found_among_others() {
        let mut trie = Trie::default();
        for (pattern, ..) in TABLE {
            trie.insert(pattern, *pattern);
        }
        let paths = TABLE
            .iter()
            .flat_map(|(_, matching, others)| matching.iter().chain(*others));
        for path in paths {
            let patterns = TABLE.iter().map(|(pattern, ..)| *pattern);
            let mut expected: Vec<_> = patterns.filter(|it| is_match(it, path)).collect();
            expected.sort_unstable();
            assert_eq!(found(&trie, path), expected, "{path:?}");
        }
    }

    #[test]
    fn each_pattern_covers_exactly_the_paths_that_it_matches() {
        let mut trie = Trie::default();
        let paths = TABLE
            .iter()
            .flat_map(|(_, matching, others)| matching.iter().chain(*others))
            .copied();
        // A topic has no wildcards: the last pattern of the table is none.
        for path in paths.clone() {
            trie.insert(path, path);
        }
        let paths: std::collections::BTreeSet<_> = paths.collect();
        for (pattern, ..) in TABLE {
            let mut covered = Vec::new();
            trie.for_each_covered(pattern, &mut |path| covered.push(*path));
            covered.sort_unstable();
            let expected: Vec<_> = paths
                .iter()
                .copied()
                .filter(|it| is_match(pattern, it))
                .collect();
            assert_eq!(covered, expected, "{pattern:?}");
        }
    }

    #[test]
    fn removing_all_patterns_leaves_an_empty_trie() {
        let mut trie = Trie::default();
        for (pattern, ..) in TABLE {
            trie.insert(pattern, *pattern);
        }
        assert_eq!(trie.remove("a/x/y"), None);
        assert_eq!(trie.remove("*/*/*"), None);
        let mut count = 0;
        trie.for_each(&mut |_| count += 1);
        assert_eq!(count, TABLE.len());
        for (pattern, ..) in TABLE {
            assert!(trie.remove(pattern).is_some(), "{pattern}");
            assert!(trie.get(pattern).is_none(), "{pattern}");
        }
        assert!(trie.is_empty());
    }

    /// The number of nodes that the lookup of a path visits.
    fn visited_nodes(trie: &Trie<()>, path: &str) -> usize {
        fn count<'p>(
            node: &Node<()>,
            mut segments: impl Iterator<Item = &'p str> + Clone,
        ) -> usize {
            let Some(segment) = segments.next() else {
                return 1;
            };
            let named = node
                .children
                .get(segment)
                .map_or(0, |child| count(child, segments.clone()));
            let wildcard = node.wildcard_child.as_ref();
            1 + named + wildcard.map_or(0, |child| count(child, segments))
        }
        count(&trie.root, segments(path))
    }

    #[test]
    fn a_lookup_visits_no_more_nodes_than_documented() {
        let (length, max_wildcards) = (16, 3);
        let mut trie = Trie::default();
        // All patterns of 16 segments with at most 3 wildcards.
        for places in 0u32..1 << length {
            if places.count_ones() <= max_wildcards {
                let segments: Vec<_> = (0..length)
                    .map(|at| if places >> at & 1 == 1 { "*" } else { "a" })
                    .collect();
                trie.insert(&segments.join("/"), ());
            }
        }
        let path = vec!["a"; length].join("/");
        let mut matches = 0;
        trie.for_each_match(&path, &mut |()| matches += 1);
        assert_eq!(matches, 1 + 16 + 120 + 560);
        assert!(
            visited_nodes(&trie, &path) <= 17usize.pow(max_wildcards),
            "{}",
            visited_nodes(&trie, &path)
        );
    }

    #[test]
    fn a_lookup_without_wildcards_visits_one_node_per_segment() {
        let mut trie = Trie::default();
        (0..1_000).for_each(|number| trie.insert(&format!("a/{number}/b"), ()));
        assert_eq!(visited_nodes(&trie, "a/500/b"), 4);
    }
}
