//! What is pushed to the peer: by the session's handles, and by streams.

use super::{driver::Work, streams::Said};
use crate::{
    command_queue::Command,
    delivery::Delivery,
    id::{StreamId, SubscriptionKey},
    mailbox::{
        Mailbox,
        config::SlowConsumer,
        queue::{Letter, Queue},
    },
    protocol::Encoded,
    response::MessageStream,
};
use std::collections::VecDeque;

/// What is for the subscription that is being asked for: nobody gets messages before the service has agreed.
#[derive(Default)]
pub(super) struct Withheld {
    pub(super) messages: Queue<Letter>,
    pub(super) streams: Vec<(Option<StreamId>, MessageStream)>,
}

/// So many messages are taken from streams in one turn.
const MESSAGES: usize = 64;

impl Work {
    /// Does what the session's handles want, in their order: behind a message that has no room, all waits.
    pub(crate) fn hear_session(&mut self) {
        let shared = self.session.shared();
        if shared.is_abandoned() && !self.is_served {
            self.protocol.handle_abandoned(self.now);
        }
        if self.commands.is_empty() {
            if !shared.is_called() {
                return;
            }
            shared.hear();
            let taken = shared.lane().take();
            match taken {
                Ok(commands) => self.commands = commands,
                Err(SlowConsumer) => return self.protocol.handle_overflow(self.now),
            }
        }
        while let Some(command) = self.commands.pop_front() {
            match command {
                Command::Message(letter) if !self.has_room() => {
                    return self.commands.push_front(Command::Message(letter));
                }
                Command::Message(letter)
                    if letter.to.is_some() && letter.to == self.protocol.subscribing() =>
                {
                    self.withheld.messages.push(letter, &self.config.mailbox);
                }
                Command::Message(letter) => {
                    self.flush_protocol();
                    self.send(letter);
                }
                Command::Connected(connected) => {
                    self.protocol.handle_connected(connected, self.now)
                }
                Command::Error(error) => self.protocol.handle_error(error, self.now),
                Command::Observe { key, hook, stream } => self.observe(key, Some(hook), stream),
                Command::Unhook(hook) => {
                    self.withheld
                        .streams
                        .retain(|(known, _)| *known != Some(hook));
                    self.observers.unhook(hook);
                }
                Command::ExpiresAt(at) => self.protocol.handle_expiry(at),
                Command::Close(code) => self.protocol.handle_close(code, self.now),
            }
        }
    }

    fn observe(&mut self, key: SubscriptionKey, hook: Option<StreamId>, stream: MessageStream) {
        if self.protocol.subscribing() == Some(key) {
            self.withheld.streams.push((hook, stream));
        } else if self.protocol.is_subscribed(key) {
            self.observers.insert(key, hook, stream);
        }
    }

    /// Sends what was kept back for a subscription until it was agreed to, or drops it.
    pub(super) fn release(&mut self, key: SubscriptionKey) {
        let Withheld {
            mut messages,
            streams,
        } = std::mem::take(&mut self.withheld);
        let mut taken = VecDeque::new();
        if messages.take(&mut taken).is_err() {
            self.protocol.handle_overflow(self.now);
        }
        self.flush_protocol();
        taken.into_iter().for_each(|letter| self.send(letter));
        streams
            .into_iter()
            .for_each(|(hook, stream)| self.observe(key, hook, stream));
    }

    /// Sends what a handle wants sent, or has it wait for credit.
    fn send(&mut self, letter: Letter) {
        let Some(key) = letter.to else { return };
        if !self.protocol.has_account(key) {
            return self.deliver(key, letter.into());
        }
        if let Some((_, mailbox)) = self.mailboxes.iter().find(|(known, _)| *known == key) {
            mailbox.push_letters([letter]);
            return;
        }
        let (mailbox, stream) = Mailbox::new(self.config.mailbox);
        mailbox.push_letters([letter]);
        self.mailboxes.push((key, mailbox));
        self.observers
            .insert(key, Some(StreamId::next()), Box::pin(stream));
    }

    /// Sends what the streams give, while there is room.
    pub(crate) fn hear_streams(&mut self) {
        self.observers.look(|key| self.protocol.has_credit(key));
        for _ in 0..MESSAGES {
            if !self.has_room() {
                return;
            }
            match self.observers.next(|key| self.protocol.has_credit(key)) {
                None => return,
                Some(Said::Nothing) => {}
                Some(Said::Message(key, delivery)) => self.deliver(key, delivery),
                Some(Said::Ended(key)) => self.protocol.handle_stream_end(key),
                Some(Said::Failed(_, error)) if error.is::<SlowConsumer>() => {
                    self.protocol.handle_overflow(self.now)
                }
                Some(Said::Failed(key, error)) => {
                    let shown = self.map_error(&*error);
                    self.protocol.handle_stream_error(key, shown, self.now);
                }
            }
        }
    }

    /// Writes what the protocol has to say before what follows.
    fn flush_protocol(&mut self) {
        while let Some(item) = self.protocol.poll_write() {
            self.put(&item);
        }
    }

    /// Sends a delivery; if its subscription has ended, it is dropped, and so unsent.
    fn deliver(&mut self, key: SubscriptionKey, mut delivery: Delivery) {
        let Some(Encoded {
            prefix,
            tail,
            is_text,
        }) = self.protocol.delivery(key, &mut delivery)
        else {
            return;
        };
        if let Some(socket) = &mut self.socket {
            self.unsent_frames += 1;
            socket.put_encoded(&prefix, tail, is_text);
        }
    }
}
