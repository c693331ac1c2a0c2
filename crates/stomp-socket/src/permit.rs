//! A connection's place in the server that took it in.

use std::task::{Context, Poll};

/// What a server lends to a connection for as long as its [`Socket`](crate::Socket) lives: a place among those that it
/// counts, and the word when it goes down. Dropping it gives the place back.
pub trait Permit: Send {
    /// The peer was let in: see [`Socket::resume`](crate::Socket::resume).
    fn negotiated(&mut self);

    /// Ready, from then on, when the conversation is to end soon because the server goes down.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}
