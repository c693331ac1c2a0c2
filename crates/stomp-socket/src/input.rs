//! Reads from a stream, and limits the number of bytes until the peer has logged in.

use crate::{Config, End, transport::Io};
use std::{
    cell::Cell,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::ReadBuf;

thread_local! {
    /// The thread's buffer for reads. All connections of the thread share it, so idle connections own no buffer.
    static SPACE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Reads from a stream and counts the bytes. Limits their number until the peer has logged in.
#[derive(Debug)]
pub(crate) struct Input {
    /// Maximum bytes per read.
    read_size: usize,
    received: u64,
    /// Maximum value of `received`. Beyond it, [`Input::check_limit`] fails.
    max_received: u64,
}

impl Input {
    /// Creates an input. Before login, the peer may send one frame, and the rest of the read that contains the end of
    /// this frame.
    ///
    /// All bytes before login count, also those of pings and empty messages. Otherwise a peer could send these without
    /// a limit.
    pub(crate) fn new(config: &Config) -> Input {
        let read_size = config.read_buffer_bytes.max(1);
        Input {
            read_size,
            received: 0,
            max_received: config.limits.max_frame_bytes.saturating_add(read_size) as u64,
        }
    }

    /// Removes the limit on received bytes, after login.
    pub(crate) fn remove_limit(&mut self) {
        self.max_received = u64::MAX;
    }

    pub(crate) fn read_size(&self) -> usize {
        self.read_size
    }

    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Adds bytes that were read elsewhere to the number of received bytes.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// Fails if the peer has sent more bytes than it may send before login.
    pub(crate) fn check_limit(&self) -> Result<(), End> {
        match self.received > self.max_received {
            true => Err(End::too_big(format!(
                "more than {} bytes were received before CONNECT was answered",
                self.max_received
            ))),
            false => Ok(()),
        }
    }

    /// Reads into `space`, and returns the number of bytes. It is 0 at the end of the stream.
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

    /// Reads once, and passes the bytes to `take`. At the end of the stream, `take` receives an empty slice.
    pub(crate) fn poll_read<T>(
        &mut self,
        io: &mut impl Io,
        cx: &mut Context<'_>,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Poll<io::Result<T>> {
        // Taken instead of borrowed, because a stream may itself read through another socket.
        let mut space = SPACE.take();
        if space.len() < self.read_size {
            space.resize(self.read_size, 0);
        }
        let window = space.get_mut(..self.read_size).unwrap_or_default();
        let result = self
            .poll_fill(io, cx, window)
            .map_ok(|count| take(space.get(..count).unwrap_or_default()));
        SPACE.set(space);
        result
    }
}
