//! Ends a stream: ends our direction, then reads and drops bytes until the peer ends its direction too.

use crate::{Permit, input::Input, transport::Io};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Bytes that every closing peer may still send. A peer that sends more needs [`Permit::may_linger`].
const FREE_BYTES: u64 = 64 << 10;

/// The bytes that a closing peer may still send.
pub(crate) struct LingerBudget<'a> {
    /// The value of [`Config::max_linger_bytes`](crate::Config::max_linger_bytes).
    pub(crate) max_bytes: u64,
    pub(crate) permit: Option<&'a mut (dyn Permit + 'static)>,
}

impl LingerBudget<'_> {
    /// Returns true if this side reads on after it has dropped this number of bytes.
    pub(crate) fn allows(&mut self, dropped: u64) -> bool {
        dropped <= self.max_bytes
            && (dropped <= FREE_BYTES
                || self
                    .permit
                    .as_mut()
                    .is_none_or(|permit| permit.may_linger()))
    }
}

/// The progress of ending a stream.
///
/// STOMP 1.2, "Connection Lingering". If a connection is dropped while received bytes are unread, TCP may reset it, and
/// the peer may lose the last frame. So this side reads and drops bytes from the peer, within a [`LingerBudget`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linger {
    /// The value of [`Input::received`] when this side began to close.
    since: u64,
    /// True once our end of the stream is sent, and this side waits for the peer's end.
    is_shut_down: bool,
}

impl Linger {
    /// Begins to end a stream. `since` is the value of [`Input::received`] when this side began to close.
    pub(crate) fn since(since: u64) -> Linger {
        Linger {
            since,
            is_shut_down: false,
        }
    }

    /// Continues to end the stream. Returns `Ready` when the peer has ended it too, or has used up the budget.
    pub(crate) fn poll(
        &mut self,
        io: &mut impl Io,
        input: &mut Input,
        budget: &mut LingerBudget<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_shut_down {
            ready!(Pin::new(&mut *io).poll_shutdown(cx))?;
            self.is_shut_down = true;
        }
        while budget.allows(input.received() - self.since) {
            if ready!(input.poll_read(io, cx, <[u8]>::is_empty))? {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}
