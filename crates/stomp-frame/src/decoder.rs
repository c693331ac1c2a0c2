//! Frames from bytes that come in any pieces.

use crate::{
    Command, DecodeError, DecodeErrorKind as Kind, Frame, Headers, Limits, Version,
    body::BodySearch,
    escape, grammar,
    head::HeadSearch,
    header,
    headers::{Entry, raw_value},
    input::Input,
};
use bytes::Bytes;
use bytestring::ByteString;
use memchr::memchr;

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
/// [`feed`](Decoder::feed) it what has arrived, then call [`decode`](Decoder::decode) until it gives `None`. Each byte
/// is looked at a bounded number of times, however small the pieces. Frames that arrive whole are slices of what was
/// fed; only those that arrive in pieces are copied together.
///
/// After a `CONNECT`, `STOMP` or `CONNECTED` frame the decoder **stops by itself**: how the following bytes are to be
/// read depends on the version, and whether they may be read at all on the answer. They are kept until
/// [`resume`](Decoder::resume) is called, within [`Limits::max_frame_bytes`].
///
/// ```
/// use stomp_frame::{Decoded, Decoder, Limits, Version};
///
/// let mut decoder = Decoder::new(Limits::before_login());
/// decoder.feed("CONNECT\naccept-version:1.2\n\n\0SEND\ndesti");
/// assert!(matches!(decoder.decode()?, Some(Decoded::Frame(_))));
/// assert_eq!(decoder.decode()?, None);
///
/// decoder.resume(Version::V1_2, Limits::default());
/// decoder.feed("nation:/a\n\nhello\0");
/// let Some(Decoded::Frame(send)) = decoder.decode()? else { panic!() };
/// assert_eq!(send.body, "hello");
/// # Ok::<(), stomp_frame::DecodeError>(())
/// ```
///
/// Reading from anything that fills a buffer, the bytes of a read are copied once and then shared by their frames:
///
/// ```
/// use stomp_frame::{Decoded, Decoder, Limits, Version};
/// use std::io::Read;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut stream: &[u8] = b"SEND\ndestination:/a\n\nhello\0\n";
/// let mut decoder = Decoder::new(Limits::default());
/// decoder.resume(Version::V1_2, Limits::default());
///
/// let mut buffer = [0; 4096];
/// # let mut frames = 0;
/// loop {
///     let count = stream.read(&mut buffer)?;
///     if count == 0 {
///         break;
///     }
///     decoder.feed(buffer[..count].to_vec());
///     while let Some(decoded) = decoder.decode()? {
///         if let Decoded::Frame(frame) = decoded {
///             println!("{} with {} bytes", frame.command, frame.body.len());
/// #           frames += 1;
///         }
///     }
/// }
/// # assert_eq!(frames, 1);
/// # Ok(())
/// # }
/// ```
///
/// With a `BytesMut` to read into, `feed(buffer.split())` does not even copy.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// What escapes to undo. Before the negotiation only frames that never escape make sense.
    version: Version,
    state: State,
    input: Input,
    /// Where the headers are of the frame that is being read.
    headers: Headers,
}

impl Decoder {
    /// A decoder at the beginning of a stream. `limits` hold until the negotiation.
    #[must_use]
    pub fn new(limits: Limits) -> Decoder {
        Decoder {
            limits: limits.indexable(),
            version: Version::V1_0,
            state: State::START,
            input: Input::default(),
            headers: Headers::new(),
        }
    }

    /// Lets the decoder go on after `CONNECT`, `STOMP` or `CONNECTED`, in this version and with these limits.
    pub fn resume(&mut self, version: Version, limits: Limits) {
        self.version = version;
        self.limits = limits.indexable();
        if self.is_stopped() {
            self.state = State::START;
        }
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether the decoder waits for [`resume`](Decoder::resume).
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, State::Stopped)
    }

    /// How many bytes are kept: fed, and not yet part of what [`decode`](Decoder::decode) gave.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.input.as_slice().len()
    }

    /// Takes what has arrived.
    #[inline]
    pub fn feed(&mut self, bytes: impl Into<Bytes>) {
        self.input.feed(bytes.into(), || self.state.expected());
    }

    /// The next frame or heart-beat, or `None` if more bytes (or the negotiation) are needed.
    ///
    /// # Errors
    ///
    /// If what was fed is not a frame, or one over the limits. The decoder then gives the same error for ever.
    #[inline]
    pub fn decode(&mut self) -> Result<Option<Decoded>, DecodeError> {
        // One more piece of a body, and nothing else: with small pieces this is what nearly every call comes to.
        if let State::Body(search) = &mut self.state {
            if self
                .input
                .gathered()
                .is_some_and(|bytes| search.goes_on(bytes, &self.limits))
            {
                return Ok(None);
            }
        // What whoever asks for all frames of a piece hears last.
        } else if self.input.is_used_up() && matches!(self.state, State::Head(_)) {
            return Ok(None);
        }
        self.look()
    }

    fn look(&mut self) -> Result<Option<Decoded>, DecodeError> {
        if matches!(&self.state, State::Head(search) if search.is_at_start()) && self.skip_eols() {
            return Ok(Some(Decoded::HeartBeat));
        }
        match self.find_nul() {
            Ok(Some((body, nul))) => self
                .take(body, nul)
                .map(Some)
                .map_err(|error| self.fail(error)),
            Ok(None) => {
                self.input.gather();
                Ok(None)
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Looks for the end of a frame: the byte at which its closing NUL stands.
    fn find_nul(&mut self) -> Result<Option<(BodySearch, usize)>, DecodeError> {
        let Decoder {
            limits,
            version,
            headers,
            state,
            ..
        } = self;
        let bytes = self.input.as_slice();
        let mut body = match state {
            // Nothing, or the first half of an EOL that is skipped when the other comes.
            State::Head(_) if matches!(bytes, [] | [b'\r']) => return Ok(None),
            State::Head(search) => {
                let Some((end, command)) = search.go_on(bytes, limits, headers)? else {
                    return Ok(None);
                };
                let head = bytes.get(..end).unwrap_or_default();
                BodySearch::after(head, command, search.is_plain(), headers.entries())?
            }
            State::Body(search) => *search,
            State::Stopped if bytes.len() > limits.max_frame_bytes => {
                return Err(Kind::FrameTooLong(limits.max_frame_bytes).at(limits.max_frame_bytes));
            }
            State::Stopped => return Ok(None),
            State::Failed(error) => return Err(error.clone()),
        };
        let nul = body.go_on(bytes, limits, *version)?;
        if nul.is_none() {
            *state = State::Body(body);
        }
        Ok(nul.map(|nul| (body, nul)))
    }

    /// Reads nothing more. Names the frame's receipt, if its headers are known.
    fn fail(&mut self, mut error: DecodeError) -> DecodeError {
        if !matches!(self.state, State::Failed(_)) {
            let version = if self.state.is_unescaped() {
                Version::V1_0
            } else {
                self.version
            };
            error.receipt = error
                .receipt
                .or_else(|| receipt(self.input.as_slice(), self.headers.entries(), version));
            self.state = State::Failed(error.clone());
        }
        self.input = Input::default();
        error
    }

    /// Drops EOLs before a frame, and says whether there were any.
    fn skip_eols(&mut self) -> bool {
        let bytes = self.input.as_slice();
        let mut rest = bytes;
        while let [b'\n', after @ ..] | [b'\r', b'\n', after @ ..] = rest {
            rest = after;
        }
        let eols = bytes.len() - rest.len();
        if eols > 0 {
            self.input.advance(eols);
        }
        eols > 0
    }

    /// Takes the frame whose closing NUL stands at `nul`.
    fn take(&mut self, search: BodySearch, nul: usize) -> Result<Decoded, DecodeError> {
        let BodySearch {
            command,
            head,
            is_plain,
            ..
        } = search;
        let mut body = self.input.split_to(nul + 1);
        let text = body.split_to(head);
        body.truncate(nul - head);
        if body.is_empty() || !command.allows_body() {
            body = Bytes::new();
        }
        let noted = std::mem::take(&mut self.headers);
        let headers = read_headers(text, noted, is_plain, command, self.version)?;
        self.state = if command.is_unescaped() {
            State::Stopped
        } else {
            State::START
        };
        Ok(Decoded::Frame(Frame {
            command,
            headers,
            body,
        }))
    }
}

#[derive(Debug)]
enum State {
    /// Looking for the end of a head.
    Head(HeadSearch),
    /// Looking for the end of a body.
    Body(BodySearch),
    /// Waiting for the negotiation.
    Stopped,
    /// Nothing more is read.
    Failed(DecodeError),
}

impl State {
    const START: State = State::Head(HeadSearch::START);

    /// How many bytes the frame that is being read will have, if it says so.
    fn expected(&self) -> Option<usize> {
        match self {
            State::Body(search) => search.expected(),
            _ => None,
        }
    }

    /// Whether the frame that is being read has no escapes in any version.
    fn is_unescaped(&self) -> bool {
        match self {
            State::Head(search) => search.command().is_some_and(Command::is_unescaped),
            State::Body(search) => search.command.is_unescaped(),
            State::Stopped | State::Failed(_) => false,
        }
    }
}

/// The headers in a head, with escapes undone where the version has them.
fn read_headers(
    head: Bytes,
    mut noted: Headers,
    is_plain: bool,
    command: Command,
    version: Version,
) -> Result<Headers, DecodeError> {
    let text = ByteString::try_from(head).map_err(|error| Kind::NotUtf8.at(error.valid_up_to()))?;
    let has_escapes = || memchr(b'\\', text.as_bytes()).is_some();
    if is_plain || command.is_unescaped() || !escape::is_used_in(version) || !has_escapes() {
        return Ok(noted.within(text, is_plain));
    }
    // The few that have escapes are added to the head.
    let mut plain = String::with_capacity(2 * text.len());
    plain.push_str(&text);
    let mut next = memchr(b'\\', text.as_bytes());
    for entry in noted.noted() {
        if next.is_none_or(|next| next >= entry.end()) {
            continue;
        }
        next = memchr(
            b'\\',
            text.as_bytes().get(entry.end()..).unwrap_or_default(),
        )
        .map(|at| entry.end() + at);
        *entry = undo(*entry, &text, version, &mut plain).map_err(|offset| {
            // Some entries are changed already.
            let receipt = grammar::parse(text.as_bytes())
                .ok()
                .and_then(|(_, entries)| receipt(text.as_bytes(), &entries, version));
            DecodeError {
                receipt,
                ..Kind::UndefinedEscape.at(offset)
            }
        })?;
    }
    Ok(noted.unescaped(plain))
}

/// Adds a header to `plain` with its escapes undone, or says at which byte an undefined one stands.
fn undo(entry: Entry, text: &str, version: Version, plain: &mut String) -> Result<Entry, usize> {
    let (name, value, start) = (entry.name(text), entry.value(text), plain.len());
    escape::undo(version, name, plain).map_err(|at| entry.start() + at)?;
    let colon = plain.len();
    plain.push(':');
    escape::undo(version, value, plain).map_err(|at| entry.start() + name.len() + 1 + at)?;
    Ok(Entry::new(start, colon, plain.len()))
}

/// The `receipt` of a frame that is refused, for the answer; none if it cannot be told rightly.
fn receipt(head: &[u8], entries: &[Entry], version: Version) -> Option<Box<str>> {
    let raw = std::str::from_utf8(raw_value(head, entries, header::RECEIPT)?).ok()?;
    let mut plain = String::new();
    match version {
        _ if raw.contains('\r') => return None,
        Version::V1_0 => plain.push_str(raw),
        _ => escape::undo(version, raw, &mut plain).ok()?,
    }
    Some(plain.into())
}
