//! Patterns of destinations.

use std::{ops::Range, sync::Arc};
use stomp_session::Params;

/// Values by pattern.
#[derive(Debug)]
pub(crate) struct Paths<T> {
    tree: matchit::Router<usize>,
    entries: Vec<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    names: Arc<[Box<str>]>,
}

impl<T> Paths<T> {
    pub(crate) fn new() -> Paths<T> {
        Paths { tree: matchit::Router::new(), entries: Vec::new() }
    }

    /// Adds a value, or says why its pattern cannot be.
    pub(crate) fn insert(&mut self, pattern: &str, value: T) -> Result<(), String> {
        let pattern = braced(pattern);
        self.tree.insert(&*pattern, self.entries.len()).map_err(|error| match error {
            matchit::InsertError::Conflict { with } => format!("is in conflict with {with}"),
            other => other.to_string(),
        })?;
        self.entries.push(Entry { value, names: names(&pattern) });
        Ok(())
    }

    /// The place of the value that `destination` leads to, and what its parameters are.
    pub(crate) fn find(&self, destination: &str) -> Option<(usize, Params)> {
        let found = self.tree.at(destination).ok()?;
        let names = &self.entries.get(*found.value)?.names;
        if names.is_empty() {
            return Some((*found.value, Params::default()));
        }
        let places = found.params.iter().map(|(_, value)| place(destination, value));
        Some((*found.value, Params::new(Arc::clone(names), places)))
    }

    pub(crate) fn get(&self, place: usize) -> Option<&T> {
        self.entries.get(place).map(|entry| &entry.value)
    }
}

/// Where `part` stands in `whole`, which it is a part of.
fn place(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

/// `/users/:id` as `/users/{id}`.
fn braced(pattern: &str) -> String {
    let segments = pattern.split('/').map(|segment| match segment.strip_prefix(':') {
        Some(name) => format!("{{{name}}}"),
        None => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// The parameters' names, in order. In fixed text braces are doubled.
fn names(pattern: &str) -> Arc<[Box<str>]> {
    let fixed = pattern.replace("{{", "").replace("}}", "");
    let braced = fixed.split('{').skip(1).filter_map(|after| after.split_once('}'));
    braced.map(|(name, _)| name.trim_start_matches('*').into()).collect()
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
            let (place, found) = paths.find(destination).unwrap();
            assert_eq!(paths.get(place), Some(&value), "{destination}");
            assert_eq!(found.iter(destination).collect::<Vec<_>>(), params, "{destination}");
        };
        check("/users/7/messages", 0, &[("id", "7")]);
        check("/stats/load.{raw}", 1, &[("metric", "load")]);
        check("/files/a/b", 2, &[("rest", "a/b")]);
        check("/plain", 3, &[]);
        assert!(paths.find("/users//messages").is_none());
        assert!(paths.find("/").is_none());
    }

    #[test]
    fn conflicts_name_the_other() {
        let mut paths = Paths::new();
        paths.insert("/a/{id}", 0).unwrap();
        assert_eq!(paths.insert("/a/:name", 1), Err("is in conflict with /a/{id}".to_owned()));
    }
}
