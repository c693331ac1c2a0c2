//! The handle of a session.

use crate::{
    catch_drop::CatchDrop,
    command_queue::{CommandQueue, SessionClose},
    delivery::IntoDelivery,
    destination::{Destination, DestinationSyntax},
    error::{BoxError, ClientError, ObserveError, SubscribeError, TooManyErrors},
    guarded::Guarded,
    id::{SessionId, StreamId},
    mailbox::{
        config::BacklogConfig,
        queue::{MessageCharge, QueuedMessage},
    },
    memory_budget::MemoryBudget,
    message::IntoMessage,
    params::Pattern,
    principal::Principal,
    response::{Connected, MessageStream},
    sessions::{Sessions, WeakSessions},
    subscription_info::SubscriptionInfo,
    task_signal::TaskSignal,
};
use futures_core::Stream;
use std::{
    any::Any,
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};
use stomp_socket::{CloseCode, Peer};
use tokio::sync::Notify;

/// Handle of a session, cheap to clone.
///
/// Its methods never wait, except for [`closed`](Session::closed): they pass commands to the
/// [`Connection`](crate::Connection).
///
/// The end of the session begins when a handle closes it, when it fails, when the peer sends `DISCONNECT`, and when the
/// peer is known to be gone. From then on, [`Sessions`](crate::Sessions) does not contain the session, and the methods
/// have no effect, although the handler of a request may still run. Only [`close`](Session::close) still closes the
/// connection without waiting for that handler.
///
/// # Order
///
/// The connection carries out the commands in the order of the calls. A message or an error goes into the outbound
/// buffer if that has room, and is then sent before everything that follows. A message for which the buffer has no room
/// waits, and so do the messages and streams behind it. Three commands never wait for messages that have no room:
///
/// - [`close`](Session::close) drops these messages, and so does the end of the server;
/// - [`expires_at`](Session::expires_at) takes effect at once;
/// - an [`error`](Session::error) is sent as soon as there is room for it, before these messages.
///
/// Errors are sent before a later `close`, also if the buffer has no room for them.
/// [`close_with`](Session::close_with) counts as a `close`.
#[derive(Clone)]
pub struct Session(Arc<Shared>);

impl Session {
    /// Creates a handle. The caller creates the connection for it next.
    pub(crate) fn open(peer: Arc<Peer>, settings: HandleSettings) -> Session {
        Session(Arc::new(Shared::new(peer, settings, false)))
    }

    /// Creates a handle without a connection.
    pub(crate) fn detached() -> Session {
        let settings = HandleSettings::default();
        Session(Arc::new(Shared::new(Arc::default(), settings, true)))
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

    /// The registry that contains the session while it is connected. It is an empty one if the session has no connection,
    /// as in tests, or if the application has dropped its registry.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        self.0.settings.sessions.upgrade().unwrap_or_default()
    }

    /// A snapshot of the subscriptions of the peer, in the order in which it made them. It includes one that a handler is
    /// about to accept, and none if the end of the session has begun.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<SubscriptionInfo> {
        self.0.commands.with(|commands, _| commands.subscriptions())
    }

    /// Waits until the session has ended: its connection is closed or dropped, and its last request is handled. After
    /// that, no handler runs for this session.
    ///
    /// A handler of this session must not wait for this, because the end waits for the handler.
    pub async fn closed(&self) {
        let mut notified = pin!(self.0.ended.notified());
        // From here on, `set_ended` wakes this future.
        notified.as_mut().enable();
        if !self.0.has_ended.load(Ordering::Acquire) {
            notified.await;
        }
    }

    /// Returns true if the end of the session has begun. [`closed`](Session::closed) waits for its completion.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.commands.with(|commands, _| commands.is_closed())
    }

    /// Stores a value in the session for later requests. Replaces and returns the previous value of the same type.
    pub fn insert<T: Clone + Send + Sync + 'static>(&self, value: T) -> Option<T> {
        let value: Value = Arc::new(value);
        let previous = self.0.values.with(|values, _| {
            let mut known = values.iter_mut();
            match known.find(|known| known.is::<T>()) {
                Some(known) => Some(mem::replace(known, value)),
                None => {
                    // One by one, because most sessions have few values.
                    values.reserve_exact(1);
                    values.push(value);
                    None
                }
            }
        })?;
        previous.downcast().ok().map(Arc::unwrap_or_clone)
    }

    /// Returns a copy of the stored value of this type.
    #[must_use]
    pub fn get<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        // Only the pointer is cloned under the lock: the value is foreign code.
        let value = self.0.values.with(|values, _| {
            let mut known = values.iter();
            known.find(|known| known.is::<T>()).cloned()
        })?;
        value.downcast_ref().cloned()
    }

    /// Sends `CONNECTED` with these headers and so accepts the peer, unless its `CONNECT` is answered already.
    ///
    /// The request still needs an answer. The answer can still set the principal, but has no other effect.
    pub fn connected<'a>(&self, headers: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let connected = Connected {
            principal: None,
            headers: headers.into_iter().collect(),
        };
        self.0
            .commands
            .with(|commands, leftovers| commands.push_connected(connected, leftovers));
        self.0.wake();
    }

    /// Sends a message to all subscriptions of the peer to `destination`, whatever its spelling. Each `MESSAGE` has the
    /// destination as the peer spelled it, unless [`Message::with_destination`](crate::Message::with_destination) set a
    /// different one.
    ///
    /// [`Config::backlog`](crate::Config::backlog) bounds the queued messages. Its overflow policy applies to messages
    /// beyond these bounds. The messages count in [`Config::memory_budget`](crate::Config::memory_budget); while that is
    /// exceeded, a sixteenth of these bounds applies.
    ///
    /// # Errors
    ///
    /// Returns [`NotSubscribed`](crate::NotSubscribed) if there is no such subscription or the end of the session has
    /// begun, and the error of [`IntoMessage::into_message`] if that fails.
    pub fn message(&self, destination: &str, message: impl IntoMessage) -> Result<(), BoxError> {
        let message = message.into_message()?;
        let canonical = self.0.settings.destinations.canonical(destination);
        let settings = &self.0.settings;
        let budget = &settings.memory_budget;
        let message = QueuedMessage {
            charge: Some(MessageCharge::Own(Arc::new(
                budget.charge(message.weight()),
            ))),
            ..QueuedMessage::new(None, message)
        };
        let backlog = if budget.is_exceeded() {
            settings.backlog.reduced()
        } else {
            settings.backlog
        };
        self.0.commands.with(|commands, leftovers| {
            commands.push_message(&canonical, &message, &backlog, leftovers)
        })?;
        self.0.wake();
        budget.warn_if_exceeded();
        Ok(())
    }

    /// Sends an `ERROR`. [`Config::app_errors`](crate::Config::app_errors) decides if the session continues. Before the
    /// peer is connected, an error always ends the session.
    ///
    /// # Errors
    ///
    /// Returns [`TooManyErrors`] if 64 errors, or errors with 64 KiB of codes and texts, already wait for a peer that
    /// reads too slowly.
    pub fn error(&self, error: ClientError) -> Result<(), TooManyErrors> {
        self.0
            .commands
            .with(|commands, leftovers| commands.push_error(error, leftovers))?;
        self.0.wake();
        Ok(())
    }

    /// Sends the items of a stream to the oldest subscription of the peer to `destination`, until the stream or the
    /// subscription ends. The subscription may use any spelling of `destination`.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such subscription or the end of the session has begun, and if the subscription
    /// has [`Config::max_streams`](crate::Config::max_streams) of these streams already.
    pub fn observe<S>(&self, destination: &str, stream: S) -> Result<Observed, ObserveError>
    where
        S: Stream<Item: IntoDelivery> + Send + 'static,
    {
        let mut stream = Some(CatchDrop::new(MessageStream::new(stream)));
        let canonical = self.0.settings.destinations.canonical(destination);
        let id = self.0.commands.with(|commands, leftovers| {
            commands.push_observe(
                &canonical,
                &mut stream,
                self.0.settings.max_streams,
                leftovers,
            )
        })?;
        self.0.wake();
        Ok(Observed {
            session: self.clone(),
            id,
        })
    }

    /// Adds a subscription for the peer, which has sent no `SUBSCRIBE` for it: an *implicit subscription*. It sends the
    /// items of the stream to the peer, with `ack:auto`. The text of the destination is its id, in the header
    /// `subscription` of each `MESSAGE`.
    ///
    /// A service calls this for a client that is to receive messages without a `SUBSCRIBE`: a broker does it for the
    /// temporary queue in the `reply-to` of a `SEND`. If the handler of a request calls it, the subscription exists
    /// before the request is answered. It has no effect before the peer is connected, and if the peer has a
    /// subscription to this
    /// destination already, whatever its spelling: then the stream is dropped.
    ///
    /// The subscription ends with the session or the stream, or if the client unsubscribes from this id. It also ends
    /// when the client subscribes to the destination, or with this id, as soon as the service has accepted that
    /// subscription. So the service has both streams for a moment, and may leave to the second what the first has not
    /// sent.
    ///
    /// # Errors
    ///
    /// Returns an error if the end of the session has begun, if the session has
    /// [`Config::max_subscriptions`](crate::Config::max_subscriptions) already, or its principal
    /// [`Config::max_subscriptions_per_principal`](crate::Config::max_subscriptions_per_principal), if the client uses
    /// the text of the destination as the id of a subscription to another destination, and if this text cannot be an id.
    /// Outside of a handler, such a `SUBSCRIBE` may arrive in the same moment: then the stream is dropped, and the client
    /// gets the error in an `ERROR` of its own.
    pub fn subscribe<S>(&self, destination: &Destination, stream: S) -> Result<(), SubscribeError>
    where
        S: Stream<Item: IntoDelivery> + Send + 'static,
    {
        let mut stream = Some(CatchDrop::new(MessageStream::new(stream)));
        let (text, max_bytes) = (destination.as_str(), self.0.settings.max_destination_bytes);
        if text.len() > max_bytes || text.contains(['\r', '\n', '\0']) {
            return Err(SubscribeError::BadDestination { max_bytes });
        }
        let destination = destination.copied();
        self.0.commands.with(|commands, leftovers| {
            let max = self.0.settings.max_subscriptions;
            commands.push_subscribe(destination, &mut stream, max, leftovers)
        })?;
        self.0.wake();
        Ok(())
    }

    /// Sets the time at which the credentials of the peer expire; a later call replaces it. At that time the peer gets
    /// an `ERROR` with the code `credentials-expired` and nothing more, and the connection is closed.
    ///
    /// The session does not know about tokens. To let a client renew its token, receive the new one in a `send` route,
    /// verify it, and call this method again.
    pub fn expires_at(&self, at: Instant) {
        self.0
            .commands
            .with(|commands, _| commands.set_expires_at(at));
        self.0.wake();
    }

    /// Closes the connection with this close code, after everything that has room in the outbound buffer, see
    /// [Order](Session#order). The session leaves [`Sessions`](crate::Sessions) at once. After
    /// [`Config::close_timeout`](crate::Config::close_timeout), the connection is dropped if the peer has not read
    /// everything and closed.
    pub fn close(&self, code: CloseCode) {
        self.push_close(SessionClose { code, reason: None });
    }

    /// Closes the connection like [`close`](Session::close), and tells the peer the reason: in an `ERROR` with the code
    /// `session-closed` and the reason as its text, and in the close of a WebSocket, which has room for 123 bytes of
    /// it. STOMP clients show the `ERROR`; browsers have the other in `CloseEvent.reason`.
    ///
    /// If a handle has closed the session before, this has no effect.
    pub fn close_with(&self, code: CloseCode, reason: &str) {
        let reason = ClientError::new("session-closed", reason.to_owned());
        self.push_close(SessionClose {
            code,
            reason: Some(reason),
        });
    }

    fn push_close(&self, close: SessionClose) {
        let close = Box::new(close);
        if self
            .0
            .commands
            .with(|commands, _| commands.push_close(close))
        {
            self.0.settings.sessions.remove(self);
        }
        self.0.wake();
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
        let shared = &self.session.0;
        shared
            .commands
            .with(|commands, leftovers| commands.push_unhook(self.id, leftovers));
        shared.wake();
    }
}

/// The settings of a session that its handles need. The default is for handles without a connection.
#[derive(Default)]
pub(crate) struct HandleSettings {
    pub(crate) backlog: BacklogConfig,
    pub(crate) memory_budget: MemoryBudget,
    pub(crate) max_streams: usize,
    pub(crate) max_subscriptions: usize,
    pub(crate) max_destination_bytes: usize,
    pub(crate) destinations: DestinationSyntax,
    /// The registry to which the session belongs while it is connected.
    pub(crate) sessions: WeakSessions,
}

/// A value of the application. Its pointer can be cloned and moved without a call of foreign code.
type Value = Arc<dyn Any + Send + Sync>;

/// State that the handles and the connection share.
pub(crate) struct Shared {
    id: SessionId,
    peer: Arc<Peer>,
    principal: OnceLock<Principal>,
    /// Values of the application, each of another type.
    values: Guarded<Vec<Value>>,
    /// Pattern of the route of the current request, for the log.
    route: Mutex<Option<Arc<Pattern>>>,
    /// The address of the pattern in `route`, which keeps it alive. It tells without a lock that `route` is the same as for
    /// the last request, as it mostly is.
    route_address: AtomicUsize,
    /// True if `route` belongs to the current request. False if no router has seen that request yet.
    is_routed: AtomicBool,
    settings: HandleSettings,
    commands: Guarded<CommandQueue>,
    /// True if [`Requests`](crate::Requests) was dropped.
    are_requests_dropped: AtomicBool,
    /// Wakes the connection's task.
    signal: Arc<TaskSignal>,
    /// True if the connection has ended.
    has_ended: AtomicBool,
    /// Wakes those who wait for `has_ended`.
    ended: Notify,
}

impl Shared {
    fn new(peer: Arc<Peer>, settings: HandleSettings, is_closed: bool) -> Shared {
        Shared {
            id: SessionId::random(),
            peer,
            principal: OnceLock::new(),
            values: Guarded::default(),
            route: Mutex::default(),
            route_address: AtomicUsize::new(0),
            is_routed: AtomicBool::new(false),
            settings,
            commands: Guarded::new(CommandQueue::new(is_closed)),
            are_requests_dropped: AtomicBool::new(false),
            signal: Arc::default(),
            has_ended: AtomicBool::new(is_closed),
            ended: Notify::new(),
        }
    }

    pub(crate) fn commands(&self) -> &Guarded<CommandQueue> {
        &self.commands
    }

    /// Sets the principal, unless the session has one already.
    pub(crate) fn set_principal(&self, principal: Principal) {
        let _ = self.principal.set(principal);
    }

    /// Drops the values stored for later requests. A value may hold a handle of this session, and the session holds the
    /// value, so neither would ever be freed.
    pub(crate) fn clear_values(&self) {
        let values = self.values.with(|values, _| mem::take(values));
        drop(CatchDrop::new(values));
    }

    /// Notes that the connection has ended.
    pub(crate) fn set_ended(&self) {
        self.has_ended.store(true, Ordering::Release);
        // The wakers are foreign code.
        let _ = catch_unwind(AssertUnwindSafe(|| self.ended.notify_waiters()));
    }

    /// Sets the pattern of the route of the current request. Sessions often send to one route several times in a row.
    #[inline]
    pub(crate) fn set_route(&self, route: Option<&Arc<Pattern>>) {
        let address = address_of(route);
        if self.route_address.load(Ordering::Acquire) != address {
            let mut current = self.route.lock().unwrap_or_else(PoisonError::into_inner);
            // A pattern contains nothing whose destructor could run code of the application.
            *current = route.cloned();
            self.route_address.store(address, Ordering::Release);
        }
        self.is_routed.store(true, Ordering::Release);
    }

    /// Notes that another request begins, which has no route yet.
    #[inline]
    pub(crate) fn reset_route(&self) {
        self.is_routed.store(false, Ordering::Release);
    }

    /// The pattern of the route of the current request, if a router has found one.
    pub(crate) fn route(&self) -> Option<Arc<Pattern>> {
        let is_routed = self.is_routed.load(Ordering::Acquire);
        let route = || self.route.lock().unwrap_or_else(PoisonError::into_inner);
        is_routed.then(|| route().clone())?
    }

    /// The pattern of the route of the current request, like [`route`](Shared::route). `last` keeps it for the next call,
    /// which needs no lock if the route is the same.
    #[inline]
    pub(crate) fn route_in<'a>(&self, last: &'a mut Option<Arc<Pattern>>) -> Option<&'a Pattern> {
        if !self.is_routed.load(Ordering::Acquire) {
            return None;
        }
        if self.route_address.load(Ordering::Acquire) != address_of(last.as_ref()) {
            *last = self.route();
        }
        last.as_deref()
    }

    /// The syntax of destinations.
    pub(crate) fn destinations(&self) -> &DestinationSyntax {
        &self.settings.destinations
    }

    /// Notes that [`Requests`](crate::Requests) was dropped.
    pub(crate) fn set_requests_dropped(&self) {
        self.are_requests_dropped.store(true, Ordering::Release);
        self.signal.wake();
    }

    pub(crate) fn are_requests_dropped(&self) -> bool {
        self.are_requests_dropped.load(Ordering::Acquire)
    }

    pub(crate) fn signal(&self) -> &Arc<TaskSignal> {
        &self.signal
    }

    fn wake(&self) {
        self.signal.commands.set();
        self.signal.wake();
    }
}

/// The address of a pattern, by which it is compared; 0 if there is none.
fn address_of(pattern: Option<&Arc<Pattern>>) -> usize {
    pattern.map_or(0, |pattern| Arc::as_ptr(pattern).addr())
}
