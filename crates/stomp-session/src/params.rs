//! The result of routing: a pattern, and the parameters in a destination.

use crate::destination::Destination;
use smallvec::SmallVec;
use std::{ops::Range, sync::Arc};

/// Pattern of a route, created by a router.
#[derive(Debug)]
pub struct Pattern {
    text: Arc<str>,
    names: Vec<Box<str>>,
    index: usize,
}

impl Pattern {
    /// Makes a pattern from its text and the names of its parameters, in order.
    ///
    /// `index` is for the router, to find its own entry. Nothing else interprets it.
    pub fn new(text: impl Into<Arc<str>>, names: Vec<Box<str>>, index: usize) -> Pattern {
        Pattern {
            text: text.into(),
            names,
            index,
        }
    }

    /// The text of the pattern. Cloning the `Arc` shares it.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The names of the parameters, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.names.iter().map(|name| &**name)
    }

    /// The index that the router passed to [`Pattern::new`].
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }
}

/// The pattern that matches a destination, and the byte ranges of its parameters in the
/// [canonical](Destination::canonical) text.
#[derive(Debug, Default)]
pub struct Params {
    pattern: Option<Arc<Pattern>>,
    // Few, because requests contain parameters and are moved several times. More need an allocation.
    ranges: SmallVec<[(u32, u32); 2]>,
}

impl Clone for Params {
    #[inline]
    fn clone(&self) -> Params {
        Params {
            pattern: self.pattern.clone(),
            // Copies all ranges at once, unlike `clone`.
            ranges: SmallVec::from_slice(&self.ranges),
        }
    }
}

impl Params {
    /// Makes parameters from a pattern and the byte ranges in the canonical text of the destination, in the order of the
    /// pattern's names.
    pub fn new(pattern: Arc<Pattern>, ranges: impl IntoIterator<Item = Range<usize>>) -> Params {
        // A frame is shorter than 4 GiB. An offset that does not fit is out of bounds, and reads as an empty value.
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let ranges = ranges
            .into_iter()
            .map(|range| (offset(range.start), offset(range.end)));
        Params {
            pattern: Some(pattern),
            ranges: ranges.collect(),
        }
    }

    /// The pattern; `None` before routing, and if no route matches the destination.
    #[inline]
    #[must_use]
    pub fn pattern(&self) -> Option<&Arc<Pattern>> {
        self.pattern.as_ref()
    }

    /// The names and values of the parameters, in the pattern's order. The values are parts of the canonical text of
    /// `destination`, which must be the destination that was routed.
    pub fn iter<'a>(
        &'a self,
        destination: &'a Destination,
    ) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        let names = self.pattern.iter().flat_map(|pattern| pattern.names());
        let text = destination.canonical();
        let values = self
            .ranges
            .iter()
            .map(|(start, end)| text.get(*start as usize..*end as usize));
        let values = values.map(Option::unwrap_or_default);
        names.zip(values)
    }

    /// The value of the parameter `name`. It is a part of the canonical text of `destination`, which must be the
    /// destination that was routed.
    #[must_use]
    pub fn get<'a>(&'a self, destination: &'a Destination, name: &str) -> Option<&'a str> {
        self.iter(destination)
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }
}
