//! The handle of a session.

use crate::{
    command_queue::{CommandQueue, SessionCommand},
    delivery::IntoDelivery,
    destination::DestinationSyntax,
    error::{BoxError, ClientError, NotSubscribed},
    id::{SessionId, StreamId},
    mailbox::config::MailboxConfig,
    message::IntoMessage,
    params::Pattern,
    principal::Principal,
    response::{Connected, MessageStream},
};
use futures_core::Stream;
use futures_util::{StreamExt, task::AtomicWaker};
use http::Extensions;
use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use stomp_socket::{CloseCode, Peer};

/// Handle of a session, cheap to clone.
///
/// Its methods never wait: they pass commands to the [`Connection`](crate::Connection), which carries them out in the
/// order of the calls. A message that has no room yet delays the commands behind it. After the end of the connection
/// the methods have no effect.
#[derive(Clone)]
pub struct Session(Arc<Shared>);

impl Session {
    /// Creates a handle. The caller creates the connection for it next.
    pub(crate) fn open(
        peer: Arc<Peer>,
        mailbox: MailboxConfig,
        destinations: DestinationSyntax,
    ) -> Session {
        Session(Arc::new(Shared::new(peer, mailbox, destinations, false)))
    }

    /// Creates a handle without a connection.
    pub(crate) fn detached() -> Session {
        Session(Arc::new(Shared::new(
            Arc::default(),
            MailboxConfig::default(),
            DestinationSyntax::default(),
            true,
        )))
    }

    /// The identifier of the session, which the peer receives with `CONNECTED`.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.0.id
    }

    /// The other end of the connection.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// The principal that the connect handler gave to the peer, if any.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.0.principal.get()
    }

    /// Returns true if the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.commands().is_closed()
    }

    /// Stores a value in the session for later requests. Replaces and returns the previous value of the same type.
    pub fn insert<T: Clone + Send + Sync + 'static>(&self, value: T) -> Option<T> {
        self.0.values().insert(value)
    }

    /// Returns a copy of the stored value of this type.
    #[must_use]
    pub fn get<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.0.values().get().cloned()
    }

    /// Sends `CONNECTED` with these headers and so accepts the peer, unless its `CONNECT` is answered already.
    ///
    /// The request still needs an answer. The answer can still set the principal, but has no other effect.
    pub fn connected<'a>(&self, headers: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let headers = headers.into_iter().collect();
        self.0.push(SessionCommand::Connected(Connected {
            principal: None,
            headers,
        }));
    }

    /// Sends a message to all subscriptions of the peer to `destination`, whatever its spelling. Each `MESSAGE` has the
    /// destination as the peer spelled it, unless [`Message::with_destination`](crate::Message::with_destination) set a
    /// different one.
    ///
    /// [`Config::mailbox`](crate::Config::mailbox) bounds the queued messages. Its overflow policy applies to messages
    /// beyond these bounds.
    ///
    /// # Errors
    ///
    /// Returns [`NotSubscribed`] if there is no such subscription or the connection has ended, and the error of
    /// [`IntoMessage::into_message`] if that fails.
    pub fn message(&self, destination: &str, message: impl IntoMessage) -> Result<(), BoxError> {
        let message = message.into_message()?;
        let canonical = self.0.destinations.canonical(destination);
        let mut commands = self.0.commands();
        let subscriptions = commands.subscriptions_to(&canonical);
        if subscriptions.is_empty() {
            return Err(NotSubscribed.into());
        }
        for subscription in subscriptions {
            commands.push_message(subscription, message.clone(), &self.0.mailbox);
        }
        drop(commands);
        self.0.wake();
        Ok(())
    }

    /// Sends an `ERROR`. [`Config::app_errors`](crate::Config::app_errors) decides if the session continues. Before the
    /// peer is connected, an error always ends the session.
    pub fn error(&self, error: ClientError) {
        self.0.push(SessionCommand::Error(error));
    }

    /// Sends the items of a stream to the oldest subscription of the peer to `destination`, until the stream or the
    /// subscription ends. The subscription may use any spelling of `destination`.
    ///
    /// # Errors
    ///
    /// Returns [`NotSubscribed`] if there is no such subscription or the connection has ended.
    pub fn observe<S>(&self, destination: &str, stream: S) -> Result<Observed, NotSubscribed>
    where
        S: Stream<Item: IntoDelivery> + Send + 'static,
    {
        let id = StreamId::next();
        let stream: MessageStream = Box::pin(stream.map(IntoDelivery::into_delivery));
        let canonical = self.0.destinations.canonical(destination);
        let mut commands = self.0.commands();
        let subscription = commands
            .subscriptions_to(&canonical)
            .first()
            .copied()
            .ok_or(NotSubscribed)?;
        commands.push(SessionCommand::Observe {
            subscription,
            id,
            stream,
        });
        drop(commands);
        self.0.wake();
        Ok(Observed {
            session: self.clone(),
            id,
        })
    }

    /// Sets the time at which the credentials of the peer expire; a later call replaces it. At that time the peer gets
    /// an `ERROR` with the code `credentials-expired` and nothing more, and the connection is closed.
    ///
    /// The session does not know about tokens. To let a client renew its token, receive the new one in a `send` route,
    /// verify it, and call this method again.
    pub fn expires_at(&self, at: Instant) {
        self.0.push(SessionCommand::ExpiresAt(at));
    }

    /// Closes the connection with this close code, after everything that was sent before.
    pub fn close(&self, code: CloseCode) {
        self.0.push(SessionCommand::Close(code));
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id())
            .field("address", &self.peer().address)
            .field("principal", &self.principal())
            .finish_non_exhaustive()
    }
}

/// A stream that is attached to a session. Dropping this value does not detach the stream.
#[derive(Debug)]
pub struct Observed {
    session: Session,
    id: StreamId,
}

impl Observed {
    /// Detaches the stream and drops it. The subscription continues without it.
    pub fn unhook(self) {
        self.session.0.push(SessionCommand::Unhook(self.id));
    }
}

/// State that the handles and the connection share.
pub(crate) struct Shared {
    id: SessionId,
    peer: Arc<Peer>,
    principal: OnceLock<Principal>,
    values: Mutex<Extensions>,
    /// Pattern of the route of the current request, for the log.
    route: Mutex<Option<Arc<Pattern>>>,
    mailbox: MailboxConfig,
    destinations: DestinationSyntax,
    commands: Mutex<CommandQueue>,
    /// True if commands were pushed since the connection last took them. So the connection need not lock `commands` to
    /// see if there are any.
    has_commands: AtomicBool,
    /// True if [`Requests`](crate::Requests) was dropped.
    are_requests_dropped: AtomicBool,
    /// Waker of the connection's task.
    waker: Arc<AtomicWaker>,
}

impl Shared {
    fn new(
        peer: Arc<Peer>,
        mailbox: MailboxConfig,
        destinations: DestinationSyntax,
        is_closed: bool,
    ) -> Shared {
        Shared {
            id: SessionId::random(),
            peer,
            principal: OnceLock::new(),
            values: Mutex::default(),
            route: Mutex::default(),
            mailbox,
            destinations,
            commands: Mutex::new(CommandQueue::new(is_closed)),
            has_commands: AtomicBool::new(false),
            are_requests_dropped: AtomicBool::new(false),
            waker: Arc::default(),
        }
    }

    pub(crate) fn commands(&self) -> MutexGuard<'_, CommandQueue> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the principal, unless the session has one already.
    pub(crate) fn set_principal(&self, principal: Principal) {
        let _ = self.principal.set(principal);
    }

    /// Drops the values stored for later requests. A value may hold a handle of this session, and the session holds the
    /// value, so neither would ever be freed.
    pub(crate) fn clear_values(&self) {
        let values = std::mem::take(&mut *self.values());
        drop(values);
    }

    /// Sets the pattern of the route of the current request. Sessions often send to one route several times in a row.
    pub(crate) fn set_route(&self, route: Option<&Arc<Pattern>>) {
        let mut current = self.route.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().map(Arc::as_ptr) != route.map(Arc::as_ptr) {
            *current = route.cloned();
        }
    }

    /// The pattern of the route of the current request, if a router has found one.
    pub(crate) fn route(&self) -> Option<Arc<Pattern>> {
        let route = self.route.lock();
        route.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The syntax of destinations.
    pub(crate) fn destinations(&self) -> &DestinationSyntax {
        &self.destinations
    }

    /// Returns true if commands were pushed since [`Shared::reset_has_commands`].
    pub(crate) fn has_commands(&self) -> bool {
        self.has_commands.load(Ordering::Acquire)
    }

    /// Resets [`Shared::has_commands`]. To be called before the commands are taken, so that none is missed.
    pub(crate) fn reset_has_commands(&self) {
        self.has_commands.store(false, Ordering::Release);
    }

    /// Notes that [`Requests`](crate::Requests) was dropped.
    pub(crate) fn set_requests_dropped(&self) {
        self.are_requests_dropped.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) fn are_requests_dropped(&self) -> bool {
        self.are_requests_dropped.load(Ordering::Acquire)
    }

    pub(crate) fn waker(&self) -> &Arc<AtomicWaker> {
        &self.waker
    }

    fn values(&self) -> MutexGuard<'_, Extensions> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, command: SessionCommand) {
        let mut commands = self.commands();
        if !commands.is_closed() {
            commands.push(command);
            drop(commands);
            self.wake();
        }
    }

    fn wake(&self) {
        self.has_commands.store(true, Ordering::Release);
        self.waker.wake();
    }
}
