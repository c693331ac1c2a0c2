//! A frame's headers: one text and an index into it.

use crate::escape;
use bytestring::ByteString;
use smallvec::SmallVec;
use std::fmt;

/// A frame's headers, in order.
///
/// Names are case sensitive. A name may stand several times: "only the first header entry SHOULD be used as the value
/// of header entry. Subsequent values are only used to maintain a history of state changes of the header" (STOMP 1.2,
/// "Repeated Header Entries"). So [`get`](Headers::get) gives the first, and the others stay readable.
///
/// Values are as the application means them: escapes are undone when a frame is decoded and done when it is encoded.
/// Nothing is trimmed. Decoded headers share the frame's bytes; the first change copies them.
///
/// ```
/// use stomp_frame::Headers;
///
/// let mut headers = Headers::new();
/// headers.append("foo", "World");
/// headers.append("foo", "Hello");
/// assert_eq!(headers.get("foo"), Some("World"));
/// assert_eq!(headers.iter().count(), 2);
/// ```
///
/// `Debug` hides the values of headers that hold secrets: those whose name contains `passcode`, `password`,
/// `authorization`, `cookie`, `token` or `secret`.
#[derive(Clone, Default)]
pub struct Headers(
    /// Frames are handed on many times, and are cheap to move this way. Nothing for no headers.
    Option<Box<Content>>,
);

#[derive(Clone, Default)]
struct Content {
    text: Text,
    entries: Entries,
}

impl Headers {
    /// No headers.
    #[must_use]
    pub fn new() -> Headers {
        Headers::default()
    }

    /// The number of header lines, repeated ones counted too.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    /// The first value of `name`.
    #[inline]
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let content = self.0.as_deref()?;
        let text = content.text.as_str();
        content
            .entries
            .iter()
            .find(|entry| entry.is_named(name, text))
            .map(|entry| entry.value(text))
    }

    /// The first value of `name`, sharing the frame's bytes where these were decoded.
    #[must_use]
    pub fn share(&self, name: &str) -> Option<ByteString> {
        self.get(name).map(|value| match self.0.as_deref() {
            Some(Content {
                text: Text::Shared { head, .. },
                ..
            }) => head.slice_ref(value),
            _ => ByteString::from(value),
        })
    }

    /// Whether there is a header `name`.
    #[inline]
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All headers, in order, repeated ones too.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = self
            .0
            .as_deref()
            .map_or("", |content| content.text.as_str());
        self.entries()
            .iter()
            .map(move |entry| (entry.name(text), entry.value(text)))
    }

    /// All headers as lines, `name:value`, each with its name.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = self
            .0
            .as_deref()
            .map_or("", |content| content.text.as_str());
        self.entries()
            .iter()
            .map(move |entry| (entry.line(text), entry.name(text)))
    }

    /// All lines, each with an LF behind it, if they stand one behind the other and have nothing that any version would
    /// have to escape: no more than a name, one colon and a value.
    pub(crate) fn plain_lines(&self) -> Option<&[u8]> {
        let Some(Content { text, entries }) = self.0.as_deref() else {
            return Some(&[]);
        };
        let start = entries.first().map_or(0, |first| first.start());
        let mut end = start;
        for entry in entries {
            if entry.start() != end || entry.start == entry.colon {
                return None;
            }
            end = entry.end() + 1;
        }
        let bytes = text.as_str().as_bytes();
        let lines = bytes.get(start..end)?;
        // With a colon and an LF each, there is nothing else.
        let end_with_lf = || {
            entries
                .iter()
                .all(|entry| bytes.get(entry.end()) == Some(&b'\n'))
        };
        let are_plain = || escape::specials(lines) == 2 * entries.len() && end_with_lf();
        (matches!(text, Text::Shared { is_plain: true, .. }) || are_plain()).then_some(lines)
    }

    /// At least how many bytes all lines have.
    pub(crate) fn bytes(&self) -> usize {
        self.0
            .as_deref()
            .map_or(0, |content| content.text.as_str().len())
    }

    /// Adds a header after all others.
    pub fn append(&mut self, name: &str, value: &str) {
        let content = self.0.get_or_insert_default();
        let entry = content.text.push(name, value);
        content.entries.push(entry);
    }

    /// Makes `value` the only value of `name`: in the place of the first, or after all others.
    pub fn insert(&mut self, name: &str, value: &str) {
        let Content { text, entries } = &mut **self.0.get_or_insert_default();
        let new = text.push(name, value);
        let text = text.as_str();
        let place = entries.iter().position(|entry| entry.is_named(name, text));
        let mut at = 0;
        entries.retain(|entry| {
            at += 1;
            place.is_none_or(|place| at - 1 <= place) || !entry.is_named(name, text)
        });
        match place.and_then(|place| entries.get_mut(place)) {
            Some(entry) => *entry = new,
            None => entries.push(new),
        }
    }

    /// Takes away all headers `name`, and says whether there were any.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(Content { text, entries }) = self.0.as_deref_mut() else {
            return false;
        };
        let (before, text) = (entries.len(), text.as_str());
        entries.retain(|entry| !entry.is_named(name, text));
        entries.len() != before
    }

    /// Where the headers of a head are noted while it is read: here, so that the notes need not be moved.
    #[inline]
    pub(crate) fn noted(&mut self) -> &mut Entries {
        &mut self.0.get_or_insert_default().entries
    }

    /// The headers of a decoded head, within which lies what was noted.
    pub(crate) fn within(self, head: ByteString, is_plain: bool) -> Headers {
        self.of(Text::Shared { head, is_plain })
    }

    /// The headers of a decoded head that had escapes: what they mean is added behind it.
    pub(crate) fn unescaped(self, text: String) -> Headers {
        self.of(Text::Own(text))
    }

    fn of(mut self, text: Text) -> Headers {
        if let Some(content) = &mut self.0 {
            content.text = text;
        }
        self
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        self.0.as_deref().map_or(&[], |content| &content.entries)
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self
            .iter()
            .map(|(name, value)| (name, if is_secret(name) { "(hidden)" } else { value }));
        f.debug_map().entries(shown).finish()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut headers = Headers::new();
        headers.extend(pairs);
        headers
    }
}

impl<N: AsRef<str>, V: AsRef<str>> Extend<(N, V)> for Headers {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, pairs: I) {
        for (name, value) in pairs {
            self.append(name.as_ref(), value.as_ref());
        }
    }
}

/// Where the headers of one frame stand. Eight fit without an allocation.
pub(crate) type Entries = SmallVec<[Entry; 8]>;

/// One header's place in the text: its name, one byte, its value. A text has less than 4 GiB: decoded heads are far
/// shorter, and see [`Text::push`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Entry {
    start: u32,
    colon: u32,
    end: u32,
}

impl Entry {
    /// An entry of a text that has less than 4 GiB.
    #[inline]
    pub(crate) fn new(start: usize, colon: usize, end: usize) -> Entry {
        Entry {
            start: start as u32,
            colon: colon as u32,
            end: end as u32,
        }
    }

    /// Where the header begins.
    pub(crate) fn start(self) -> usize {
        self.start as usize
    }

    /// Where the header ends.
    pub(crate) fn end(self) -> usize {
        self.end as usize
    }

    /// The whole header; empty if the entry is not of this text.
    #[inline]
    pub(crate) fn line(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }

    /// The name; empty if the entry is not of this text.
    #[inline]
    pub(crate) fn name(self, text: &str) -> &str {
        text.get(self.start as usize..self.colon as usize)
            .unwrap_or_default()
    }

    /// The value; empty if the entry is not of this text.
    #[inline]
    pub(crate) fn value(self, text: &str) -> &str {
        text.get(self.colon as usize + 1..self.end as usize)
            .unwrap_or_default()
    }

    #[inline]
    fn is_named(self, name: &str, text: &str) -> bool {
        self.is_named_bytes(name, text.as_bytes())
    }

    /// Whether the name is this one. Most are told apart by their length.
    #[inline]
    pub(crate) fn is_named_bytes(self, name: &str, text: &[u8]) -> bool {
        (self.colon - self.start) as usize == name.len()
            && text.get(self.start as usize..self.colon as usize) == Some(name.as_bytes())
    }

    /// The value, before it is known that the text is one.
    pub(crate) fn value_bytes(self, text: &[u8]) -> &[u8] {
        text.get(self.colon as usize + 1..self.end as usize)
            .unwrap_or_default()
    }
}

/// The first value of `name`, escapes not undone.
pub(crate) fn raw_value<'a>(head: &'a [u8], entries: &[Entry], name: &str) -> Option<&'a [u8]> {
    entries
        .iter()
        .find(|entry| entry.is_named_bytes(name, head))
        .map(|entry| entry.value_bytes(head))
}

#[derive(Clone)]
enum Text {
    /// The head of a decoded frame. If it `is_plain`, each header is a name, one colon, a value with nothing to escape,
    /// and LF.
    Shared { head: ByteString, is_plain: bool },
    /// Lines that were added, each with an LF, behind whatever was there before: a decoded head, and without LF what its
    /// escapes mean.
    Own(String),
}

impl Text {
    #[inline]
    fn as_str(&self) -> &str {
        match self {
            Text::Shared { head, .. } => head,
            Text::Own(text) => text,
        }
    }

    /// Adds a header. One that would not fit in 4 GiB is added as an empty one.
    fn push(&mut self, name: &str, value: &str) -> Entry {
        if let Text::Shared { head, .. } = self {
            *self = Text::Own(String::from(&**head));
        }
        let Text::Own(text) = self else {
            return Entry::default();
        };
        let start = text.len();
        let colon = start + name.len();
        let end = colon + 1 + value.len();
        if u32::try_from(end).is_err() {
            return Entry::default();
        }
        text.reserve(name.len() + 1 + value.len() + 1);
        text.push_str(name);
        text.push(':');
        text.push_str(value);
        text.push('\n');
        Entry::new(start, colon, end)
    }
}

impl Default for Text {
    fn default() -> Self {
        Text::Own(String::new())
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "passcode",
        "password",
        "authorization",
        "cookie",
        "token",
        "secret",
    ]
    .iter()
    .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frame, Version};

    #[test]
    fn insert_replaces_in_place_and_drops_repeats() {
        let mut headers: Headers = [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")]
            .into_iter()
            .collect();
        headers.insert("a", "5");
        assert_eq!(
            headers,
            [("a", "5"), ("b", "2"), ("c", "4")].into_iter().collect()
        );
        headers.insert("d", "6");
        assert_eq!(headers.len(), 4);
        assert!(headers.remove("b"));
        assert!(!headers.remove("b"));
        assert_eq!(
            headers,
            [("a", "5"), ("c", "4"), ("d", "6")].into_iter().collect()
        );
    }

    #[test]
    fn lines_are_taken_as_they_are_if_nothing_in_them_is_to_be_changed() {
        let decoded = |head: &str| {
            Frame::parse(format!("SEND\n{head}\n\0"), Version::V1_1)
                .unwrap()
                .headers
        };
        let lines = |headers: &Headers| {
            headers
                .plain_lines()
                .map(|lines| String::from_utf8(lines.to_vec()).unwrap())
        };
        assert_eq!(lines(&decoded("")).as_deref(), Some(""));
        for head in ["a:1\nb:2\n", "a:\n", "a:\t\u{e9}\n"] {
            let mut headers = decoded(head);
            assert_eq!(lines(&headers).as_deref(), Some(head));
            headers.append("c", "3");
            assert_eq!(
                lines(&headers),
                None,
                "between the two stands the head's end"
            );
        }
        for head in [
            "a:1\r\n",
            "a:1\r\nb:2\r\n",
            "a:1\nb:2\r\n",
            "a:1:2\n",
            "a:\\n\n",
            "a\\c:\nb:2\n",
        ] {
            assert_eq!(lines(&decoded(head)), None, "{head:?}");
        }
        let added = |headers: &[(&str, &str)]| lines(&headers.iter().copied().collect());
        assert_eq!(
            added(&[("a", "1"), ("b", "2")]).as_deref(),
            Some("a:1\nb:2\n")
        );
        for odd in ["\n", "\r", "\0", ":", "\\", "\nc:3"] {
            assert_eq!(added(&[("a", odd)]), None, "{odd:?}");
            assert_eq!(added(&[(odd, "1"), ("b", "2")]), None, "{odd:?}");
        }
        assert_eq!(added(&[("", "1")]), None);
        let mut headers = decoded("a:1\nb:2\nc:3\n");
        headers.remove("c");
        assert_eq!(lines(&headers).as_deref(), Some("a:1\nb:2\n"));
        headers.insert("a", "4");
        assert_eq!(lines(&headers), None);
        let mut headers = decoded("a:1\nb:2\nc:3\n");
        headers.remove("b");
        assert_eq!(lines(&headers), None);
        // What escapes meant is added without an LF.
        let mut headers = Frame::parse("SEND\na:1\nb:\\r\n\n\0", Version::V1_2)
            .unwrap()
            .headers;
        headers.append("a", "2");
        headers.remove("a");
        assert_eq!(lines(&headers), None);
    }

    #[test]
    fn secrets_are_not_shown() {
        let headers: Headers = [
            ("login", "ann"),
            ("passcode", "hush"),
            ("X-Auth-Token", "hush"),
        ]
        .into_iter()
        .collect();
        let shown = format!("{headers:?}");
        assert!(shown.contains("ann"));
        assert!(!shown.contains("hush"));
    }
}
