//! STOMP directly over a stream of octets: TCP, TLS, a pipe.

use crate::{
    CloseCode, Config, End,
    output::Output,
    wire::{Io, LINGER_OCTETS, Wire, Write},
};
use bytes::{Bytes, BytesMut};
use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};
use stomp_frame::{EncodeError, Limits};
use tokio::io::{AsyncReadExt, ReadBuf};

/// A stream of octets as a transport. Messages are glued together: STOMP frames end by themselves.
pub(crate) struct ByteStream<S> {
    io: S,
    input: BytesMut,
    read_buffer: usize,
    received: u64,
    output: Output,
    closing: Closing,
}

#[derive(Debug, Clone, Copy)]
enum Closing {
    /// Not, or what was collected is still being written.
    Flush,
    /// The end of the stream is being written.
    Shutdown,
    /// So many octets of the peer's were dropped since.
    Drain(usize),
}

impl<S: Io> ByteStream<S> {
    pub(crate) fn new(io: S, config: &Config) -> Self {
        ByteStream {
            io,
            input: BytesMut::new(),
            read_buffer: config.read_buffer,
            received: 0,
            output: Output::default(),
            closing: Closing::Flush,
        }
    }
}

impl<S: Io> Wire for ByteStream<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        self.input.reserve(self.read_buffer);
        let count = ready!(pin!(self.io.read_buf(&mut self.input)).poll(cx)).map_err(End::Reset)?;
        self.received += count as u64;
        match count {
            0 => Poll::Ready(Err(End::Closed(None))),
            _ => Poll::Ready(Ok(self.input.split().freeze())),
        }
    }

    fn put(&mut self, write: Write<'_>) -> Result<(), EncodeError> {
        let start = self.output.len();
        let result = write(self.output.buffer());
        if result.is_err() {
            self.output.buffer().truncate(start);
        }
        result.map(|_| ())
    }

    fn has_pings(&self) -> bool {
        false
    }

    fn put_ping(&mut self) {}

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.output.poll_write(&mut self.io, cx)
    }

    /// STOMP 1.2, "Connection Lingering": what is unread when a connection is dropped makes TCP reset it, and the peer
    /// may lose the last frame. So what the peer still sends is read and dropped, up to a bound.
    fn poll_close(&mut self, _: CloseCode, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.closing = match self.closing {
                Closing::Flush => {
                    ready!(self.output.poll_write(&mut self.io, cx))?;
                    Closing::Shutdown
                }
                Closing::Shutdown => {
                    ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
                    Closing::Drain(0)
                }
                Closing::Drain(dropped) => match ready!(poll_drop(&mut self.io, cx))? {
                    0 => return Poll::Ready(Ok(())),
                    _ if dropped >= LINGER_OCTETS => return Poll::Ready(Ok(())),
                    count => Closing::Drain(dropped + count),
                },
            }
        }
    }

    fn unsent(&self) -> usize {
        self.output.len()
    }

    fn is_flushed(&self) -> bool {
        self.output.is_flushed()
    }

    fn received(&self) -> u64 {
        self.received
    }

    fn set_limits(&mut self, _: &Limits) {}
}

/// Reads some octets and drops them; their number, which is 0 at the end.
pub(crate) fn poll_drop(io: &mut impl Io, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let mut space = [0; 1024];
    let mut buffer = ReadBuf::new(&mut space);
    ready!(Pin::new(io).poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().len()))
}
