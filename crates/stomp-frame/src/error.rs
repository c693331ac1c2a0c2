//! What can be wrong with a frame.

use crate::{Command, Version};
use thiserror::Error;

/// Bytes that are not a frame, or a frame over the limits.
///
/// After it a [`Decoder`](crate::Decoder) reads nothing more: where the next frame would begin is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} (at byte {offset} of the frame)")]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// Where, in bytes from the frame's first.
    pub offset: usize,
    /// The value of the frame's `receipt` header, where its head could be read.
    pub receipt: Option<Box<str>>,
}

/// What is wrong with the bytes of a [`DecodeError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The first line is none of the [commands](Command).
    #[error("unknown command")]
    UnknownCommand,
    /// A header line has no colon.
    #[error("header line without a colon")]
    MissingColon,
    /// A header line begins with its colon.
    #[error("header without a name")]
    EmptyHeaderName,
    /// A carriage return stands elsewhere than before a line feed.
    #[error("carriage return without a line feed")]
    BareCarriageReturn,
    /// A NUL stands before the empty line that ends the head.
    #[error("NUL in the head of a frame")]
    NulInHead,
    /// The head is not UTF-8.
    #[error("head is not UTF-8")]
    NotUtf8,
    /// A backslash is followed by something that this version does not define.
    #[error("undefined escape sequence")]
    UndefinedEscape,
    /// `content-length` is not one to ten digits.
    #[error("content-length is not a number")]
    InvalidContentLength,
    /// The body is longer than its `content-length`.
    #[error("no NUL after content-length bytes")]
    MissingNul,
    /// The command allows no body.
    #[error("body on a frame that must not have one")]
    UnexpectedBody,
    /// The frame is longer than [`Limits::max_frame_bytes`](crate::Limits::frame).
    #[error("frame longer than {0} bytes")]
    FrameTooLong(usize),
    /// The head is longer than [`Limits::max_head_bytes`](crate::Limits::head).
    #[error("head longer than {0} bytes")]
    HeadTooLong(usize),
    /// A header line is longer than [`Limits::max_line_bytes`](crate::Limits::line).
    #[error("header line longer than {0} bytes")]
    LineTooLong(usize),
    /// There are more header lines than [`Limits::max_headers`](crate::Limits::headers).
    #[error("more than {0} header lines")]
    TooManyHeaders(usize),
    /// The bytes end before the frame does ([`Frame::parse`](crate::Frame::parse) only).
    #[error("frame is incomplete")]
    Incomplete,
    /// Something follows the frame ([`Frame::parse`](crate::Frame::parse) only).
    #[error("more than one frame")]
    TrailingBytes,
}

impl DecodeErrorKind {
    pub(crate) fn at(self, offset: usize) -> DecodeError {
        DecodeError {
            kind: self,
            offset,
            receipt: None,
        }
    }

    /// Whether a limit was exceeded, rather than the grammar broken.
    #[must_use]
    pub fn is_limit(self) -> bool {
        matches!(
            self,
            Self::FrameTooLong(_)
                | Self::HeadTooLong(_)
                | Self::LineTooLong(_)
                | Self::TooManyHeaders(_)
        )
    }
}

/// A frame that cannot be said in a version of the protocol. Nothing of it was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A header's name or value holds a byte that this version has no escape for.
    #[error(
        "header {name:?} holds {byte:?}, which STOMP {version} cannot express in a {command} frame"
    )]
    Inexpressible {
        /// The header's name.
        name: String,
        /// The byte: CR, LF, NUL or a colon.
        byte: char,
        /// The frame's command.
        command: Command,
        /// The version that was asked for.
        version: Version,
    },
    /// A header has an empty name.
    #[error("header without a name")]
    EmptyHeaderName,
    /// The command allows no body.
    #[error("a {0} frame must not have a body")]
    UnexpectedBody(Command),
    /// The frame's own `content-length` is not its body's length.
    #[error("content-length {stated:?} on a body of {actual} bytes")]
    WrongContentLength {
        /// The header's value.
        stated: String,
        /// The body's length.
        actual: usize,
    },
}

/// A header value that has not the form its header requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct InvalidValue(pub(crate) &'static str);

/// A well-formed frame that its version does not allow, see [`Frame::validate`](crate::Frame::validate).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidFrame {
    /// A header that the version requires is missing or empty.
    #[error("{command} needs the header {name}")]
    MissingHeader {
        /// The frame's command.
        command: Command,
        /// The header's name.
        name: &'static str,
    },
    /// The version has no such command.
    #[error("STOMP {version} has no {command}")]
    NotInVersion {
        /// The frame's command.
        command: Command,
        /// The version.
        version: Version,
    },
}
