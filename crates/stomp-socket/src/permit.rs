//! The permit that a server gives to a connection when it accepts it.

use std::task::{Context, Poll};

/// A server's permit for one connection, held by its [`Socket`](crate::Socket), or by the session that has
/// [taken](crate::Socket::take_permit) it because a handler outlives the socket.
///
/// The permit counts the connection against the server's limits, and reports the server's shutdown to the connection.
/// Dropping the permit removes the connection from the count. So a server can count logins, although it does not
/// interpret STOMP.
pub trait Permit: Send {
    /// Records that the peer has logged in, so that the server no longer counts the connection as unauthenticated.
    /// Further calls have no effect. Returns true if the permit can no longer be revoked, and false if it was revoked
    /// before.
    ///
    /// [`Socket::resume`](crate::Socket::resume) calls this after `CONNECT` was accepted.
    fn connected(&mut self) -> bool;

    /// Returns `Ready` if the server has revoked the permit, to give the place of a peer that has not logged in to
    /// another peer. The [`Socket`](crate::Socket) then ends with [`End::Lost`](crate::End::Lost). Every later call also
    /// returns `Ready`.
    fn poll_revoked(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Returns true if the closing connection may read and drop more than 64 KiB from its peer, so that the peer gets
    /// the last frame. Otherwise the connection is closed at once. Once this has returned true, every later call also
    /// returns true.
    ///
    /// A server can thus limit the number of peers that it reads from only to drop the bytes. Default: true.
    fn may_linger(&mut self) -> bool {
        true
    }

    /// Returns `Ready` once the server shuts down and the connection should end. Every later call also returns `Ready`.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}
