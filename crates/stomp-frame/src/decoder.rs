//! Frames from bytes that come in any pieces.

use crate::{
    Command, DecodeError, DecodeErrorKind as Kind, Frame, Headers, Limits, Version, escape, grammar, header,
    headers::{Entries, Entry},
    input::Input,
    value,
};
use bytes::Bytes;
use bytestring::ByteString;
use memchr::{memchr, memchr2};

/// What a [`Decoder`] finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A frame.
    Frame(Frame),
    /// One or more EOLs between frames: a heart-beat, or the padding that may follow a frame.
    HeartBeat,
}

/// Finds the frames in a stream of bytes, whatever pieces it comes in.
///
/// [`feed`](Decoder::feed) it what has arrived, then call [`decode`](Decoder::decode) until it gives `None`. Each octet
/// is looked at a bounded number of times, however small the pieces. Frames that arrive whole are slices of what was
/// fed; only those that arrive in pieces are copied together.
///
/// After a `CONNECT`, `STOMP` or `CONNECTED` frame the decoder **stops by itself**: how the following bytes are to be
/// read depends on the version, and whether they may be read at all on the answer. They are kept until
/// [`negotiated`](Decoder::negotiated) is called, within [`Limits::frame`].
///
/// ```
/// use stomp_frame::{Decoded, Decoder, Limits, Version};
///
/// let mut decoder = Decoder::new(Limits::before_login());
/// decoder.feed("CONNECT\naccept-version:1.2\n\n\0SEND\ndesti");
/// assert!(matches!(decoder.decode()?, Some(Decoded::Frame(_))));
/// assert_eq!(decoder.decode()?, None);
///
/// decoder.negotiated(Version::V1_2, Limits::default());
/// decoder.feed("nation:/a\n\nhello\0");
/// let Some(Decoded::Frame(send)) = decoder.decode()? else { panic!() };
/// assert_eq!(send.body, "hello");
/// # Ok::<(), stomp_frame::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// What escapes to undo. Before the negotiation only frames that never escape make sense.
    version: Version,
    state: State,
    input: Input,
}

impl Decoder {
    /// A decoder at the beginning of a stream. `limits` hold until the negotiation.
    #[must_use]
    pub fn new(limits: Limits) -> Decoder {
        Decoder { limits, version: Version::V1_0, state: State::START, input: Input::default() }
    }

    /// Lets the decoder go on after `CONNECT`, `STOMP` or `CONNECTED`, in this version and with these limits.
    pub fn negotiated(&mut self, version: Version, limits: Limits) {
        self.version = version;
        self.limits = limits;
        if self.is_stopped() {
            self.state = State::START;
        }
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether the decoder waits for [`negotiated`](Decoder::negotiated).
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, State::Stopped)
    }

    /// How many octets are kept: fed, and not yet part of what [`decode`](Decoder::decode) gave.
    #[must_use]
    pub fn held(&self) -> usize {
        self.input.as_slice().len()
    }

    /// Takes what has arrived.
    pub fn feed(&mut self, bytes: impl Into<Bytes>) {
        self.input.feed(bytes.into());
    }

    /// The next frame or heart-beat, or `None` if more bytes (or the negotiation) are needed.
    ///
    /// # Errors
    ///
    /// If what was fed is not a frame, or one over the limits. The decoder then gives the same error for ever.
    pub fn decode(&mut self) -> Result<Option<Decoded>, DecodeError> {
        let result = self.advance();
        match &result {
            Ok(Some(_)) => {}
            Ok(None) => self.input.gather(),
            Err(error) => {
                self.input = Input::default();
                self.state = State::Failed(error.clone());
            }
        }
        result
    }

    fn advance(&mut self) -> Result<Option<Decoded>, DecodeError> {
        if matches!(self.state, State::Head(HeadEnd { scanned: 0, .. })) && self.skip_eols() {
            return Ok(Some(Decoded::HeartBeat));
        }
        loop {
            let bytes = self.input.as_slice();
            match &mut self.state {
                State::Failed(error) => return Err(error.clone()),
                State::Stopped if bytes.len() > self.limits.frame => {
                    return Err(Kind::FrameTooLong(self.limits.frame).at(self.limits.frame));
                }
                State::Stopped => return Ok(None),
                State::Head(head) => {
                    let Some(end) = head.find(bytes, &self.limits)? else {
                        return Ok(None);
                    };
                    let bytes = bytes.get(..end).unwrap_or_default();
                    self.state = State::Body(Body::after(bytes, head.read(bytes)?)?);
                }
                State::Body(body) => {
                    let Some(nul) = body.find_nul(bytes, &self.limits, self.version)? else {
                        return Ok(None);
                    };
                    return self.take(nul).map(Some);
                }
            }
        }
    }

    /// Drops EOLs before a frame, and says whether there were any.
    fn skip_eols(&mut self) -> bool {
        let bytes = self.input.as_slice();
        let mut rest = bytes;
        while let [b'\n', after @ ..] | [b'\r', b'\n', after @ ..] = rest {
            rest = after;
        }
        let eols = bytes.len() - rest.len();
        self.input.advance(eols);
        eols > 0
    }

    /// Takes the frame whose closing NUL stands at `nul`.
    fn take(&mut self, nul: usize) -> Result<Decoded, DecodeError> {
        let State::Body(Body { command, entries, head, .. }) = std::mem::replace(&mut self.state, State::START) else {
            return Ok(Decoded::HeartBeat);
        };
        let mut body = self.input.split_to(nul + 1);
        let text = body.split_to(head);
        body.truncate(nul - head);
        if body.is_empty() || !command.allows_body() {
            body = Bytes::new();
        }
        let headers = read_headers(text, entries, command, self.version)?;
        if command.is_unescaped() {
            self.state = State::Stopped;
        }
        Ok(Decoded::Frame(Frame { command, headers, body }))
    }
}

#[derive(Debug)]
enum State {
    /// Looking for the end of a head.
    Head(HeadEnd),
    /// Looking for the end of a body.
    Body(Body),
    /// Waiting for the negotiation.
    Stopped,
    /// Nothing more is read.
    Failed(DecodeError),
}

impl State {
    const START: State =
        State::Head(HeadEnd { line: 0, scanned: 0, lines: 0, entries: Entries::new_const(), is_plain: true });
}

/// The search for the empty line that ends a head, which goes on where it stopped when more bytes come.
///
/// It looks at every line anyway, so it notes where the headers are as well. What is plain needs no more than that; at
/// anything else the grammar looks again, as a whole.
#[derive(Debug)]
struct HeadEnd {
    /// Where the line begins whose end is looked for.
    line: usize,
    /// There is no line feed in `line..scanned`.
    scanned: usize,
    /// How many lines end before `line`: the command's, and the headers'.
    lines: usize,
    /// Where the headers are, as long as the head is plain.
    entries: Entries,
    /// Each header has a name and a colon, and lines end with LF alone.
    is_plain: bool,
}

impl HeadEnd {
    /// The octets in the head, the empty line included; `None` if it goes on.
    fn find(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, DecodeError> {
        while let Some(found) = memchr2(b'\n', 0, bytes.get(self.scanned..).unwrap_or_default()) {
            let end = self.scanned + found;
            if bytes.get(end) == Some(&0) {
                return Err(Kind::NulInHead.at(end));
            }
            let length = self.check_line(bytes, end, limits)?;
            if length == 0 {
                return Ok(Some(end + 1));
            }
            if self.lines > limits.headers {
                return Err(Kind::TooManyHeaders(limits.headers).at(end));
            }
            self.note(bytes, end);
            (self.line, self.scanned) = (end + 1, end + 1);
            self.lines += 1;
        }
        self.scanned = bytes.len();
        self.check_line(bytes, bytes.len(), limits)?;
        Ok(None)
    }

    /// Notes where the header is that ends before `end`.
    fn note(&mut self, bytes: &[u8], end: usize) {
        if self.lines == 0 || !self.is_plain {
            return;
        }
        let colon = memchr(b':', bytes.get(self.line..end).unwrap_or_default());
        match colon.filter(|colon| *colon > 0).and_then(|colon| Entry::new(self.line, self.line + colon, end)) {
            Some(entry) => self.entries.push(entry),
            None => self.is_plain = false,
        }
    }

    /// The command and the headers of a head that was found.
    fn read(&mut self, head: &[u8]) -> Result<(Command, Entries), DecodeError> {
        if self.is_plain && memchr(b'\r', head).is_none() {
            let word = memchr(b'\n', head).and_then(|end| head.get(..end));
            if let Some(command) = word.and_then(Command::from_bytes) {
                return Ok((command, std::mem::take(&mut self.entries)));
            }
        }
        grammar::parse(head).map_err(|(kind, offset)| kind.at(offset))
    }

    /// The length of the line that ends, or has come so far, before `end`.
    fn check_line(&self, bytes: &[u8], end: usize, limits: &Limits) -> Result<usize, DecodeError> {
        let line = bytes.get(self.line..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // With an EOL and, behind the head, a NUL.
        let (head, frame) = (end + 1, end + 2);
        if self.lines == 0 && line.len() > Command::LONGEST {
            Err(Kind::UnknownCommand.at(0))
        } else if line.len() > limits.line {
            Err(Kind::LineTooLong(limits.line).at(self.line))
        } else if head > limits.head {
            Err(Kind::HeadTooLong(limits.head).at(limits.head))
        } else if frame > limits.frame {
            Err(Kind::FrameTooLong(limits.frame).at(limits.frame))
        } else {
            Ok(line.len())
        }
    }
}

/// A frame whose head is known, and the search for its closing NUL.
#[derive(Debug)]
struct Body {
    command: Command,
    entries: Entries,
    /// Octets in the head.
    head: usize,
    /// Octets in the body, where `content-length` says so.
    length: Option<usize>,
    /// There is no NUL in `head..scanned`.
    scanned: usize,
}

impl Body {
    fn after(head: &[u8], (command, entries): (Command, Entries)) -> Result<Body, DecodeError> {
        let mut body = Body { command, entries, head: head.len(), length: None, scanned: head.len() };
        if let Some(stated) = raw_value(head, &body.entries, header::CONTENT_LENGTH) {
            let length = value::content_length(stated);
            body.length = Some(length.ok_or_else(|| body.fault(head, Kind::InvalidContentLength, 0))?);
        }
        Ok(body)
    }

    /// Where the closing NUL stands; `None` if the body goes on.
    ///
    /// STOMP 1.2, "Header content-length": "this number of octets MUST be read, regardless of whether or not there are
    /// NULL octets in the body. The frame still needs to be terminated with a NULL octet."
    fn find_nul(&mut self, bytes: &[u8], limits: &Limits, version: Version) -> Result<Option<usize>, DecodeError> {
        // STOMP 1.0, "SUBSCRIBE": "The body of the SUBSCRIBE command is ignored."
        let ignored = version == Version::V1_0 && self.command == Command::Subscribe;
        let has_body = self.length.map_or_else(|| bytes.get(self.head).is_some_and(|&octet| octet != 0), |l| l > 0);
        if has_body && !ignored && !self.command.allows_body() {
            return Err(self.fault(bytes, Kind::UnexpectedBody, self.head));
        }
        let nul = match self.length {
            Some(length) => self.head.saturating_add(length),
            None => match memchr(0, bytes.get(self.scanned..).unwrap_or_default()) {
                Some(found) => self.scanned + found,
                None => bytes.len(),
            },
        };
        self.scanned = nul;
        match bytes.get(nul) {
            // The NUL is the frame's last octet.
            _ if nul >= limits.frame => Err(self.fault(bytes, Kind::FrameTooLong(limits.frame), limits.frame)),
            None => Ok(None),
            Some(0) => Ok(Some(nul)),
            Some(_) => Err(self.fault(bytes, Kind::MissingNul, nul)),
        }
    }

    fn fault(&self, bytes: &[u8], kind: Kind, offset: usize) -> DecodeError {
        DecodeError { receipt: receipt(bytes, &self.entries), ..kind.at(offset) }
    }
}

/// The headers in a head, with escapes undone where the version has them.
fn read_headers(head: Bytes, entries: Entries, command: Command, version: Version) -> Result<Headers, DecodeError> {
    let text = ByteString::try_from(head).map_err(|error| Kind::NotUtf8.at(error.valid_up_to()))?;
    if command.is_unescaped() || !escape::is_used_in(version) || memchr(b'\\', text.as_bytes()).is_none() {
        return Ok(Headers::decoded(text, entries));
    }
    let mut plain = String::with_capacity(text.len());
    let mut undo = |entry: &Entry| -> Result<Entry, usize> {
        let start = plain.len();
        escape::undo(version, entry.name(&text), &mut plain).map_err(|at| entry.start() + at)?;
        let colon = plain.len();
        plain.push(':');
        let value = entry.start() + entry.name(&text).len() + 1;
        escape::undo(version, entry.value(&text), &mut plain).map_err(|at| value + at)?;
        Ok(Entry::new(start, colon, plain.len()).unwrap_or_default())
    };
    match entries.iter().map(&mut undo).collect::<Result<Entries, usize>>() {
        Ok(entries) => Ok(Headers::decoded(ByteString::from(plain), entries)),
        Err(at) => Err(DecodeError { receipt: receipt(text.as_bytes(), &entries), ..Kind::UndefinedEscape.at(at) }),
    }
}

/// The first value of `name`, escapes not undone.
fn raw_value<'a>(head: &'a [u8], entries: &Entries, name: &str) -> Option<&'a [u8]> {
    entries.iter().find(|entry| entry.is_named_octets(name, head)).map(|entry| entry.value_octets(head))
}

/// The `receipt` of a frame that is refused, for the answer.
fn receipt(head: &[u8], entries: &Entries) -> Option<Box<str>> {
    let raw = std::str::from_utf8(raw_value(head, entries, header::RECEIPT)?).ok()?;
    let mut plain = String::new();
    escape::undo(Version::V1_2, raw, &mut plain).ok()?;
    Some(plain.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*, sample::select};

    /// Where the headers are, as far as `Entry` tells.
    type Found = Result<(Command, Vec<(Vec<u8>, usize)>), (Kind, usize)>;

    fn shown(head: &[u8], result: Result<(Command, Entries), (Kind, usize)>) -> Found {
        let places = |entries: Entries| entries.iter().map(|e| (e.value_octets(head).to_vec(), e.start())).collect();
        result.map(|(command, entries)| (command, places(entries)))
    }

    proptest! {
        /// What is taken for plain while the end of a head is looked for is what the grammar makes of it.
        #[test]
        fn plain_heads_are_read_as_the_grammar_reads_them(
            command in select(&["SEND", "MESSAGE", "ACK", "SENT", ""][..]),
            lines in vec(vec(select(&b"ab:\\\r\n\xc3\xa9"[..]), 0..8), 0..10),
        ) {
            let mut head = command.as_bytes().to_vec();
            for line in lines {
                head.push(b'\n');
                head.extend(line);
            }
            head.extend(b"\n\n");
            let State::Head(mut search) = State::START else { unreachable!() };
            if let Ok(Some(end)) = search.find(&head, &Limits::default()) {
                let head = &head[..end];
                let read = search.read(head).map_err(|error| (error.kind, error.offset));
                prop_assert_eq!(shown(head, read), shown(head, grammar::parse(head)));
            }
        }
    }
}
