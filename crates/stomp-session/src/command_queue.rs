//! Commands from the handles of a session to its connection.

use crate::{
    catch_drop::CatchDrop,
    destination::Destination,
    error::{ClientError, NotSubscribed, ObserveError, SubscribeError, TooManyErrors},
    guarded::Leftovers,
    id::{StreamId, SubscriptionKey},
    mailbox::{
        config::{BacklogConfig, SlowConsumer},
        queue::{BoundedQueue, QueueItem, QueuedMessage, Slots},
    },
    principal_share::{SubscriptionPlace, SubscriptionPlaces},
    response::{Connected, MessageStream},
    subscription_info::SubscriptionInfo,
};
use bytestring::ByteString;
use std::{collections::VecDeque, mem, time::Instant};
use stomp_socket::CloseCode;

/// Maximum errors of handles that wait to be sent.
pub(crate) const MAX_ERRORS: usize = 64;

/// Maximum bytes of errors of handles that wait to be sent. The error that exceeds the bound is still accepted.
pub(crate) const MAX_ERROR_BYTES: usize = 64 << 10;

/// A command of a handle, which the connection carries out in order.
pub(crate) enum SessionCommand {
    Connected(Connected),
    Message(QueuedMessage),
    Error(ClientError),
    Observe {
        subscription: SubscriptionKey,
        id: StreamId,
        stream: CatchDrop<MessageStream>,
    },
    Unhook(StreamId),
    /// Adds an implicit subscription.
    Subscribe {
        destination: Destination,
        stream: CatchDrop<MessageStream>,
        /// Its place among the subscriptions of the principal, if these are limited.
        place: Option<SubscriptionPlace>,
    },
}

/// Queue of commands in the order of the calls, and the subscriptions that commands can name.
#[derive(Default)]
pub(crate) struct CommandQueue {
    commands: BoundedQueue<SessionCommand>,
    /// Subscriptions of the session that have not ended.
    subscriptions: Vec<KnownSubscription>,
    /// Number of implicit subscriptions that are still to be added.
    unadded_subscriptions: usize,
    /// The places for the subscriptions of the principal, if these are limited.
    places: Option<SubscriptionPlaces>,
    /// Number of errors that are not sent yet, including those that the connection has taken.
    errors: usize,
    /// Bytes of these errors.
    error_bytes: usize,
    /// True if `commands` contains [`SessionCommand::Connected`].
    has_connected: bool,
    controls: Controls,
    is_closed: bool,
}

/// Commands of which only the last or the first counts. They wait for nothing.
#[derive(Debug, Default)]
pub(crate) struct Controls {
    pub(crate) expires_at: Option<Instant>,
    /// The close by a handle. It is the last command.
    pub(crate) close: Option<Box<SessionClose>>,
}

/// The close of a session by a handle.
#[derive(Debug)]
pub(crate) struct SessionClose {
    pub(crate) code: CloseCode,
    /// The `ERROR` for the peer, if it gets a reason.
    pub(crate) reason: Option<ClientError>,
}

/// Commands that [`CommandQueue::take`] returns.
#[derive(Default)]
pub(crate) struct TakenCommands {
    pub(crate) controls: Controls,
    /// Errors that overtake messages.
    pub(crate) errors: VecDeque<ClientError>,
    /// True if commands are left in the queue.
    pub(crate) has_more: bool,
}

struct KnownSubscription {
    key: SubscriptionKey,
    id: Option<ByteString>,
    destination: Destination,
    /// The streams that [`Session::observe`](crate::Session::observe) attached, or is to attach.
    streams: Vec<StreamId>,
}

impl CommandQueue {
    /// Bytes of the record of a subscription.
    #[cfg(test)]
    pub(crate) const SUBSCRIPTION_BYTES: usize = size_of::<KnownSubscription>();

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

    /// Closes the queue. Returns its content, which the caller drops without the lock.
    pub(crate) fn close(&mut self) -> CatchDrop<CommandQueue> {
        CatchDrop::new(mem::replace(self, CommandQueue::new(true)))
    }

    /// The subscriptions of the session.
    pub(crate) fn subscriptions(&self) -> Vec<SubscriptionInfo> {
        let subscriptions = self.subscriptions.iter();
        subscriptions
            .map(|known| SubscriptionInfo::new(known.id.clone(), known.destination.clone()))
            .collect()
    }

    /// Closes the session with this code, unless a handle has done so before. The queue accepts no further commands; the
    /// connection still takes the earlier ones. Returns false if the queue was closed already, because the end of the
    /// session has begun: then the connection closes without waiting for the handler that may still run.
    pub(crate) fn push_close(&mut self, close: Box<SessionClose>) -> bool {
        self.controls.close.get_or_insert(close);
        !mem::replace(&mut self.is_closed, true)
    }

    pub(crate) fn set_expires_at(&mut self, at: Instant) {
        if !self.is_closed {
            self.controls.expires_at = Some(at);
        }
    }

    /// Adds the answer to `CONNECT`, unless one is queued already.
    pub(crate) fn push_connected(&mut self, connected: Connected, leftovers: &mut Leftovers) {
        let command = SessionCommand::Connected(connected);
        if self.is_closed || mem::replace(&mut self.has_connected, true) {
            leftovers.drop_later(command);
        } else {
            self.commands.push_other(command, leftovers);
        }
    }

    /// Adds an error, within [`MAX_ERRORS`] and [`MAX_ERROR_BYTES`].
    pub(crate) fn push_error(
        &mut self,
        error: ClientError,
        leftovers: &mut Leftovers,
    ) -> Result<(), TooManyErrors> {
        if self.is_closed {
            return Ok(());
        }
        if self.errors >= MAX_ERRORS || self.error_bytes >= MAX_ERROR_BYTES {
            return Err(TooManyErrors);
        }
        self.errors += 1;
        self.error_bytes += error.bytes();
        self.commands
            .push_other(SessionCommand::Error(error), leftovers);
        Ok(())
    }

    /// Notes that an error with this number of bytes was sent.
    pub(crate) fn error_sent(&mut self, bytes: usize) {
        // A queue that was closed meanwhile counts from 0.
        self.errors = self.errors.saturating_sub(1);
        self.error_bytes = self.error_bytes.saturating_sub(bytes);
    }

    /// Adds a message for each subscription to the destination with this canonical text, within the bounds of
    /// `mailbox`.
    pub(crate) fn push_message(
        &mut self,
        canonical: &str,
        message: &QueuedMessage,
        mailbox: &BacklogConfig,
        leftovers: &mut Leftovers,
    ) -> Result<(), NotSubscribed> {
        if self.is_closed {
            return Err(NotSubscribed);
        }
        let mut is_subscribed = false;
        for subscription in &self.subscriptions {
            if subscription.destination.canonical() == canonical {
                is_subscribed = true;
                let queued = QueuedMessage {
                    subscription: Some(subscription.key),
                    ..message.clone()
                };
                self.commands.push(queued, mailbox, leftovers);
            }
        }
        if is_subscribed {
            Ok(())
        } else {
            Err(NotSubscribed)
        }
    }

    /// Adds a stream for the oldest subscription to the destination with this canonical text, if it has fewer than
    /// `max` streams. Takes the stream only if it succeeds.
    pub(crate) fn push_observe(
        &mut self,
        canonical: &str,
        stream: &mut Option<CatchDrop<MessageStream>>,
        max: usize,
        leftovers: &mut Leftovers,
    ) -> Result<StreamId, ObserveError> {
        let mut subscriptions = self.subscriptions.iter_mut();
        let subscription = subscriptions
            .find(|known| known.destination.canonical() == canonical)
            .filter(|_| !self.is_closed)
            .ok_or(NotSubscribed)?;
        if subscription.streams.len() >= max {
            return Err(ObserveError::TooManyStreams { max });
        }
        let id = StreamId::next();
        if let Some(stream) = stream.take() {
            subscription.streams.push(id);
            let command = SessionCommand::Observe {
                subscription: subscription.key,
                id,
                stream,
            };
            self.commands.push_other(command, leftovers);
        }
        Ok(id)
    }

    /// Makes implicit subscriptions take one of these places.
    pub(crate) fn limit_subscriptions(&mut self, places: SubscriptionPlaces) {
        self.places = Some(places).filter(|_| !self.is_closed);
    }

    /// Adds an implicit subscription, if there are fewer than `max` subscriptions, and a place for it. Takes the stream
    /// only if it succeeds.
    ///
    /// The connection checks this again when it carries out the command. But here the caller learns the error in time:
    /// before it promises messages, and as an answer to the request that it handles.
    pub(crate) fn push_subscribe(
        &mut self,
        destination: Destination,
        stream: &mut Option<CatchDrop<MessageStream>>,
        max: usize,
        leftovers: &mut Leftovers,
    ) -> Result<(), SubscribeError> {
        if self.is_closed {
            return Err(SubscribeError::Closed);
        }
        if self.subscriptions.len() + self.unadded_subscriptions >= max {
            return Err(SubscribeError::TooManySubscriptions { max });
        }
        if self.has_other_with_id(&destination) {
            return Err(SubscribeError::DuplicateId);
        }
        let place = self.places.as_ref().map(SubscriptionPlaces::take);
        let place = place
            .transpose()
            .map_err(|max| SubscribeError::TooManyOfPrincipal { max })?;
        if let Some(stream) = stream.take() {
            self.unadded_subscriptions += 1;
            let command = SessionCommand::Subscribe {
                destination,
                stream,
                place,
            };
            self.commands.push_other(command, leftovers);
        }
        Ok(())
    }

    /// Returns true if the client uses the text of `destination` as the id of a subscription, and has none to
    /// `destination`.
    fn has_other_with_id(&self, destination: &Destination) -> bool {
        let (id, canonical) = (Some(destination.as_str()), destination.canonical());
        let has_id = |known: &KnownSubscription| known.id.as_deref() == id;
        let is_to_it = |known: &KnownSubscription| known.destination.canonical() == canonical;
        self.subscriptions.iter().any(has_id) && !self.subscriptions.iter().any(is_to_it)
    }

    /// Notes that an implicit subscription was added, or not.
    pub(crate) fn end_subscribe(
        &mut self,
        added: Option<SubscriptionKey>,
        destination: Destination,
    ) {
        // A queue that was closed meanwhile counts from 0.
        self.unadded_subscriptions = self.unadded_subscriptions.saturating_sub(1);
        if let Some(key) = added {
            let id = destination.as_str().into();
            self.add_subscription(key, Some(id), destination);
        }
    }

    /// Detaches a stream. If it is still in the queue, it only leaves the queue.
    pub(crate) fn push_unhook(&mut self, id: StreamId, leftovers: &mut Leftovers) {
        if !self.forget_stream(id) {
            return;
        }
        let is_stream = |command: &SessionCommand| matches!(command, SessionCommand::Observe { id: queued, .. } if *queued == id);
        match self.commands.remove_other(is_stream) {
            Some(observe) => leftovers.drop_later(observe),
            None => self
                .commands
                .push_other(SessionCommand::Unhook(id), leftovers),
        }
    }

    /// Notes that a stream has ended or is detached. Returns false if this is known.
    pub(crate) fn forget_stream(&mut self, id: StreamId) -> bool {
        self.subscriptions.iter_mut().any(|subscription| {
            let position = subscription.streams.iter().position(|known| *known == id);
            position
                .map(|at| subscription.streams.swap_remove(at))
                .is_some()
        })
    }

    /// Takes the commands, if `commands` is empty. Otherwise the connection waits for room, and only controls and errors
    /// are taken, which overtake messages.
    ///
    /// # Errors
    ///
    /// Returns [`SlowConsumer`] if the messages exceeded the bounds under
    /// [`Overflow::Disconnect`](crate::Overflow::Disconnect).
    pub(crate) fn take(
        &mut self,
        commands: &mut Slots<SessionCommand>,
    ) -> Result<TakenCommands, SlowConsumer> {
        if self.commands.has_overflowed() {
            return Err(SlowConsumer);
        }
        let mut taken = TakenCommands {
            controls: mem::take(&mut self.controls),
            ..TakenCommands::default()
        };
        if commands.is_empty() {
            self.has_connected = false;
            self.commands.take(commands)?;
        } else if self.errors > 0 {
            let is_error = |command: &SessionCommand| matches!(command, SessionCommand::Error(_));
            while let Some(SessionCommand::Error(error)) = self.commands.remove_other(is_error) {
                taken.errors.push_back(error);
            }
        }
        taken.has_more = !self.commands.is_empty();
        Ok(taken)
    }

    pub(crate) fn add_subscription(
        &mut self,
        key: SubscriptionKey,
        id: Option<ByteString>,
        destination: Destination,
    ) {
        if self.subscriptions.capacity() == 0 {
            // Most sessions have only one, and without this there would be room for four.
            self.subscriptions.reserve_exact(1);
        }
        self.subscriptions.push(KnownSubscription {
            key,
            id,
            destination,
            streams: Vec::new(),
        });
    }

    /// Removes a subscription that has ended, with its messages.
    pub(crate) fn remove_subscription(&mut self, key: SubscriptionKey, leftovers: &mut Leftovers) {
        self.subscriptions.retain(|known| known.key != key);
        self.commands.remove_recipient(key, leftovers);
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

    fn into_message(self) -> Option<QueuedMessage> {
        if let SessionCommand::Message(message) = self {
            Some(message)
        } else {
            None
        }
    }
}
