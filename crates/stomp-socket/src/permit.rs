//! The permit that a server gives to a connection when it accepts it.

use std::task::{Context, Poll};

/// A server's permit for one connection, held by its [`Socket`](crate::Socket).
///
/// The permit counts the connection against the server's limits, and reports the server's shutdown to the connection.
/// Dropping the permit removes the connection from the count. So a server can count logins, although it does not
/// interpret STOMP.
pub trait Permit: Send {
    /// Records that the peer has logged in, so that the server no longer counts the connection as unauthenticated.
    /// Further calls have no effect.
    ///
    /// [`Socket::resume`](crate::Socket::resume) calls this after `CONNECT` was accepted.
    fn connected(&mut self);

    /// Returns `Ready` once the server shuts down and the connection should end. Every later call also returns `Ready`.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}
