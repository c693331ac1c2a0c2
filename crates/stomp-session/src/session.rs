//! The handle on a session.

use crate::{
    command_queue::{Command, Lane},
    delivery::IntoDelivery,
    error::{BoxError, ClientError, NotSubscribed},
    id::{SessionId, StreamId},
    mailbox::{config::MailboxConfig, queue::Letter},
    message::IntoMessage,
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

/// A session, to be kept and cloned at will.
///
/// Its methods never wait: they hand over to the [`Connection`], in order. Once the connection is gone they do
/// nothing.
#[derive(Clone)]
pub struct Session(Arc<Shared>);

impl Session {
    pub(crate) fn open(peer: Arc<Peer>, mailbox: MailboxConfig) -> Session {
        Session(Arc::new(Shared::new(peer, mailbox, false)))
    }

    pub(crate) fn detached() -> Session {
        Session(Arc::new(Shared::new(
            Arc::default(),
            MailboxConfig::default(),
            true,
        )))
    }

    /// What tells this session from all others. The peer gets it with `CONNECTED`.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.0.id
    }

    /// The other end of the connection.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// Who the peer is, if its connect handler said so.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.0.principal.get()
    }

    /// Whether the connection is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.lane().is_closed
    }

    /// Keeps a value between requests, one of each type, and gives back the one before.
    pub fn insert<T: Clone + Send + Sync + 'static>(&self, value: T) -> Option<T> {
        self.0.values().insert(value)
    }

    /// A copy of the value of this type.
    #[must_use]
    pub fn get<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.0.values().get().cloned()
    }

    /// Sends `CONNECTED` with these headers, which lets the peer in, unless its `CONNECT` is answered already.
    pub fn connected<'a>(&self, headers: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let headers = headers.into_iter().collect();
        self.0.push(Command::Connected(Connected {
            principal: None,
            headers,
        }));
    }

    /// Sends a message to the peer's own subscriptions of `destination`.
    ///
    /// What waits is bounded by [`Config::mailbox`], whose policy holds when more comes.
    ///
    /// # Errors
    ///
    /// [`NotSubscribed`] if there is no such subscription or the connection is gone, or the error of
    /// [`IntoMessage::into_message`].
    pub fn message(&self, destination: &str, message: impl IntoMessage) -> Result<(), BoxError> {
        let message = message.into_message()?;
        let mut lane = self.0.lane();
        let keys = lane.keys_of(destination);
        if keys.is_empty() {
            return Err(NotSubscribed.into());
        }
        for key in keys {
            lane.commands
                .push(Letter::new(Some(key), message.clone()), &self.0.mailbox);
        }
        drop(lane);
        self.0.wake();
        Ok(())
    }

    /// Sends an `ERROR`. Whether the session goes on is up to [`Config::app_errors`].
    pub fn error(&self, error: ClientError) {
        self.0.push(Command::Error(error));
    }

    /// Sends all items of a stream to the peer's subscription of `destination`, until it ends.
    ///
    /// # Errors
    ///
    /// [`NotSubscribed`] if there is no such subscription or the connection is gone.
    pub fn observe<S>(&self, destination: &str, stream: S) -> Result<Observed, NotSubscribed>
    where
        S: Stream<Item: IntoDelivery> + Send + 'static,
    {
        let hook = StreamId::next();
        let stream: MessageStream = Box::pin(stream.map(IntoDelivery::into_delivery));
        let mut lane = self.0.lane();
        let key = lane
            .keys_of(destination)
            .first()
            .copied()
            .ok_or(NotSubscribed)?;
        lane.commands
            .push_other(Command::Observe { key, hook, stream });
        drop(lane);
        self.0.wake();
        Ok(Observed {
            session: self.clone(),
            hook,
        })
    }

    /// Says when what the peer logged in with expires; a later call says it anew. At that time the peer gets an `ERROR`
    /// with `credentials-expired`, and nothing more, and the connection is closed.
    ///
    /// The session knows nothing of tokens. To let a client renew one, take it in a `send` route, verify it, and call
    /// this again.
    pub fn expires_at(&self, at: Instant) {
        self.0.push(Command::ExpiresAt(at));
    }

    /// Closes the connection, after all that was sent before.
    pub fn close(&self, code: CloseCode) {
        self.0.push(Command::Close(code));
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

/// A stream that a session sends on. Dropping this does nothing.
#[derive(Debug)]
pub struct Observed {
    session: Session,
    hook: StreamId,
}

impl Observed {
    /// Detaches the stream, and drops it. The subscription stays, without it.
    pub fn unhook(self) {
        self.session.0.push(Command::Unhook(self.hook));
    }
}

/// What handles and the connection share.
pub(crate) struct Shared {
    id: SessionId,
    peer: Arc<Peer>,
    principal: OnceLock<Principal>,
    values: Mutex<Extensions>,
    mailbox: MailboxConfig,
    lane: Mutex<Lane>,
    /// There is something in the lane.
    is_called: AtomicBool,
    /// Nobody takes requests.
    is_abandoned: AtomicBool,
    /// The connection's task.
    task: Arc<AtomicWaker>,
}

impl Shared {
    fn new(peer: Arc<Peer>, mailbox: MailboxConfig, is_closed: bool) -> Shared {
        Shared {
            id: SessionId::next(),
            peer,
            principal: OnceLock::new(),
            values: Mutex::default(),
            mailbox,
            lane: Mutex::new(Lane {
                is_closed,
                ..Lane::default()
            }),
            is_called: AtomicBool::new(false),
            is_abandoned: AtomicBool::new(false),
            task: Arc::default(),
        }
    }

    pub(crate) fn lane(&self) -> MutexGuard<'_, Lane> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_principal(&self, principal: Principal) {
        // The first one stays.
        let _ = self.principal.set(principal);
    }

    /// Drops what was kept for requests that will not come: a value may well be a handle on the session.
    pub(crate) fn forget(&self) {
        let values = std::mem::take(&mut *self.values());
        drop(values);
    }

    /// Whether there is something in the lane.
    pub(crate) fn is_called(&self) -> bool {
        self.is_called.load(Ordering::Acquire)
    }

    /// Says that the lane is about to be looked at.
    pub(crate) fn hear(&self) {
        self.is_called.store(false, Ordering::Release);
    }

    /// Nobody will take requests any more.
    pub(crate) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Release);
        self.task.wake();
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Acquire)
    }

    pub(crate) fn task(&self) -> &Arc<AtomicWaker> {
        &self.task
    }

    fn values(&self) -> MutexGuard<'_, Extensions> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, command: Command) {
        let mut lane = self.lane();
        if !lane.is_closed {
            lane.commands.push_other(command);
            drop(lane);
            self.wake();
        }
    }

    fn wake(&self) {
        self.is_called.store(true, Ordering::Release);
        self.task.wake();
    }
}
