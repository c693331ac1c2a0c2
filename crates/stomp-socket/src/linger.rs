//! Ends a stream: ends our direction, then reads and drops bytes until the peer ends its direction too.

use crate::{input::Input, transport::Io};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Maximum bytes that a peer may send after this side has ended the stream. If it sends more, the connection is
/// dropped.
pub(crate) const LINGER_BYTES: u64 = 64 << 10;

/// The progress of ending a stream.
///
/// STOMP 1.2, "Connection Lingering". If a connection is dropped while received bytes are unread, TCP may reset it, and
/// the peer may lose the last frame. So this side reads and drops bytes from the peer, up to [`LINGER_BYTES`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Linger {
    /// Our end of the stream is being sent.
    Shutdown,
    /// This side waits for the peer's end. Contains the value of [`Input::received`] at the beginning of this phase.
    Drain(u64),
}

impl Linger {
    /// Continues to end the stream. Returns `Ready` when the peer has ended it too, or has sent more than
    /// [`LINGER_BYTES`].
    pub(crate) fn poll(
        &mut self,
        io: &mut impl Io,
        input: &mut Input,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            *self = match *self {
                Linger::Shutdown => {
                    ready!(Pin::new(&mut *io).poll_shutdown(cx))?;
                    Linger::Drain(input.received())
                }
                Linger::Drain(since) if input.received() - since > LINGER_BYTES => {
                    return Poll::Ready(Ok(()));
                }
                Linger::Drain(since) => match ready!(input.poll_read(io, cx, <[u8]>::is_empty))? {
                    true => return Poll::Ready(Ok(())),
                    false => Linger::Drain(since),
                },
            }
        }
    }
}
