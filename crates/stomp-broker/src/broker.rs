//! The broker: a tower service for clients, and a handle for the application.

use crate::{
    Action, Address, Capabilities, Config, Engine, EngineFuture, EventStream, Health,
    IntoDestination, Memory, MemoryConfig, Publication, Scope, Statistics, SubscribeRequest, gaps,
    send,
    syntax::{self, prefix},
    temporary_names, transaction,
};
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use stomp_frame::Command;
use stomp_session::{
    BoxError, ClientError, Destination, IntoMessage, InvalidConfig, MessageStream, Principal,
    Request, Response,
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
/// A destination that the session has parsed by another syntax than the [broker's](crate::destination_syntax) is parsed
/// again. Behind a router it is refused with `bad-destination` instead, if the syntaxes differ about it: the router's
/// policies have seen another destination than the broker would.
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
#[derive(Clone)]
pub struct Broker(pub(crate) Arc<Shared>);

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
        Ok(Broker(Arc::new(Shared {
            config,
            capabilities: engine.capabilities(),
            engine: Box::new(engine),
        })))
    }

    /// Publishes a message to `/topic/…`, to `/queue/…`, or to the `/temp-queue/…` from a header `reply-to`. The
    /// broker's [rules](Config::rules) do not apply, since they concern only clients. The headers `retain` and
    /// `expires` of the message have the same effect as in a `SEND`.
    ///
    /// If a part of the destination comes from a client, make the destination with [`Destination::from_segments`].
    /// Check a `reply-to` before you publish to it, because a client can write any destination there: see
    /// [Replies](crate#replies).
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
            to.check_for_sending(&self.0.config)?;
            let publication = Publication::from_message(to.stamp(message.into_message()?))?;
            self.0.capabilities.check_publication(&to, &publication)?;
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

    /// Returns the address of a request's destination, if its client may use it. `/user/…` belongs to the client's
    /// principal, and the local name of a `/temp-queue/…` to its session.
    fn authorize(&self, action: Action, request: &Request) -> Result<Address, BoxError> {
        if !syntax::has_prefix(request.destination()) {
            return Err(not_found(request.destination()).into());
        }
        let session = request.session();
        // A router and its policies have decided about the destination that the session parsed. The broker must not
        // read another one from the same text, so the rules below refuse what another syntax parsed.
        let is_routed = request.params().pattern().is_some();
        let destination = if is_routed {
            request.destination().copied()
        } else {
            syntax::own(request.destination())?
        };
        let Config {
            rules,
            max_temporary_queues,
            ..
        } = &self.0.config;
        // This comes first, so that a public name is created only for a client that may use it.
        rules.check(action, &destination, session.principal(), request)?;
        let canonical = destination.canonical();
        if canonical.starts_with(prefix::USER) {
            let Some(principal) = session.principal() else {
                let text = format!(
                    "The destination {:?} needs a login, since it belongs to a user.",
                    destination.as_str()
                );
                return Err(ClientError::new("login-required", text).into());
            };
            return Ok(Address::new(Scope::User(principal.clone()), destination));
        }
        if let Some(local_name) = canonical.strip_prefix(prefix::TEMPORARY) {
            if action == Action::Send && temporary_names::is_public_name(local_name) {
                return Ok(Address::new(Scope::Temporary, destination));
            }
            let name = temporary_names::public_name(local_name, session, *max_temporary_queues)?;
            return Ok(Address::temporary(name));
        }
        Ok(shared_address(destination)?)
    }

    fn handle_send(&self, request: &Request) -> EngineFuture<Response> {
        let (to, publication) = match self.check_send(request) {
            Ok(checked) => checked,
            Err(error) => return EngineFuture::ready(Err(error)),
        };
        let sent = match request.transaction() {
            None => self.0.engine.publish(&to, publication),
            Some(staging) => transaction::prepare(&self.0, staging, &to, publication),
        };
        sent.map(|()| Response::Done)
    }

    /// Returns the address and the publication of a `SEND`, if the client may send it and the engine supports it.
    fn check_send(&self, request: &Request) -> Result<(Address, Publication), BoxError> {
        let config = &self.0.config;
        let to = self.authorize(Action::Send, request)?;
        to.check_for_sending(config)?;
        let capabilities = self.0.capabilities;
        if request.transaction().is_some() {
            capabilities.check_transaction()?;
        }
        let mut publication =
            send::publication_from_request(request, capabilities, config.max_temporary_queues)?
                .sent_by(request);
        capabilities.check_publication(&to, &publication)?;
        publication.message = to.stamp(publication.message);
        Ok((to, publication))
    }

    fn handle_subscribe(&self, request: &Request) -> EngineFuture<Response> {
        let checked = || {
            let to = self.authorize(Action::Subscribe, request)?;
            let subscription = SubscribeRequest::from_frame(to, request)?;
            self.check_subscription(subscription)
        };
        let on_gap = self.0.config.on_gap;
        match checked() {
            Ok(subscription) => {
                let session = request.session().clone();
                let stream = self.0.engine.subscribe(subscription);
                stream.map(move |stream| {
                    Response::Observe(gaps::apply(on_gap, stream, Some(&session)))
                })
            }
            Err(error) => EngineFuture::ready(Err(error)),
        }
    }

    fn check_subscription(&self, request: SubscribeRequest) -> Result<SubscribeRequest, BoxError> {
        request.address.check(&self.0.config)?;
        self.0.capabilities.check_subscription(&request)?;
        Ok(request)
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

/// Parses a destination of the application.
pub(crate) fn parse(destination: impl IntoDestination) -> Result<Address, ClientError> {
    shared_address(destination.into_destination()?)
}

/// Returns the address of a destination that is the same for all clients.
fn shared_address(destination: Destination) -> Result<Address, ClientError> {
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

fn not_found(destination: &Destination) -> ClientError {
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
