//! A frame's headers: one text and an index into it.

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
pub struct Headers {
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
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The first value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let text = self.text.as_str();
        self.find(name).map(|entry| entry.value.of(text))
    }

    /// The first value of `name`, sharing the frame's bytes where these were decoded.
    #[must_use]
    pub fn share(&self, name: &str) -> Option<ByteString> {
        self.get(name).map(|value| match &self.text {
            Text::Shared(text) => text.slice_ref(value),
            Text::Own(_) => ByteString::from(value),
        })
    }

    /// Whether there is a header `name`.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// All headers, in order, repeated ones too.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = self.text.as_str();
        self.entries.iter().map(move |entry| (entry.name.of(text), entry.value.of(text)))
    }

    /// Adds a header after all others.
    pub fn append(&mut self, name: &str, value: &str) {
        let entry = Entry { name: self.text.push(name), value: self.text.push(value) };
        self.entries.push(entry);
    }

    /// Makes `value` the only value of `name`: in the place of the first, or after all others.
    pub fn insert(&mut self, name: &str, value: &str) {
        let Some(place) = self.position(name) else {
            return self.append(name, value);
        };
        let value = self.text.push(value);
        let text = self.text.as_str();
        let mut at = 0;
        self.entries.retain(|entry| {
            at += 1;
            at - 1 <= place || entry.name.of(text) != name
        });
        if let Some(entry) = self.entries.get_mut(place) {
            entry.value = value;
        }
    }

    /// Takes away all headers `name`, and says whether there were any.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.entries.len();
        let text = self.text.as_str();
        self.entries.retain(|entry| entry.name.of(text) != name);
        self.entries.len() != before
    }

    /// The headers of a decoded head; the spans of `entries` lie within `text`.
    pub(crate) fn decoded(text: ByteString, entries: Entries) -> Headers {
        Headers { text: Text::Shared(text), entries }
    }

    fn find(&self, name: &str) -> Option<&Entry> {
        let text = self.text.as_str();
        self.entries.iter().find(|entry| entry.name.of(text) == name)
    }

    fn position(&self, name: &str) -> Option<usize> {
        let text = self.text.as_str();
        self.entries.iter().position(|entry| entry.name.of(text) == name)
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
        let shown = self.iter().map(|(name, value)| (name, if is_secret(name) { "(hidden)" } else { value }));
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

/// One header's place in the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) name: Span,
    pub(crate) value: Span,
}

/// A range of the text. A text has less than 4 GiB: decoded heads are far shorter, and see [`Text::push`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// `None` where the text is 4 GiB or longer.
    pub(crate) fn new(start: usize, end: usize) -> Option<Span> {
        Some(Span { start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? })
    }

    pub(crate) fn start(self) -> usize {
        self.start as usize
    }

    /// What the span covers; empty if it is not of this text.
    pub(crate) fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// As [`Span::of`], before it is known that the text is one.
    pub(crate) fn of_bytes(self, text: &[u8]) -> &[u8] {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

#[derive(Clone)]
enum Text {
    /// The head of a decoded frame.
    Shared(ByteString),
    /// Names and values that were added, one after the other.
    Own(String),
}

impl Text {
    fn as_str(&self) -> &str {
        match self {
            Text::Shared(text) => text,
            Text::Own(text) => text,
        }
    }

    /// Adds a piece. One that would not fit in 4 GiB is added as an empty one.
    fn push(&mut self, piece: &str) -> Span {
        if let Text::Shared(shared) = self {
            *self = Text::Own(String::from(&**shared));
        }
        let Text::Own(text) = self else {
            return Span::default();
        };
        match Span::new(text.len(), text.len() + piece.len()) {
            Some(span) => {
                text.push_str(piece);
                span
            }
            None => Span::default(),
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Text::Own(String::new())
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["passcode", "password", "authorization", "cookie", "token", "secret"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insert_replaces_in_place_and_drops_repeats() {
        let mut headers: Headers = [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")].into_iter().collect();
        headers.insert("a", "5");
        assert_eq!(headers, [("a", "5"), ("b", "2"), ("c", "4")].into_iter().collect());
        headers.insert("d", "6");
        assert_eq!(headers.len(), 4);
        assert!(headers.remove("b"));
        assert!(!headers.remove("b"));
        assert_eq!(headers, [("a", "5"), ("c", "4"), ("d", "6")].into_iter().collect());
    }

    #[test]
    fn secrets_are_not_shown() {
        let headers: Headers = [("login", "ann"), ("passcode", "hush"), ("X-Auth-Token", "hush")].into_iter().collect();
        let shown = format!("{headers:?}");
        assert!(shown.contains("ann"));
        assert!(!shown.contains("hush"));
    }
}
