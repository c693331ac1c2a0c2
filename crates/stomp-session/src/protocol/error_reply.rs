//! Errors for the peer, and their `ERROR` frames.

use crate::error::ClientError;
use bytestring::ByteString;
use std::{borrow::Cow, fmt};
use stomp_frame::{Command, DecodeError, Frame, InvalidFrame, header};
use stomp_socket::CloseCode;

/// Content of an `ERROR` frame, and the code of the close that may follow.
#[derive(Debug)]
pub(super) struct ErrorReply {
    error: ClientError,
    /// The `receipt` header of the frame that caused the error.
    receipt: Option<ByteString>,
    /// Id of the subscription that the error ends.
    subscription: Option<ByteString>,
    /// Supported versions, if the peer supports none of them.
    versions: Option<&'static str>,
    close_code: CloseCode,
    /// True if the error closes the connection in any case.
    closes: bool,
}

impl ErrorReply {
    /// Creates a reply to a violation of the protocol or of a limit.
    pub(super) fn new(code: &'static str, text: impl Into<Cow<'static, str>>) -> ErrorReply {
        ErrorReply::from(ClientError::new(code, text)).with_close_code(CloseCode::Protocol)
    }

    /// Creates a reply to a frame that cannot be decoded.
    pub(super) fn malformed(error: &DecodeError) -> ErrorReply {
        let reply = if error.kind().is_limit() {
            ErrorReply::new("too-large", format!("The frame exceeds a limit: {error}."))
                .with_close_code(CloseCode::TooBig)
        } else {
            ErrorReply::new("malformed-frame", format!("Malformed frame: {error}."))
        };
        reply.with_receipt(error.receipt().map(ByteString::from))
    }

    /// Creates a reply to a frame that is invalid in the version of the session.
    pub(super) fn invalid(invalid: InvalidFrame, frame: &Frame) -> ErrorReply {
        let code = match invalid {
            InvalidFrame::MissingHeader { .. } => "missing-header",
            _ => "unexpected-frame",
        };
        ErrorReply::new(code, format!("{invalid}.")).with_receipt_of(frame)
    }

    /// Sets the `receipt-id` to the receipt that `frame` asked for, if any.
    ///
    /// STOMP 1.2, "ERROR": "if the frame included a receipt header, the `ERROR` frame SHOULD set the `receipt-id`
    /// header to match the value of the `receipt` header of the frame which the error is related to".
    pub(super) fn with_receipt_of(self, frame: &Frame) -> ErrorReply {
        self.with_receipt(frame.headers.share(header::RECEIPT))
    }

    pub(super) fn with_receipt(mut self, receipt: Option<ByteString>) -> ErrorReply {
        self.receipt = receipt;
        self
    }

    pub(super) fn with_subscription(mut self, id: Option<ByteString>) -> ErrorReply {
        self.subscription = id;
        self
    }

    pub(super) fn with_versions(mut self, versions: &'static str) -> ErrorReply {
        self.versions = Some(versions);
        self
    }

    pub(super) fn with_close_code(mut self, code: CloseCode) -> ErrorReply {
        self.close_code = code;
        self
    }

    pub(super) fn close_code(&self) -> CloseCode {
        self.close_code
    }

    /// The code, shared with the error if that is possible.
    pub(super) fn code(&self) -> ByteString {
        self.error.code().into()
    }

    /// Returns true if the application wants this error to close the connection.
    pub(super) fn closes(&self) -> bool {
        self.closes
    }

    pub(super) fn into_frame(self) -> Frame {
        let (content_type, body) = self.error.body();
        let mut frame = Frame::new(Command::Error)
            .with_header(header::MESSAGE, self.error.code())
            .with_header(header::CONTENT_TYPE, content_type)
            .with_body(body);
        for (name, value) in [
            (header::RECEIPT_ID, &self.receipt),
            (header::SUBSCRIPTION, &self.subscription),
        ] {
            if let Some(value) = value {
                frame.headers.append(name, value);
            }
        }
        if let Some(versions) = self.versions {
            frame.headers.append(header::VERSION, versions);
        }
        // After the headers of the session: receivers use only the first of repeated headers.
        frame.headers.extend(self.error.headers());
        frame
    }
}

impl From<ClientError> for ErrorReply {
    /// Creates a reply with an error of the application.
    fn from(error: ClientError) -> ErrorReply {
        ErrorReply {
            close_code: error.close_code().unwrap_or(CloseCode::Policy),
            closes: error.close_code().is_some(),
            error,
            receipt: None,
            subscription: None,
            versions: None,
        }
    }
}

/// Displays a value from a frame in the text of an error: quoted, escaped, and cut off after [`Quoted::MAX_CHARS`].
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl Quoted<'_> {
    const MAX_CHARS: usize = 64;
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.char_indices().nth(Quoted::MAX_CHARS);
        match end.and_then(|(end, _)| self.0.get(..end)) {
            None => write!(f, "{:?}", self.0),
            Some(beginning) => write!(f, "{beginning:?}..."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_values_are_escaped_and_bounded() {
        assert_eq!(Quoted("a\r\"b").to_string(), r#""a\r\"b""#);
        let longest = "\u{e9}".repeat(Quoted::MAX_CHARS);
        assert_eq!(Quoted(&longest).to_string(), format!("\"{longest}\""));
        let longer = format!("{longest}x");
        assert_eq!(Quoted(&longer).to_string(), format!("\"{longest}\"..."));
    }
}
