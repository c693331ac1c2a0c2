//! The broker: a service and a handle.

use crate::{
    Address, Config, Engine, EngineFuture, Memory, Statistics, address::prefix, send,
    temporary_names,
};
use bytestring::ByteString;
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use stomp_frame::Command;
use stomp_session::{
    BoxError, ClientError, IntoMessage, InvalidConfig, Message, MessageStream, Principal, Request,
    Response, Session,
};
use tower_service::Service;

/// A broker: a `tower::Service` for the destinations that the [crate documentation](crate) lists, and a handle to
/// publish and subscribe from the application's own code. Clones share the same broker.
///
/// As a service it handles `SEND` and `SUBSCRIBE` for these destinations, and refuses others with `not-found`. It
/// accepts all other requests, including every `CONNECT`: the application authenticates clients.
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
pub struct Broker(Arc<Shared>);

struct Shared {
    config: Config,
    engine: Box<dyn Engine>,
}

impl Broker {
    /// Creates a broker with the in-memory engine.
    ///
    /// # Errors
    ///
    /// If a setting is impossible, see [`Config::validate`].
    pub fn new(config: Config) -> Result<Broker, InvalidConfig> {
        let engine = Memory::new(config.clone());
        Broker::with_engine(config, engine)
    }

    /// Creates a broker with another engine.
    ///
    /// # Errors
    ///
    /// If a setting is impossible, see [`Config::validate`].
    pub fn with_engine(config: Config, engine: impl Engine) -> Result<Broker, InvalidConfig> {
        config.validate()?;
        Ok(Broker(Arc::new(Shared {
            config,
            engine: Box::new(engine),
        })))
    }

    /// Publishes a message to `/topic/…`, `/queue/…`, or the `/temp-queue/…` in a `reply-to`. [`Config::send`] does not
    /// apply, since it concerns only clients.
    ///
    /// The in-memory engine publishes at once, and dropping the future does not stop it. Messages arrive in order if
    /// the caller awaits each future before its next call.
    ///
    /// # Errors
    ///
    /// The future fails if the destination does not exist or accepts no more messages, see the
    /// [crate documentation](crate), or if [`IntoMessage::into_message`] fails.
    pub fn publish(&self, destination: &str, message: impl IntoMessage) -> EngineFuture<()> {
        self.publish_to(self.parse(destination), message)
    }

    /// Publishes a message to a destination of a principal. With `/queue/x`, all sessions of the principal that are
    /// subscribed to `/user/queue/x` get it. It is no error if there are none.
    ///
    /// # Errors
    ///
    /// The future fails in the same cases as that of [`Broker::publish`].
    pub fn send_to_user(
        &self,
        principal: &Principal,
        destination: &str,
        message: impl IntoMessage,
    ) -> EngineFuture<()> {
        let path = destination.trim_start_matches('/');
        let to = Address::user(principal.clone(), path.to_owned());
        self.publish_to(Ok(to), message)
    }

    fn publish_to(
        &self,
        to: Result<Address, ClientError>,
        message: impl IntoMessage,
    ) -> EngineFuture<()> {
        let checked = to
            .and_then(|to| to.check_for_sending(&self.0.config).map(|()| to))
            .map_err(BoxError::from);
        match checked.and_then(|to| Ok((message.into_message()?, to))) {
            Ok((message, to)) => self.0.engine.publish(&to, to.stamp(message)),
            Err(error) => EngineFuture::ready(Err(error)),
        }
    }

    /// Subscribes to a topic, a pattern or a queue. [Settle](stomp_session::Delivery::settle) the deliveries of a
    /// queue: a delivery that is dropped goes back to the queue.
    ///
    /// # Errors
    ///
    /// The future fails if there is no such destination, or if there are too many destinations.
    pub fn subscribe(&self, destination: &str) -> EngineFuture<MessageStream> {
        let to = self
            .parse(destination)
            .and_then(|to| to.check(&self.0.config).map(|()| to));
        match to {
            Ok(to) => self.0.engine.subscribe(&to),
            Err(error) => EngineFuture::ready(Err(error)),
        }
    }

    /// The current destinations with their subscribers, and the counts of messages. The cost grows with the number of
    /// destinations.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.0.engine.statistics()
    }

    /// Parses a destination as the application writes it.
    fn parse(&self, text: &str) -> Result<Address, ClientError> {
        let owned = |path: &str| ByteString::from(path.to_owned());
        if let Some(path) = text.strip_prefix(prefix::TOPIC) {
            Ok(Address::topic(owned(path)))
        } else if let Some(path) = text.strip_prefix(prefix::QUEUE) {
            Ok(Address::queue(owned(path)))
        } else if let Some(name) = text
            .strip_prefix(prefix::TEMPORARY)
            .filter(|name| temporary_names::is_public_name(name))
        {
            Ok(Address::temporary(owned(name)))
        } else {
            let text = format!(
                "The broker has no destination {text:?}: destinations begin with /topic/ or /queue/, and those of a \
                 client with /user/ or /temp-queue/."
            );
            Err(ClientError::new("not-found", text))
        }
    }

    /// Parses a destination as a client writes it: `/user/…` belongs to its principal, and `/temp-queue/…` to its
    /// session.
    fn parse_for_client(&self, text: &str, session: &Session) -> Result<Address, BoxError> {
        if let Some(path) = text.strip_prefix(prefix::USER) {
            let Some(principal) = session.principal() else {
                let text =
                    format!("The destination {text:?} needs a login, since it belongs to a user.");
                return Err(ClientError::new("login-required", text).into());
            };
            return Ok(Address::user(principal.clone(), path.to_owned()));
        }
        if let Some(local_name) = text.strip_prefix(prefix::TEMPORARY) {
            return Ok(Address::temporary(temporary_names::public_name(
                local_name,
                session,
                self.0.config.max_temporary_queues,
            )?));
        }
        Ok(self.parse(text)?)
    }

    fn handle_send(&self, request: &Request) -> EngineFuture<Response> {
        match self.check_send(request) {
            Err(error) => EngineFuture::ready(Err(error)),
            Ok((to, message)) => match request.transaction().cloned() {
                None => self.0.engine.publish(&to, message).map(|()| Response::Done),
                Some(staging) => self.0.engine.reserve(&to, message).map(move |effect| {
                    staging.stage(effect);
                    Response::Done
                }),
            },
        }
    }

    /// Returns the destination and the message of a `SEND`, if its client may send it.
    fn check_send(&self, request: &Request) -> Result<(Address, Message), BoxError> {
        let (text, config) = (request.destination().as_str(), &self.0.config);
        let is_reply = text
            .strip_prefix(prefix::TEMPORARY)
            .is_some_and(temporary_names::is_public_name);
        // A public name is permission enough: nobody can guess it, so the client was given it.
        if !is_reply && !config.send.allows(request) {
            let text = format!("This client may not send to {text:?}.");
            return Err(ClientError::new("forbidden", text).into());
        }
        let to = if is_reply {
            self.parse(text)?
        } else {
            self.parse_for_client(text, request.session())?
        };
        to.check_for_sending(config)?;
        let message = send::message_from_request(request, config.max_temporary_queues)?;
        let message = to.stamp(message);
        Ok((to, message))
    }

    fn handle_subscribe(&self, request: &Request) -> EngineFuture<Response> {
        let to = self.parse_for_client(request.destination().as_str(), request.session());
        match to.and_then(|to| to.check(&self.0.config).map(|()| to).map_err(Into::into)) {
            Ok(to) => self.0.engine.subscribe(&to).map(Response::Observe),
            Err(error) => EngineFuture::ready(Err(error)),
        }
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
            // UNSUBSCRIBE and DISCONNECT need no action: the session drops the streams that end, which informs the
            // engine.
            _ => EngineFuture::ready(Ok::<_, BoxError>(Response::Done)),
        }
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}
