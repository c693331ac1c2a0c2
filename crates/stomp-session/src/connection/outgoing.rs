//! Output to the peer: messages, and writes to the socket.

use super::{driver::Driver, streams::StreamEvent};
use crate::{
    delivery::{Delivery, UNKNOWN_GAP},
    id::SubscriptionKey,
    mailbox::{config::SlowConsumer, queue::QueuedMessage},
    monitor::OutgoingFrame,
    protocol::message::EncodedDelivery,
};
use std::task::{Context, Poll};
use stomp_frame::Frame;
use stomp_socket::{Outbound, Socket};

/// Maximum polls of streams in one turn.
const POLLS_PER_TURN: usize = 64;

impl Driver {
    /// Sends a message of a handle. If the peer acknowledges the messages of this subscription, the message passes
    /// through a mailbox, whose stream is polled only while the subscription has credit: its other streams may take all
    /// of it.
    pub(super) fn send_message(&mut self, message: QueuedMessage) {
        let Some(subscription) = message.subscription else {
            return;
        };
        if !self.protocol.needs_ack(subscription) {
            return self.deliver(subscription, message.into());
        }
        self.streams.push(subscription, message);
    }

    /// Sends batches of hubs and items of the streams while there is room.
    pub(super) fn poll_streams(&mut self) {
        // In turn, so that neither takes all the room.
        self.is_backlog_next = !self.is_backlog_next;
        if self.is_backlog_next {
            self.poll_backlog();
            self.poll_ready_streams();
        } else {
            self.poll_ready_streams();
            self.poll_backlog();
        }
        if self.streams.has_unreported_overflow() {
            self.protocol.handle_slow_consumer(self.now);
        }
    }

    fn poll_ready_streams(&mut self) {
        self.streams.collect_ready();
        for _ in 0..POLLS_PER_TURN {
            if !self.has_send_room() {
                return;
            }
            let event = self
                .streams
                .poll_next(|subscription| self.protocol.has_credit(subscription));
            match event {
                None => return,
                Some(StreamEvent::Nothing) => {}
                Some(StreamEvent::Message(subscription, delivery)) => {
                    self.deliver(subscription, delivery);
                }
                Some(StreamEvent::Detached(id)) => {
                    let commands = self.session.shared().commands();
                    commands.with(|commands, _| commands.forget_stream(id));
                }
                Some(StreamEvent::Ended(subscription)) => {
                    self.protocol.handle_stream_end(subscription, self.now);
                }
                Some(StreamEvent::Failed(_, error)) if error.is::<SlowConsumer>() => {
                    self.protocol.handle_slow_consumer(self.now);
                }
                Some(StreamEvent::Failed(subscription, error)) => {
                    let shown = self.map_error(error, &self.stream_span(subscription));
                    self.protocol
                        .handle_stream_error(subscription, shown, self.now);
                }
            }
        }
    }

    /// Writes the frames that the protocol has queued, because they must precede the next message.
    pub(super) fn flush_protocol(&mut self) {
        while let Some(item) = self.protocol.poll_write() {
            self.write(&item);
        }
    }

    /// Sends a delivery. If its subscription has ended, drops the delivery, which is then settled as unsent.
    pub(super) fn deliver(&mut self, subscription: SubscriptionKey, mut delivery: Delivery) {
        if !self.protocol.is_peer_present() {
            return;
        }
        let missing = delivery.missing;
        let Some(EncodedDelivery {
            prefix,
            tail,
            is_text,
        }) = self.protocol.encode_delivery(subscription, &mut delivery)
        else {
            return;
        };
        if let Some(socket) = &mut self.socket {
            self.unsent_frames += 1;
            socket.put_encoded(&prefix, tail, is_text);
            self.report_sent(OutgoingFrame::Message {
                message: &delivery.message,
                is_redelivered: delivery.is_redelivered,
            });
            if missing != 0 && missing != UNKNOWN_GAP {
                self.report_dropped(missing);
            }
        }
    }

    /// Writes an item to the socket's buffer.
    pub(super) fn write(&mut self, item: &Outbound) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        self.unsent_frames += 1;
        if let Err(error) = socket.put(item) {
            tracing::warn!(%error, "a frame cannot be encoded in the version of its session, and is sent altered");
            if let Outbound::Frame(frame) = item {
                let _ = socket.put(&Outbound::Frame(encodable(frame)));
            }
        }
        match item {
            Outbound::Frame(frame) => self.report_sent(OutgoingFrame::Frame(frame)),
            Outbound::Receipt(id) => self.report_sent(OutgoingFrame::Receipt { id }),
            // Heart-beats and pings are no frames.
            _ => {}
        }
    }

    /// Writes the socket's buffer to the network. Returns true if a buffer that was full has room again, or if the
    /// connection broke.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> bool {
        let had_room = self.has_send_room();
        let has_failed = self.write_error.is_some();
        let unflushed = |socket: &&mut Socket| !socket.is_flushed() && !has_failed;
        let Some(socket) = self.socket.as_mut().filter(unflushed) else {
            return false;
        };
        let before = socket.unsent_bytes();
        let result = socket.poll_write(cx);
        let written = before.saturating_sub(socket.unsent_bytes());
        self.telemetry.sent_bytes += written as u64;
        let has_progressed = written > 0;
        if socket.unsent_bytes() == 0 {
            self.unsent_frames = 0;
        }
        // Any progress counts: only a peer that takes nothing at all within the timeout is disconnected.
        if has_progressed {
            self.protocol.handle_sent(self.now);
        }
        if has_progressed || result.is_ready() {
            self.protocol.handle_write_progress();
        }
        match result {
            Poll::Pending => self.protocol.handle_write_blocked(self.now),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => {
                self.handle_write_error(error);
                return true;
            }
        }
        !had_room && self.has_send_room()
    }

    /// Returns true if the socket's buffer has room for another frame, or if nothing more is written.
    #[inline]
    pub(super) fn has_send_room(&self) -> bool {
        let has_failed = self.write_error.is_some();
        self.socket.as_ref().is_none_or(|socket| {
            has_failed
                || (socket.unsent_bytes() < self.config.max_outbound_bytes
                    && self.unsent_frames < self.config.max_outbound_frames)
        })
    }
}

/// Copies a frame into one that every version can encode: line ends and NULs in values become spaces. Headers whose
/// names are empty or contain such characters or colons are omitted.
fn encodable(frame: &Frame) -> Frame {
    const UNENCODABLE: [char; 3] = ['\r', '\n', '\0'];
    let headers = frame
        .headers
        .iter()
        .filter(|(name, _)| !name.is_empty() && !name.contains(UNENCODABLE) && !name.contains(':'));
    let headers = headers
        .map(|(name, value)| (name, value.replace(UNENCODABLE, " ")))
        .collect();
    Frame {
        command: frame.command,
        headers,
        body: frame.body.clone(),
    }
}
