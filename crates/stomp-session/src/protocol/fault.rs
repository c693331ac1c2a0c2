//! What is wrong with a frame, and the `ERROR` that says so.

use crate::error::ClientError;
use bytestring::ByteString;
use std::borrow::Cow;
use stomp_frame::{Command, DecodeError, Frame, InvalidFrame, header};
use stomp_socket::CloseCode;

/// An error to be told to the peer, and what of its frames it concerns.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: ClientError,
    /// The `receipt` that the frame asked for.
    pub(super) receipt: Option<ByteString>,
    /// The subscription that this ends.
    pub(super) subscription: Option<ByteString>,
    /// The versions that are supported, where none was in common.
    pub(super) versions: Option<&'static str>,
    /// How the connection is closed, if it is.
    pub(super) code_of_close: CloseCode,
}

impl Fault {
    pub(super) fn new(code: &'static str, text: impl Into<Cow<'static, str>>) -> Fault {
        Fault {
            code_of_close: CloseCode::Protocol,
            ..Fault::from(ClientError::new(code, text))
        }
    }

    /// Names the frame that is at fault, where it asked for a receipt.
    ///
    /// STOMP 1.2, "ERROR": "if the frame included a receipt header, the `ERROR` frame SHOULD set the `receipt-id`
    /// header to match the value of the `receipt` header of the frame which the error is related to".
    pub(super) fn about(self, frame: &Frame) -> Fault {
        Fault {
            receipt: frame.headers.share(header::RECEIPT),
            ..self
        }
    }

    pub(super) fn malformed(error: &DecodeError) -> Fault {
        let code = if error.kind().is_limit() {
            "too-large"
        } else {
            "malformed-frame"
        };
        let code_of_close = if error.kind().is_limit() {
            CloseCode::TooBig
        } else {
            CloseCode::Protocol
        };
        let receipt = error.receipt().map(ByteString::from);
        Fault {
            receipt,
            code_of_close,
            ..Fault::new(code, format!("Malformed frame: {error}."))
        }
    }

    pub(super) fn invalid(invalid: InvalidFrame, frame: &Frame) -> Fault {
        let code = match invalid {
            InvalidFrame::MissingHeader { .. } => "missing-header",
            _ => "unexpected-frame",
        };
        Fault::new(code, format!("{invalid}.")).about(frame)
    }

    pub(super) fn into_frame(self) -> Frame {
        let mut frame = Frame::new(Command::Error)
            .with_header(header::MESSAGE, self.error.code())
            .with_header(header::CONTENT_TYPE, "text/plain");
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
        frame.with_body(self.error.text().to_owned())
    }
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Fault {
        Fault {
            error,
            receipt: None,
            subscription: None,
            versions: None,
            code_of_close: CloseCode::Policy,
        }
    }
}
