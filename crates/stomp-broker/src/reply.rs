//! Answers to requests: messages to the destination in a header `reply-to`.

use crate::{
    Address, Broker, EngineFuture,
    broker::parse,
    reply_queue::ReplyQueue,
    send::REPLY_TO,
    syntax::{self, prefix},
};
use stomp_frame::Headers;
use stomp_session::{BoxError, ClientError, Delivery, IntoMessage, Message, Request};

/// The header with the id by which an asker finds the request of an answer.
const CORRELATION_ID: &str = "correlation-id";

/// A message that [`Broker::reply`] can answer: the [`Request`] of a handler, or a [`Delivery`] or [`Message`] that the
/// application has got from the broker.
pub trait Repliable: sealed::Sealed {}

impl Repliable for Request {}
impl Repliable for Delivery {}
impl Repliable for Message {}

mod sealed {
    use super::{Address, BoxError, Broker, Headers, ReplyQueue, Request};

    pub trait Sealed {
        fn headers(&self) -> &Headers;

        /// Returns the address for the answer, if the sender of the message may have its answers there. Also returns its
        /// temporary queue, if the sender has no subscription to it.
        fn reply_address(&self, broker: &Broker)
        -> Result<(Address, Option<ReplyQueue>), BoxError>;

        /// The request, if the message is one.
        fn request(&self) -> Option<&Request> {
            None
        }
    }
}

impl Broker {
    /// Answers a request: publishes a message to the destination in its header `reply-to`. The answer gets the
    /// `correlation-id` of the request, unless it has one already.
    ///
    /// The answer goes only where its asker could send it. So no client makes the application write where the client may
    /// not:
    ///
    /// | answered | allowed destinations in `reply-to` |
    /// |---|---|
    /// | [`Request`] of a client, in a handler | a temporary queue of the client to which it may subscribe; the public name of any temporary queue, since only a client that was given the name knows it; destinations to which the [rules](crate::Config::rules) let the client send |
    /// | [`Delivery`] or [`Message`], which a client sent to the broker | the same: the broker has checked it when it accepted the message |
    /// | [`Delivery`] or [`Message`] of the application | public names, and destinations that [`Message::with_reply_to`] has set |
    ///
    /// An application that passes on a client's headers, as with [`Message::from_parts`], passes on a `reply-to` that
    /// nobody has checked. [`Message::reply_to`] is `None` for such a message, and the answer is refused, except to a
    /// public name. Set the address of the asker with [`Broker::reply_to`].
    ///
    /// If the client of a [`Request`] has named its temporary queue without a subscription to it, the broker adds an
    /// implicit subscription first: see the [crate documentation](crate#replies).
    ///
    /// If the request is part of a transaction, the answer is published when that is committed. So call this before the
    /// handler of the request returns. Once the commit has begun, the future fails with `transaction-ended`, and
    /// nothing is published. To answer later, from another task, publish to [`Broker::reply_to`].
    ///
    /// ```
    /// use stomp_broker::{Broker, Config, Rules, Who};
    /// use futures_util::StreamExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), stomp_session::BoxError> {
    /// let rules = Rules::default().send("/queue/prices", Who::Anybody);
    /// let broker = Broker::new(Config::default().rules(rules))?;
    ///
    /// // A worker of the application. Clients ask it with SEND to /queue/prices.
    /// let mut questions = broker.subscribe("/queue/prices").await?;
    /// # broker.publish("/queue/prices", stomp_session::Message::new("tea").with_reply_to("/topic/a")).await?;
    /// while let Some(question) = questions.next().await {
    ///     let question = question?;
    ///     broker.reply(&question, "12.50").await?;
    ///     question.settle(stomp_session::Settlement::Acked);
    /// #   break;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The future fails with `bad-request` if there is no `reply-to`, with `forbidden` or `login-required` if the asker
    /// may not have its answer there, with `transaction-ended` if it comes too late for a transaction, with
    /// `too-many-subscriptions` or `duplicate-subscription` if an implicit subscription has no room or its id is in use,
    /// and otherwise in the same cases as that of
    /// [`Broker::publish`].
    pub fn reply(&self, to: &impl Repliable, message: impl IntoMessage) -> EngineFuture<()> {
        let transaction = to.request().and_then(Request::transaction);
        let checked = || {
            let (address, queue) = to.reply_address(self)?;
            let mut message = message.into_message()?;
            if let Some(id) = to.headers().get(CORRELATION_ID) {
                if !message.headers().contains(CORRELATION_ID) {
                    message = message.with_header(CORRELATION_ID, id);
                }
            }
            if transaction.is_some() {
                self.0.capabilities.check_transaction()?;
            }
            let publication = self.0.publication(&address, message)?;
            Ok::<_, BoxError>((address, publication, queue))
        };
        match checked() {
            Ok((address, publication, queue)) => {
                let (broker, staging) = (self.clone(), transaction.cloned());
                let opened = self.open_if_needed(queue, to.request());
                opened
                    .and_then(move |()| broker.publish_in(staging.as_ref(), &address, publication))
            }
            Err(error) => EngineFuture::ready(Err(error)),
        }
    }

    fn open_if_needed(
        &self,
        queue: Option<ReplyQueue>,
        request: Option<&Request>,
    ) -> EngineFuture<()> {
        match (queue, request) {
            (Some(queue), Some(request)) => self.open_reply_queue(queue, request),
            _ => EngineFuture::ready(Ok::<_, BoxError>(())),
        }
    }

    /// Checks the header `reply-to` of a client's request, and completes with its text for other receivers: that of a
    /// temporary queue has its public name. Use it with [`Message::with_reply_to`], to pass on the request to a worker.
    ///
    /// If the client has no subscription to its temporary queue, this adds an implicit one, as [`Broker::reply`] does.
    ///
    /// # Errors
    ///
    /// The future fails with the errors of [`Broker::reply`] about the header. It fails with `not-supported` for a
    /// destination below `/user/`, which is another one for each client that reads it.
    pub fn reply_to(&self, request: &Request) -> EngineFuture<String> {
        let checked = header_of(request.headers())
            .map_err(BoxError::from)
            .and_then(|value| self.0.reply_to_for_receivers(value, request));
        match checked {
            Ok((reply_to, queue)) => self.open_if_needed(queue, Some(request)).map(|()| reply_to),
            Err(error) => EngineFuture::ready(Err(error)),
        }
    }
}

impl sealed::Sealed for Request {
    fn headers(&self) -> &Headers {
        self.headers()
    }

    fn reply_address(&self, broker: &Broker) -> Result<(Address, Option<ReplyQueue>), BoxError> {
        let value = header_of(self.headers())?;
        broker.0.authorize_reply_to(value, self)
    }

    fn request(&self) -> Option<&Request> {
        Some(self)
    }
}

impl sealed::Sealed for Message {
    fn headers(&self) -> &Headers {
        self.headers()
    }

    fn reply_address(&self, _: &Broker) -> Result<(Address, Option<ReplyQueue>), BoxError> {
        let value = header_of(self.headers())?;
        let destination = syntax::shared_syntax().parse(value.to_owned())?;
        if self.reply_to().is_some() || syntax::is_public_temporary(&destination) {
            return Ok((parse(destination)?, None));
        }
        let text = format!(
            "The header reply-to names {:?}, but no broker has checked that the sender may have its replies there. Without \
             that, a reply may go only to the public name of a queue below {:?}.",
            start_of(value),
            prefix::TEMPORARY
        );
        Err(ClientError::new("forbidden", text).into())
    }
}

impl sealed::Sealed for Delivery {
    fn headers(&self) -> &Headers {
        self.headers()
    }

    fn reply_address(&self, broker: &Broker) -> Result<(Address, Option<ReplyQueue>), BoxError> {
        sealed::Sealed::reply_address(self.message(), broker)
    }
}

fn header_of(headers: &Headers) -> Result<&str, ClientError> {
    headers.get(REPLY_TO).ok_or_else(|| {
        let text = "The header reply-to is missing: it names the destination of the reply.";
        ClientError::new("bad-request", text)
    })
}

/// The first characters of a text that comes from a client.
fn start_of(text: &str) -> &str {
    let end = text.char_indices().nth(80);
    end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}
