//! Parsed destinations.

mod pattern;
mod syntax;

pub use syntax::{DestinationSyntax, PrefixSyntax};

use crate::client_error::ClientError;
use bytestring::ByteString;
use std::{
    cmp::Ordering,
    error::Error,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// A destination such as `/topic/a`, in the spelling of the client and in its canonical form.
///
/// Its [canonical](Destination::canonical) text is the same for all spellings of the same destination. Everything that
/// decides about a destination (routes, rules, queues) must use this text, or compare the destinations themselves.
/// [`as_str`](Destination::as_str) is the spelling of the client, to send back or to show.
///
/// A [`DestinationSyntax`] parses destinations. `Eq`, `Ord` and `Hash` use the canonical text alone, and are meaningful
/// only among destinations of one syntax.
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
/// | `>` or `#`, only as the last segment | any number of segments, including none; but directly after the prefix, at least one |
///
/// So `/topic/a.>` matches `/topic/a` and `/topic/a.b.c`, and `/topic/>` matches every topic. A segment such as `a*` is
/// not a wildcard.
///
/// Clones share the text, so that a clone costs no allocation. The default value is the empty destination.
#[derive(Clone, Default)]
pub struct Destination(
    /// One pointer, because requests contain destinations and are moved several times. `None` for the empty destination.
    Option<Arc<Content>>,
);

struct Content {
    text: ByteString,
    /// The canonical text, or `None` if it equals `text`. For most destinations it does, and this saves an allocation.
    rewritten: Option<ByteString>,
    kind: Kind,
    /// True if `text` shares no memory with anything else, such as the frame that it came with.
    is_copied: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    /// No segment is a wildcard: the text names one destination.
    #[default]
    Literal,
    /// At least one segment is a wildcard.
    Pattern {
        /// Length in bytes of the prefix below which wildcards are allowed. The canonical text starts with this prefix,
        /// which ends with `/`. A `*` in the prefix is literal.
        prefix: usize,
    },
}

impl Destination {
    /// Makes a literal destination from a prefix and more segments, such as the parameters of a route.
    ///
    /// Exactly these segments follow the prefix. A segment that contains a separator or is a wildcard is refused. So
    /// text from a client can neither name a deeper destination nor match many.
    ///
    /// The prefix may omit the `/` at its start and at its end. The result is canonical in every syntax. For this
    /// reason, neither the prefix nor the segments can contain a `.`.
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
    /// Returns an error if `segments` is empty. Also returns an error if a segment, or a segment of the prefix, is
    /// empty, is a wildcard (`*`, `>` or `#`), or contains `/`, `.` or a control character.
    ///
    /// If a handler returns the error, the client sees it as `bad-destination` if it is about one of `segments`, and
    /// otherwise as `internal-error`.
    pub fn from_segments(
        prefix: &str,
        segments: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Destination, InvalidDestination> {
        let mut text = String::with_capacity(64);
        let prefix = prefix.trim_matches('/');
        for segment in prefix.split('/').filter(|_| !prefix.is_empty()) {
            push_segment(&mut text, "prefix segment", segment)
                .map_err(InvalidDestination::into_mistake)?;
        }
        let start = text.len();
        for segment in segments {
            push_segment(&mut text, "segment", segment.as_ref())?;
        }
        if text.len() == start {
            let reason = "needs at least one more segment";
            return Err(InvalidDestination::new("destination", &text, reason).into_mistake());
        }
        Ok(Destination::new(text.into(), None, Kind::Literal, true))
    }

    fn new(
        text: ByteString,
        rewritten: Option<ByteString>,
        kind: Kind,
        is_copied: bool,
    ) -> Destination {
        Destination(Some(Arc::new(Content {
            text,
            rewritten,
            kind,
            is_copied,
        })))
    }

    /// The text as the client wrote it.
    #[inline]
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", |content| &content.text)
    }

    /// The canonical text, which is the same for all spellings of this destination.
    ///
    /// Below a prefix of the syntax, it has `/` in place of each separator, and `>` in place of the wildcard `#`.
    /// Elsewhere, it is the text as the client wrote it.
    #[inline]
    #[must_use]
    pub fn canonical(&self) -> &str {
        self.0.as_ref().map_or("", |content| {
            content.rewritten.as_ref().unwrap_or(&content.text)
        })
    }

    #[inline]
    fn kind(&self) -> Kind {
        self.0
            .as_ref()
            .map_or(Kind::Literal, |content| content.kind)
    }

    /// The segments of the canonical text: its parts between `/`, without the empty one before a leading `/`.
    ///
    /// No segment after a prefix of the syntax is empty.
    pub fn segments(&self) -> impl Iterator<Item = &str> + Clone {
        let canonical = self.canonical();
        canonical.strip_prefix('/').unwrap_or(canonical).split('/')
    }

    /// True if a segment is a wildcard. Such a destination is meant for subscriptions. A service should refuse a `SEND`
    /// to it, because the session does not.
    #[inline]
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.kind() != Kind::Literal
    }

    /// True if `self` and `other` have the same spelling, and were parsed in the same way. So whatever was decided about
    /// one of them holds for the other too. Unlike `==`, this tells spellings and syntaxes apart.
    ///
    /// The cost is that of comparing two pointers if they are clones of one value, as those of a session are that uses one
    /// destination several times in a row.
    #[inline]
    #[must_use]
    pub fn is_identical(&self, other: &Destination) -> bool {
        match (&self.0, &other.0) {
            (Some(own), Some(other)) => {
                Arc::ptr_eq(own, other)
                    || (own.text == other.text
                        && own.rewritten == other.rewritten
                        && own.kind == other.kind)
            }
            _ => self.as_str() == other.as_str(),
        }
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

    /// True if `self` and `other` both match at least one common literal destination.
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

    /// Makes the literal destination that [`DestinationSyntax::default`] parses from this text. Its canonical text is
    /// the same text.
    pub(crate) fn opaque(text: &str) -> Destination {
        Destination::new(ByteString::from(text.to_owned()), None, Kind::Literal, true)
    }

    /// Returns a destination that shares no memory with the text from which this one was parsed.
    ///
    /// Store this one and not a clone, unless you know where the destination comes from: a clone shares the text, and so
    /// may keep a whole read buffer in memory. Destinations that a session has parsed, and copies, are shared: there, the
    /// copy costs no more than a clone.
    #[must_use]
    pub fn copied(&self) -> Destination {
        match &self.0 {
            Some(content) if !content.is_copied => Destination::new(
                ByteString::from(content.text.to_string()),
                // The canonical text never shares memory with a frame.
                content.rewritten.clone(),
                content.kind,
                true,
            ),
            _ => self.clone(),
        }
    }

    /// Bytes of a destination, without its texts.
    #[cfg(test)]
    pub(crate) const RECORD_BYTES: usize = size_of::<Content>() + 2 * size_of::<usize>();

    /// Bytes of the separate canonical text, or 0 if it equals the text of the client.
    pub(crate) fn rewritten_bytes(&self) -> usize {
        let rewritten = self.0.as_ref().and_then(|it| it.rewritten.as_ref());
        rewritten.map_or(0, |text| text.len())
    }

    fn parts(&self) -> impl Iterator<Item = pattern::Part<'_>> {
        pattern::parts(self.canonical(), self.kind())
    }
}

impl PartialEq for Destination {
    fn eq(&self, other: &Destination) -> bool {
        let are_clones =
            matches!((&self.0, &other.0), (Some(one), Some(other)) if Arc::ptr_eq(one, other));
        are_clones || self.canonical() == other.canonical()
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
        let content = destination.0.as_ref();
        content.map_or_else(ByteString::new, |content| content.text.clone())
    }
}

/// The text as the client wrote it.
impl From<Destination> for ByteString {
    fn from(destination: Destination) -> ByteString {
        ByteString::from(&destination)
    }
}

/// Error: a text is not a valid destination. A client sees its message, with the code `bad-destination`.
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidDestination {
    error: ClientError,
    /// True if the application has made a mistake in a part that is its own.
    is_mistake: bool,
}

impl InvalidDestination {
    /// Creates the error "The `name` `text` `reason`.". `name` is "destination", "segment" or "prefix segment". The
    /// error quotes at most [`MAX_EXCERPT`] characters of `text`, because it is logged and sent to the client.
    fn new(name: &'static str, text: &str, reason: &str) -> InvalidDestination {
        let end = text.char_indices().nth(MAX_EXCERPT);
        let text = match end.and_then(|(end, _)| text.get(..end)) {
            Some(start) => &format!("{start}…"),
            None => text,
        };
        let text = format!("The {name} {text:?} {reason}.");
        InvalidDestination {
            error: ClientError::new("bad-destination", text),
            is_mistake: false,
        }
    }

    /// Marks the error as a mistake of the application, which the client does not see.
    fn into_mistake(self) -> InvalidDestination {
        InvalidDestination {
            is_mistake: true,
            ..self
        }
    }
}

impl fmt::Display for InvalidDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.error.text())
    }
}

impl Error for InvalidDestination {
    /// The form of the error for clients. A client sees it also behind errors that hide this type.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
            .filter(|_| !self.is_mistake)
            .map(|error| error as _)
    }
}

impl From<InvalidDestination> for ClientError {
    /// Creates an error with the code `bad-destination`, whose text is the message of `invalid`. A mistake of the
    /// application becomes [`ClientError::internal`], and is logged.
    fn from(invalid: InvalidDestination) -> ClientError {
        ClientError::from_error(&invalid)
    }
}

/// Maximum characters of a text that an error message quotes. The rest is cut off.
const MAX_EXCERPT: usize = 80;

/// Appends `/` and `segment`. Returns an error if `segment` is not exactly one literal segment in every syntax.
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
    fn identical_destinations_have_one_spelling_and_one_syntax() {
        let [one, same, spelled] = ["/queue/a.b", "/queue/a.b", "/queue/a/b"].map(parse);
        assert!(one.is_identical(&same) && one.is_identical(&one.clone()));
        assert!(one.is_identical(&one.copied()));
        assert!(!one.is_identical(&spelled) && one == spelled);
        for text in ["/queue/a.b", "/topic/a.*", "/topic/*"] {
            let opaque = DestinationSyntax::default().parse(text).unwrap();
            assert!(!parse(text).is_identical(&opaque), "{text}");
        }
        let longer = syntax().with_prefix("/topic/a/", PrefixSyntax::dotted().with_patterns());
        let other = longer.parse("/topic/a.>").unwrap();
        assert!(!parse("/topic/a.>").is_identical(&other));
        assert!(Destination::default().is_identical(&parse("")));
    }

    #[test]
    fn a_copy_keeps_no_other_bytes_in_memory() {
        let frame = bytestring::ByteString::from("/queue/a.b and the rest of a frame".to_owned());
        let parsed = syntax().parse(frame.slice_ref(&frame[..10])).unwrap();
        let is_part_of_frame = |it: &Destination| it.as_str().as_ptr() == frame.as_ptr();
        assert!(is_part_of_frame(&parsed) && !is_part_of_frame(&parsed.copied()));
        let copied = parsed.copied();
        assert_eq!(copied.as_str().as_ptr(), copied.copied().as_str().as_ptr());
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
