//! STOMP directly over a stream of bytes: TCP, TLS, a pipe.

use crate::{
    Config, End,
    end::CloseNotice,
    input::Input,
    linger::{Linger, LingerBudget},
    output::Output,
    transport::{EncodePayload, Io, Transport},
};
use bytes::{BufMut, Bytes};
use std::{
    io,
    task::{Context, Poll, ready},
};
use stomp_frame::{EncodeError, Limits};

/// A stream of bytes as a transport. It needs no message boundaries, because STOMP frames mark their own end.
pub(crate) struct ByteStream<S> {
    io: S,
    input: Input,
    output: Output,
    /// The progress of ending the stream. Set once all bytes that were buffered before the close are written.
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

impl<S: Io> Transport for ByteStream<S> {
    /// Reads the next bytes. Ignores `held`, because this transport holds no bytes, and the decoder limits its own.
    fn poll_read(&mut self, _: usize, cx: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        self.input.check_limit()?;
        let bytes = ready!(
            self.input
                .poll_read(&mut self.io, cx, Bytes::copy_from_slice)
        )?;
        Poll::Ready(if bytes.is_empty() {
            Err(End::HalfClosed)
        } else {
            Ok(bytes)
        })
    }

    /// Buffers a frame and one LF behind it, or a heart-beat.
    ///
    /// STOMP 1.2, "STOMP Frames": "The NULL octet can be optionally followed by multiple EOLs." Some clients need the
    /// EOL: they read two bytes behind each body, and lose the beginning of the next frame if the second is no EOL.
    fn put(&mut self, _: usize, encode: EncodePayload<'_>) -> Result<(), EncodeError> {
        let out = self.output.buffer();
        let start = out.len();
        if let Err(error) = encode(out) {
            out.truncate(start);
            return Err(error);
        }
        // A frame ends with NUL, a heart-beat does not.
        if out.last() == Some(&0) {
            out.put_u8(b'\n');
        }
        Ok(())
    }

    fn reserve(&mut self, bytes: usize) {
        self.output.buffer().reserve(bytes);
    }

    fn supports_ping(&self) -> bool {
        false
    }

    fn put_ping(&mut self) {}

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.output.poll_write(&mut self.io, cx)
    }

    fn poll_close(
        &mut self,
        _: &CloseNotice,
        budget: &mut LingerBudget<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(self.output.poll_write(&mut self.io, cx))?;
        }
        let received = self.input.received();
        self.linger
            .get_or_insert_with(|| Linger::since(received))
            .poll(&mut self.io, &mut self.input, budget, cx)
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
        self.input.remove_limit();
    }
}
