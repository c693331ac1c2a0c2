//! What handles want of the connection.

use crate::{
    error::ClientError,
    id::{StreamId, SubscriptionKey},
    mailbox::{
        config::SlowConsumer,
        queue::{Item, Letter, Queue},
    },
    response::{Connected, MessageStream},
};
use bytestring::ByteString;
use std::{collections::VecDeque, time::Instant};
use stomp_socket::CloseCode;

/// What handles want of the connection.
pub(crate) enum Command {
    Connected(Connected),
    Message(Letter),
    Error(ClientError),
    Observe {
        key: SubscriptionKey,
        hook: StreamId,
        stream: MessageStream,
    },
    Unhook(StreamId),
    ExpiresAt(Instant),
    Close(CloseCode),
}

#[derive(Default)]
pub(crate) struct Lane {
    /// In the order in which they were called for.
    pub(crate) commands: Queue<Command>,
    /// The peer's subscriptions, as far as the connection has come.
    pub(crate) subscribed: Vec<(SubscriptionKey, ByteString)>,
    pub(crate) is_closed: bool,
}

impl Lane {
    /// Lets nothing in any more, and takes out what there is.
    pub(crate) fn close(&mut self) -> Lane {
        std::mem::replace(
            self,
            Lane {
                is_closed: true,
                ..Lane::default()
            },
        )
    }

    /// Takes all there is.
    ///
    /// # Errors
    ///
    /// If there were too many messages, and the policy is to end it then.
    pub(crate) fn take(&mut self) -> Result<VecDeque<Command>, SlowConsumer> {
        let mut commands = VecDeque::new();
        self.commands.take(&mut commands).map(|()| commands)
    }

    pub(crate) fn enter(&mut self, key: SubscriptionKey, destination: ByteString) {
        self.subscribed.push((key, destination));
    }

    pub(crate) fn leave(&mut self, key: SubscriptionKey) {
        self.subscribed.retain(|(known, _)| *known != key);
        self.commands.forget(key);
    }

    pub(crate) fn keys_of(&self, destination: &str) -> Vec<SubscriptionKey> {
        self.subscribed
            .iter()
            .filter(move |(_, known)| **known == *destination)
            .map(|(key, _)| *key)
            .collect()
    }
}

impl From<Letter> for Command {
    fn from(letter: Letter) -> Command {
        Command::Message(letter)
    }
}

impl Item for Command {
    fn letter(&self) -> Option<&Letter> {
        if let Command::Message(letter) = self {
            Some(letter)
        } else {
            None
        }
    }

    fn letter_mut(&mut self) -> Option<&mut Letter> {
        if let Command::Message(letter) = self {
            Some(letter)
        } else {
            None
        }
    }
}
