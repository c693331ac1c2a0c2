//! Input from the peer: its frames, the end of its data, and frames that are incomplete.

use super::{driver::Driver, inbox::InboxItem};
use crate::protocol::ack::may_settle;
use std::{
    io,
    task::{Context, Poll},
    time::Instant,
};
use stomp_frame::{Command, Frame, header};
use stomp_socket::{CloseCode, End, Inbound, Socket};

/// An incomplete frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartialFrame {
    /// Number of frames received before it.
    number: u64,
    since: Instant,
    /// [`Socket::received_bytes`] before its first byte.
    received_before: u64,
}

impl Driver {
    /// Passes the next frame to the protocol. Returns true if there was one.
    ///
    /// While a request is being handled, frames are read into the inbox as long as it has room: heart-beats are still
    /// noticed, and a peer that sends faster than it is served is slowed down.
    #[inline]
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.protocol.is_reading() {
            return false;
        }
        if self.protocol.is_busy() {
            return self.read_ahead(cx);
        }
        let next = self.inbox.pop();
        if next.is_none() && !self.is_draining {
            if let Some(frame) = self.poll_read(cx) {
                self.protocol.handle_frame(frame, self.now);
                return true;
            }
        }
        match next {
            Some(InboxItem::Frame(frame)) => self.protocol.handle_frame(frame, self.now),
            Some(InboxItem::Receipt(id)) => self.protocol.send_receipt(Some(id)),
            None => match self.peer_end.take() {
                Some(end) => {
                    let incomplete = self.socket.as_ref().and_then(Socket::incomplete_frame);
                    // A frame that would be dropped cannot be a fault.
                    let incomplete = incomplete.filter(|_| !self.is_draining);
                    self.protocol.handle_end(&end, incomplete, self.now);
                }
                None if self.is_draining => self.protocol.handle_close(CloseCode::Away, self.now),
                None => return false,
            },
        }
        true
    }

    /// Reads a frame into the inbox. Returns true if there was one, or if the peer's data have ended. An `ACK` or `NACK`
    /// that overtakes only `SEND`s is handled at once, so that credit does not wait for a slow handler; its receipt waits
    /// for its turn.
    ///
    /// While the server shuts down, the frame is dropped. It is read only to notice when the peer leaves.
    fn read_ahead(&mut self, cx: &mut Context<'_>) -> bool {
        if self.is_inbox_full() && !self.is_draining {
            return false;
        }
        let had_ended = self.peer_end.is_some();
        let Some(frame) = self.poll_read(cx) else {
            return self.peer_end.is_some() && !had_ended;
        };
        if self.is_draining {
            return true;
        }
        if frame.command == Command::Disconnect {
            self.protocol.handle_last_frame(self.now);
        }
        if self.inbox.has_only_sends() && self.protocol.acknowledge_early(&frame) {
            if let Some(receipt) = frame.headers.share(header::RECEIPT) {
                self.inbox.push(InboxItem::Receipt(receipt));
            }
        } else {
            self.inbox.push(InboxItem::Frame(frame));
        }
        true
    }

    pub(super) fn is_inbox_full(&self) -> bool {
        self.inbox
            .is_full(self.config.max_inbox_frames, self.config.max_inbox_bytes)
    }

    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Option<Frame> {
        while self.peer_end.is_none() && self.has_send_room() {
            let inbound = self
                .socket
                .as_mut()
                .map_or(Poll::Ready(None), |socket| socket.poll_read(cx));
            match inbound {
                Poll::Ready(Some(Inbound::Frame(frame))) => {
                    self.received_frames += 1;
                    self.report_received(&frame);
                    return Some(frame);
                }
                // A frame that would be dropped cannot be a fault.
                Poll::Ready(Some(Inbound::End(End::Malformed(_) | End::Violation { .. })))
                    if self.is_draining => {}
                Poll::Ready(Some(Inbound::End(end))) => self.handle_peer_ended(Box::new(end)),
                Poll::Ready(Some(_)) => {}
                // After a failed write, nothing more can arrive.
                Poll::Ready(None) | Poll::Pending => match self.write_error.take() {
                    Some(error) => self.handle_peer_ended(error),
                    None => return None,
                },
            }
        }
        None
    }

    /// Notes the end of the peer's data. Frames before it may still wait in the inbox.
    fn handle_peer_ended(&mut self, end: Box<End>) {
        let is_fault = matches!(*end, End::Malformed(_) | End::Violation { .. });
        let settling = if is_fault {
            0
        } else {
            self.acknowledge_waiting()
        };
        let has_disconnect = |frame: &Frame| frame.command == Command::Disconnect;
        let has_disconnect = self.inbox.count(has_disconnect) > 0;
        self.protocol
            .handle_peer_ended(&end, settling, has_disconnect, self.now);
        self.peer_end = Some(end);
    }

    /// Lets the acknowledgments that wait take effect, because the subscriptions of the peer end now. Returns the number
    /// of frames that may still settle deliveries, and must wait for their turn.
    fn acknowledge_waiting(&mut self) -> usize {
        let Driver {
            inbox, protocol, ..
        } = self;
        inbox.acknowledge(|frame| protocol.acknowledge_early(frame));
        inbox.count(may_settle)
    }

    /// Handles the error of a write: the peer is gone. Continues to read what it sent before.
    pub(super) fn handle_write_error(&mut self, error: io::Error) {
        let end = End::from(error);
        if self.peer_end.is_some() || !self.protocol.is_reading() {
            let settling = self.inbox.count(may_settle);
            self.protocol
                .handle_peer_ended(&end, settling, false, self.now);
        } else {
            let settling = self.acknowledge_waiting();
            self.protocol.handle_write_failed(settling, self.now);
            self.write_error = Some(Box::new(end));
        }
    }

    /// Reports to the protocol if another incomplete frame, or more of it, has arrived, or the last one is complete.
    pub(super) fn check_partial_frame(&mut self, is_paused: bool, received_bytes: u64) {
        if is_paused || !self.socket.as_ref().is_some_and(Socket::is_mid_frame) {
            if self.partial_frame.take().is_some() {
                self.protocol.handle_no_partial_frame();
            }
            return;
        }
        let number = self.received_frames;
        let known = self.partial_frame.filter(|known| known.number == number);
        if known.is_some() && received_bytes == self.received_bytes {
            return;
        }
        let frame = *self.partial_frame.insert(known.unwrap_or(PartialFrame {
            number,
            since: self.now,
            received_before: self.received_bytes,
        }));
        self.protocol
            .handle_partial_frame(frame.since, received_bytes - frame.received_before);
    }
}
