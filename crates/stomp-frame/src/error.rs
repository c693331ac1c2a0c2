//! Errors of decoding, encoding and validating frames.

use crate::{
    Command, Version,
    excerpt::{Quoted, excerpt},
};
use std::fmt;
use thiserror::Error;

/// The error for bytes that are not a frame, or for a frame that exceeds the limits.
///
/// After this error a [`Decoder`](crate::Decoder) reads nothing more, because the start of the next frame is unknown.
///
/// ```
/// use stomp_frame::{DecodeErrorKind, Frame, Version};
///
/// let error = Frame::parse("SEND\ncontent-length:ten\n\n\0", Version::V1_2).unwrap_err();
/// assert_eq!(error.kind(), DecodeErrorKind::InvalidContentLength);
/// assert_eq!(error.offset(), 20);
/// assert_eq!(error.found(), Some("ten"));
/// assert_eq!(
///     error.to_string(),
///     r#"content-length is not a number of one to ten digits: "ten", at byte 20 of the frame"#
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct DecodeError {
    kind: DecodeErrorKind,
    offset: usize,
    /// Boxed, so that the error is not larger than a frame. A larger error would enlarge the result of each `decode`.
    details: Option<Box<Details>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Details {
    receipt: Option<Box<str>>,
    found: Option<Box<str>>,
}

impl DecodeError {
    pub(crate) fn new(kind: DecodeErrorKind, offset: usize) -> DecodeError {
        DecodeError {
            kind,
            offset,
            details: None,
        }
    }

    /// Sets the invalid value, cut after `max` bytes.
    pub(crate) fn with_found(mut self, value: &[u8], max: usize) -> DecodeError {
        self.details.get_or_insert_default().found = Some(excerpt(value, max));
        self
    }

    pub(crate) fn with_receipt(mut self, receipt: Option<Box<str>>) -> DecodeError {
        if receipt.is_some() {
            self.details.get_or_insert_default().receipt = receipt;
        }
        self
    }

    /// The kind of error.
    #[must_use]
    pub fn kind(&self) -> DecodeErrorKind {
        self.kind
    }

    /// The position of the error, in bytes from the first byte of the frame.
    ///
    /// For an exceeded limit on the head or the frame, this is the limit; for other limits, the start of the line. For
    /// `Incomplete` and `TrailingBytes`, which only [`Frame::parse`](crate::Frame::parse) returns, the position counts
    /// from the first byte of the input.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The value of the frame's `receipt` header; `None` if there is no such header, or if the error prevented reading
    /// it.
    #[must_use]
    pub fn receipt(&self) -> Option<&str> {
        self.details.as_ref()?.receipt.as_deref()
    }

    /// The text that is wrong: the command of [`UnknownCommand`](DecodeErrorKind::UnknownCommand) and
    /// [`UnexpectedBody`](DecodeErrorKind::UnexpectedBody), the value of `content-length` of
    /// [`InvalidContentLength`](DecodeErrorKind::InvalidContentLength) and [`MissingNul`](DecodeErrorKind::MissingNul),
    /// and the sequence of [`UndefinedEscape`](DecodeErrorKind::UndefinedEscape). Other errors quote nothing, because a
    /// line may contain a secret.
    ///
    /// Invalid UTF-8 is replaced by U+FFFD. A command is cut after 11 bytes, and a `content-length` after 40 bytes. An
    /// ellipsis replaces the rest.
    #[must_use]
    pub fn found(&self) -> Option<&str> {
        self.details.as_ref()?.found.as_deref()
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(found) = self.found() {
            write!(f, ": {found:?}")?;
        }
        write!(f, ", at byte {} of the frame", self.offset)
    }
}

/// The kinds of [`DecodeError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The first line is not a [command](Command).
    #[error("unknown command")]
    UnknownCommand,
    /// A header line has no colon.
    #[error("header line without a colon")]
    MissingColon,
    /// A header line begins with its colon.
    #[error("header without a name")]
    EmptyHeaderName,
    /// A carriage return is not followed by a line feed.
    #[error("carriage return without a line feed")]
    BareCarriageReturn,
    /// A NUL precedes the empty line that ends the head.
    #[error("NUL in the head")]
    NulInHead,
    /// The head is not UTF-8.
    #[error("head is not UTF-8")]
    NotUtf8,
    /// The version does not define this escape sequence.
    #[error("undefined escape sequence")]
    UndefinedEscape,
    /// `content-length` is not one to ten digits.
    #[error("content-length is not a number of one to ten digits")]
    InvalidContentLength,
    /// No NUL follows the number of body bytes that `content-length` specifies.
    #[error("no NUL after the number of bytes in content-length")]
    MissingNul,
    /// The frame has a body, but its command allows none.
    #[error("body on a frame that must not have one")]
    UnexpectedBody,
    /// The frame is longer than [`Limits::max_frame_bytes`](field@crate::Limits::max_frame_bytes).
    #[error("frame longer than {0} bytes (max_frame_bytes)")]
    FrameTooLong(usize),
    /// The head is longer than [`Limits::max_head_bytes`](field@crate::Limits::max_head_bytes).
    #[error("head longer than {0} bytes (max_head_bytes)")]
    HeadTooLong(usize),
    /// A header line is longer than [`Limits::max_line_bytes`](field@crate::Limits::max_line_bytes).
    #[error("header line longer than {0} bytes (max_line_bytes)")]
    LineTooLong(usize),
    /// The head has more header lines than [`Limits::max_headers`](field@crate::Limits::max_headers).
    #[error("more than {0} header lines (max_headers)")]
    TooManyHeaders(usize),
    /// The bytes end before the frame does ([`Frame::parse`](crate::Frame::parse) only).
    #[error("frame is incomplete")]
    Incomplete,
    /// Bytes other than EOLs follow the frame ([`Frame::parse`](crate::Frame::parse) only).
    #[error("more than one frame")]
    TrailingBytes,
}

impl DecodeErrorKind {
    /// Returns true if the frame exceeds a limit, and false if it violates the grammar.
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

/// The error for a frame that cannot be encoded in a version of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The name or value of a header contains a character that this version cannot escape.
    #[error(
        "header {} contains {character:?}, which STOMP {version} cannot express in a {command} frame",
        Quoted(.name)
    )]
    #[non_exhaustive]
    Inexpressible {
        /// The header's name.
        name: String,
        /// The character: CR, LF, NUL or a colon.
        character: char,
        /// The frame's command.
        command: Command,
        /// The version of the protocol.
        version: Version,
    },
    /// A header has an empty name.
    #[error("header without a name")]
    EmptyHeaderName,
    /// The frame has a body, but its command allows none.
    #[error("a {0} frame must not have a body")]
    UnexpectedBody(Command),
    /// The frame's own `content-length` differs from the length of its body.
    #[error("content-length is {}, but the body has {body_bytes} bytes", Quoted(.value))]
    #[non_exhaustive]
    WrongContentLength {
        /// The value of the `content-length` header.
        value: String,
        /// The length of the body, in bytes.
        body_bytes: usize,
    },
}

/// The error for a well-formed frame that the version of the protocol does not allow, see
/// [`Frame::validate`](crate::Frame::validate).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidFrame {
    /// A header that the version requires is missing or empty.
    #[error("{command} requires the header {name}, with a value")]
    #[non_exhaustive]
    MissingHeader {
        /// The frame's command.
        command: Command,
        /// The name of the missing header.
        name: &'static str,
    },
    /// The version does not define this command.
    #[error("STOMP {version} has no {command} frame")]
    #[non_exhaustive]
    NotInVersion {
        /// The frame's command.
        command: Command,
        /// The version of the protocol.
        version: Version,
    },
}
