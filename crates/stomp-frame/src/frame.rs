//! A frame: a command, headers and a body.

use crate::{
    Command, DecodeError, DecodeErrorKind, Decoded, Decoder, EncodeError, Encoder, Headers, Limits,
    Version,
};
use bytes::{Bytes, BytesMut};
use std::fmt;

/// A STOMP frame: a command, headers and a body.
///
/// The type allows any combination of the three. [`Frame::validate`] checks that a version of the protocol allows the
/// frame. Frames have these three parts in every version, so this is a struct with public fields.
///
/// `Debug` is for logs: it hides the values of headers that hold secrets, and the body. `Display` writes the whole
/// frame as STOMP 1.2 text, secrets included, and `FromStr` parses such text.
///
/// ```
/// use stomp_frame::{Command, Frame};
///
/// let frame = Frame::new(Command::Send)
///     .with_header("destination", "/queue/a")
///     .with_header("content-type", "text/plain")
///     .with_body("hello queue a");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// The command.
    pub command: Command,
    /// The headers, unescaped.
    pub headers: Headers,
    /// The body. Only `SEND`, `MESSAGE` and `ERROR` frames may have one; it must be empty in all others.
    pub body: Bytes,
}

impl Frame {
    /// Creates a frame with no headers and an empty body.
    #[must_use]
    pub fn new(command: Command) -> Frame {
        Frame {
            command,
            headers: Headers::new(),
            body: Bytes::new(),
        }
    }

    /// Appends a header after all others.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Frame {
        self.headers.append(name, value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Frame {
        self.body = body.into();
        self
    }

    /// Parses exactly one frame. EOLs before and after it are allowed.
    ///
    /// The body is a slice of `bytes`, not a copy. For bytes that arrive in pieces, or contain several frames, see
    /// [`Decoder`].
    ///
    /// # Errors
    ///
    /// Returns an error of any [`DecodeErrorKind`]. Limits do not apply, because the length of `bytes` bounds the
    /// frame; only a head above 2 GiB is too long. [`Incomplete`](DecodeErrorKind::Incomplete) means that the bytes end
    /// before the frame does; [`TrailingBytes`](DecodeErrorKind::TrailingBytes) means that bytes other than EOLs follow
    /// the frame.
    pub fn parse(bytes: impl Into<Bytes>, version: Version) -> Result<Frame, DecodeError> {
        let bytes = bytes.into();
        let (length, all) = (bytes.len(), usize::MAX);
        let mut decoder = Decoder::new(Limits {
            max_frame_bytes: all,
            max_head_bytes: all,
            max_line_bytes: all,
            max_headers: all,
        });
        decoder.resume(version, *decoder.limits());
        decoder.feed(bytes);
        let mut found = None;
        while let Some(item) = decoder.decode()? {
            match (item, &found) {
                (Decoded::Frame(frame), None) => {
                    found = Some(frame);
                    decoder.resume(version, *decoder.limits());
                }
                (Decoded::Frame(_), Some(_)) => {
                    return Err(DecodeError::new(DecodeErrorKind::TrailingBytes, length));
                }
                (Decoded::HeartBeat, _) => {}
            }
        }
        match found {
            Some(_) if decoder.buffered_bytes() > 0 => Err(DecodeError::new(
                DecodeErrorKind::TrailingBytes,
                length - decoder.buffered_bytes(),
            )),
            Some(frame) => Ok(frame),
            None => Err(DecodeError::new(DecodeErrorKind::Incomplete, length)),
        }
    }

    /// Encodes the frame in `version`.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Encoder::encode`].
    pub fn to_bytes(&self, version: Version) -> Result<Bytes, EncodeError> {
        let mut out = BytesMut::new();
        Encoder::new(version).encode(self, &mut out)?;
        Ok(out.freeze())
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("command", &self.command)
            .field("headers", &self.headers)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_accepts_exactly_one_frame() {
        let parse = |text: &'static str| {
            Frame::parse(text.as_bytes(), Version::V1_2).map_err(|error| error.kind())
        };
        assert!(parse("CONNECT\n\n\0\n").is_ok());
        assert!(parse("\n\r\nDISCONNECT\n\n\0\n\r\n").is_ok());
        assert_eq!(parse("DISCONNECT\n\n"), Err(DecodeErrorKind::Incomplete));
        assert_eq!(parse(""), Err(DecodeErrorKind::Incomplete));
        assert_eq!(
            parse("DISCONNECT\n\n\0DISCONNECT\n\n\0"),
            Err(DecodeErrorKind::TrailingBytes)
        );
        assert_eq!(
            parse("CONNECT\n\n\0DISCONNECT\n\n\0"),
            Err(DecodeErrorKind::TrailingBytes)
        );
        assert_eq!(
            parse("DISCONNECT\n\n\0SEN"),
            Err(DecodeErrorKind::TrailingBytes)
        );
    }
}
