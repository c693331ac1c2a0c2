//! STOMP over a WebSocket. This is the only module that uses tungstenite.

mod adapter;
mod encode;
#[cfg(feature = "tungstenite")]
mod external;
mod fast_path;
mod frame;
mod frame_tracker;
pub mod handshake;
#[expect(clippy::module_inception, reason = "the module holds `WebSocket`")]
mod websocket;

pub(crate) use websocket::WebSocket;

use crate::{CloseCode, End, end::CloseNotice};
use tokio_tungstenite::tungstenite::{
    Error,
    error::ProtocolError,
    protocol::{CloseFrame, frame::coding::CloseCode as WireCode},
};

fn close_frame(notice: &CloseNotice) -> CloseFrame {
    CloseFrame {
        code: WireCode::from(notice.code.as_u16()),
        reason: notice.reason().into(),
    }
}

/// The end of a WebSocket that failed with `error`.
fn end_of(error: Error) -> End {
    let violation = |code, error: Error| End::Violation {
        code,
        reason: error.to_string(),
    };
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => End::Closed(None),
        Error::Io(error) => End::from(error),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::unexpected_eof(),
        Error::Capacity(_) => violation(CloseCode::TooBig, error),
        Error::Utf8(_) => violation(CloseCode::NotUtf8, error),
        _ => violation(CloseCode::Protocol, error),
    }
}
