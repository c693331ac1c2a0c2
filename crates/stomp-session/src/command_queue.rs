//! Commands from the handles of a session to its connection.

use crate::{
    destination::Destination,
    error::ClientError,
    id::{StreamId, SubscriptionKey},
    mailbox::{
        config::{MailboxConfig, SlowConsumer},
        queue::{BoundedQueue, QueueItem, QueuedMessage},
    },
    message::Message,
    response::{Connected, MessageStream},
};
use std::{collections::VecDeque, time::Instant};
use stomp_socket::CloseCode;

/// A command of a handle, which the connection carries out.
pub(crate) enum SessionCommand {
    Connected(Connected),
    Message(QueuedMessage),
    Error(ClientError),
    Observe {
        subscription: SubscriptionKey,
        id: StreamId,
        stream: MessageStream,
    },
    Unhook(StreamId),
    ExpiresAt(Instant),
    Close(CloseCode),
}

/// Queue of commands in the order of the calls, and the subscriptions that commands can name.
#[derive(Default)]
pub(crate) struct CommandQueue {
    commands: BoundedQueue<SessionCommand>,
    /// Subscriptions of the session that have not ended, with their destinations.
    subscriptions: Vec<(SubscriptionKey, Destination)>,
    is_closed: bool,
}

impl CommandQueue {
    /// Creates an empty queue. A closed queue accepts nothing.
    pub(crate) fn new(is_closed: bool) -> CommandQueue {
        CommandQueue {
            is_closed,
            ..CommandQueue::default()
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Closes the queue and returns its content, so that the caller can drop it outside the lock.
    pub(crate) fn close(&mut self) -> CommandQueue {
        std::mem::replace(self, CommandQueue::new(true))
    }

    /// Adds a command that is not a message. Such commands are not bounded.
    pub(crate) fn push(&mut self, command: SessionCommand) {
        self.commands.push_unbounded(command);
    }

    /// Adds a message for a subscription, within the bounds of `mailbox`.
    pub(crate) fn push_message(
        &mut self,
        subscription: SubscriptionKey,
        message: Message,
        mailbox: &MailboxConfig,
    ) {
        self.commands
            .push(QueuedMessage::new(Some(subscription), message), mailbox);
    }

    /// Takes all commands.
    ///
    /// # Errors
    ///
    /// Returns [`SlowConsumer`] if the messages exceeded the bounds under
    /// [`Overflow::Disconnect`](crate::Overflow::Disconnect).
    pub(crate) fn take(&mut self) -> Result<VecDeque<SessionCommand>, SlowConsumer> {
        let mut commands = VecDeque::new();
        self.commands.take(&mut commands).map(|()| commands)
    }

    pub(crate) fn add_subscription(
        &mut self,
        subscription: SubscriptionKey,
        destination: Destination,
    ) {
        self.subscriptions.push((subscription, destination));
    }

    pub(crate) fn remove_subscription(&mut self, subscription: SubscriptionKey) {
        self.subscriptions.retain(|(key, _)| *key != subscription);
        self.commands.forget_gap(subscription);
    }

    /// The subscriptions to the destination with this canonical text, the oldest first.
    pub(crate) fn subscriptions_to(&self, canonical: &str) -> Vec<SubscriptionKey> {
        self.subscriptions
            .iter()
            .filter(|(_, subscribed)| subscribed.canonical() == canonical)
            .map(|(key, _)| *key)
            .collect()
    }
}

impl From<QueuedMessage> for SessionCommand {
    fn from(message: QueuedMessage) -> SessionCommand {
        SessionCommand::Message(message)
    }
}

impl QueueItem for SessionCommand {
    fn message(&self) -> Option<&QueuedMessage> {
        if let SessionCommand::Message(message) = self {
            Some(message)
        } else {
            None
        }
    }

    fn message_mut(&mut self) -> Option<&mut QueuedMessage> {
        if let SessionCommand::Message(message) = self {
            Some(message)
        } else {
            None
        }
    }
}
