//! Batches of hubs: the messages that go to the peer without a stream.

use super::driver::Driver;
use crate::{
    delivery::Delivery,
    fan_out::{BacklogItem, BatchPart},
    message::{Message, Tail},
    monitor::OutgoingFrame,
};

/// Bytes that a transport may add to a frame.
const FRAMING: usize = 10;

impl Driver {
    /// Sends batches while there is room.
    pub(super) fn poll_backlog(&mut self) {
        let Some(backlog) = &self.streams.backlog else {
            return;
        };
        if self.streams.signal.batches.reset() {
            self.has_backlog = true;
            if backlog.has_overflowed() {
                return self.protocol.handle_slow_consumer(self.now);
            }
        }
        if !self.has_backlog {
            return;
        }
        while self.has_send_room() {
            let Some(item) = self.next_backlog_item() else {
                self.has_backlog = false;
                return;
            };
            match item {
                BacklogItem::Part(part) => self.part = self.send_part(part),
                BacklogItem::Message(subscription, message) => {
                    self.deliver(subscription, message.into());
                }
                BacklogItem::End(subscription, None) => {
                    self.protocol.handle_stream_end(subscription, self.now);
                }
                BacklogItem::End(_, Some(id)) => {
                    self.streams.remove(id);
                    let commands = self.session.shared().commands();
                    commands.with(|commands, _| commands.forget_stream(id));
                }
            }
        }
    }

    fn next_backlog_item(&mut self) -> Option<BacklogItem> {
        match self.part.take() {
            Some(part) => Some(BacklogItem::Part(part)),
            None => self.streams.backlog.as_ref()?.next(),
        }
    }

    /// Sends the messages of a part for which there is room. Returns the rest. If the subscription has ended, drops them.
    fn send_part(&mut self, part: BatchPart) -> Option<BatchPart> {
        let mut part = part;
        while !part.range.is_empty() && self.has_send_room() {
            if part.missing == 0 && part.batch.has_one_destination() {
                let sent = self.send_alike(&part);
                if sent == 0 {
                    return None;
                }
                part.range.start += sent;
                continue;
            }
            let message = part.batch.get(part.range.clone()).first()?;
            let delivery = Delivery {
                missing: std::mem::take(&mut part.missing),
                ..Delivery::new(message.clone())
            };
            self.deliver(part.subscription, delivery);
            part.range.start += 1;
        }
        (!part.range.is_empty()).then_some(part)
    }

    /// Sends messages that have the same prefix, while there is room. Returns their number, which is 0 if the
    /// subscription has ended.
    fn send_alike(&mut self, part: &BatchPart) -> usize {
        let messages = part.batch.get(part.range.clone());
        let is_present = self.protocol.is_peer_present();
        let Some(first) = messages.first().filter(|_| is_present) else {
            return 0;
        };
        let version = self.protocol.version();
        let Some(prefix) = self.protocol.prefix(part.subscription, first.destination()) else {
            return 0;
        };
        let Some(socket) = &mut self.socket else {
            return 0;
        };
        let size = |message: &Message| prefix.len() + message.tail(version).bytes.len() + FRAMING;
        let room = self
            .config
            .max_outbound_bytes
            .saturating_sub(socket.unsent_bytes());
        let most = self
            .config
            .max_outbound_frames
            .saturating_sub(self.unsent_frames);
        // The message that exceeds the bound is still sent.
        let (mut bytes, mut count) = (0, 0);
        for message in messages.iter().take(most) {
            (bytes, count) = (bytes + size(message), count + 1);
            if bytes >= room {
                break;
            }
        }
        socket.reserve(bytes);
        let sent = messages.get(..count).unwrap_or_default();
        for message in sent {
            let Tail { bytes, is_text } = message.tail(version);
            socket.put_encoded(&prefix, bytes, *is_text);
        }
        drop(prefix);
        self.unsent_frames += count;
        for message in sent {
            self.report_sent(OutgoingFrame::Message {
                message,
                is_redelivered: false,
            });
        }
        count
    }
}
