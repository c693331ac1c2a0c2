//! Frames to bytes.

use crate::{Command, EncodeError, Frame, Headers, Version, escape, header, value};
use bytes::{BufMut, BytesMut};

/// Appends frames to a buffer, in one version of the protocol.
///
/// [`encode`](Encoder::encode) writes a whole frame. Those who encode a frame in parts, to share the parts that are
/// the same for many receivers, call [`command`](Encoder::command), then [`header`](Encoder::header) any number of
/// times, then [`body`](Encoder::body).
///
/// A failed call leaves the buffer as it was: nothing half-written, and never a byte that would make a second header
/// or frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoder {
    version: Version,
}

impl Encoder {
    /// An encoder for `version`.
    #[must_use]
    pub const fn new(version: Version) -> Encoder {
        Encoder { version }
    }

    /// Appends `frame` to `out`.
    ///
    /// A frame with a body gets a `content-length`, unless it has one: STOMP 1.2, "Body": "`SEND`, `MESSAGE` and
    /// `ERROR` frames SHOULD include a `content-length` header to ease frame parsing".
    ///
    /// # Errors
    ///
    /// [`EncodeError`], if the version cannot express the frame. STOMP 1.0 has no escapes, 1.1 none for CR; `CONNECT`
    /// and `CONNECTED` are never escaped; a NUL cannot stand in any header.
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
        let length_stated = check_body(*command, headers, body.len())?;
        out.reserve(headers.bytes() + body.len() + ROOM);
        self.command(*command, out);
        match headers.plain_lines() {
            Some(lines) => out.put_slice(lines),
            None => self.put_lines(*command, headers, out)?,
        }
        if length_stated || body.is_empty() {
            end(body, out);
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
            if escape::specials(line.as_bytes()) == 1 && !name.is_empty() {
                out.put_slice(line.as_bytes());
                out.put_u8(b'\n');
            } else {
                self.header_of(
                    command,
                    name,
                    line.get(name.len() + 1..).unwrap_or_default(),
                    out,
                )?;
            }
        }
        Ok(())
    }

    /// Appends the command's line.
    pub fn command(self, command: Command, out: &mut BytesMut) {
        out.put_slice(command.as_str().as_bytes());
        out.put_u8(b'\n');
    }

    /// Appends a header line of a frame other than `CONNECT` and `CONNECTED`.
    ///
    /// # Errors
    ///
    /// [`EncodeError::EmptyHeaderName`], [`EncodeError::Inexpressible`].
    pub fn header(self, name: &str, value: &str, out: &mut BytesMut) -> Result<(), EncodeError> {
        self.header_of(Command::Message, name, value, out)
    }

    /// Appends a `content-length` header, if the body is not empty, then the empty line, the body and the closing NUL.
    pub fn body(self, body: &[u8], out: &mut BytesMut) {
        if !body.is_empty() {
            out.put_slice(header::CONTENT_LENGTH.as_bytes());
            out.put_u8(b':');
            put_number(body.len(), out);
            out.put_u8(b'\n');
        }
        end(body, out);
    }

    fn header_of(
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
        let escaped = escape::is_used_in(self.version) && !command.is_unescaped();
        let written = if escaped {
            self.put_escaped(name, value, out)
        } else {
            put_plain(name, value, out)
        };
        written.map_err(|byte| {
            out.truncate(start);
            EncodeError::Inexpressible {
                name: name.to_owned(),
                byte: byte.into(),
                command,
                version: self.version,
            }
        })
    }

    fn put_escaped(self, name: &str, value: &str, out: &mut BytesMut) -> Result<(), u8> {
        escape::apply(self.version, name, out)?;
        out.put_u8(b':');
        escape::apply(self.version, value, out)?;
        out.put_u8(b'\n');
        Ok(())
    }
}

/// Bytes in a frame besides its headers and body: the command, a `content-length`, the empty line and the NUL.
const ROOM: usize = 48;

/// A header where nothing is escaped: a colon may stand in the value, for the first one ends the name.
fn put_plain(name: &str, value: &str, out: &mut BytesMut) -> Result<(), u8> {
    let breaks = |byte: &u8| matches!(byte, 0 | b'\r' | b'\n');
    if let Some(byte) = name
        .bytes()
        .find(|byte| breaks(byte) || *byte == b':')
        .or(value.bytes().find(breaks))
    {
        return Err(byte);
    }
    for (part, end) in [(name, b':'), (value, b'\n')] {
        out.put_slice(part.as_bytes());
        out.put_u8(end);
    }
    Ok(())
}

fn put_number(mut number: usize, out: &mut BytesMut) {
    const LONGEST: usize = 20;
    let mut digits = [0; LONGEST];
    let mut start = LONGEST;
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

fn end(body: &[u8], out: &mut BytesMut) {
    out.put_u8(b'\n');
    out.put_slice(body);
    out.put_u8(0);
}

/// Whether the headers state the body's length, if they may.
fn check_body(command: Command, headers: &Headers, actual: usize) -> Result<bool, EncodeError> {
    if actual > 0 && !command.allows_body() {
        return Err(EncodeError::UnexpectedBody(command));
    }
    match headers.get(header::CONTENT_LENGTH) {
        None => Ok(false),
        Some(stated) if value::content_length(stated.as_bytes()) == Some(actual) => Ok(true),
        Some(stated) => Err(EncodeError::WrongContentLength {
            stated: stated.to_owned(),
            actual,
        }),
    }
}
