//! One frame.

use crate::{
    Command, DecodeError, DecodeErrorKind, Decoded, Decoder, EncodeError, Encoder, Headers, Limits,
    Version,
};
use bytes::{Bytes, BytesMut};
use std::fmt;

/// A STOMP frame: a command, headers and a body.
///
/// A frame is what was said, whether or not it makes sense; [`Frame::validate`] tells whether a version of the
/// protocol allows it.
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
    /// What the frame says.
    pub command: Command,
    /// Its headers, with escapes undone.
    pub headers: Headers,
    /// Its body; empty for all commands but `SEND`, `MESSAGE` and `ERROR`.
    pub body: Bytes,
}

impl Frame {
    /// A frame without headers and body.
    #[must_use]
    pub fn new(command: Command) -> Frame {
        Frame {
            command,
            headers: Headers::new(),
            body: Bytes::new(),
        }
    }

    /// Adds a header after all others.
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

    /// Reads one whole frame. EOLs before and after it are allowed.
    ///
    /// The body is a slice of `bytes`, not a copy. For bytes that come in pieces, or hold several frames, see
    /// [`Decoder`].
    ///
    /// # Errors
    ///
    /// Any [`DecodeErrorKind`]; [`Incomplete`](DecodeErrorKind::Incomplete) if the frame goes on beyond the bytes,
    /// [`TrailingBytes`](DecodeErrorKind::TrailingBytes) if more than EOLs follow it. Frames longer than the bytes at
    /// hand need no limit, so none applies.
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
                    return Err(DecodeErrorKind::TrailingBytes.at(length));
                }
                (Decoded::HeartBeat, _) => {}
            }
        }
        match found {
            Some(_) if decoder.buffered_bytes() > 0 => {
                Err(DecodeErrorKind::TrailingBytes.at(length - decoder.buffered_bytes()))
            }
            Some(frame) => Ok(frame),
            None => Err(DecodeErrorKind::Incomplete.at(length)),
        }
    }

    /// The frame's bytes in `version`.
    ///
    /// # Errors
    ///
    /// See [`Encoder::encode`].
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
    fn one_frame_and_nothing_else() {
        let parse = |text: &'static str| {
            Frame::parse(text.as_bytes(), Version::V1_2).map_err(|error| error.kind)
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
