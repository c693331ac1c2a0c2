//! The broker: a tower service for clients, and a handle for the application.

use crate::{
    Address, Capabilities, Config, Engine, EngineFuture, EventStream, Health, IntoDestination,
    Memory, MemoryConfig, Publication, Scope, Statistics, SubscribeRequest, gaps,
    permission::SendPermission,
    syntax::{self, prefix},
    temporary_names, transaction, unsupported,
};
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use stomp_frame::Command;
use stomp_session::{
    BoxError, ClientError, Destination, IntoMessage, InvalidConfig, MemoryBudget, Message,
    MessageStream, Principal, Request, Response, Staging,
};
use tokio::sync::watch;
use tower_service::Service;

/// A broker: a `tower::Service` for the requests of clients, and a handle for the application to publish and subscribe.
/// Clones share the same broker.
///
/// As a service, it handles `SEND` and `SUBSCRIBE` to the destinations that the [crate documentation](crate) lists, if
/// its [rules](crate::Rules) allow them. It refuses other destinations with `not-found`. It accepts all other requests,
/// including every `CONNECT`: the application must authenticate clients.
///
/// The session must have the broker's syntax: see [`destination_syntax`](crate::destination_syntax). A destination that
/// another syntax has parsed differently is refused with `bad-destination`. Otherwise a layer, a router or a policy in
/// front of the broker would decide about another destination than the broker.
///
/// ```
/// use futures_util::StreamExt;
/// use stomp_broker::{Broker, Config};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), stomp_session::BoxError> {
/// let broker = Broker::new(Config::default())?;
/// let mut stocks = broker.subscribe("/topic/stocks.*").await?;
/// broker.publish("/topic/stocks.abc", "42").await?;
/// assert_eq!(stocks.next().await.unwrap()?.body(), "42");
/// # Ok(())
/// # }
/// ```
pub struct Broker(
    pub(crate) Arc<Shared>,
    /// The last permission to send. Sessions call clones of their own, and often send to one destination several times in
    /// a row.
    pub(crate) Option<SendPermission>,
);

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) capabilities: Capabilities,
    pub(crate) engine: Box<dyn Engine>,
}

impl Broker {
    /// Creates a broker with an in-memory engine that has the default settings. For other settings of the engine, pass
    /// a [`Memory`] to [`Broker::with_engine`].
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is impossible: see [`Config::validate`].
    pub fn new(config: Config) -> Result<Broker, InvalidConfig> {
        Broker::with_engine(config, Memory::new(MemoryConfig::default())?)
    }

    /// Creates a broker with any engine.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is impossible: see [`Config::validate`].
    pub fn with_engine(config: Config, engine: impl Engine) -> Result<Broker, InvalidConfig> {
        config.validate()?;
        let shared = Shared {
            config,
            capabilities: engine.capabilities(),
            engine: Box::new(engine),
        };
        Ok(Broker(Arc::new(shared), None))
    }

    /// Publishes a message to `/topic/…`, to `/queue/…`, or to the public name of a temporary queue. The broker's
    /// [rules](Config::rules) do not apply, since they concern only clients. The headers `retain` and `expires` of the
    /// message have the same effect as in a `SEND`.
    ///
    /// If a part of the destination comes from a client, make the destination with [`Destination::from_segments`].
    /// To answer a request, use [`Broker::reply`].
    ///
    /// With the in-memory engine, dropping the future does not stop the publication. If the caller awaits each future
    /// before its next call, the messages arrive in order.
    ///
    /// # Errors
    ///
    /// The future fails with the errors that the [crate documentation](crate#errors) lists, or if
    /// [`IntoMessage::into_message`] fails.
    pub fn publish(
        &self,
        destination: impl IntoDestination,
        message: impl IntoMessage,
    ) -> EngineFuture<()> {
        self.publish_to(parse(destination), message)
    }

    /// Publishes a message to a `/user/…` destination of a principal. With the destination `/queue/x`, all sessions of
    /// the principal that are subscribed to `/user/queue/x` get the message. It is no error if there are none.
    ///
    /// # Errors
    ///
    /// The future fails in the same cases as that of [`Broker::publish`].
    pub fn send_to_user(
        &self,
        principal: &Principal,
        destination: impl IntoDestination,
        message: impl IntoMessage,
    ) -> EngineFuture<()> {
        let to = destination.into_destination().and_then(|destination| {
            let path = destination.as_str().trim_start_matches('/');
            let destination = format!("{}{path}", prefix::USER).into_destination()?;
            Ok(Address::new(Scope::User(principal.clone()), destination))
        });
        self.publish_to(to, message)
    }

    fn publish_to(
        &self,
        to: Result<Address, ClientError>,
        message: impl IntoMessage,
    ) -> EngineFuture<()> {
        let checked = || {
            let to = to?;
            let publication = self.0.publication(&to, message.into_message()?)?;
            Ok::<_, BoxError>((to, publication))
        };
        match checked() {
            Ok((to, publication)) => self.0.engine.publish(&to, publication),
            Err(error) => EngineFuture::ready(Err(error)),
        }
    }

    /// Subscribes to a topic, a pattern or a queue. [Settle](stomp_session::Delivery::settle) the deliveries of a
    /// queue, since a delivery that is only dropped goes back to the queue.
    ///
    /// # Errors
    ///
    /// The future fails with the errors that the [crate documentation](crate#errors) lists.
    pub fn subscribe(&self, destination: impl IntoDestination) -> EngineFuture<MessageStream> {
        let request = parse(destination)
            .map_err(BoxError::from)
            .and_then(|to| self.check_subscription(SubscribeRequest::new(to)));
        let on_gap = self.0.config.on_gap;
        match request {
            Ok(request) => self
                .0
                .engine
                .subscribe(request)
                .map(move |stream| gaps::apply(on_gap, stream, None)),
            Err(error) => EngineFuture::ready(Err(error)),
        }
    }

    /// The parts of a broker that the engine supports. Requests that need others fail with `not-supported`.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.0.capabilities
    }

    /// The budget in which the engine counts the messages that it holds: see
    /// [`MemoryConfig::memory_budget`](crate::MemoryConfig::memory_budget). `None` if the engine counts none.
    #[must_use]
    pub fn memory_budget(&self) -> Option<MemoryBudget> {
        self.0.engine.memory_budget()
    }

    /// Completes with the current destinations, their subscribers, and the counts of messages. The cost grows with the
    /// number of destinations.
    pub fn statistics(&self) -> EngineFuture<Statistics> {
        self.0.engine.statistics()
    }

    /// Returns the state of the engine, and reports its changes: see [`Engine::health`].
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.0.engine.health()
    }

    /// Returns a stream of the engine's events from now on: see [`Engine::events`].
    #[must_use]
    pub fn events(&self) -> EventStream {
        self.0.engine.events()
    }

    /// Shuts the engine down. All subscriptions end, and later publications and subscriptions fail with
    /// `engine-unavailable`: see [`Engine::shutdown`].
    ///
    /// # Errors
    ///
    /// The future fails if the engine could not give back what it holds in an external system.
    pub fn shutdown(&self) -> EngineFuture<()> {
        self.0.engine.shutdown()
    }

    /// Publishes a message at once, or when a transaction is committed.
    pub(crate) fn publish_in(
        &self,
        transaction: Option<&Staging>,
        to: &Address,
        publication: Publication,
    ) -> EngineFuture<()> {
        match transaction {
            None => self.0.engine.publish(to, publication),
            Some(staging) => transaction::prepare(&self.0, staging, to, publication),
        }
    }

    fn handle_subscribe(&self, request: &Request) -> EngineFuture<Response> {
        let checked = || {
            let (to, name) = self.0.authorize_subscribe(request)?;
            unsupported::check_subscribe(request.headers())?;
            let subscription = SubscribeRequest::from_frame(to, request)?;
            Ok::<_, BoxError>((self.check_subscription(subscription)?, name))
        };
        let on_gap = self.0.config.on_gap;
        match checked() {
            Ok((subscription, name)) => {
                let session = request.session().clone();
                let stream = self.0.engine.subscribe(subscription);
                stream.map(move |stream| {
                    let stream = gaps::apply(on_gap, stream, Some(&session));
                    Response::Observe(temporary_names::hold(name, stream))
                })
            }
            Err(error) => EngineFuture::ready(Err(error)),
        }
    }

    pub(crate) fn check_subscription(
        &self,
        request: SubscribeRequest,
    ) -> Result<SubscribeRequest, BoxError> {
        request.address.check(&self.0.config)?;
        self.0.capabilities.check_subscription(&request)?;
        Ok(request)
    }
}

impl Clone for Broker {
    fn clone(&self) -> Broker {
        Broker(Arc::clone(&self.0), None)
    }
}

impl Service<Request> for Broker {
    type Response = Response;
    type Error = BoxError;
    type Future = EngineFuture<Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> EngineFuture<Response> {
        match request.command() {
            Command::Send => self.handle_send(&request),
            Command::Subscribe => self.handle_subscribe(&request),
            // UNSUBSCRIBE and DISCONNECT need no action: the session drops the streams, and so the engine ends the
            // subscriptions.
            _ => EngineFuture::ready(Ok::<_, BoxError>(Response::Done)),
        }
    }
}

impl Shared {
    /// Creates the publication of a message of the application.
    pub(crate) fn publication(
        &self,
        to: &Address,
        message: Message,
    ) -> Result<Publication, ClientError> {
        to.check_for_sending(&self.config)?;
        let publication = Publication::from_message(to.stamp(message))?;
        self.capabilities.check_publication(to, &publication)?;
        Ok(publication)
    }
}

/// Parses a destination of the application.
pub(crate) fn parse(destination: impl IntoDestination) -> Result<Address, ClientError> {
    shared_address(destination.into_destination()?)
}

/// Returns the address of a destination that is the same for all clients.
pub(crate) fn shared_address(destination: Destination) -> Result<Address, ClientError> {
    let canonical = destination.canonical();
    let scope = if canonical.starts_with(prefix::TOPIC) {
        Scope::Topic
    } else if canonical.starts_with(prefix::QUEUE) {
        Scope::Queue
    } else if syntax::is_public_temporary(&destination) {
        Scope::Temporary
    } else {
        return Err(not_found(&destination));
    };
    Ok(Address::new(scope, destination))
}

pub(crate) fn not_found(destination: &Destination) -> ClientError {
    let text = format!(
        "The broker has no destination {:?}: destinations begin with /topic/ or /queue/, and those of a client with \
         /user/ or /temp-queue/.",
        destination.as_str()
    );
    ClientError::new("not-found", text)
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}
