//! The encoder: encodes frames to bytes.

use crate::{
    Command, EncodeError, Frame, Headers, Version, escape, header,
    header_value::parse_content_length,
};
use bytes::{BufMut, BytesMut};

/// Encodes frames in one version of the protocol, and appends them to a buffer.
///
/// [`encode`](Encoder::encode) appends a whole frame. To encode a frame in parts, call [`command`](Encoder::command),
/// then [`header`](Encoder::header) any number of times, then [`body`](Encoder::body). Many receivers can then share
/// the parts that are the same for all of them.
///
/// A call that fails leaves the buffer unchanged. Names and values are escaped or rejected, so that they cannot add a
/// second header or frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoder {
    version: Version,
}

impl Encoder {
    /// Creates an encoder for `version`.
    #[must_use]
    pub const fn new(version: Version) -> Encoder {
        Encoder { version }
    }

    /// Appends `frame` to `out`.
    ///
    /// Adds a `content-length` header if the frame has a body and no such header: STOMP 1.2, "Body": "`SEND`, `MESSAGE`
    /// and `ERROR` frames SHOULD include a `content-length` header to ease frame parsing".
    ///
    /// # Errors
    ///
    /// Returns an error if the version cannot express a header, if a header has no name, if the command does not allow
    /// the body, or if the frame's own `content-length` is wrong. STOMP 1.0 has no escapes, and 1.1 has none for CR;
    /// `CONNECT`, `STOMP` and `CONNECTED` are never escaped; no version can express a NUL in a header.
    pub fn encode(self, frame: &Frame, out: &mut BytesMut) -> Result<(), EncodeError> {
        let start = out.len();
        let result = self.encode_parts(frame, out);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    fn encode_parts(self, frame: &Frame, out: &mut BytesMut) -> Result<(), EncodeError> {
        let Frame {
            command,
            headers,
            body,
        } = frame;
        let has_length = check_body(*command, headers, body.len())?;
        out.reserve(headers.text_len() + body.len() + OVERHEAD);
        self.command(*command, out);
        // The usual case: headers without escapes, whose lines are adjacent and are copied at once.
        match headers.plain_lines() {
            Some(lines) => out.put_slice(lines),
            None => self.put_lines(*command, headers, out)?,
        }
        if has_length || body.is_empty() {
            put_body(body, out);
        } else {
            self.body(body, out);
        }
        Ok(())
    }

    fn put_lines(
        self,
        command: Command,
        headers: &Headers,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        for (line, name) in headers.lines() {
            // The colon is the only structural byte, so nothing needs an escape.
            if escape::count_structural(line.as_bytes()) == 1 && !name.is_empty() {
                out.put_slice(line.as_bytes());
                out.put_u8(b'\n');
            } else {
                let value = line.get(name.len() + 1..).unwrap_or_default();
                self.put_header(command, name, value, out)?;
            }
        }
        Ok(())
    }

    /// Appends a whole `RECEIPT` frame whose `receipt-id` is `id`. This is faster than encoding a [`Frame`].
    ///
    /// # Errors
    ///
    /// Returns [`EncodeError::Inexpressible`] if the version cannot express a character of `id`. Nothing is appended
    /// then.
    #[inline]
    pub fn receipt(self, id: &str, out: &mut BytesMut) -> Result<(), EncodeError> {
        if escape::is_plain(id) {
            // Nearly all ids.
            let parts = [PLAIN_RECEIPT.0, id, PLAIN_RECEIPT.1];
            out.reserve(parts.map(str::len).iter().sum());
            for part in parts {
                out.put_slice(part.as_bytes());
            }
            return Ok(());
        }
        self.escaped_receipt(id, out)
    }

    #[cold]
    fn escaped_receipt(self, id: &str, out: &mut BytesMut) -> Result<(), EncodeError> {
        let start = out.len();
        self.command(Command::Receipt, out);
        let result = self.header(header::RECEIPT_ID, id, out);
        match result {
            Ok(()) => self.body(b"", out),
            Err(_) => out.truncate(start),
        }
        result
    }

    /// Appends the first line of a frame: the command.
    pub fn command(self, command: Command, out: &mut BytesMut) {
        out.put_slice(command.as_str().as_bytes());
        out.put_u8(b'\n');
    }

    /// Appends a header line, escaped if the version has escapes. Do not use it for `CONNECT`, `STOMP` and `CONNECTED`
    /// frames: their headers are never escaped.
    ///
    /// # Errors
    ///
    /// Returns [`EncodeError::EmptyHeaderName`] if `name` is empty, and [`EncodeError::Inexpressible`] if the version
    /// cannot express a character of `name` or `value`.
    pub fn header(self, name: &str, value: &str, out: &mut BytesMut) -> Result<(), EncodeError> {
        self.put_header(Command::Message, name, value, out)
    }

    /// Appends a `content-length` header if the body is not empty, then the empty line, the body and the closing NUL.
    pub fn body(self, body: &[u8], out: &mut BytesMut) {
        if !body.is_empty() {
            out.put_slice(header::CONTENT_LENGTH.as_bytes());
            out.put_u8(b':');
            put_number(body.len(), out);
            out.put_u8(b'\n');
        }
        put_body(body, out);
    }

    fn put_header(
        self,
        command: Command,
        name: &str,
        value: &str,
        out: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        if name.is_empty() {
            return Err(EncodeError::EmptyHeaderName);
        }
        let start = out.len();
        let has_escapes = escape::is_defined_in(self.version) && !command.is_unescaped();
        let result = if has_escapes {
            self.put_escaped(name, value, out)
        } else {
            put_unescaped(name, value, out)
        };
        result.map_err(|byte| {
            out.truncate(start);
            EncodeError::Inexpressible {
                name: name.to_owned(),
                character: byte.into(),
                command,
                version: self.version,
            }
        })
    }

    /// Appends an escaped header. The error is a byte that the version cannot express.
    fn put_escaped(self, name: &str, value: &str, out: &mut BytesMut) -> Result<(), u8> {
        escape::escape(self.version, name, out)?;
        out.put_u8(b':');
        escape::escape(self.version, value, out)?;
        out.put_u8(b'\n');
        Ok(())
    }
}

/// The parts of a `RECEIPT` before and after an id that no version escapes.
const PLAIN_RECEIPT: (&str, &str) = ("RECEIPT\nreceipt-id:", "\n\n\0");

/// Bytes to reserve in addition to the headers and the body of a frame: for the command, a `content-length`, the empty
/// line and the NUL.
const OVERHEAD: usize = 48;

/// Appends a header without escaping it. The value may contain colons, because the first colon ends the name. The error
/// is a byte that the frame cannot express.
fn put_unescaped(name: &str, value: &str, out: &mut BytesMut) -> Result<(), u8> {
    let is_inexpressible = |byte: &u8| matches!(byte, 0 | b'\r' | b'\n');
    if let Some(byte) = name
        .bytes()
        .find(|byte| is_inexpressible(byte) || *byte == b':')
        .or(value.bytes().find(is_inexpressible))
    {
        return Err(byte);
    }
    for (part, end) in [(name, b':'), (value, b'\n')] {
        out.put_slice(part.as_bytes());
        out.put_u8(end);
    }
    Ok(())
}

/// Appends a number in decimal digits. This is faster than `fmt`.
fn put_number(mut number: usize, out: &mut BytesMut) {
    const MAX_DIGITS: usize = 20;
    let mut digits = [0; MAX_DIGITS];
    let mut start = MAX_DIGITS;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        start -= 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.put_slice(digits.get(start..).unwrap_or_default());
}

/// Appends the empty line, the body and the closing NUL.
fn put_body(body: &[u8], out: &mut BytesMut) {
    out.put_u8(b'\n');
    out.put_slice(body);
    out.put_u8(0);
}

/// Checks that the command allows the body, and that a `content-length` matches it. Returns true if there is a
/// `content-length`.
fn check_body(command: Command, headers: &Headers, body_bytes: usize) -> Result<bool, EncodeError> {
    if body_bytes > 0 && !command.allows_body() {
        return Err(EncodeError::UnexpectedBody(command));
    }
    match headers.get(header::CONTENT_LENGTH) {
        None => Ok(false),
        Some(value) if parse_content_length(value.as_bytes()) == Some(body_bytes) => Ok(true),
        Some(value) => Err(EncodeError::WrongContentLength {
            value: value.to_owned(),
            body_bytes,
        }),
    }
}
