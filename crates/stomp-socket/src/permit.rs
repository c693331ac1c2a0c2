//! The permit of a connection, lent by the server that accepted it.

use std::task::{Context, Poll};

/// A server's permit for one connection, held by its [`Socket`](crate::Socket).
///
/// It counts the connection in the server's limits, and reports the server's shutdown to the connection. Dropping it
/// releases the place, so the server counts connections without knowing STOMP.
pub trait Permit: Send {
    /// Called when the peer has logged in: `CONNECT` was accepted, and [`Socket::resume`](crate::Socket::resume) was
    /// called. The server no longer counts the connection as unauthenticated. Further calls have no effect.
    fn connected(&mut self);

    /// Ready as soon as the server shuts down and the connection should end, and on every later call.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}
