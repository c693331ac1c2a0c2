//! The interface between a socket and the stream under it.

use crate::{End, end::CloseNotice, linger::LingerBudget};
use bytes::{Bytes, BytesMut};
use std::{
    io,
    task::{Context, Poll},
};
use stomp_frame::{EncodeError, Limits};
use tokio::io::{AsyncRead, AsyncWrite};

/// A stream of bytes under a transport, such as TCP, TLS or a pipe.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for T {}

/// The connection under a socket: reads bytes from the peer, and writes messages to it.
///
/// [`put`](Transport::put) only appends to a buffer. [`poll_flush`](Transport::poll_flush) writes that buffer, in as
/// few calls as the stream allows.
pub(crate) trait Transport: Send {
    /// Reads the next bytes of the inbound stream. Returns empty bytes for an empty message. Must not be called again
    /// after an `Err`.
    ///
    /// `held` is the number of earlier bytes that the decoder holds because their frame is incomplete. A transport that
    /// also holds bytes must limit the sum of both.
    fn poll_read(&mut self, held: usize, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>>;

    /// Buffers a message. `encode` appends its payload; if it fails, the buffer is unchanged. `guess` is the probable length
    /// of the payload: a wrong one costs a move of the payload.
    fn put(&mut self, guess: usize, encode: EncodePayload<'_>) -> Result<(), EncodeError>;

    /// Makes room in the buffer, if the transport has one, for this number of bytes.
    fn reserve(&mut self, bytes: usize) {
        let _ = bytes;
    }

    /// Returns true if the transport has its own pings, which every peer answers.
    fn supports_ping(&self) -> bool;

    /// Buffers a ping, or does nothing if the transport has none.
    fn put_ping(&mut self);

    /// Writes the buffered bytes.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Writes the buffered bytes, sends `notice`, and waits until the peer has closed too or has used up the
    /// budget.
    fn poll_close(
        &mut self,
        notice: &CloseNotice,
        budget: &mut LingerBudget<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>>;

    /// The number of bytes that are buffered, but not written yet.
    fn unsent(&self) -> usize;

    /// Returns true if all buffered bytes are written and flushed.
    fn is_flushed(&self) -> bool;

    /// The number of bytes read so far.
    fn received(&self) -> u64;

    /// Returns true if the transport has received the beginning of a message, but not its end. May return false if it
    /// cannot know this, or if complete messages precede that beginning.
    fn is_mid_message(&self) -> bool {
        false
    }

    /// Replaces the limits before login with those of the session.
    fn set_limits(&mut self, limits: &Limits);
}

/// A function that appends the payload of a message, and returns the kind of the message.
pub(crate) type EncodePayload<'a> =
    &'a mut dyn FnMut(&mut BytesMut) -> Result<MessageKind, EncodeError>;

/// The kind of a message, for transports that distinguish text from binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageKind {
    /// The payload is UTF-8.
    Text,
    /// The payload may be any bytes.
    Binary,
}

/// The cost of an empty message or fragment, in bytes. It is not 0, so that an endless series of them reaches the
/// limit.
pub(crate) const EMPTY_PIECE_COST: usize = 32;

/// Returns true if `bytes` are UTF-8. Checks for ASCII first, because most payloads are ASCII and this loop handles
/// many bytes at a time.
#[inline]
pub(crate) fn is_utf8(bytes: &[u8]) -> bool {
    let all = bytes.iter().fold(0, |all, byte| all | byte);
    all.is_ascii() || std::str::from_utf8(bytes).is_ok()
}
