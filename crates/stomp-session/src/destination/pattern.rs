//! Comparison of destinations that may have wildcards.

use super::Kind;

/// One part of a destination: a literal segment or a wildcard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Matches one segment with this text.
    Literal(&'a str),
    /// Matches one segment with any text.
    Any,
    /// Matches any number of segments, including none. It is always the last part.
    Rest,
}

/// The wildcard for one segment.
const ANY: &str = "*";

/// The wildcard for all remaining segments, in the spelling of canonical texts.
pub(super) const REST: &str = ">";

/// The other spelling of [`REST`], which clients may use too.
pub(super) const OTHER_REST: &str = "#";

pub(super) fn is_rest(segment: &str) -> bool {
    segment == REST || segment == OTHER_REST
}

pub(super) fn is_wildcard(segment: &str) -> bool {
    segment == ANY || is_rest(segment)
}

/// Splits a canonical text into its parts.
///
/// If the text starts with `/`, the first part is empty. So `/a` does not match `a`.
pub(super) fn parts(canonical: &str, kind: Kind) -> impl Iterator<Item = Part<'_>> {
    let (literal, open) = match kind {
        Kind::Literal => (canonical, None),
        Kind::Pattern { prefix } => {
            let (literal, open) = canonical.split_at_checked(prefix).unwrap_or_default();
            (literal.strip_suffix('/').unwrap_or(literal), Some(open))
        }
    };
    // `/topic/>` does not match `/topic`, which is not below the prefix.
    let first = open.filter(|open| *open == REST).map(|_| Part::Any);
    let open = open.into_iter().flat_map(|open| open.split('/'));
    let open = open.map(|segment| match segment {
        ANY => Part::Any,
        REST => Part::Rest,
        literal => Part::Literal(literal),
    });
    let literal = literal.split('/').map(Part::Literal);
    literal.chain(first).chain(open)
}

/// True if `whole` matches everything that `part` matches.
pub(super) fn contains<'a, 'b>(
    whole: impl IntoIterator<Item = Part<'a>>,
    part: impl IntoIterator<Item = Part<'b>>,
) -> bool {
    let (mut whole, mut part) = (whole.into_iter(), part.into_iter());
    loop {
        match (whole.next(), part.next()) {
            (Some(Part::Rest), _) | (None, None) => return true,
            (Some(Part::Any), Some(Part::Any | Part::Literal(_))) => {}
            (Some(Part::Literal(one)), Some(Part::Literal(other))) if one == other => {}
            // A segment or the length differs. `*` matches more texts than any literal, and `>` matches more segments
            // than any pattern without it.
            _ => return false,
        }
    }
}

/// True if `one` and `other` both match at least one common literal destination.
pub(super) fn may_match<'a, 'b>(
    one: impl IntoIterator<Item = Part<'a>>,
    other: impl IntoIterator<Item = Part<'b>>,
) -> bool {
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    loop {
        match (one.next(), other.next()) {
            // The remaining parts of the other side, with any text for `*`, are a literal end that both match.
            (Some(Part::Rest), _) | (_, Some(Part::Rest)) | (None, None) => return true,
            (Some(Part::Any), Some(_)) | (Some(_), Some(Part::Any)) => {}
            (Some(Part::Literal(one)), Some(Part::Literal(other))) if one == other => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Destination, DestinationSyntax, PrefixSyntax};

    fn parse(text: &str) -> Destination {
        DestinationSyntax::default()
            .with_prefix("/topic/", PrefixSyntax::dotted().with_patterns())
            .parse(text)
            .unwrap()
    }

    #[test]
    fn patterns_contain_the_destinations_of_this_table_and_no_others() {
        let destinations = [
            "/topic",
            "/topic/a",
            "/topic/b",
            "/topic/a.b",
            "/topic/a.b.c",
            "/notes/a",
        ];
        for (pattern, matched) in [
            (
                "/topic/>",
                &["/topic/a", "/topic/b", "/topic/a.b", "/topic/a.b.c"][..],
            ),
            ("/topic/*", &["/topic/a", "/topic/b"]),
            ("/topic/a.>", &["/topic/a", "/topic/a.b", "/topic/a.b.c"]),
            ("/topic/a.*", &["/topic/a.b"]),
            (
                "/topic/*.>",
                &["/topic/a", "/topic/b", "/topic/a.b", "/topic/a.b.c"],
            ),
            ("/topic/*.*.>", &["/topic/a.b", "/topic/a.b.c"]),
            ("/topic/*.b.#", &["/topic/a.b", "/topic/a.b.c"]),
            ("/topic/a", &["/topic/a"]),
            ("/topic", &["/topic"]),
        ] {
            for destination in destinations {
                let is_matched = matched.contains(&destination);
                let (pattern, destination) = (parse(pattern), parse(destination));
                assert_eq!(
                    pattern.contains(&destination),
                    is_matched,
                    "{pattern} contains {destination}"
                );
                assert_eq!(
                    pattern.may_match(&destination),
                    is_matched,
                    "{pattern} may match {destination}"
                );
            }
        }
    }

    #[test]
    fn patterns_with_the_same_matches_contain_each_other() {
        for (one, other) in [
            ("/topic/>", "/topic/*.>"),
            ("/topic/a.#", "/topic/a/>"),
            ("/topic/*", "/topic/*"),
        ] {
            let (one, other) = (parse(one), parse(other));
            assert!(
                one.contains(&other) && other.contains(&one),
                "{one} {other}"
            );
        }
    }

    #[test]
    fn patterns_may_match_the_same_destination_without_containing_each_other() {
        for (one, other, expected) in [
            ("/topic/a.*", "/topic/*.b", true),
            ("/topic/a.>", "/topic/*", true),
            ("/topic/a.>", "/topic/*.b.c.d", true),
            ("/topic/a.*", "/topic/*", false),
            ("/topic/a.*", "/topic/b.>", false),
        ] {
            let (one, other) = (parse(one), parse(other));
            assert_eq!(one.may_match(&other), expected, "{one} {other}");
            assert_eq!(other.may_match(&one), expected, "{other} {one}");
            assert!(
                !one.contains(&other) && !other.contains(&one),
                "{one} {other}"
            );
        }
    }

    #[test]
    fn wildcard_segments_in_a_prefix_and_elsewhere_are_literal() {
        let syntax = DestinationSyntax::default()
            .with_prefix("/*/", PrefixSyntax::default().with_patterns());
        let pattern = syntax.parse("/*/*").unwrap();
        assert!(pattern.contains(&syntax.parse("/*/a").unwrap()));
        assert!(!pattern.contains(&syntax.parse("/b/a").unwrap()));
        let literal = parse("/notes/*");
        assert!(!literal.is_pattern());
        assert!(literal.contains(&literal) && literal.may_match(&literal));
        assert!(!literal.may_match(&parse("/notes/a")));
    }

    #[test]
    fn a_pattern_at_the_root_does_not_match_text_without_a_leading_slash() {
        let syntax =
            DestinationSyntax::default().with_prefix("/", PrefixSyntax::default().with_patterns());
        let pattern = syntax.parse("/>").unwrap();
        assert!(pattern.contains(&syntax.parse("/a").unwrap()));
        for text in ["a", "", "a/b"] {
            assert!(!pattern.may_match(&syntax.parse(text).unwrap()), "{text:?}");
        }
    }
}
