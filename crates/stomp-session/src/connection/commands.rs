//! Commands of the session's handles.

use super::{driver::Driver, pending_subscription::PendingSubscription};
use crate::{
    catch_drop::CatchDrop,
    command_queue::{SessionClose, SessionCommand, TakenCommands},
    destination::Destination,
    id::{StreamId, SubscriptionKey},
    mailbox::{config::SlowConsumer, queue::QueuedMessage},
    principal_share::SubscriptionPlace,
    response::MessageStream,
};
use std::{collections::VecDeque, mem};

impl Driver {
    /// Carries out the commands of the session's handles, in the order that [`Session`](crate::Session#order) documents.
    pub(super) fn process_commands(&mut self) {
        if self.session.shared().are_requests_dropped() && !self.has_service {
            self.protocol.handle_requests_dropped(self.now);
        }
        if !self.has_commands() {
            return;
        }
        loop {
            if let Err(SlowConsumer) = self.take_commands() {
                return self.protocol.handle_slow_consumer(self.now);
            }
            self.send_errors(false);
            if !self.process_taken_commands() || !self.has_more_commands {
                break;
            }
        }
        if let Some(close) = self.close.take() {
            let SessionClose { code, reason } = *close;
            self.send_errors(true);
            match reason {
                Some(reason) => self.protocol.handle_close_with(code, reason, self.now),
                None => self.protocol.handle_close(code, self.now),
            }
        }
    }

    /// Returns true if there may be something to carry out.
    #[inline]
    fn has_commands(&self) -> bool {
        self.streams.signal.commands.is_set()
            || self.has_more_commands
            || !self.commands.is_empty()
            || self.has_errors()
            || self.close.is_some()
    }

    fn take_commands(&mut self) -> Result<(), SlowConsumer> {
        let is_next = self.has_more_commands && self.commands.is_empty();
        if !self.streams.signal.commands.reset() && !is_next {
            return Ok(());
        }
        let shared = self.session.shared();
        let commands = &mut self.commands;
        let TakenCommands {
            controls,
            errors,
            has_more,
        } = shared.commands().with(|queue, _| queue.take(commands))?;
        self.has_more_commands = has_more;
        if !errors.is_empty() {
            self.errors.get_or_insert_default().extend(errors);
        }
        if let Some(at) = controls.expires_at {
            self.protocol.handle_expires_at(at);
        }
        self.close = self.close.take().or(controls.close);
        Ok(())
    }

    /// Carries out commands until one waits for room. Returns true if none does.
    fn process_taken_commands(&mut self) -> bool {
        while let Some(command) = self.commands.pop_front().flatten() {
            match command {
                SessionCommand::Message(message) if !self.has_send_room() => {
                    let command = SessionCommand::Message(message);
                    self.commands.push_front(Some(command));
                    self.overtake_messages();
                    return false;
                }
                SessionCommand::Message(message) => self.process_message(message),
                SessionCommand::Connected(connected) => {
                    self.protocol.handle_connected(connected, self.now);
                }
                SessionCommand::Error(error) => {
                    self.errors.get_or_insert_default().push_back(error);
                    self.send_errors(false);
                }
                SessionCommand::Observe {
                    subscription,
                    id,
                    stream,
                } => self.attach_stream(subscription, Some(id), stream),
                SessionCommand::Unhook(id) => {
                    if let Some(pending) = &mut self.pending {
                        pending.remove(id);
                    }
                    self.streams.remove(id);
                }
                SessionCommand::Subscribe {
                    destination,
                    stream,
                    place,
                } => self.add_implicit_subscription(destination, stream, place),
            }
        }
        true
    }

    /// Moves the errors out of the commands, which wait for room.
    fn overtake_messages(&mut self) {
        let is_error = |command: &SessionCommand| matches!(command, SessionCommand::Error(_));
        if self.commands.iter().flatten().any(is_error) {
            for command in mem::take(&mut self.commands).into_iter().flatten() {
                match command {
                    SessionCommand::Error(error) => {
                        self.errors.get_or_insert_default().push_back(error);
                    }
                    command => self.commands.push_back(Some(command)),
                }
            }
            self.send_errors(false);
        }
    }

    /// Sends the errors for which there is room, or all of them if the session closes.
    fn send_errors(&mut self, is_closing: bool) {
        while self.has_errors()
            && (is_closing || self.has_send_room() || self.protocol.closes_on_error())
        {
            let Some(error) = self.errors.as_mut().and_then(|errors| errors.pop_front()) else {
                return;
            };
            let bytes = error.bytes();
            self.session
                .shared()
                .commands()
                .with(|commands, _| commands.error_sent(bytes));
            self.flush_protocol();
            self.protocol.handle_error(error, self.now);
            self.flush_protocol();
        }
    }

    fn process_message(&mut self, message: QueuedMessage) {
        if !self.protocol.is_peer_present() {
            return;
        }
        let pending = self.protocol.pending_subscription();
        if message.subscription.is_some() && message.subscription == pending {
            let pending = self.pending.get_or_insert_default();
            if pending.push(message, &self.config.backlog).is_err() {
                self.protocol.handle_slow_consumer(self.now);
            }
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
        stream: CatchDrop<MessageStream>,
    ) {
        if !self.protocol.is_peer_present() {
            return;
        }
        if self.protocol.pending_subscription() == Some(subscription) {
            let pending = self.pending.get_or_insert_default();
            pending.streams.push((id, stream));
        } else if self.protocol.needs_ack(subscription) {
            self.streams.insert(subscription, id, stream);
        } else if self.protocol.is_subscribed(subscription) {
            self.streams.insert_without_credit(subscription, id, stream);
        }
    }

    /// Adds an implicit subscription with its stream, or drops the stream if the protocol refuses the subscription.
    fn add_implicit_subscription(
        &mut self,
        destination: Destination,
        stream: CatchDrop<MessageStream>,
        place: Option<SubscriptionPlace>,
    ) {
        self.flush_protocol();
        let added = self
            .protocol
            .add_implicit_subscription(&destination, place, self.now);
        let commands = self.session.shared().commands();
        commands.with(|commands, _| commands.end_subscribe(added, destination));
        if let Some(subscription) = added {
            self.streams
                .insert_without_credit(subscription, None, stream);
        }
        self.flush_protocol();
    }

    /// Sends the messages and attaches the streams that were held until the service answered `SUBSCRIBE`. If
    /// the service refused, the subscription has ended and they are dropped.
    pub(super) fn release_pending(&mut self, subscription: SubscriptionKey) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        let PendingSubscription {
            mut messages,
            streams,
        } = *pending;
        let mut taken = VecDeque::new();
        // An overflow has ended the session already.
        let _ = messages.take(&mut taken);
        self.flush_protocol();
        taken
            .into_iter()
            .flatten()
            .for_each(|message| self.send_message(message));
        streams
            .into_iter()
            .for_each(|(id, stream)| self.attach_stream(subscription, id, stream));
    }
}
