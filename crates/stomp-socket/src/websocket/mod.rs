//! STOMP over a WebSocket. The only place that knows tungstenite.

mod context;
#[cfg(feature = "tungstenite")]
mod foreign;
mod frames;
pub mod handshake;
mod plain;
mod writing;

pub(crate) use context::WebSocket;

use crate::{CloseCode, End};
use tokio_tungstenite::tungstenite::{
    Error,
    error::ProtocolError,
    protocol::{CloseFrame, frame::coding::CloseCode as WireCode},
};

fn close_frame(code: CloseCode) -> CloseFrame {
    CloseFrame {
        code: WireCode::from(code.as_u16()),
        reason: "".into(),
    }
}

/// How a WebSocket ended that failed so.
fn end_of(error: Error) -> End {
    let violation = |code, error: Error| End::Violation {
        code,
        reason: error.to_string(),
    };
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => End::Closed(None),
        Error::Io(error) => End::of(error),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::cut(),
        Error::Capacity(_) => violation(CloseCode::TooBig, error),
        Error::Utf8(_) => violation(CloseCode::NotUtf8, error),
        _ => violation(CloseCode::Protocol, error),
    }
}
