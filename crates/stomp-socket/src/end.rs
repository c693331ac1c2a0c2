//! The reasons for the end of a connection, and the WebSocket codes for closing it.

use std::{borrow::Cow, io};
use stomp_frame::{DecodeError, EncodeError};
use thiserror::Error;

/// The reason why nothing more can be read from a peer.
///
/// An end is a value, not an error. After [`End::Malformed`] and [`End::Violation`], the socket can still write, so
/// that the peer learns the reason.
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// The peer closed its WebSocket. Contains the peer's close code, if it sent one.
    Closed(Option<u16>),
    /// The peer ended its half of a byte stream. It may still read, so that it learns of a frame without an end: see
    /// [`Socket::incomplete_frame`](crate::Socket::incomplete_frame).
    HalfClosed,
    /// The connection was lost: the stream failed, or it ended without a WebSocket close.
    Lost(io::Error),
    /// The stream reported a timeout: TCP received no answer from the peer for too long.
    TimedOut,
    /// The peer sent bytes that are not valid STOMP, or a frame that exceeds the limits.
    Malformed(DecodeError),
    /// The peer violated the WebSocket protocol, or it exceeded the limit of a message or of all bytes before login.
    Violation {
        /// The code with which this side should close the WebSocket.
        code: CloseCode,
        /// A description of the violation.
        reason: String,
    },
}

impl End {
    /// The code with which this side should close the connection after this end.
    #[must_use]
    pub fn close_code(&self) -> CloseCode {
        match self {
            End::Closed(_) | End::HalfClosed | End::Lost(_) => CloseCode::Normal,
            End::TimedOut => CloseCode::Policy,
            End::Malformed(error) if error.kind().is_limit() => CloseCode::TooBig,
            End::Malformed(_) => CloseCode::Protocol,
            End::Violation { code, .. } => *code,
        }
    }

    /// The end for a stream that ended without a WebSocket close.
    pub(crate) fn unexpected_eof() -> End {
        End::Lost(io::ErrorKind::UnexpectedEof.into())
    }

    /// The end for a WebSocket text message that is not UTF-8.
    pub(crate) fn not_utf8() -> End {
        End::Violation {
            code: CloseCode::NotUtf8,
            reason: "a WebSocket text message is not UTF-8".to_owned(),
        }
    }

    /// The end for a peer that exceeded a limit.
    pub(crate) fn too_big(reason: impl Into<Cow<'static, str>>) -> End {
        End::Violation {
            code: CloseCode::TooBig,
            reason: reason.into().into_owned(),
        }
    }
}

/// Converts an error of the stream: to [`End::TimedOut`] if the stream timed out, otherwise to [`End::Lost`].
impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        match error.kind() {
            io::ErrorKind::TimedOut => End::TimedOut,
            _ => End::Lost(error),
        }
    }
}

/// The reason why this side closes a connection. A WebSocket peer receives it as a status code (RFC 6455, section
/// 7.4.1); a byte stream ends without a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CloseCode {
    /// 1000: the session is over.
    #[default]
    Normal,
    /// 1001: the server shuts down.
    Away,
    /// 1002: the peer violated STOMP or the WebSocket protocol.
    Protocol,
    /// 1007: a text message is not UTF-8.
    NotUtf8,
    /// 1008: the peer did something that is not allowed, or was silent or slow for too long.
    Policy,
    /// 1009: a message, a frame or a part of one exceeds its limit.
    TooBig,
    /// 1011: this side failed.
    Internal,
}

/// The close frame that a WebSocket peer receives.
#[derive(Debug)]
pub(crate) struct CloseNotice {
    pub(crate) code: CloseCode,
    /// At most [`CloseNotice::MAX_REASON_BYTES`].
    reason: Box<str>,
}

impl CloseNotice {
    /// RFC 6455, section 5.5: "All control frames MUST have a payload length of 125 bytes or less". The code takes two.
    const MAX_REASON_BYTES: usize = 123;

    /// Sets the reason, cut off after the last character that fits.
    pub(crate) fn set_reason(&mut self, reason: &str) {
        let mut end = reason.len().min(CloseNotice::MAX_REASON_BYTES);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        self.reason = reason.get(..end).unwrap_or_default().into();
    }

    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }
}

impl From<CloseCode> for CloseNotice {
    fn from(code: CloseCode) -> CloseNotice {
        CloseNotice {
            code,
            reason: "".into(),
        }
    }
}

impl CloseCode {
    /// The number that a WebSocket peer receives.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        match self {
            CloseCode::Normal => 1000,
            CloseCode::Away => 1001,
            CloseCode::Protocol => 1002,
            CloseCode::NotUtf8 => 1007,
            CloseCode::Policy => 1008,
            CloseCode::TooBig => 1009,
            CloseCode::Internal => 1011,
        }
    }
}

/// The reason why a frame could not be sent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The STOMP version of the session cannot express the frame. Nothing was written, and the socket stays usable.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The connection was lost.
    #[error(transparent)]
    Io(#[from] io::Error),
}
