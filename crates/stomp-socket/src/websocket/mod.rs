//! STOMP over a WebSocket. The only place that knows tungstenite.

mod context;
mod framing;
pub mod handshake;

pub(crate) use context::WebSocket;
