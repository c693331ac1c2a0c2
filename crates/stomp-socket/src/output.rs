//! The buffer for bytes that wait to be written to a stream.

use crate::transport::Io;
use bytes::{Buf, BytesMut};
use std::{
    cell::Cell,
    io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

thread_local! {
    /// The thread's spare buffer. The next connection that writes takes it, so idle connections own no buffer.
    static SPARE: Cell<Option<BytesMut>> = const { Cell::new(None) };
}

/// Maximum capacity of a spare buffer, in bytes. Larger buffers are freed.
const MAX_SPARE: usize = 64 << 10;

/// Bytes that are buffered, but not written yet.
#[derive(Debug, Default)]
pub(crate) struct Output {
    buffer: BytesMut,
    /// True from the first buffered byte until the stream is flushed, because a stream may buffer written bytes itself,
    /// as TLS does.
    needs_flush: bool,
}

impl Output {
    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Returns true if all bytes are written and flushed.
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

    /// Writes and flushes all bytes, in as few calls as `io` allows.
    pub(crate) fn poll_write(
        &mut self,
        io: &mut impl Io,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.buffer.is_empty() {
            match ready!(Pin::new(&mut *io).poll_write(cx, &self.buffer))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written if written < self.buffer.len() => self.buffer.advance(written),
                // Unlike `advance`, `clear` keeps the whole capacity for the next bytes.
                _ => self.buffer.clear(),
            }
        }
        self.release_buffer();
        ready!(Pin::new(io).poll_flush(cx))?;
        self.needs_flush = false;
        Poll::Ready(Ok(()))
    }

    /// Makes the empty buffer the thread's spare, or frees it if it is too large.
    fn release_buffer(&mut self) {
        let mut buffer = mem::take(&mut self.buffer);
        // `capacity` does not include the space of bytes that `advance` has removed, but `try_reclaim` does.
        if buffer.capacity() > 0 && !buffer.try_reclaim(MAX_SPARE + 1) {
            SPARE.set(Some(buffer));
        }
    }
}
