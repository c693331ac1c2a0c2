//! The headers of a frame, stored as one text and an index into this text.

use crate::escape;
use bytestring::ByteString;
use smallvec::SmallVec;
use std::fmt;

/// The headers of a frame, in order.
///
/// Names are case sensitive. A name may occur several times: "only the first header entry SHOULD be used as the value
/// of header entry. Subsequent values are only used to maintain a history of state changes of the header" (STOMP 1.2,
/// "Repeated Header Entries"). So [`get`](Headers::get) returns the first value, and [`iter`](Headers::iter) all of
/// them.
///
/// Names and values are unescaped: decoding a frame unescapes them, and encoding it escapes them. Nothing is trimmed,
/// except in the frames of STOMP 1.0.
/// Decoded headers without escapes share the bytes of the frame. Adding a header copies these bytes.
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
    /// Boxed, because a frame is moved about twenty times between the socket and a handler, and moving 200 bytes each
    /// time costs more than one allocation. `None` if no header was ever added, so that an empty list costs no
    /// allocation.
    Option<Box<Content>>,
);

#[derive(Clone, Default)]
struct Content {
    text: Text,
    entries: Entries,
}

impl Headers {
    /// Creates an empty list of headers.
    #[must_use]
    pub fn new() -> Headers {
        Headers::default()
    }

    /// The number of header lines, including repeated headers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Returns true if there are no headers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    /// The first value of the header `name`; `None` if there is no such header.
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

    /// The first value of the header `name`, as an owned string; `None` if there is no such header.
    ///
    /// The string shares the bytes of a decoded frame. It is a copy if any header of the frame had escapes, or if a
    /// header was added.
    #[must_use]
    pub fn share(&self, name: &str) -> Option<ByteString> {
        self.get(name).map(|value| self.share_value(value))
    }

    /// A value that was found in these headers, as an owned string. Shares bytes like [`share`](Headers::share), and
    /// copies any other text.
    #[inline]
    #[must_use]
    pub fn share_value(&self, value: &str) -> ByteString {
        match self.0.as_deref() {
            Some(Content {
                text: Text::Shared { head, .. },
                ..
            }) if contains_slice(head, value) => head.slice_ref(value),
            _ => ByteString::from(value),
        }
    }

    /// The first values of several headers, like [`get`](Headers::get), but found in one pass.
    ///
    /// ```
    /// use stomp_frame::Headers;
    ///
    /// let headers: Headers = [("destination", "/a"), ("receipt", "1")].into_iter().collect();
    /// let [receipt, transaction] = headers.get_each(["receipt", "transaction"]);
    /// assert_eq!((receipt, transaction), (Some("1"), None));
    /// ```
    #[inline]
    #[must_use]
    pub fn get_each<const N: usize>(&self, names: [&str; N]) -> [Option<&str>; N] {
        let mut values = [None; N];
        let Some(content) = self.0.as_deref() else {
            return values;
        };
        let text = content.text.as_str();
        for entry in &content.entries {
            for (value, name) in values.iter_mut().zip(names) {
                if value.is_none() && entry.is_named(name, text) {
                    *value = Some(entry.value(text));
                }
            }
        }
        values
    }

    /// Returns true if there is a header named `name`.
    #[inline]
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The name and the value of each header, in order. Includes repeated headers.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = self
            .0
            .as_deref()
            .map_or("", |content| content.text.as_str());
        self.entries()
            .iter()
            .map(move |entry| (entry.name(text), entry.value(text)))
    }

    /// The name of each header, in order. Faster than [`iter`](Headers::iter) where few values are needed.
    #[inline]
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let text = self
            .0
            .as_deref()
            .map_or("", |content| content.text.as_str());
        self.entries().iter().map(move |entry| entry.name(text))
    }

    /// The line `name:value` and the name of each header, in order.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = self
            .0
            .as_deref()
            .map_or("", |content| content.text.as_str());
        self.entries()
            .iter()
            .map(move |entry| (entry.line(text), entry.name(text)))
    }

    /// All header lines as one slice, if they can be sent in any version without a change; otherwise `None`.
    ///
    /// This requires that the lines are adjacent, and that each line is a name, one colon, a value with nothing to
    /// escape, and an LF.
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
        // A colon and an LF for each line leave no other structural byte.
        let end_with_lf = || {
            entries
                .iter()
                .all(|entry| bytes.get(entry.end()) == Some(&b'\n'))
        };
        let are_plain = || escape::count_structural(lines) == 2 * entries.len() && end_with_lf();
        (matches!(text, Text::Shared { is_plain: true, .. }) || are_plain()).then_some(lines)
    }

    /// An upper bound for the length of all header lines before they are escaped, in bytes.
    pub(crate) fn text_len(&self) -> usize {
        self.0
            .as_deref()
            .map_or(0, |content| content.text.as_str().len())
    }

    /// Appends a header after all others.
    pub fn append(&mut self, name: &str, value: &str) {
        let content = self.0.get_or_insert_default();
        let entry = content.text.push(name, value);
        content.entries.push(entry);
    }

    /// Makes `value` the only value of the header `name`.
    ///
    /// Replaces the first header `name` and removes the others. If there is none, appends a header.
    pub fn insert(&mut self, name: &str, value: &str) {
        let Content { text, entries } = &mut **self.0.get_or_insert_default();
        let new = text.push(name, value);
        let text = text.as_str();
        let first = entries.iter().position(|entry| entry.is_named(name, text));
        let mut count = 0;
        entries.retain(|entry| {
            count += 1;
            first.is_none_or(|first| count - 1 <= first) || !entry.is_named(name, text)
        });
        match first.and_then(|first| entries.get_mut(first)) {
            Some(entry) => *entry = new,
            None => entries.push(new),
        }
    }

    /// Removes all headers named `name`. Returns true if there were any.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(Content { text, entries }) = self.0.as_deref_mut() else {
            return false;
        };
        let (before, text) = (entries.len(), text.as_str());
        entries.retain(|entry| !entry.is_named(name, text));
        entries.len() != before
    }

    /// The index of the headers. The decoder fills it in place while it scans a head, so that the index is never moved.
    #[inline]
    pub(crate) fn entries_mut(&mut self) -> &mut Entries {
        &mut self.0.get_or_insert_default().entries
    }

    /// Sets the text that the index points into: a decoded head.
    #[inline]
    pub(crate) fn with_head(self, head: ByteString, is_plain: bool) -> Headers {
        self.with_text(Text::Shared { head, is_plain })
    }

    /// Sets the text that the index points into: a decoded head, followed by its unescaped headers.
    pub(crate) fn with_unescaped(self, text: String) -> Headers {
        self.with_text(Text::Owned(text))
    }

    #[inline]
    fn with_text(mut self, text: Text) -> Headers {
        if let Some(content) = &mut self.0 {
            content.text = text;
        }
        self
    }

    #[inline]
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

/// The index of the headers of one frame. Eight entries fit without a further allocation.
pub(crate) type Entries = SmallVec<[Entry; 8]>;

/// The positions of one header in the text: its start, its colon and its end.
///
/// `u32` suffices, because a text is shorter than 4 GiB: `Limits::indexable` bounds decoded heads, and [`Text::push`]
/// checks the length of the text.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Entry {
    start: u32,
    colon: u32,
    /// The position after the header's last byte. The header's EOL begins there, unless the header was unescaped.
    end: u32,
}

impl Entry {
    /// Creates an entry for a text of less than 4 GiB.
    #[inline]
    pub(crate) fn new(start: usize, colon: usize, end: usize) -> Entry {
        Entry {
            start: start as u32,
            colon: colon as u32,
            end: end as u32,
        }
    }

    /// The position of the header's first byte.
    pub(crate) fn start(self) -> usize {
        self.start as usize
    }

    /// The position after the header's last byte, where its EOL begins.
    pub(crate) fn end(self) -> usize {
        self.end as usize
    }

    /// The whole header, `name:value`; empty if the entry exceeds the bounds of `text`.
    #[inline]
    pub(crate) fn line(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }

    /// The header's name; empty if the entry exceeds the bounds of `text`.
    #[inline]
    pub(crate) fn name(self, text: &str) -> &str {
        text.get(self.start as usize..self.colon as usize)
            .unwrap_or_default()
    }

    /// The header's value; empty if the entry exceeds the bounds of `text`.
    #[inline]
    pub(crate) fn value(self, text: &str) -> &str {
        text.get(self.colon as usize + 1..self.end as usize)
            .unwrap_or_default()
    }

    #[inline]
    fn is_named(self, name: &str, text: &str) -> bool {
        self.is_named_bytes(name, text.as_bytes())
    }

    /// Returns true if the header is named `name`, in text that may not be UTF-8.
    ///
    /// Compares the lengths first, because they differ for most names.
    #[inline]
    fn is_named_bytes(self, name: &str, text: &[u8]) -> bool {
        (self.colon - self.start) as usize == name.len()
            && text.get(self.start as usize..self.colon as usize) == Some(name.as_bytes())
    }

    /// The position of the value's first byte.
    pub(crate) fn value_start(self) -> usize {
        self.colon as usize + 1
    }

    /// The header's value, in text that may not be UTF-8.
    pub(crate) fn value_bytes(self, text: &[u8]) -> &[u8] {
        text.get(self.colon as usize + 1..self.end as usize)
            .unwrap_or_default()
    }
}

/// Finds the first header named `name` in a head that is still escaped and may not be UTF-8.
pub(crate) fn find_entry<'a>(head: &[u8], entries: &'a [Entry], name: &str) -> Option<&'a Entry> {
    entries
        .iter()
        .find(|entry| entry.is_named_bytes(name, head))
}

/// Returns true if the bytes of `part` are a part of those of `whole`, and not only equal to some of them.
fn contains_slice(whole: &str, part: &str) -> bool {
    let (whole, part) = (
        whole.as_bytes().as_ptr_range(),
        part.as_bytes().as_ptr_range(),
    );
    whole.start <= part.start && part.end <= whole.end
}

/// The room that a text has at first, in bytes. The headers of most frames that a server builds fit into it.
const FIRST_TEXT: usize = 96;

#[derive(Clone)]
enum Text {
    /// The head of a decoded frame. If `is_plain` is true, each header line is a name, one colon, a value with nothing
    /// to escape, and an LF.
    Shared { head: ByteString, is_plain: bool },
    /// A text that no other value shares. It begins with the head of a decoded frame, if any, and the unescaped headers
    /// of this head without EOLs. The lines that were added follow, each with an LF.
    Owned(String),
}

impl Text {
    #[inline]
    fn as_str(&self) -> &str {
        match self {
            Text::Shared { head, .. } => head,
            Text::Owned(text) => text,
        }
    }

    /// Appends a header, and returns its entry. If the text would exceed 4 GiB, appends nothing and returns an empty
    /// entry.
    fn push(&mut self, name: &str, value: &str) -> Entry {
        if let Text::Shared { head, .. } = self {
            *self = Text::Owned(String::from(&**head));
        }
        let Text::Owned(text) = self else {
            return Entry::default();
        };
        let start = text.len();
        let colon = start + name.len();
        let end = colon + 1 + value.len();
        if u32::try_from(end).is_err() {
            return Entry::default();
        }
        let length = name.len() + 1 + value.len() + 1;
        text.reserve(if text.capacity() == 0 {
            length.max(FIRST_TEXT)
        } else {
            length
        });
        text.push_str(name);
        text.push(':');
        text.push_str(value);
        text.push('\n');
        Entry::new(start, colon, end)
    }
}

impl Default for Text {
    fn default() -> Self {
        Text::Owned(String::new())
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
    fn insert_replaces_the_first_value_and_removes_repeated_ones() {
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
    fn plain_lines_returns_only_lines_that_are_valid_in_every_version() {
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
                "the empty line of the head precedes the appended header"
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
        // Unescaped headers are stored without an LF.
        let mut headers = Frame::parse("SEND\na:1\nb:\\r\n\n\0", Version::V1_2)
            .unwrap()
            .headers;
        headers.append("a", "2");
        headers.remove("a");
        assert_eq!(lines(&headers), None);
    }

    #[test]
    fn a_value_is_shared_only_if_it_belongs_to_the_headers() {
        let frame = Frame::parse("SEND\na:1\nb:2\na:3\n\n\0", Version::V1_2).unwrap();
        let [b, a, none] = frame.headers.get_each(["b", "a", "c"]);
        assert_eq!((b, a, none), (Some("2"), Some("1"), None));
        let value = frame.headers.get("a").unwrap();
        assert_eq!(frame.headers.share_value(value).as_ptr(), value.as_ptr());
        for other in ["1", "", "elsewhere"] {
            assert_eq!(frame.headers.share_value(other), other);
        }
    }

    #[test]
    fn debug_hides_the_values_of_secret_headers() {
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
