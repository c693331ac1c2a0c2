//! Bytes on their way in.

use crate::{Config, End, wire::Io};
use std::{
    cell::Cell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::ReadBuf;

thread_local! {
    /// Where the bytes of a read arrive: one buffer a thread, so that connections with nothing to read own none.
    static SPACE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Reads, counts what has come, and bounds what may come before the negotiation.
#[derive(Debug)]
pub(crate) struct Input {
    /// Bytes read at once.
    at_once: usize,
    received: u64,
    /// With more bytes than this received, nothing more is read.
    most: u64,
}

impl Input {
    /// An input whose peer may send one frame, and what is read together with its end, before the negotiation.
    pub(crate) fn new(config: &Config) -> Input {
        let at_once = config.read_buffer_bytes.max(1);
        Input {
            at_once,
            received: 0,
            most: config.limits.max_frame_bytes.saturating_add(at_once) as u64,
        }
    }

    /// Lets the peer send as much as it likes.
    pub(crate) fn unbound(&mut self) {
        self.most = u64::MAX;
    }

    pub(crate) fn at_once(&self) -> usize {
        self.at_once
    }

    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Counts bytes that were read elsewhere.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// Fails if more has come than may.
    pub(crate) fn check(&self) -> Result<(), End> {
        match self.received > self.most {
            true => Err(End::too_big(
                "more bytes than may come before CONNECT is answered",
            )),
            false => Ok(()),
        }
    }

    /// Reads into `space`; 0 at the end of the stream.
    pub(crate) fn poll_fill(
        &mut self,
        io: &mut impl Io,
        cx: &mut Context<'_>,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(space);
        ready!(Pin::new(io).poll_read(cx, &mut buffer))?;
        let count = buffer.filled().len();
        self.count(count);
        Poll::Ready(Ok(count))
    }

    /// Reads once and gives `take` what has come, which is nothing at the end of the stream.
    pub(crate) fn poll_read<T>(
        &mut self,
        io: &mut impl Io,
        cx: &mut Context<'_>,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Poll<io::Result<T>> {
        // Taken, not borrowed: a stream may itself read through a socket.
        let mut space = SPACE.take();
        if space.len() < self.at_once {
            space.resize(self.at_once, 0);
        }
        let window = space.get_mut(..self.at_once).unwrap_or_default();
        let result = self
            .poll_fill(io, cx, window)
            .map_ok(|count| take(space.get(..count).unwrap_or_default()));
        SPACE.set(space);
        result
    }
}
