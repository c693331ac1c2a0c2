//! STOMP directly over a stream of bytes: TCP, TLS, a pipe.

use crate::{
    CloseCode, Config, End,
    input::Input,
    linger::Linger,
    output::Output,
    wire::{Io, Wire, Write},
};
use bytes::Bytes;
use std::{
    io,
    task::{Context, Poll, ready},
};
use stomp_frame::{EncodeError, Limits};

/// A stream of bytes as a transport. Messages are glued together: STOMP frames end by themselves.
pub(crate) struct ByteStream<S> {
    io: S,
    input: Input,
    output: Output,
    /// Once everything was written that was collected before the close.
    linger: Option<Linger>,
}

impl<S: Io> ByteStream<S> {
    pub(crate) fn new(io: S, config: &Config) -> Self {
        ByteStream {
            io,
            input: Input::new(config),
            output: Output::default(),
            linger: None,
        }
    }
}

impl<S: Io> Wire for ByteStream<S> {
    /// The decoder bounds what it holds, and nothing is held here.
    fn poll_read(&mut self, _: usize, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        self.input.check()?;
        let bytes = ready!(
            self.input
                .poll_read(&mut self.io, cx, Bytes::copy_from_slice)
        )
        .map_err(End::of)?;
        Poll::Ready(if bytes.is_empty() {
            Err(End::HalfClosed)
        } else {
            Ok(bytes)
        })
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

    fn poll_close(&mut self, _: CloseCode, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(self.output.poll_write(&mut self.io, cx))?;
        }
        self.linger
            .get_or_insert(Linger::Shutdown)
            .poll(&mut self.io, &mut self.input, cx)
    }

    fn unsent(&self) -> usize {
        self.output.len()
    }

    fn is_flushed(&self) -> bool {
        self.output.is_flushed()
    }

    fn received(&self) -> u64 {
        self.input.received()
    }

    fn set_limits(&mut self, _: &Limits) {
        self.input.unbound();
    }
}
