//! The stream under a WebSocket, as tungstenite's context uses it.

use super::frame_tracker::FrameTracker;
use crate::{input::Input, output::Output, transport::Io};
use bytes::BufMut;
use std::{
    io::{self, Read},
    task::{Context, Poll},
};

/// An adapter that implements `Read` and `Write` for the context: reads poll the stream, and writes go to the output
/// buffer.
pub(super) struct Adapter<'a, 'b, S> {
    pub(super) io: &'a mut S,
    pub(super) cx: &'a mut Context<'b>,
    pub(super) tracker: &'a mut FrameTracker,
    pub(super) input: &'a mut Input,
    pub(super) output: &'a mut Output,
    /// Maximum cost of the current message, in bytes.
    pub(super) max_pending: u64,
}

impl<S: Io> Read for Adapter<'_, '_, S> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        // The context reads until it has a message, so the limits are checked before each read.
        if self.tracker.pending() > self.max_pending || self.input.check_limit().is_err() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // Reads nothing beyond the current payload. So the context, whose buffer has grown for a long payload, is empty
        // after the payload and can be dropped, and the fast path can take the next message.
        let wanted = self
            .tracker
            .missing_payload()
            .unwrap_or(usize::MAX)
            .min(space.len());
        let space = space.get_mut(..wanted).unwrap_or_default();
        match self.input.poll_fill(self.io, self.cx, space) {
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            Poll::Ready(result) => {
                let count = result?;
                self.tracker.track(space.get(..count).unwrap_or_default());
                Ok(count)
            }
        }
    }
}

impl<S> io::Write for Adapter<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.buffer().put_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
