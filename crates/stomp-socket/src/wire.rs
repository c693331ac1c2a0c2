//! What a socket needs of a transport.

use crate::{CloseCode, End};
use bytes::{Bytes, BytesMut};
use std::{
    io,
    task::{Context, Poll},
};
use stomp_frame::{EncodeError, Limits};
use tokio::io::{AsyncRead, AsyncWrite};

/// A stream of bytes under a transport: TCP, TLS, a pipe.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for T {}

/// A transport: bytes in, messages out.
///
/// What is put is only collected; [`poll_flush`](Wire::poll_flush) writes it, in as few calls as the stream allows.
pub(crate) trait Wire: Send {
    /// The next bytes of the inbound stream; none where a message has none. After an `Err` it is not called again.
    ///
    /// `held` bytes of what came before still wait for the rest of their frame: a transport that holds bytes too
    /// bounds the sum.
    fn poll_read(&mut self, held: usize, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>>;

    /// Collects the message that `write` appends. If `write` fails, nothing is.
    fn put(&mut self, write: Write<'_>) -> Result<(), EncodeError>;

    /// Whether the transport has pings of its own, which any peer answers.
    fn has_pings(&self) -> bool;

    /// Collects a ping, where the transport has them.
    fn put_ping(&mut self);

    /// Writes what was collected.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Writes what was collected, closes with `code`, and waits until the peer has closed too.
    fn poll_close(&mut self, code: CloseCode, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Bytes that were collected and not yet written.
    fn unsent(&self) -> usize;

    /// Whether everything that was collected is on its way.
    fn is_flushed(&self) -> bool;

    /// Bytes that have been read.
    fn received(&self) -> u64;

    /// Whether the beginning of a message has come and its end has not, as far as the transport tells. Where whole
    /// messages wait to be taken, it may say no.
    fn is_mid_message(&self) -> bool {
        false
    }

    /// What the peer may send from now on, after the negotiation.
    fn set_limits(&mut self, limits: &Limits);
}

/// Appends a message's payload and says what kind of message it is.
pub(crate) type Write<'a> = &'a mut dyn FnMut(&mut BytesMut) -> Result<Kind, EncodeError>;

/// What a message holds, for transports that tell the two apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// UTF-8.
    Text,
    /// Anything.
    Binary,
}

/// What an empty piece counts for against a bound on bytes, so that endless ones end too.
pub(crate) const EMPTY_PIECE: usize = 32;

/// Whether `bytes` may be text. Most are ASCII, which is told many bytes at a time.
pub(crate) fn is_utf8(bytes: &[u8]) -> bool {
    let all = bytes.iter().fold(0, |all, byte| all | byte);
    all.is_ascii() || std::str::from_utf8(bytes).is_ok()
}
