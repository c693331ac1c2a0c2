//! Messages to the peer, from the session's handles and from streams.

use super::{driver::Driver, pending_subscription::PendingSubscription, streams::StreamEvent};
use crate::{
    command_queue::SessionCommand,
    delivery::Delivery,
    id::{StreamId, SubscriptionKey},
    mailbox::{Mailbox, config::SlowConsumer, queue::QueuedMessage},
    protocol::message::EncodedDelivery,
    response::MessageStream,
};
use std::collections::VecDeque;

/// Maximum polls of streams in one turn.
const POLLS_PER_TURN: usize = 64;

impl Driver {
    /// Carries out the commands of the session's handles, in order. A message that has no room delays all commands
    /// behind it.
    pub(super) fn process_commands(&mut self) {
        let shared = self.session.shared();
        if shared.are_requests_dropped() && !self.has_service {
            self.protocol.handle_requests_dropped(self.now);
        }
        if self.commands.is_empty() {
            if !shared.has_commands() {
                return;
            }
            shared.reset_has_commands();
            let taken = shared.commands().take();
            match taken {
                Ok(commands) => self.commands = commands,
                Err(SlowConsumer) => return self.protocol.handle_slow_consumer(self.now),
            }
        }
        while let Some(command) = self.commands.pop_front() {
            match command {
                SessionCommand::Message(message) if !self.has_send_room() => {
                    return self.commands.push_front(SessionCommand::Message(message));
                }
                SessionCommand::Message(message) => self.process_message(message),
                SessionCommand::Connected(connected) => {
                    self.protocol.handle_connected(connected, self.now);
                }
                SessionCommand::Error(error) => self.protocol.handle_error(error, self.now),
                SessionCommand::Observe {
                    subscription,
                    id,
                    stream,
                } => self.attach_stream(subscription, Some(id), stream),
                SessionCommand::Unhook(id) => {
                    self.pending.remove(id);
                    self.streams.remove(id);
                }
                SessionCommand::ExpiresAt(at) => self.protocol.handle_expires_at(at),
                SessionCommand::Close(code) => self.protocol.handle_close(code, self.now),
            }
        }
    }

    fn process_message(&mut self, message: QueuedMessage) {
        let pending = self.protocol.pending_subscription();
        if message.subscription.is_some() && message.subscription == pending {
            self.pending.push(message, &self.config.mailbox);
        } else {
            self.flush_protocol();
            self.send_message(message);
        }
    }

    /// Attaches a stream to a subscription, or drops it if the subscription has ended.
    fn attach_stream(
        &mut self,
        subscription: SubscriptionKey,
        id: Option<StreamId>,
        stream: MessageStream,
    ) {
        if self.protocol.pending_subscription() == Some(subscription) {
            self.pending.streams.push((id, stream));
        } else if self.protocol.is_subscribed(subscription) {
            self.streams.insert(subscription, id, stream);
        }
    }

    /// Sends the messages and attaches the streams that were held until the service answered `SUBSCRIBE`. If it refused,
    /// the subscription has ended and they are dropped.
    pub(super) fn release_pending(&mut self, subscription: SubscriptionKey) {
        let PendingSubscription {
            mut messages,
            streams,
        } = std::mem::take(&mut self.pending);
        let mut taken = VecDeque::new();
        if messages.take(&mut taken).is_err() {
            self.protocol.handle_slow_consumer(self.now);
        }
        self.flush_protocol();
        taken
            .into_iter()
            .for_each(|message| self.send_message(message));
        streams
            .into_iter()
            .for_each(|(id, stream)| self.attach_stream(subscription, id, stream));
    }

    /// Sends a message of a handle. If the peer acknowledges the messages of the subscription, it passes through a mailbox, from
    /// which it is sent when there is credit for it.
    fn send_message(&mut self, message: QueuedMessage) {
        let Some(subscription) = message.subscription else {
            return;
        };
        if !self.protocol.needs_ack(subscription) {
            return self.deliver(subscription, message.into());
        }
        let known = self
            .mailboxes
            .iter()
            .find(|(known, _)| *known == subscription);
        if let Some((_, mailbox)) = known {
            mailbox.push_queued([message]);
            return;
        }
        let (mailbox, stream) = Mailbox::new(self.config.mailbox);
        mailbox.push_queued([message]);
        self.mailboxes.push((subscription, mailbox));
        self.streams
            .insert(subscription, Some(StreamId::next()), Box::pin(stream));
    }

    /// Sends items of the streams while there is room.
    pub(super) fn poll_streams(&mut self) {
        self.streams
            .collect_ready(|subscription| self.protocol.has_credit(subscription));
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
                Some(StreamEvent::Ended(subscription)) => {
                    self.protocol.handle_stream_end(subscription);
                }
                Some(StreamEvent::Failed(_, error)) if error.is::<SlowConsumer>() => {
                    self.protocol.handle_slow_consumer(self.now);
                }
                Some(StreamEvent::Failed(subscription, error)) => {
                    let shown = self.map_error(&*error);
                    self.protocol
                        .handle_stream_error(subscription, shown, self.now);
                }
            }
        }
    }

    /// Writes the frames that the protocol has queued, which precede the next message.
    fn flush_protocol(&mut self) {
        while let Some(item) = self.protocol.poll_write() {
            self.write(&item);
        }
    }

    /// Sends a delivery. If its subscription has ended, drops it, which settles it as unsent.
    fn deliver(&mut self, subscription: SubscriptionKey, mut delivery: Delivery) {
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
        }
    }
}
