//! The destinations that a route matches, to compare them with the pattern of a subscription.

use std::sync::LazyLock;
use stomp_session::{Destination, DestinationSyntax, PrefixSyntax};

/// The pattern of a route, rewritten as a destination with wildcards, to compare it with a subscription.
#[derive(Debug)]
pub(crate) struct RoutePattern {
    /// Matches everything that the route matches, and perhaps more. `None` matches everything.
    matched: Option<Destination>,
    /// True if `matched` matches nothing that the route does not match.
    is_exact: bool,
}

/// The rewritten pattern of a route that is nothing but a catch-all, such as `/{*all}`.
const EVERYTHING: &str = "/*/>";

static SYNTAX: LazyLock<DestinationSyntax> = LazyLock::new(|| {
    DestinationSyntax::default().with_prefix("/", PrefixSyntax::default().with_patterns())
});

impl RoutePattern {
    /// Rewrites `/a/{b}/{*rest}` as `/a/*/*/>`. A catch-all needs at least one segment, unlike `>`.
    ///
    /// `pattern` has its parameters in braces. A destination with wildcards starts with `/`. Of the patterns that do
    /// not start with `/`, only a catch-all can match it.
    pub(crate) fn new(pattern: &str) -> RoutePattern {
        let path = pattern.strip_prefix('/').unwrap_or(pattern);
        let mut is_exact = pattern.starts_with(['/', '{']);
        let mut text = String::with_capacity(pattern.len() + 2);
        for segment in path.split('/') {
            text.push('/');
            match Segment::from(segment) {
                Segment::Literal => text.push_str(segment),
                Segment::Parameter => text.push('*'),
                Segment::CatchAll => text.push_str("*/>"),
                Segment::Mixed => {
                    text.push_str(if segment.contains("{*") { "*/>" } else { "*" });
                    is_exact = false;
                }
                Segment::Invalid => {
                    text.push('>');
                    is_exact = false;
                    break;
                }
            }
        }
        RoutePattern {
            matched: SYNTAX.parse(text).ok(),
            is_exact,
        }
    }

    /// Returns true if the route matches everything that `wanted` matches. In doubt, returns false.
    pub(crate) fn contains(&self, wanted: &Destination) -> bool {
        let matched = self.matched.as_ref().filter(|_| self.is_exact);
        matched.is_some_and(|matched| matched.contains(wanted))
    }

    /// Returns true if the route and `wanted` both match some destination. In doubt, returns true. A route that is
    /// nothing but a catch-all never overlaps, because every other route takes precedence over it.
    pub(crate) fn overlaps(&self, wanted: &Destination) -> bool {
        let Some(matched) = &self.matched else {
            return true;
        };
        let is_everything = self.is_exact && matched.canonical() == EVERYTHING;
        !is_everything && matched.may_match(wanted)
    }
}

/// Kind of a segment in the pattern of a route.
enum Segment {
    Literal,
    /// A parameter: `{name}`.
    Parameter,
    /// A catch-all: `{*name}`.
    CatchAll,
    /// Literal text and a parameter, or a brace as literal text.
    Mixed,
    /// Literal text that cannot be a literal segment of a destination with wildcards: it is empty or a wildcard there,
    /// or has a control character.
    Invalid,
}

impl From<&str> for Segment {
    fn from(segment: &str) -> Segment {
        let name = segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .filter(|name| !name.contains(['{', '}']));
        match name {
            Some(name) if name.starts_with('*') => Segment::CatchAll,
            Some(_) => Segment::Parameter,
            None if segment.contains(['{', '}']) => Segment::Mixed,
            None if segment.is_empty() || segment.contains(char::is_control) => Segment::Invalid,
            None if matches!(segment, "*" | ">" | "#") => Segment::Invalid,
            None => Segment::Literal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(text: &str) -> Destination {
        DestinationSyntax::default()
            .with_prefix("/topic/", PrefixSyntax::dotted().with_patterns())
            .parse(text)
            .unwrap()
    }

    #[test]
    fn routes_are_compared_with_the_patterns_of_this_table() {
        for (route, pattern, contains, overlaps) in [
            ("/topic/{*path}", "/topic/>", true, true),
            ("/topic/{*path}", "/topic/*.a", true, true),
            ("/topic/{name}", "/topic/*", true, true),
            ("/topic/{name}", "/topic/>", false, true),
            ("/topic/{name}", "/topic/*.*", false, false),
            ("/topic/a/{name}", "/topic/*.b", false, true),
            ("/topic/a/{name}", "/topic/b.*", false, false),
            ("/topic/a/b", "/topic/a.*", false, true),
            ("/topic/a", "/topic/a.>", false, true),
            // The pattern matches `/topic/a` too, and the route does not.
            ("/topic/a/{*rest}", "/topic/a.>", false, true),
            ("/topic/a/{*rest}", "/topic/a.*", true, true),
            ("/topic/a-{id}", "/topic/*", false, true),
            ("/topic/{{a}}", "/topic/*", false, true),
            ("/topic/{a}/{{b/c", "/topic/*.*.c", false, true),
            ("/topic/*", "/topic/*", false, true),
            ("/topic/a//b", "/topic/a.*", false, true),
            ("/topic/a/", "/topic/b.*", false, false),
            ("/topic/>/a", "/topic/a.*", false, true),
            ("/{topic}/a", "/topic/*", false, true),
            ("/other/{*path}", "/topic/>", false, false),
            ("/{*all}", "/topic/>", true, false),
            ("{*all}", "/topic/>", true, false),
            ("topic/{*path}", "/topic/>", false, true),
        ] {
            let (route_pattern, pattern) = (RoutePattern::new(route), wanted(pattern));
            assert_eq!(
                (
                    route_pattern.contains(&pattern),
                    route_pattern.overlaps(&pattern)
                ),
                (contains, overlaps),
                "{route} {pattern}"
            );
        }
    }
}
