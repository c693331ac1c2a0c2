//! How a connection ends.

use std::io;
use stomp_frame::{DecodeError, EncodeError};
use thiserror::Error;

/// Why nothing more can be read from a peer.
///
/// Endings are values, not errors. After [`End::Malformed`] and [`End::Violation`] the peer may still be written to,
/// so that it learns why it is left.
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// The peer closed its WebSocket, with a code where it sent one.
    Closed(Option<u16>),
    /// The peer ended its half of a byte stream, between two frames. It may still read.
    HalfClosed,
    /// The connection broke: the stream failed, or ended in the middle of a frame or without a WebSocket close.
    Reset(io::Error),
    /// The stream says that the peer is not there any more: TCP had no answer from it for too long.
    TimedOut,
    /// What the peer sent is not STOMP, or over the limits.
    Malformed(DecodeError),
    /// What the peer sent is not WebSocket, or over the limits of a message or of what may come before the negotiation.
    Violation {
        /// What the peer is told as it is closed.
        code: CloseCode,
        /// What is wrong.
        reason: String,
    },
}

impl End {
    /// The code the peer is closed with after this.
    #[must_use]
    pub fn close_code(&self) -> CloseCode {
        match self {
            End::Closed(_) | End::HalfClosed | End::Reset(_) => CloseCode::Normal,
            End::TimedOut => CloseCode::Policy,
            End::Malformed(error) if error.kind.is_limit() => CloseCode::TooBig,
            End::Malformed(_) => CloseCode::Protocol,
            End::Violation { code, .. } => *code,
        }
    }

    /// How a stream ended that failed so.
    pub(crate) fn of(error: io::Error) -> End {
        match error.kind() {
            io::ErrorKind::TimedOut => End::TimedOut,
            _ => End::Reset(error),
        }
    }

    /// The stream ended where it may not.
    pub(crate) fn cut() -> End {
        End::Reset(io::ErrorKind::UnexpectedEof.into())
    }

    /// A text message is not text.
    pub(crate) fn not_utf8() -> End {
        End::Violation {
            code: CloseCode::NotUtf8,
            reason: "a text message that is not UTF-8".to_owned(),
        }
    }

    /// The peer sent more than it may.
    pub(crate) fn too_big(reason: &str) -> End {
        End::Violation {
            code: CloseCode::TooBig,
            reason: reason.to_owned(),
        }
    }
}

/// Why this side closes, as WebSocket peers are told (RFC 6455, section 7.4.1). Byte streams just end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CloseCode {
    /// 1000: the conversation is over.
    #[default]
    Normal,
    /// 1001: the server is going down.
    Away,
    /// 1002: what the peer sent is not STOMP, or not WebSocket.
    Protocol,
    /// 1007: a text message is not UTF-8.
    NotUtf8,
    /// 1008: the peer may not do this, or has been silent or slow for too long.
    Policy,
    /// 1009: what the peer sent is too big.
    TooBig,
    /// 1011: this side failed.
    Internal,
}

impl CloseCode {
    /// The number on the wire.
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

/// Why a frame could not be sent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The version of the session cannot express it. Nothing was written, and the socket goes on.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}
