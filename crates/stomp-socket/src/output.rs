//! Bytes on their way out.

use crate::wire::Io;
use bytes::{Buf, BytesMut};
use std::{
    cell::Cell,
    io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

thread_local! {
    /// The buffer that was emptied last, for whoever writes next: connections with nothing to write own none.
    static SPARE: Cell<Option<BytesMut>> = const { Cell::new(None) };
}

/// Buffers that grew beyond this are not kept as a spare.
const KEPT: usize = 64 << 10;

/// What has been collected and not yet written.
#[derive(Debug, Default)]
pub(crate) struct Output {
    buffer: BytesMut,
    /// Streams with buffers of their own, such as TLS, may have taken what they have not yet sent.
    needs_flush: bool,
}

impl Output {
    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether everything is on its way.
    pub(crate) fn is_flushed(&self) -> bool {
        self.buffer.is_empty() && !self.needs_flush
    }

    #[inline]
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        self.needs_flush = true;
        if self.buffer.capacity() == 0 {
            self.buffer = SPARE.take().unwrap_or_default();
        }
        &mut self.buffer
    }

    /// Writes everything, in as few calls as `io` allows.
    pub(crate) fn poll_write(
        &mut self,
        io: &mut impl Io,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.buffer.is_empty() {
            match ready!(Pin::new(&mut *io).poll_write(cx, &self.buffer))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written if written < self.buffer.len() => self.buffer.advance(written),
                // Unlike advancing, this keeps the whole buffer for what comes next.
                _ => self.buffer.clear(),
            }
        }
        self.give_back();
        ready!(Pin::new(io).poll_flush(cx))?;
        self.needs_flush = false;
        Poll::Ready(Ok(()))
    }

    fn give_back(&mut self) {
        let mut buffer = mem::take(&mut self.buffer);
        // What was written from its beginning does not count in `capacity`, and can be reclaimed.
        if buffer.capacity() > 0 && !buffer.try_reclaim(KEPT + 1) {
            SPARE.set(Some(buffer));
        }
    }
}
