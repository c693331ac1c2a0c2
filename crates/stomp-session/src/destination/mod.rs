//! Parsed destinations.

mod pattern;
mod syntax;

pub use syntax::{DestinationSyntax, PrefixSyntax};

use bytestring::ByteString;
use std::{
    borrow::Cow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};
use thiserror::Error;

/// A destination that was parsed by a [`DestinationSyntax`].
///
/// Its [canonical](Destination::canonical) text is the same for all spellings of the same destination. Everything that
/// decides about a destination (routes, rules, queues) must use this text, or compare the destinations themselves.
/// [`as_str`](Destination::as_str) is the spelling of the client, to send back or to show.
///
/// `Eq`, `Ord` and `Hash` use the canonical text alone, and are meaningful for destinations of one syntax.
///
/// ```
/// use stomp_session::{DestinationSyntax, InvalidDestination, PrefixSyntax};
///
/// # fn main() -> Result<(), InvalidDestination> {
/// let syntax = DestinationSyntax::default()
///     .with_prefix("/topic/", PrefixSyntax::dotted().with_patterns());
///
/// let destination = syntax.parse("/topic/stocks.acme")?;
/// assert_eq!(destination.as_str(), "/topic/stocks.acme");
/// assert_eq!(destination.canonical(), "/topic/stocks/acme");
/// assert_eq!(destination, syntax.parse("/topic/stocks/acme")?);
/// assert!(destination.segments().eq(["topic", "stocks", "acme"]));
///
/// let pattern = syntax.parse("/topic/stocks.#")?;
/// assert!(pattern.is_pattern());
/// assert_eq!(pattern.canonical(), "/topic/stocks/>");
/// assert!(pattern.contains(&destination));
/// # Ok(())
/// # }
/// ```
///
/// # Patterns
///
/// Below a prefix [that allows patterns](PrefixSyntax::with_patterns), two kinds of segments are wildcards:
///
/// | wildcard | matches |
/// |---|---|
/// | `*` | exactly one segment |
/// | `>` or `#`, only as the last segment | any number of segments, also none; at least one directly after the prefix |
///
/// So `/topic/a.>` matches `/topic/a` and `/topic/a.b.c`, and `/topic/>` matches every topic. A segment such as `a*` is
/// no wildcard.
///
/// Clones share the text. The default value is the empty destination.
#[derive(Clone, Default)]
pub struct Destination {
    text: ByteString,
    /// The canonical text, where it differs from `text`. Most destinations have none, and so cost nothing more to make
    /// or to clone.
    rewritten: Option<ByteString>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    /// Names one destination: no segment is a wildcard.
    #[default]
    Literal,
    /// Has wildcards.
    Pattern {
        /// Bytes of the prefix that allows them, at the start of the canonical text. It ends with `/`, and its segments
        /// are literal.
        prefix: usize,
    },
}

impl Destination {
    /// Makes a literal destination of a prefix and further segments, for example of the parameters of a route.
    ///
    /// The destination has exactly these segments. A segment that contains a separator or is a wildcard is refused, so
    /// that text from a client cannot lead to a deeper destination, or to many.
    ///
    /// A `/` is added to the prefix at its start and at its end if it is missing there. The result is canonical in
    /// every syntax, which is why neither the prefix nor the segments can contain a `.`.
    ///
    /// ```
    /// use stomp_session::Destination;
    ///
    /// # fn main() -> Result<(), stomp_session::InvalidDestination> {
    /// let room = Destination::from_segments("/topic/rooms/", ["lobby"])?;
    /// assert_eq!(room.as_str(), "/topic/rooms/lobby");
    ///
    /// for segment in ["lobby/secret", "lobby.secret", ">", ""] {
    ///     assert!(Destination::from_segments("/topic/rooms/", [segment]).is_err());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no segment, or if one of them, or one of the prefix, is empty, is a wildcard (`*`, `>` or `#`), or
    /// contains `/`, `.` or a control character.
    pub fn from_segments(
        prefix: &str,
        segments: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Destination, InvalidDestination> {
        let mut text = String::with_capacity(64);
        let prefix = prefix.trim_matches('/');
        for segment in prefix.split('/').filter(|_| !prefix.is_empty()) {
            push_segment(&mut text, "prefix segment", segment)?;
        }
        let start = text.len();
        for segment in segments {
            push_segment(&mut text, "segment", segment.as_ref())?;
        }
        if text.len() == start {
            let reason = "needs at least one more segment";
            return Err(InvalidDestination::new("destination", &text, reason));
        }
        Ok(Destination {
            text: text.into(),
            ..Destination::default()
        })
    }

    /// The text as the client wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text that all spellings of this destination have in common.
    ///
    /// Below a prefix of the syntax, `/` separates the segments, and `>` is the wildcard for the rest. Elsewhere it is
    /// the text as the client wrote it.
    #[must_use]
    pub fn canonical(&self) -> &str {
        self.rewritten.as_ref().unwrap_or(&self.text)
    }

    /// The segments of the canonical text: its parts between `/`, without the empty one before a leading `/`.
    ///
    /// Below a prefix of the syntax none of them is empty.
    pub fn segments(&self) -> impl Iterator<Item = &str> + Clone {
        let canonical = self.canonical();
        canonical.strip_prefix('/').unwrap_or(canonical).split('/')
    }

    /// True if a segment is a wildcard. Such a destination can be subscribed to, but a message cannot be sent to it.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.kind != Kind::Literal
    }

    /// True if `self` matches every destination that `other` matches.
    ///
    /// A literal destination matches only itself. So for a literal `other`, this is true if `self` matches it.
    ///
    /// ```
    /// # use stomp_session::{DestinationSyntax, InvalidDestination, PrefixSyntax};
    /// # fn main() -> Result<(), InvalidDestination> {
    /// # let syntax = DestinationSyntax::default()
    /// #     .with_prefix("/topic/", PrefixSyntax::dotted().with_patterns());
    /// let stocks = syntax.parse("/topic/stocks.>")?;
    ///
    /// assert!(stocks.contains(&syntax.parse("/topic/stocks.acme")?));
    /// assert!(stocks.contains(&syntax.parse("/topic/stocks.*")?));
    /// assert!(!stocks.contains(&syntax.parse("/topic/*.acme")?));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn contains(&self, other: &Destination) -> bool {
        pattern::contains(self.parts(), other.parts())
    }

    /// True if at least one literal destination is matched by both.
    ///
    /// ```
    /// # use stomp_session::{DestinationSyntax, InvalidDestination, PrefixSyntax};
    /// # fn main() -> Result<(), InvalidDestination> {
    /// # let syntax = DestinationSyntax::default()
    /// #     .with_prefix("/topic/", PrefixSyntax::dotted().with_patterns());
    /// let stocks = syntax.parse("/topic/stocks.*")?;
    ///
    /// assert!(stocks.may_match(&syntax.parse("/topic/*.acme")?));
    /// assert!(!stocks.may_match(&syntax.parse("/topic/*.acme.today")?));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn may_match(&self, other: &Destination) -> bool {
        pattern::may_match(self.parts(), other.parts())
    }

    /// A literal destination whose canonical text is this text, as [`DestinationSyntax::default`] parses it.
    pub(crate) fn opaque(text: ByteString) -> Destination {
        Destination {
            text,
            ..Destination::default()
        }
    }

    /// A copy that shares no memory with the frame from which this destination was parsed.
    ///
    /// Clones share the text, and so a clone that is kept may keep a whole read buffer in memory.
    #[must_use]
    pub fn copied(&self) -> Destination {
        Destination {
            text: ByteString::from(self.as_str().to_owned()),
            // This text has always had its own memory.
            rewritten: self.rewritten.clone(),
            kind: self.kind,
        }
    }

    /// Bytes of the canonical text, where it differs from the text of the client and so needs memory of its own.
    pub(crate) fn rewritten_bytes(&self) -> usize {
        self.rewritten.as_ref().map_or(0, |text| text.len())
    }

    fn parts(&self) -> impl Iterator<Item = pattern::Part<'_>> {
        pattern::parts(self.canonical(), self.kind)
    }
}

impl PartialEq for Destination {
    fn eq(&self, other: &Destination) -> bool {
        self.canonical() == other.canonical()
    }
}

impl Eq for Destination {}

impl PartialOrd for Destination {
    fn partial_cmp(&self, other: &Destination) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Destination {
    fn cmp(&self, other: &Destination) -> Ordering {
        self.canonical().cmp(other.canonical())
    }
}

impl Hash for Destination {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical().hash(state);
    }
}

/// Shows the text as the client wrote it, without escapes.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destination")
            .field("text", &self.as_str())
            .field("canonical", &self.canonical())
            .field("is_pattern", &self.is_pattern())
            .finish()
    }
}

/// The text as the client wrote it, shared with the destination.
impl From<&Destination> for ByteString {
    fn from(destination: &Destination) -> ByteString {
        destination.text.clone()
    }
}

/// The text as the client wrote it.
impl From<Destination> for ByteString {
    fn from(destination: Destination) -> ByteString {
        destination.text
    }
}

/// The reason why text is not a destination. Its text can be shown to clients.
///
/// ```
/// use stomp_session::{DestinationSyntax, PrefixSyntax};
///
/// let syntax = DestinationSyntax::default().with_prefix("/queue/", PrefixSyntax::dotted());
///
/// let invalid = syntax.parse("/queue/orders..eu").unwrap_err();
/// assert_eq!(
///     invalid.to_string(),
///     r#"The destination "/queue/orders..eu" has an empty segment."#
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("The {name} {excerpt:?} {reason}.")]
pub struct InvalidDestination {
    /// The name of the text that is invalid: "destination", or a part of one.
    name: &'static str,
    excerpt: Box<str>,
    /// Completes the sentence "The destination EXCERPT …", without the full stop.
    reason: Cow<'static, str>,
}

impl InvalidDestination {
    /// Bounds the quoted text, because the error is logged and sent back to the client.
    fn new(
        name: &'static str,
        text: &str,
        reason: impl Into<Cow<'static, str>>,
    ) -> InvalidDestination {
        let cut = text.char_indices().nth(MAX_EXCERPT);
        let excerpt = match cut.and_then(|(end, _)| text.get(..end)) {
            Some(start) => format!("{start}…").into(),
            None => text.into(),
        };
        InvalidDestination {
            name,
            excerpt,
            reason: reason.into(),
        }
    }
}

/// Characters of a destination that an error message quotes. Longer ones are cut.
const MAX_EXCERPT: usize = 80;

/// Appends `/` and the segment, if it is literal text and one segment in every syntax.
fn push_segment(
    text: &mut String,
    name: &'static str,
    segment: &str,
) -> Result<(), InvalidDestination> {
    let reason = if segment.is_empty() {
        "is empty"
    } else if segment.contains(['/', '.']) {
        r#"contains a separator, "/" or ".""#
    } else if segment.contains(char::is_control) {
        "contains a control character"
    } else if pattern::is_wildcard(segment) {
        "is a wildcard"
    } else {
        text.push('/');
        text.push_str(segment);
        return Ok(());
    };
    Err(InvalidDestination::new(name, segment, reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeSet, HashSet};

    fn syntax() -> DestinationSyntax {
        DestinationSyntax::default()
            .with_prefix("/topic/", PrefixSyntax::dotted().with_patterns())
            .with_prefix("/queue/", PrefixSyntax::dotted())
    }

    fn parse(text: &str) -> Destination {
        syntax().parse(text).unwrap()
    }

    #[test]
    fn spellings_of_one_destination_are_equal_and_keep_their_text() {
        let spellings = ["/queue/a.b.c", "/queue/a/b/c", "/queue/a.b/c"].map(parse);
        assert_eq!(spellings.iter().collect::<HashSet<_>>().len(), 1);
        assert_eq!(spellings.iter().collect::<BTreeSet<_>>().len(), 1);
        for spelling in &spellings {
            assert_eq!(spelling.canonical(), "/queue/a/b/c");
        }
        let [dotted, ..] = spellings;
        assert_eq!(dotted.to_string(), "/queue/a.b.c");
        assert_eq!(ByteString::from(&dotted), "/queue/a.b.c");
        assert_eq!(ByteString::from(dotted), "/queue/a.b.c");
    }

    #[test]
    fn destinations_are_ordered_by_their_canonical_text() {
        assert!(parse("/topic/a/b") < parse("/topic/a.c"));
        assert!(parse("/topic/a.b") < parse("/topic/a/c"));
        assert_ne!(parse("/topic/a"), parse("/topic/A"));
    }

    #[test]
    fn segments_are_those_of_the_canonical_text() {
        for (text, segments) in [
            ("/topic/a.b/c", &["topic", "a", "b", "c"][..]),
            ("/topic/#", &["topic", ">"]),
            ("/notes/john.doe", &["notes", "john.doe"]),
            ("/notes//", &["notes", "", ""]),
            ("notes/1", &["notes", "1"]),
            ("/", &[""]),
            ("", &[""]),
        ] {
            assert!(
                parse(text).segments().eq(segments.iter().copied()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_default_destination_is_the_empty_literal() {
        let empty = Destination::default();
        assert_eq!(empty, parse(""));
        assert_eq!((empty.as_str(), empty.is_pattern()), ("", false));
    }

    #[test]
    fn debug_shows_both_texts() {
        assert_eq!(
            format!("{:?}", parse("/topic/a.*")),
            r#"Destination { text: "/topic/a.*", canonical: "/topic/a/*", is_pattern: true }"#
        );
    }

    #[test]
    fn from_segments_accepts_a_prefix_with_or_without_its_slashes() {
        for prefix in [
            "/topic/rooms/",
            "/topic/rooms",
            "topic/rooms",
            "topic/rooms/",
        ] {
            let made = Destination::from_segments(prefix, ["1", "a b"]).unwrap();
            assert_eq!(made.as_str(), "/topic/rooms/1/a b", "{prefix:?}");
            assert!(!made.is_pattern(), "{prefix:?}");
        }
        for prefix in ["", "/"] {
            let made = Destination::from_segments(prefix, ["a"]).unwrap();
            assert_eq!(made.as_str(), "/a");
        }
    }

    #[test]
    fn from_segments_names_the_segment_that_it_refuses() {
        let table: [(&str, &[&str], &str); 9] = [
            ("/topic", &["a", ""], r#"The segment "" is empty."#),
            (
                "/topic",
                &["a/b"],
                r#"The segment "a/b" contains a separator, "/" or "."."#,
            ),
            (
                "/topic",
                &["a.b"],
                r#"The segment "a.b" contains a separator, "/" or "."."#,
            ),
            (
                "/topic",
                &["a\n"],
                r#"The segment "a\n" contains a control character."#,
            ),
            ("/topic", &["*"], r#"The segment "*" is a wildcard."#),
            (
                "/topic/#",
                &["a"],
                r##"The prefix segment "#" is a wildcard."##,
            ),
            ("/a//b", &["a"], r#"The prefix segment "" is empty."#),
            (
                "/a.b",
                &["a"],
                r#"The prefix segment "a.b" contains a separator, "/" or "."."#,
            ),
            (
                "/topic/",
                &[],
                r#"The destination "/topic" needs at least one more segment."#,
            ),
        ];
        for (prefix, segments, text) in table {
            let invalid = Destination::from_segments(prefix, segments).unwrap_err();
            assert_eq!(invalid.to_string(), text);
        }
    }

    #[test]
    fn wildcard_characters_within_a_segment_are_data() {
        let made = Destination::from_segments("/topic", ["a*", ">>", "%2F", "#1"]).unwrap();
        assert_eq!(made, parse("/topic/a*.>>.%2F.#1"));
    }

    #[test]
    fn error_messages_quote_at_most_80_characters_and_escape_them() {
        let quoted = |text: &str| syntax().parse(text).unwrap_err().to_string();
        assert_eq!(
            quoted("/queue/a\u{7}"),
            r#"The destination "/queue/a\u{7}" contains a control character."#
        );
        let name = "ä".repeat(80 - "/queue/".len());
        assert_eq!(
            quoted(&format!("/queue/{name}..")),
            format!("The destination \"/queue/{name}…\" has an empty segment.")
        );
    }
}
