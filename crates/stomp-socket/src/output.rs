//! Octets on their way out.

use crate::wire::Io;
use bytes::{Buf, BytesMut};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// What has been collected and not yet written.
#[derive(Debug, Default)]
pub(crate) struct Output {
    buffer: BytesMut,
    /// Streams with buffers of their own, such as TLS, may have taken what they have not yet sent.
    needs_flush: bool,
}

/// A buffer that grew beyond this is given back once it is empty.
const KEPT: usize = 8 << 10;

impl Output {
    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether everything is on its way.
    pub(crate) fn is_flushed(&self) -> bool {
        self.buffer.is_empty() && !self.needs_flush
    }

    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        self.needs_flush = true;
        &mut self.buffer
    }

    /// Writes everything, in as few calls as `io` allows.
    pub(crate) fn poll_write(&mut self, io: &mut impl Io, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.buffer.is_empty() {
            match ready!(Pin::new(&mut *io).poll_write(cx, &self.buffer))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.buffer.advance(written),
            }
        }
        if self.buffer.capacity() > KEPT {
            self.buffer = BytesMut::new();
        }
        ready!(Pin::new(io).poll_flush(cx))?;
        self.needs_flush = false;
        Poll::Ready(Ok(()))
    }
}
