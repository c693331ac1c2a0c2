//! Patterns of destinations, and a search tree of them.

use std::{ops::Range, sync::Arc};
use stomp_session::{DestinationSyntax, Params, Pattern};

/// A map from patterns to values. The cost of a lookup does not depend on the number of patterns, apart from cache
/// misses.
#[derive(Debug)]
pub(crate) struct PatternTree<T> {
    tree: matchit::Router<usize>,
    entries: Vec<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    pattern: Arc<Pattern>,
}

/// The reason why a pattern cannot be added.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InsertError {
    /// Another pattern, which has this number, matches the same destinations.
    Conflict(usize),
    /// The pattern is malformed, for this reason.
    Malformed(String),
}

impl<T> PatternTree<T> {
    pub(crate) fn new() -> PatternTree<T> {
        PatternTree {
            tree: matchit::Router::new(),
            entries: Vec::new(),
        }
    }

    /// Adds a value for the destinations that match a pattern.
    pub(crate) fn insert(&mut self, pattern: &str, value: T) -> Result<(), InsertError> {
        let pattern = braced(pattern)?;
        let names = names(&pattern);
        self.add(pattern, names, value)
    }

    /// Adds a value for the destinations that match a prefix, and for all destinations below them.
    pub(crate) fn insert_below(&mut self, prefix: &str, value: T) -> Result<(), InsertError>
    where
        T: Clone,
    {
        let prefix = braced(prefix)?;
        let names = names(&prefix);
        self.add(format!("{prefix}/{{*rest}}"), names.clone(), value.clone())?;
        self.add(prefix, names, value)
    }

    fn add(&mut self, pattern: String, names: Vec<Box<str>>, value: T) -> Result<(), InsertError> {
        let number = self.entries.len();
        self.tree
            .insert(&*pattern, number)
            .map_err(|error| match &error {
                matchit::InsertError::Conflict { with } => match self.number(with) {
                    Some(number) => InsertError::Conflict(number),
                    None => InsertError::Malformed(error.to_string()),
                },
                _ => InsertError::Malformed(error.to_string()),
            })?;
        let pattern = Pattern::new(pattern, names, number);
        self.entries.push(Entry {
            value,
            pattern: Arc::new(pattern),
        });
        Ok(())
    }

    fn number(&self, pattern: &str) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| **entry.pattern.text() == *pattern)
    }

    /// The value of the pattern with this number.
    pub(crate) fn numbered(&self, number: usize) -> Option<&T> {
        self.entries.get(number).map(|entry| &entry.value)
    }

    /// Finds the pattern that matches `destination`, and the values of its parameters.
    pub(crate) fn find(&self, destination: &str) -> Option<Params> {
        let found = self.tree.at(destination).ok()?;
        let pattern = &self.entries.get(*found.value)?.pattern;
        let places = found
            .params
            .iter()
            .map(|(_, value)| place(destination, value));
        Some(Params::new(Arc::clone(pattern), places))
    }

    /// All patterns, in the order of their indices.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.entries.iter().map(|entry| &*entry.pattern)
    }

    /// The value of a pattern, if the pattern was found in this tree.
    pub(crate) fn get(&self, pattern: &Arc<Pattern>) -> Option<&T> {
        let entry = self.entries.get(pattern.index())?;
        Arc::ptr_eq(&entry.pattern, pattern).then_some(&entry.value)
    }
}

/// Joins a prefix and a pattern with exactly one `/`. The empty pattern becomes the prefix itself.
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

/// Returns the reason why a pattern matches no destination that the syntax accepts, and how to write it, if its text
/// tells. In doubt, returns `None`.
///
/// Below a dotted prefix, `/topic/a.{name}` matches nothing, since the canonical text of a destination has no dots there.
/// A route like this would protect nothing.
pub(crate) fn mismatch(pattern: &str, syntax: &DestinationSyntax) -> Option<String> {
    // A malformed pattern is reported when it is added.
    let sample = masked(&braced(pattern).ok()?);
    let reason = match syntax.parse(sample.as_str()) {
        // A wildcard is literal text in the pattern of a route, and a client may subscribe to it.
        Ok(parsed) if parsed.is_pattern() || parsed.canonical() == sample => return None,
        Ok(_) => "the syntax of its destinations separates segments by `/` and `.`, and only `/` separates those of a \
                  pattern"
            .to_owned(),
        Err(invalid) => {
            let text = invalid.to_string();
            let start = text.trim_end_matches('.');
            start
                .strip_prefix("The ")
                .map_or_else(|| start.to_owned(), |rest| format!("the {rest}"))
        }
    };
    let segments = sample.split(['/', '.']).filter(|it| !it.is_empty());
    let cure = segments.fold(String::new(), |cure, segment| cure + "/" + segment);
    let is_cure = syntax
        .parse(cure.as_str())
        .is_ok_and(|parsed| !parsed.is_pattern() && parsed.canonical() == cure);
    Some(if is_cure {
        format!("{reason}: write {cure:?}")
    } else {
        reason
    })
}

/// Replaces the separators in the names of parameters. The result stands for a destination that the pattern matches.
fn masked(pattern: &str) -> String {
    let mut depth = 0_usize;
    let mask = |c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '.' | '/' if depth % 2 == 1 => return '_',
            _ => {}
        }
        c
    };
    pattern.chars().map(mask).collect()
}

/// The byte range of `part` in `whole`. `part` must be a subslice of `whole`.
fn place(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

/// Rewrites `/users/:id` as `/users/{id}`.
///
/// Rejects `/files/*rest`, which other routers read as `/files/{*rest}`. As literal text, it would hardly ever match. A
/// `*` elsewhere is literal text.
fn braced(pattern: &str) -> Result<String, InsertError> {
    let last = pattern.rsplit_once('/').map_or("", |(_, last)| last);
    if let Some(name) = last.strip_prefix('*').filter(|name| is_identifier(name)) {
        let cure = format!("write `{{*{name}}}` instead of `*{name}` to match all the rest");
        return Err(InsertError::Malformed(cure));
    }
    let segments = pattern
        .split('/')
        .map(|segment| match segment.strip_prefix(':') {
            Some(name) => format!("{{{name}}}"),
            None => segment.to_owned(),
        });
    Ok(segments.collect::<Vec<_>>().join("/"))
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// The names of the parameters, in order. Doubled braces are literal text and name no parameter.
fn names(pattern: &str) -> Vec<Box<str>> {
    let unescaped = pattern.replace("{{", "").replace("}}", "");
    let braced = unescaped
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
    use stomp_session::{Destination, PrefixSyntax};

    fn parsed(destination: &str) -> Destination {
        DestinationSyntax::default().parse(destination).unwrap()
    }

    #[test]
    fn destinations_match_patterns_and_yield_parameters() {
        let mut tree = PatternTree::new();
        tree.insert("/users/:id/messages", 0).unwrap();
        tree.insert("/stats/{metric}.{{raw}}", 1).unwrap();
        tree.insert("/files/{*rest}", 2).unwrap();
        tree.insert("/plain", 3).unwrap();
        let check = |destination: &str, value, params: &[(&str, &str)]| {
            let found = tree.find(destination).unwrap();
            assert_eq!(
                tree.get(found.pattern().unwrap()),
                Some(&value),
                "{destination}"
            );
            assert_eq!(
                found.iter(&parsed(destination)).collect::<Vec<_>>(),
                params,
                "{destination}"
            );
        };
        check("/users/7/messages", 0, &[("id", "7")]);
        check("/stats/load.{raw}", 1, &[("metric", "load")]);
        check("/files/a/b", 2, &[("rest", "a/b")]);
        check("/plain", 3, &[]);
        assert!(tree.find("/users//messages").is_none());
        assert!(tree.find("/").is_none());
    }

    #[test]
    fn destinations_below_a_prefix_yield_only_the_parameters_of_the_prefix() {
        let mut tree = PatternTree::new();
        tree.insert_below("/rooms/:room", 0).unwrap();
        for destination in ["/rooms/blue", "/rooms/blue/a", "/rooms/blue/a/b"] {
            let found = tree.find(destination).unwrap();
            assert_eq!(
                found.iter(&parsed(destination)).collect::<Vec<_>>(),
                [("room", "blue")],
                "{destination}"
            );
        }
        assert!(tree.find("/rooms").is_none());
        assert_eq!(
            tree.insert_below("/rooms/{name}", 1),
            Err(InsertError::Conflict(0))
        );
    }

    #[test]
    fn a_conflict_names_the_other_pattern() {
        let mut tree = PatternTree::new();
        tree.insert("/a/{id}", 0).unwrap();
        assert_eq!(tree.insert("/a/:name", 1), Err(InsertError::Conflict(0)));
    }

    #[test]
    fn a_pattern_of_another_tree_has_no_value() {
        let [mut one, mut other] = [PatternTree::new(), PatternTree::new()];
        one.insert("/a", 0).unwrap();
        other.insert("/a", 0).unwrap();
        let found = one.find("/a").unwrap();
        assert!(one.get(found.pattern().unwrap()).is_some());
        assert!(other.get(found.pattern().unwrap()).is_none());
    }

    #[test]
    fn a_catch_all_without_braces_is_rejected_and_other_stars_are_literal() {
        let mut tree = PatternTree::new();
        for pattern in ["/a/*rest", "/*rest", "/{a}/*rest_2"] {
            let Err(InsertError::Malformed(reason)) = tree.insert(pattern, 0) else {
                panic!("{pattern} is accepted")
            };
            assert!(reason.contains("write `{*rest"), "{pattern}: {reason}");
        }
        for pattern in ["/a/*", "/a/*b/c", "/a/**", "/a/*.b", "a*b", "*"] {
            tree.insert(pattern, 0).unwrap();
            assert!(tree.find(pattern).is_some(), "{pattern}");
            assert!(tree.find(&pattern.replace('*', "x")).is_none(), "{pattern}");
        }
    }

    #[test]
    fn patterns_that_match_no_destination_are_found_with_a_cure() {
        let dotted = PrefixSyntax::dotted();
        let syntax = DestinationSyntax::default()
            .with_prefix("/topic/", dotted.with_patterns())
            .with_prefix("/queue/", dotted);
        for (pattern, cure) in [
            ("/topic/files.private.{x}", "/topic/files/private/{x}"),
            ("/topic/{article}.eur", "/topic/{article}/eur"),
            ("/topic/:a/b.c", "/topic/{a}/b/c"),
            ("/topic/a/", "/topic/a"),
            ("/topic//{x}", "/topic/{x}"),
            ("/queue/{{a}}.{*rest}", "/queue/{{a}}/{*rest}"),
        ] {
            let reason = mismatch(pattern, &syntax).unwrap();
            let end = format!("write {cure:?}");
            assert!(reason.ends_with(&end), "{pattern}: {reason}");
            assert_eq!(mismatch(cure, &syntax), None, "{cure}");
        }
        let reason = mismatch("/queue/a/*", &syntax).unwrap();
        assert!(reason.contains("has the wildcard"), "{reason}");
        assert!(!reason.contains("write"), "{reason}");
        for pattern in [
            "/topic",
            "/topic/{a.b}",
            "/topic/{*path}",
            "/topic/a{*rest}",
            "/topic/*",
            "/notes/{name}.txt",
            "/notes//a/",
            "/{kind}/a.b",
            "{*all}",
            "",
        ] {
            assert_eq!(mismatch(pattern, &syntax), None, "{pattern}");
        }
        let none = DestinationSyntax::default();
        assert_eq!(mismatch("/topic/files.private.{x}", &none), None);
    }

    #[test]
    fn prefix_and_pattern_are_joined_with_one_slash() {
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
