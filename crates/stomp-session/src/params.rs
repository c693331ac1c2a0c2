//! What routing found in a destination.

use smallvec::SmallVec;
use std::{ops::Range, sync::Arc};

/// A route's pattern, as its router knows it.
#[derive(Debug)]
pub struct Pattern {
    /// How it is written.
    pub text: Arc<str>,
    /// The names of its parameters, in order.
    pub names: Vec<Box<str>>,
    /// The router's own number for it.
    pub number: usize,
}

/// What routing found in a destination: the pattern that it fits, and the parts that have names there.
#[derive(Debug, Clone, Default)]
pub struct Params {
    pattern: Option<Arc<Pattern>>,
    places: SmallVec<[(u32, u32); 4]>,
}

impl Params {
    /// Parameters of this pattern at these places of the destination, in the order of their names.
    pub fn new(pattern: Arc<Pattern>, places: impl IntoIterator<Item = Range<usize>>) -> Params {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let places = places
            .into_iter()
            .map(|place| (offset(place.start), offset(place.end)));
        Params {
            pattern: Some(pattern),
            places: places.collect(),
        }
    }

    /// The pattern. There is none before routing, and where no route is for the destination.
    #[must_use]
    pub fn pattern(&self) -> Option<&Arc<Pattern>> {
        self.pattern.as_ref()
    }

    /// Names and values, in the pattern's order, given the destination.
    pub fn iter<'a>(
        &'a self,
        destination: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        let names = self
            .pattern
            .iter()
            .flat_map(|pattern| &pattern.names)
            .map(|name| &**name);
        let values = self
            .places
            .iter()
            .map(|(start, end)| destination.get(*start as usize..*end as usize));
        let values = values.map(Option::unwrap_or_default);
        names.zip(values)
    }

    /// The value of `name`, given the destination.
    #[must_use]
    pub fn get<'a>(&'a self, destination: &'a str, name: &str) -> Option<&'a str> {
        self.iter(destination)
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }
}
