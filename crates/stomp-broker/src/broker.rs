//! The broker, as a service and as a handle.

use crate::{
    Config, Destination, Engine, EngineFuture, Memory, Statistics, destination::prefix, sending,
    temporary,
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

/// A broker: a `tower::Service` for the destinations that the [crate's documentation](crate) lists, and a handle to send
/// from anywhere. Clones are handles on the same.
///
/// As a service it handles `SEND` and `SUBSCRIBE` of these destinations, refuses others with `not-found`, and agrees to
/// everything else, `CONNECT` too: who may come in is for an application to say.
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
    /// A broker in memory.
    ///
    /// # Errors
    ///
    /// See [`Config::validate`].
    pub fn new(config: Config) -> Result<Broker, InvalidConfig> {
        let engine = Memory::new(config.clone());
        Broker::with_engine(config, engine)
    }

    /// A broker over another engine.
    ///
    /// # Errors
    ///
    /// See [`Config::validate`].
    pub fn with_engine(config: Config, engine: impl Engine) -> Result<Broker, InvalidConfig> {
        config.validate()?;
        Ok(Broker(Arc::new(Shared {
            config,
            engine: Box::new(engine),
        })))
    }

    /// Publishes a message to `/topic/…`, `/queue/…`, or a reply's `/temp-queue/…`. [`Config::send`] is only about clients.
    ///
    /// With the engine in memory this begins at once, and dropping the answer does not stop it. Messages whose answers are
    /// awaited one after the other arrive in that order.
    ///
    /// # Errors
    ///
    /// The answer is an error if the destination does not exist or takes no more, see the [crate's documentation](crate),
    /// or that of [`IntoMessage::into_message`].
    pub fn publish(&self, destination: &str, message: impl IntoMessage) -> EngineFuture<()> {
        self.send_to(self.destination(destination), message)
    }

    /// Publishes a message to a principal's own destination: with `/queue/x` to all its sessions that are subscribed to
    /// `/user/queue/x`. That there are none is no error.
    ///
    /// # Errors
    ///
    /// As for [`Broker::publish`].
    pub fn send_to_user(
        &self,
        principal: &Principal,
        destination: &str,
        message: impl IntoMessage,
    ) -> EngineFuture<()> {
        let path = destination.trim_start_matches('/');
        let to = Destination::user(principal.clone(), path.to_owned());
        self.send_to(Ok(to), message)
    }

    fn send_to(
        &self,
        to: Result<Destination, ClientError>,
        message: impl IntoMessage,
    ) -> EngineFuture<()> {
        let prepared = to
            .and_then(|to| to.check_for_sending(&self.0.config).map(|()| to))
            .map_err(BoxError::from);
        match prepared.and_then(|to| Ok((message.into_message()?, to))) {
            Ok((message, to)) => self.0.engine.publish(&to, to.stamp(message)),
            Err(error) => EngineFuture::ready(Err(error)),
        }
    }

    /// The messages of a topic, a pattern or a queue, for the application itself. What comes from a queue is to be
    /// [settled](stomp_session::Delivery::settle): what is dropped goes back.
    ///
    /// # Errors
    ///
    /// The answer is an error if there is no such destination, or there are too many.
    pub fn subscribe(&self, destination: &str) -> EngineFuture<MessageStream> {
        let to = self
            .destination(destination)
            .and_then(|to| to.check(&self.0.config).map(|()| to));
        match to {
            Ok(to) => self.0.engine.subscribe(&to),
            Err(error) => EngineFuture::ready(Err(error)),
        }
    }

    /// What there is now: destinations, subscribers and counts. It goes through all destinations.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.0.engine.statistics()
    }

    /// A destination as the application names it.
    fn destination(&self, text: &str) -> Result<Destination, ClientError> {
        let own = |path: &str| ByteString::from(path.to_owned());
        if let Some(path) = text.strip_prefix(prefix::TOPIC) {
            Ok(Destination::topic(own(path)))
        } else if let Some(path) = text.strip_prefix(prefix::QUEUE) {
            Ok(Destination::queue(own(path)))
        } else if let Some(name) = text
            .strip_prefix(prefix::TEMPORARY)
            .filter(|name| temporary::is_name(name))
        {
            Ok(Destination::temporary(own(name)))
        } else {
            Err(ClientError::new(
                "not-found",
                "The broker has no such destination.",
            ))
        }
    }

    /// A destination as a client names it: `/user/…` is its principal's, whoever that is, and `/temp-queue/…` its session's.
    fn destination_of(&self, text: &str, session: &Session) -> Result<Destination, BoxError> {
        if let Some(path) = text.strip_prefix(prefix::USER) {
            let principal = session.principal().cloned();
            let principal = principal
                .ok_or_else(|| ClientError::new("login-required", "This needs a login."))?;
            return Ok(Destination::user(principal, path.to_owned()));
        }
        if let Some(own) = text.strip_prefix(prefix::TEMPORARY) {
            return Ok(Destination::temporary(temporary::name_of(
                own,
                session,
                self.0.config.max_temporary_queues,
            )?));
        }
        Ok(self.destination(text)?)
    }

    fn send(&self, request: &Request) -> EngineFuture<Response> {
        match self.prepare(request) {
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

    /// What a `SEND` wants published, and where, if it may.
    fn prepare(&self, request: &Request) -> Result<(Destination, Message), BoxError> {
        let (text, config) = (request.destination(), &self.0.config);
        let is_reply = text
            .strip_prefix(prefix::TEMPORARY)
            .is_some_and(temporary::is_name);
        // Whoever has the name of a reply's destination was given it.
        if !is_reply && !config.send.allows(request) {
            return Err(ClientError::new("forbidden", "Nobody may send there, or not you.").into());
        }
        let to = if is_reply {
            self.destination(text)?
        } else {
            self.destination_of(text, request.session())?
        };
        to.check_for_sending(config)?;
        let message = to.stamp(sending::message(request, config.max_temporary_queues)?);
        Ok((to, message))
    }

    fn observe(&self, request: &Request) -> EngineFuture<Response> {
        let to = self.destination_of(request.destination(), request.session());
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
            Command::Send => self.send(&request),
            Command::Subscribe => self.observe(&request),
            // The streams of a subscription or a session end with it, and tell the engine.
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
