//! The syntax by which texts are parsed as destinations.

use super::{
    Destination, InvalidDestination, Kind,
    pattern::{OTHER_REST, REST, is_rest, is_wildcard},
};
use bytestring::ByteString;
use std::{borrow::Cow, sync::Arc};

/// The syntax of destinations: a set of prefixes, each with its own [`PrefixSyntax`].
///
/// | | below a prefix | elsewhere |
/// |---|---|---|
/// | separators | `/`, and `.` if the prefix [is dotted](PrefixSyntax::dotted) | `/` |
/// | empty segments, control characters | refused, even an empty segment at the end | ordinary text |
/// | segments `*`, `>` and `#` | wildcards, or refused without [patterns](PrefixSyntax::with_patterns) | ordinary text |
///
/// If a text is below several prefixes, the longest one applies. Prefixes are compared literally. Percent signs are
/// never decoded, and case is significant. The default has no prefixes: it accepts every text as a literal destination.
///
/// Clones share the prefixes.
///
/// ```
/// use stomp_session::{DestinationSyntax, InvalidDestination, PrefixSyntax};
///
/// # fn main() -> Result<(), InvalidDestination> {
/// let syntax = DestinationSyntax::default()
///     .with_prefix("/topic/", PrefixSyntax::dotted().with_patterns())
///     .with_prefix("/queue/", PrefixSyntax::dotted());
///
/// assert_eq!(syntax.parse("/queue/a.b")?, syntax.parse("/queue/a/b")?);
/// assert!(syntax.parse("/topic/a.*")?.is_pattern());
/// assert!(syntax.parse("/queue/a.*").is_err());
///
/// let note = syntax.parse("/notes/john.doe/*")?;
/// assert_eq!(note.canonical(), "/notes/john.doe/*");
/// assert!(!note.is_pattern());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DestinationSyntax {
    /// The prefixes, the longest first, so that the first match is the longest. Each starts and ends with `/`.
    prefixes: Arc<Vec<(Box<str>, PrefixSyntax)>>,
}

impl DestinationSyntax {
    /// Sets the syntax of the destinations below a prefix, such as `/topic/`.
    ///
    /// The prefix may omit the `/` at its start and at its end. If the prefix has a syntax already, the new one
    /// replaces it.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str, syntax: PrefixSyntax) -> DestinationSyntax {
        let prefix = match prefix.trim_matches('/') {
            "" => "/".into(),
            name => format!("/{name}/").into_boxed_str(),
        };
        let prefixes = Arc::make_mut(&mut self.prefixes);
        prefixes.retain(|(known, _)| *known != prefix);
        prefixes.push((prefix, syntax));
        prefixes.sort_by(|(one, _), (other, _)| {
            (other.len(), one.as_ref()).cmp(&(one.len(), other.as_ref()))
        });
        self
    }

    /// Adds the prefixes of `other`. If `self` has the same prefix, the syntax of `other` replaces its syntax.
    #[must_use]
    pub fn merge(self, other: &DestinationSyntax) -> DestinationSyntax {
        let prefixes = other.prefixes.iter();
        prefixes.fold(self, |merged, (prefix, syntax)| {
            merged.with_prefix(prefix, *syntax)
        })
    }

    /// Parses a destination.
    ///
    /// A `ByteString` is shared with the result, and not copied.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is below a prefix, and the part after the prefix has an empty segment, a control
    /// character, a wildcard although the prefix has no patterns, or `>` or `#` before the last segment. The canonical
    /// text is checked too, because a longer prefix may apply to it.
    pub fn parse(&self, text: impl Into<ByteString>) -> Result<Destination, InvalidDestination> {
        self.parse_text(text.into(), false)
    }

    /// Parses a copy of a text, so that the destination can be stored without the frame that contains the text.
    pub(crate) fn parse_copy(&self, text: &str) -> Result<Destination, InvalidDestination> {
        self.parse_text(ByteString::from(text.to_owned()), true)
    }

    fn parse_text(
        &self,
        text: ByteString,
        is_copied: bool,
    ) -> Result<Destination, InvalidDestination> {
        let invalid = |reason: Cow<'_, str>| InvalidDestination::new("destination", &text, &reason);
        let (mut kind, rewritten) = self.read(&text).map_err(invalid)?;
        if let Some(canonical) = &rewritten {
            // Below a dotted prefix `/a/`, the text `/a/b.c` is another spelling of `/a/b/c`, for which there may be a
            // longer prefix `/a/b/`. It must not matter which spelling the client wrote.
            (kind, _) = self.read(canonical).map_err(invalid)?;
        }
        let rewritten = rewritten.map(ByteString::from);
        Ok(Destination::new(text, rewritten, kind, is_copied))
    }

    /// Returns true if this syntax parses the canonical text of a destination as this destination: with the same
    /// segments, of which the same are wildcards.
    ///
    /// A service that depends on a syntax uses this to refuse destinations that the session has parsed with another one.
    ///
    /// ```
    /// use stomp_session::{DestinationSyntax, PrefixSyntax};
    ///
    /// # fn main() -> Result<(), stomp_session::InvalidDestination> {
    /// let syntax = DestinationSyntax::default().with_prefix("/queue/", PrefixSyntax::dotted());
    /// assert!(syntax.agrees_with(&syntax.parse("/queue/a.b")?));
    /// assert!(!syntax.agrees_with(&DestinationSyntax::default().parse("/queue/a.b")?));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn agrees_with(&self, destination: &Destination) -> bool {
        matches!(self.read(destination.canonical()), Ok((kind, None)) if kind == destination.kind())
    }

    /// Returns the canonical text of a destination, or the text itself if it is invalid.
    pub(crate) fn canonical<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.read(text) {
            Ok((_, Some(canonical))) => Cow::Owned(canonical),
            _ => Cow::Borrowed(text),
        }
    }

    /// Reads a text. Returns its kind, and its canonical text if that differs from the text.
    fn read(&self, text: &str) -> Result<(Kind, Option<String>), Cow<'static, str>> {
        let below = self.prefixes.iter().find_map(|(prefix, syntax)| {
            let path = text.strip_prefix(&**prefix)?;
            Some((&**prefix, *syntax, path))
        });
        match below {
            None => Ok((Kind::Literal, None)),
            Some((prefix, syntax, path)) => {
                let kind = syntax.check(prefix, path)?;
                Ok((kind, syntax.rewrite(prefix, path)))
            }
        }
    }
}

/// The syntax of destinations below one prefix of a [`DestinationSyntax`].
///
/// The default has the separator `/` and no patterns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PrefixSyntax {
    is_dotted: bool,
    has_patterns: bool,
}

impl PrefixSyntax {
    /// A syntax without patterns, in which `/` and `.` both separate segments and mean the same.
    #[must_use]
    pub const fn dotted() -> PrefixSyntax {
        PrefixSyntax {
            is_dotted: true,
            has_patterns: false,
        }
    }

    /// Allows patterns: the segment `*`, and `>` or `#` as the last segment, are [wildcards](Destination#patterns).
    #[must_use]
    pub const fn with_patterns(self) -> PrefixSyntax {
        PrefixSyntax {
            has_patterns: true,
            ..self
        }
    }

    /// Checks `path`, the part of a destination after `prefix`. Returns the kind of the destination.
    fn check(self, prefix: &str, path: &str) -> Result<Kind, Cow<'static, str>> {
        if path.contains(char::is_control) {
            return Err("contains a control character".into());
        }
        let mut kind = Kind::Literal;
        let mut segments = path.split(|c| self.is_separator(c)).peekable();
        while let Some(segment) = segments.next() {
            if segment.is_empty() {
                return Err("has an empty segment".into());
            }
            if !is_wildcard(segment) {
                continue;
            }
            if !self.has_patterns {
                return Err(format!(
                    "has the wildcard {segment:?}, but there are no patterns below {prefix:?}"
                )
                .into());
            }
            if is_rest(segment) && segments.peek().is_some() {
                return Err(format!("has the wildcard {segment:?} before its last segment").into());
            }
            kind = Kind::Pattern {
                prefix: prefix.len(),
            };
        }
        Ok(kind)
    }

    /// Returns the canonical text of `prefix` and a checked `path`, or `None` if it is the same text.
    fn rewrite(self, prefix: &str, path: &str) -> Option<String> {
        let last = path.rsplit(|c| self.is_separator(c)).next();
        let (path, rest) = match path.strip_suffix(OTHER_REST) {
            Some(start) if last == Some(OTHER_REST) => (start, REST),
            _ if self.is_dotted && path.contains('.') => (path, ""),
            _ => return None,
        };
        let mut canonical = String::with_capacity(prefix.len() + path.len() + rest.len());
        canonical.push_str(prefix);
        canonical.extend(
            path.chars()
                .map(|c| if self.is_separator(c) { '/' } else { c }),
        );
        canonical.push_str(rest);
        Some(canonical)
    }

    fn is_separator(self, c: char) -> bool {
        c == '/' || (self.is_dotted && c == '.')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn syntax() -> DestinationSyntax {
        DestinationSyntax::default()
            .with_prefix("/topic/", PrefixSyntax::dotted().with_patterns())
            .with_prefix("/queue/", PrefixSyntax::dotted())
            .with_prefix("/files/", PrefixSyntax::default().with_patterns())
    }

    #[test]
    fn canonical_texts_and_patterns_are_those_of_this_table() {
        for (text, canonical, is_pattern) in [
            ("/topic/a", "/topic/a", false),
            ("/topic/a.b/c", "/topic/a/b/c", false),
            ("/topic/A.%2F b", "/topic/A/%2F b", false),
            ("/topic/ä.🦀", "/topic/ä/🦀", false),
            ("/topic/a*.>b.c#", "/topic/a*/>b/c#", false),
            ("/topic/*", "/topic/*", true),
            ("/topic/>", "/topic/>", true),
            ("/topic/#", "/topic/>", true),
            ("/topic/*.a.*", "/topic/*/a/*", true),
            ("/topic/a.#", "/topic/a/>", true),
            ("/topic/*.a#", "/topic/*/a#", true),
            ("/queue/a.b", "/queue/a/b", false),
            ("/queue/#1", "/queue/#1", false),
            ("/files/a.txt", "/files/a.txt", false),
            ("/files/../*", "/files/../*", true),
            ("/files/a.b/#", "/files/a.b/>", true),
            ("/notes/john.doe", "/notes/john.doe", false),
            ("/notes//*/>/#\n/", "/notes//*/>/#\n/", false),
            ("/topic", "/topic", false),
            ("/topic.a", "/topic.a", false),
            ("/Topic/a.b", "/Topic/a.b", false),
            ("//topic/a.b", "//topic/a.b", false),
            ("topic/a.b", "topic/a.b", false),
            ("/%74opic/a.b", "/%74opic/a.b", false),
            ("", "", false),
        ] {
            let parsed = syntax().parse(text).unwrap();
            assert_eq!(parsed.as_str(), text);
            assert_eq!(parsed.canonical(), canonical, "{text:?}");
            assert_eq!(parsed.is_pattern(), is_pattern, "{text:?}");
        }
    }

    #[test]
    fn invalid_destinations_are_refused_with_the_reason() {
        let empty = "has an empty segment";
        let control = "contains a control character";
        let none = |wildcard: &str| {
            format!("has the wildcard \"{wildcard}\", but there are no patterns below \"/queue/\"")
        };
        let early =
            |wildcard: &str| format!("has the wildcard \"{wildcard}\" before its last segment");
        for (text, reason) in [
            ("/topic/", empty.to_owned()),
            ("/topic//", empty.to_owned()),
            ("/topic/.", empty.to_owned()),
            ("/topic/a.", empty.to_owned()),
            ("/topic/a/", empty.to_owned()),
            ("/topic/a./b", empty.to_owned()),
            ("/topic//a", empty.to_owned()),
            ("/files/a//b", empty.to_owned()),
            ("/topic/a\n", control.to_owned()),
            ("/topic/\0", control.to_owned()),
            ("/queue/\u{85}", control.to_owned()),
            ("/queue/*", none("*")),
            ("/queue/a.>", none(">")),
            ("/queue/a.#.b", none("#")),
            ("/topic/>.a", early(">")),
            ("/topic/#/>", early("#")),
            ("/topic/*.#.*", early("#")),
        ] {
            let invalid = syntax().parse(text).unwrap_err();
            assert_eq!(
                invalid.to_string(),
                format!("The destination {text:?} {reason}.")
            );
        }
    }

    #[test]
    fn a_prefix_needs_no_slashes() {
        for prefix in ["/topic/", "/topic", "topic/", "topic"] {
            let syntax = DestinationSyntax::default().with_prefix(prefix, PrefixSyntax::dotted());
            assert_eq!(
                syntax.parse("/topic/a.b").unwrap().canonical(),
                "/topic/a/b"
            );
            assert_eq!(
                syntax.parse("/topical/a.b").unwrap().canonical(),
                "/topical/a.b"
            );
        }
        for prefix in ["", "/"] {
            let syntax = DestinationSyntax::default().with_prefix(prefix, PrefixSyntax::dotted());
            assert_eq!(syntax.parse("/a.b").unwrap().canonical(), "/a/b");
        }
    }

    #[test]
    fn the_longest_prefix_applies_in_any_order_of_definition() {
        let prefixes = [
            ("/a/", PrefixSyntax::dotted()),
            ("/a/b/", PrefixSyntax::default()),
            ("/a/b/c/", PrefixSyntax::dotted().with_patterns()),
        ];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let syntax = order
                .iter()
                .map(|at| prefixes[*at])
                .fold(DestinationSyntax::default(), |syntax, (prefix, of)| {
                    syntax.with_prefix(prefix, of)
                });
            for (text, canonical) in [
                ("/a/x.y", "/a/x/y"),
                ("/a/b/x.y", "/a/b/x.y"),
                ("/a/b/c/x.*", "/a/b/c/x/*"),
            ] {
                assert_eq!(syntax.parse(text).unwrap().canonical(), canonical);
            }
            assert!(syntax.parse("/a/b/*").is_err());
        }
    }

    #[test]
    fn a_spelling_does_not_avoid_a_longer_prefix() {
        let syntax = DestinationSyntax::default()
            .with_prefix("/a/", PrefixSyntax::dotted().with_patterns())
            .with_prefix("/a/b/", PrefixSyntax::dotted());
        for text in ["/a/b/*", "/a/b.*", "/a.b/*"] {
            let parsed = syntax.parse(text);
            assert_eq!(parsed.is_ok(), text == "/a.b/*", "{text:?}");
        }
        let parsed = syntax.parse("/a/b.c").unwrap();
        assert_eq!(parsed, syntax.parse("/a/b/c").unwrap());
    }

    #[test]
    fn merging_adds_and_replaces_prefixes() {
        let merged = DestinationSyntax::default()
            .with_prefix("/topic/", PrefixSyntax::default())
            .with_prefix("/notes/", PrefixSyntax::default())
            .merge(&syntax());
        assert!(merged.parse("/notes/").is_err());
        assert_eq!(
            merged.parse("/topic/a.b").unwrap().canonical(),
            "/topic/a/b"
        );
        assert_eq!(
            merged,
            syntax().with_prefix("/notes/", PrefixSyntax::default())
        );
        assert_eq!(syntax().merge(&DestinationSyntax::default()), syntax());
    }

    #[test]
    fn clones_do_not_change_with_the_original() {
        let first = syntax();
        let second = first.clone().with_prefix("/user/", PrefixSyntax::dotted());
        assert_eq!(first, syntax());
        assert_ne!(first, second);
    }
}
