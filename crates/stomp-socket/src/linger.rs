//! The last that is done with a stream: its end is written, and what the peer still sends is dropped.

use crate::{input::Input, wire::Io};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// How much a peer that is being left may still send before it is cut.
pub(crate) const LINGER_BYTES: u64 = 64 << 10;

/// How far the end of a stream has come.
///
/// STOMP 1.2, "Connection Lingering": what is unread when a connection is dropped makes TCP reset it, and the peer may
/// lose the last frame. So what the peer still sends is read and dropped, up to a bound.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Linger {
    /// Our end of the stream is being written.
    Shutdown,
    /// The peer's end is awaited; so many bytes had come before.
    Drain(u64),
}

impl Linger {
    /// Ready when the peer has ended the stream too, or has sent too much.
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
