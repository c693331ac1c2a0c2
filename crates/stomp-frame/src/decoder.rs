//! The decoder: finds the frames in bytes that arrive in pieces of any size.

use crate::{
    Command, DecodeError, DecodeErrorKind as Kind, Frame, Headers, Limits, Version,
    body::BodyScanner,
    escape,
    excerpt::MAX_EXCERPT,
    grammar,
    head::HeadScanner,
    header,
    headers::{Entry, find_entry},
    input::Input,
    padding,
};
use bytes::{Buf, Bytes};
use bytestring::ByteString;
use memchr::memchr;

/// An item that a [`Decoder`] finds in a stream.
///
/// The grammar defines no other items, so this enum is exhaustive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A frame.
    Frame(Frame),
    /// One or more EOLs between frames: a heart-beat, or the EOLs that may follow a frame.
    HeartBeat,
}

/// A frame of which a [`Decoder`] has received the beginning, but not the end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IncompleteFrame {
    /// Number of bytes received.
    pub bytes: usize,
    /// The command, if its line is complete.
    pub command: Option<Command>,
    /// The length of the whole frame in bytes, if its head is complete and has a `content-length`.
    pub length: Option<usize>,
    /// The value of the header `receipt`, if it is complete and can be read.
    pub receipt: Option<Box<str>>,
}

/// Decodes the frames in a stream of bytes, which may arrive in pieces of any size.
///
/// [`feed`](Decoder::feed) it the bytes that have arrived, then call [`decode`](Decoder::decode) until it returns
/// `None`. It examines each byte a bounded number of times, however small the pieces. A frame that is fed whole while
/// nothing is buffered is a slice of the fed bytes. Other frames are copied into one buffer.
///
/// # Negotiation
///
/// A new decoder reads STOMP 1.0, in which nothing is escaped. This suits the first frame of a stream in any version:
/// `CONNECT`, `STOMP` and `CONNECTED` are never escaped.
///
/// After one of these frames the decoder **stops by itself**, because the following bytes can only be decoded once the
/// version is negotiated. It buffers these bytes, up to [`Limits::max_frame_bytes`], until you call
/// [`resume`](Decoder::resume) with the negotiated version. To decode a stream that is negotiated already, call
/// `resume` before the first [`decode`](Decoder::decode).
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
/// # Spaces, and frames that cannot have a body
///
/// In STOMP 1.0, spaces around the value of a header are no part of it, as in the examples of its specification
/// (`destination: /queue/foo`). A `CONNECT` belongs to 1.0 if 1.0 is the highest version that it accepts. In all other
/// frames nothing is trimmed.
///
/// A frame whose command allows no body ends at the NUL after its head, also if it has a `content-length` above 0: some
/// clients send an `ACK` with all headers of the message. The decoder drops such a header. If another byte follows the
/// head, the frame has a body, which is an error.
///
/// # End of the stream
///
/// The decoder does not learn that a stream has ended. If [`buffered_bytes`](Decoder::buffered_bytes) is not 0 at the
/// end of the input, and the decoder is not [stopped](Decoder::is_stopped), the last frame (or EOL) was truncated.
///
/// This loop copies the bytes of each read (`to_vec`). Frames that are whole in these bytes share the copy:
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
/// if decoder.buffered_bytes() > 0 {
///     return Err("the stream ended within a frame".into());
/// }
/// # assert_eq!(frames, 1);
/// # Ok(())
/// # }
/// ```
///
/// If you read into a `BytesMut`, `feed(buffer.split())` avoids this copy.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// The version of the stream. It is 1.0 until the negotiation, because the frames that open a session have no
    /// escapes.
    version: Version,
    state: State,
    input: Input,
    /// The headers of the current frame. Until the frame is complete, they have an index, but no text.
    headers: Headers,
}

impl Decoder {
    /// Creates a decoder for the start of a stream. It reads STOMP 1.0, within `limits`, until [`Decoder::resume`].
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

    /// Sets the version and the limits for the next frames. If the decoder has stopped, it continues.
    pub fn resume(&mut self, version: Version, limits: Limits) {
        self.version = version;
        self.limits = limits.indexable();
        if self.is_stopped() {
            self.state = State::START;
        }
    }

    /// The current limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns true if the decoder waits for [`resume`](Decoder::resume).
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, State::Stopped)
    }

    /// The number of bytes that were fed, and do not belong to a frame or heart-beat that was returned. A failed
    /// `decode` drops all buffered bytes.
    ///
    /// At the end of a stream, a value above 0 means that the last frame (or EOL) was truncated, unless the decoder is
    /// [stopped](Decoder::is_stopped).
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.input.as_slice().len()
    }

    /// The frame whose end was not fed yet. `None` if there is none, or if decoding has stopped or failed.
    ///
    /// To be called after [`decode`](Decoder::decode) has returned `None`: it knows only the bytes that were decoded.
    #[must_use]
    pub fn incomplete_frame(&self) -> Option<IncompleteFrame> {
        let bytes = self.input.as_slice();
        let (command, length) = match &self.state {
            State::Head(scanner) => (scanner.command(), None),
            State::Body(scanner) => (Some(scanner.command), scanner.frame_len()),
            State::Stopped | State::Failed(_) => return None,
        };
        (!bytes.is_empty()).then(|| IncompleteFrame {
            bytes: bytes.len(),
            command,
            length,
            receipt: find_receipt(bytes, self.headers.entries(), self.head_version()),
        })
    }

    /// The version that decides how values in the head of the current frame are escaped or trimmed. `None` if they are
    /// neither: the head of a CONNECT may be incomplete, so the version that it asks for is unknown.
    fn head_version(&self) -> Option<Version> {
        (!self.state.is_unescaped()).then_some(self.version)
    }

    /// Appends bytes that have arrived.
    #[inline]
    pub fn feed(&mut self, bytes: impl Into<Bytes>) {
        self.input.feed(bytes.into(), || self.state.frame_len());
    }

    /// Decodes the next frame or heart-beat. Returns `None` if it needs more bytes, or if the decoder is
    /// [stopped](Decoder::is_stopped).
    ///
    /// # Errors
    ///
    /// Returns an error if the bytes are not a frame, or if the frame exceeds the limits. All later calls return the
    /// same error.
    #[inline]
    pub fn decode(&mut self) -> Result<Option<Decoded>, DecodeError> {
        // The usual case if pieces are small: one more piece of a body has arrived.
        if let State::Body(scanner) = &mut self.state {
            if self
                .input
                .coalesced()
                .is_some_and(|bytes| scanner.is_incomplete(bytes, &self.limits))
            {
                return Ok(None);
            }
        // The usual case in the last call of a `while let Some(..) = decode()` loop: nothing is buffered.
        } else if self.input.is_vacant() && matches!(self.state, State::Head(_)) {
            return Ok(None);
        }
        self.decode_buffered()
    }

    fn decode_buffered(&mut self) -> Result<Option<Decoded>, DecodeError> {
        if matches!(&self.state, State::Head(scanner) if scanner.is_at_start()) && self.skip_eols()
        {
            return Ok(Some(Decoded::HeartBeat));
        }
        match self.scan() {
            Ok(Some((body, nul))) => self
                .take_frame(body, nul)
                .map(Some)
                .map_err(|error| self.fail(error)),
            Ok(None) => {
                self.input.coalesce();
                Ok(None)
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Continues the search for the end of the frame. Returns the scanner of its body and the position of its closing
    /// NUL; `None` if more bytes are needed.
    fn scan(&mut self) -> Result<Option<(BodyScanner, usize)>, DecodeError> {
        let Decoder {
            limits,
            version,
            headers,
            state,
            ..
        } = self;
        let bytes = self.input.as_slice();
        let mut body = match state {
            // No bytes, or the first half of an EOL, which is skipped when the second half arrives.
            State::Head(_) if matches!(bytes, [] | [b'\r']) => return Ok(None),
            State::Head(scanner) => {
                let Some((end, command)) = scanner.scan(bytes, limits, headers)? else {
                    return Ok(None);
                };
                let head = bytes.get(..end).unwrap_or_default();
                BodyScanner::new(
                    head,
                    command,
                    scanner.is_plain(),
                    headers.entries(),
                    *version,
                )?
            }
            State::Body(scanner) => *scanner,
            State::Stopped if bytes.len() > limits.max_frame_bytes => {
                return Err(DecodeError::new(
                    Kind::FrameTooLong(limits.max_frame_bytes),
                    limits.max_frame_bytes,
                ));
            }
            State::Stopped => return Ok(None),
            State::Failed(error) => return Err(error.clone()),
        };
        let nul = body.scan(bytes, limits, *version)?;
        if nul.is_none() {
            *state = State::Body(body);
        }
        Ok(nul.map(|nul| (body, nul)))
    }

    /// The value of the `receipt` header in a complete head whose headers cannot be read. Parses the head again, because
    /// some entries of its index may already point into unescaped text.
    #[cold]
    fn parse_receipt(&self, head: &[u8]) -> Option<Box<str>> {
        let (_, entries) = grammar::parse(head).ok()?;
        find_receipt(head, &entries, self.head_version())
    }

    /// Stops decoding permanently. Returns the error, with the value of the frame's `receipt` header if that can be read.
    fn fail(&mut self, mut error: DecodeError) -> DecodeError {
        if !matches!(self.state, State::Failed(_)) {
            if error.receipt().is_none() {
                let (head, entries) = (self.input.as_slice(), self.headers.entries());
                let receipt = find_receipt(head, entries, self.head_version());
                error = error.with_receipt(receipt);
            }
            self.state = State::Failed(error.clone());
        }
        self.input = Input::default();
        error
    }

    /// Drops EOLs before a frame. Returns true if there were any.
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

    /// Removes the frame whose closing NUL is at the position `nul` from the input, and returns it.
    fn take_frame(&mut self, scanner: BodyScanner, nul: usize) -> Result<Decoded, DecodeError> {
        let BodyScanner {
            command, head_len, ..
        } = scanner;
        let mut frame = self.input.split_to(nul + 1);
        let head = frame.slice(..head_len);
        let index = std::mem::take(&mut self.headers);
        let headers = read_headers(head, index, &scanner, self.version);
        let mut headers = headers.map_err(|error| {
            let head = frame.get(..head_len).unwrap_or_default();
            error.with_receipt(self.parse_receipt(head))
        })?;
        frame.truncate(nul);
        frame.advance(head_len);
        let body = if frame.is_empty() || !command.allows_body() {
            Bytes::new()
        } else {
            frame
        };
        if scanner.has_false_length(&body) {
            headers.remove(header::CONTENT_LENGTH);
        }
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
    /// Searching for the end of a head.
    Head(HeadScanner),
    /// Searching for the end of a body.
    Body(BodyScanner),
    /// Waiting for [`Decoder::resume`].
    Stopped,
    /// Decoding has failed, and cannot continue.
    Failed(DecodeError),
}

impl State {
    const START: State = State::Head(HeadScanner::START);

    /// The length of the current frame in bytes, if its `content-length` is known.
    fn frame_len(&self) -> Option<usize> {
        match self {
            State::Body(scanner) => scanner.frame_len(),
            _ => None,
        }
    }

    /// Returns true if the command of the current frame is known, and has no escapes in any version.
    fn is_unescaped(&self) -> bool {
        match self {
            State::Head(scanner) => scanner.command().is_some_and(Command::is_unescaped),
            State::Body(scanner) => scanner.command.is_unescaped(),
            State::Stopped | State::Failed(_) => false,
        }
    }
}

/// Joins the text of a head and the index of its headers. Unescapes the headers if the version and the command have
/// escapes, and removes the spaces around their values where STOMP 1.0 ignores them.
fn read_headers(
    head: Bytes,
    mut index: Headers,
    scanner: &BodyScanner,
    version: Version,
) -> Result<Headers, DecodeError> {
    let BodyScanner {
        command,
        is_plain,
        is_padding_ignored,
        ..
    } = *scanner;
    let text = ByteString::try_from(head)
        .map_err(|error| DecodeError::new(Kind::NotUtf8, error.valid_up_to()))?;
    if is_padding_ignored {
        return Ok(match padding::trim_headers(&text, &mut index) {
            Some(trimmed) => index.with_unescaped(trimmed),
            None => index.with_head(text, is_plain),
        });
    }
    let has_escapes = || memchr(b'\\', text.as_bytes()).is_some();
    if is_plain || command.is_unescaped() || !escape::is_defined_in(version) || !has_escapes() {
        return Ok(index.with_head(text, is_plain));
    }
    // Headers with escapes are unescaped and appended to the head. All others stay at their positions.
    let mut plain = String::with_capacity(2 * text.len());
    plain.push_str(&text);
    let mut next = memchr(b'\\', text.as_bytes());
    for entry in index.entries_mut() {
        if next.is_none_or(|next| next >= entry.end()) {
            continue;
        }
        next = memchr(
            b'\\',
            text.as_bytes().get(entry.end()..).unwrap_or_default(),
        )
        .map(|position| entry.end() + position);
        *entry = unescape_header(*entry, &text, version, &mut plain).map_err(|position| {
            let sequence = text.get(position..).unwrap_or_default().chars().take(2);
            DecodeError::new(Kind::UndefinedEscape, position)
                .with_found(String::from_iter(sequence).as_bytes(), MAX_EXCERPT)
        })?;
    }
    Ok(index.with_unescaped(plain))
}

/// Unescapes a header, appends it to `plain`, and returns its new entry. The error is the position of an undefined
/// escape sequence.
fn unescape_header(
    entry: Entry,
    text: &str,
    version: Version,
    plain: &mut String,
) -> Result<Entry, usize> {
    let (name, value, start) = (entry.name(text), entry.value(text), plain.len());
    escape::unescape(version, name, plain).map_err(|position| entry.start() + position)?;
    let colon = plain.len();
    plain.push(':');
    escape::unescape(version, value, plain).map_err(|position| entry.value_start() + position)?;
    Ok(Entry::new(start, colon, plain.len()))
}

/// Returns the value of the `receipt` header of a malformed or incomplete frame, for the `receipt-id` of an `ERROR`
/// frame. Returns
/// `None` if there is no such header, or if its value is malformed too. `version` is `None` if the value is neither
/// escaped nor trimmed.
fn find_receipt(head: &[u8], entries: &[Entry], version: Option<Version>) -> Option<Box<str>> {
    let entry = find_entry(head, entries, header::RECEIPT)?;
    let escaped = std::str::from_utf8(entry.value_bytes(head)).ok()?;
    let mut plain = String::new();
    match version {
        _ if escaped.contains('\r') => return None,
        None => plain.push_str(escaped),
        Some(Version::V1_0) => plain.push_str(escaped.trim_matches(' ')),
        Some(version) => escape::unescape(version, escaped, &mut plain).ok()?,
    }
    Some(plain.into())
}
