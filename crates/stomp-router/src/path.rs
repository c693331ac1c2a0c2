//! Patterns of destinations.

use std::{ops::Range, sync::Arc};
use stomp_session::{Params, Pattern};

/// Values by pattern.
#[derive(Debug)]
pub(crate) struct Paths<T> {
    tree: matchit::Router<usize>,
    entries: Vec<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    pattern: Arc<Pattern>,
}

/// Why a pattern cannot be added.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It and the pattern of this number exclude each other.
    Conflict(usize),
    Malformed(String),
}

impl<T> Paths<T> {
    pub(crate) fn new() -> Paths<T> {
        Paths {
            tree: matchit::Router::new(),
            entries: Vec::new(),
        }
    }

    /// Adds a value for the destinations that are like a pattern.
    pub(crate) fn insert(&mut self, pattern: &str, value: T) -> Result<(), Refusal> {
        let pattern = braced(pattern);
        let names = names(&pattern);
        self.add(pattern, names, value)
    }

    /// Adds a value for all destinations that begin with the segments of a pattern.
    pub(crate) fn insert_below(&mut self, prefix: &str, value: T) -> Result<(), Refusal>
    where
        T: Clone,
    {
        let prefix = braced(prefix);
        let names = names(&prefix);
        self.add(format!("{prefix}/{{*rest}}"), names.clone(), value.clone())?;
        self.add(prefix, names, value)
    }

    fn add(&mut self, pattern: String, names: Vec<Box<str>>, value: T) -> Result<(), Refusal> {
        let number = self.entries.len();
        self.tree
            .insert(&*pattern, number)
            .map_err(|error| match &error {
                matchit::InsertError::Conflict { with } => match self.number(with) {
                    Some(number) => Refusal::Conflict(number),
                    None => Refusal::Malformed(error.to_string()),
                },
                _ => Refusal::Malformed(error.to_string()),
            })?;
        let pattern = Pattern {
            text: pattern.into(),
            names,
            number,
        };
        self.entries.push(Entry {
            value,
            pattern: Arc::new(pattern),
        });
        Ok(())
    }

    fn number(&self, pattern: &str) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| *entry.pattern.text == *pattern)
    }

    /// The value of the pattern of this number.
    pub(crate) fn numbered(&self, number: usize) -> Option<&T> {
        self.entries.get(number).map(|entry| &entry.value)
    }

    /// The pattern that fits `destination`, and its parameters there.
    pub(crate) fn find(&self, destination: &str) -> Option<Params> {
        let found = self.tree.at(destination).ok()?;
        let pattern = &self.entries.get(*found.value)?.pattern;
        let places = found
            .params
            .iter()
            .map(|(_, value)| place(destination, value));
        Some(Params::new(Arc::clone(pattern), places))
    }

    /// The value of a pattern that was found here, and not among other patterns.
    pub(crate) fn get(&self, pattern: &Arc<Pattern>) -> Option<&T> {
        let entry = self.entries.get(pattern.number)?;
        Arc::ptr_eq(&entry.pattern, pattern).then_some(&entry.value)
    }
}

/// A pattern behind a prefix, with one `/` between them; nothing behind it is the prefix itself.
pub(crate) fn join(prefix: &str, pattern: &str) -> String {
    let (prefix, pattern) = (
        prefix.trim_end_matches('/'),
        pattern.trim_start_matches('/'),
    );
    if pattern.is_empty() {
        prefix.to_owned()
    } else {
        format!("{prefix}/{pattern}")
    }
}

/// Where `part` stands in `whole`, which it is a part of.
fn place(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

/// `/users/:id` as `/users/{id}`.
fn braced(pattern: &str) -> String {
    let segments = pattern
        .split('/')
        .map(|segment| match segment.strip_prefix(':') {
            Some(name) => format!("{{{name}}}"),
            None => segment.to_owned(),
        });
    segments.collect::<Vec<_>>().join("/")
}

/// The parameters' names, in order. In fixed text braces are doubled.
fn names(pattern: &str) -> Vec<Box<str>> {
    let fixed = pattern.replace("{{", "").replace("}}", "");
    let braced = fixed
        .split('{')
        .skip(1)
        .filter_map(|after| after.split_once('}'));
    braced
        .map(|(name, _)| name.trim_start_matches('*').into())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found() {
        let mut paths = Paths::new();
        paths.insert("/users/:id/messages", 0).unwrap();
        paths.insert("/stats/{metric}.{{raw}}", 1).unwrap();
        paths.insert("/files/{*rest}", 2).unwrap();
        paths.insert("/plain", 3).unwrap();
        let check = |destination: &str, value, params: &[(&str, &str)]| {
            let found = paths.find(destination).unwrap();
            assert_eq!(
                paths.get(found.pattern().unwrap()),
                Some(&value),
                "{destination}"
            );
            assert_eq!(
                found.iter(destination).collect::<Vec<_>>(),
                params,
                "{destination}"
            );
        };
        check("/users/7/messages", 0, &[("id", "7")]);
        check("/stats/load.{raw}", 1, &[("metric", "load")]);
        check("/files/a/b", 2, &[("rest", "a/b")]);
        check("/plain", 3, &[]);
        assert!(paths.find("/users//messages").is_none());
        assert!(paths.find("/").is_none());
    }

    #[test]
    fn what_lies_below_a_prefix_has_the_prefixs_parameters_only() {
        let mut paths = Paths::new();
        paths.insert_below("/rooms/:room", 0).unwrap();
        for destination in ["/rooms/blue", "/rooms/blue/a", "/rooms/blue/a/b"] {
            let found = paths.find(destination).unwrap();
            assert_eq!(
                found.iter(destination).collect::<Vec<_>>(),
                [("room", "blue")],
                "{destination}"
            );
        }
        assert!(paths.find("/rooms").is_none());
        assert_eq!(
            paths.insert_below("/rooms/{name}", 1),
            Err(Refusal::Conflict(0))
        );
    }

    #[test]
    fn conflicts_name_the_other() {
        let mut paths = Paths::new();
        paths.insert("/a/{id}", 0).unwrap();
        assert_eq!(paths.insert("/a/:name", 1), Err(Refusal::Conflict(0)));
    }

    #[test]
    fn a_pattern_of_other_paths_is_not_known() {
        let [mut one, mut other] = [Paths::new(), Paths::new()];
        one.insert("/a", 0).unwrap();
        other.insert("/a", 0).unwrap();
        let found = one.find("/a").unwrap();
        assert!(one.get(found.pattern().unwrap()).is_some());
        assert!(other.get(found.pattern().unwrap()).is_none());
    }

    #[test]
    fn one_slash_stands_between_a_prefix_and_a_pattern() {
        for (prefix, pattern, joined) in [
            ("/a", "/b", "/a/b"),
            ("/a/", "/b", "/a/b"),
            ("/a", "b", "/a/b"),
            ("/a", "", "/a"),
            ("/a", "/", "/a"),
            ("/", "/b", "/b"),
            ("", "/b", "/b"),
            ("", "", ""),
        ] {
            assert_eq!(join(prefix, pattern), joined);
        }
    }
}
