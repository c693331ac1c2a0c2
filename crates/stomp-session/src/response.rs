//! The answers of a service.

use crate::{
    delivery::{Delivery, IntoDelivery},
    error::BoxError,
    fan_out::Subscriber,
    principal::Principal,
};
use futures_core::Stream;
use futures_util::{StreamExt, stream};
use std::{
    any::Any,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};
use stomp_frame::Headers;

/// Stream of messages for a subscription. An error is reported to the peer and ends the subscription.
pub struct MessageStream(Inner);

enum Inner {
    /// A subscriber of a hub, from which a session can take whole batches.
    Subscriber(Box<Subscriber>),
    Other(BoxedStream),
}

type BoxedStream = Pin<Box<dyn Stream<Item = Result<Delivery, BoxError>> + Send>>;

impl MessageStream {
    /// Creates a stream from a stream of anything that can be delivered.
    ///
    /// It recognizes a [`Subscriber`], which a session reads faster than other streams.
    pub fn new<S>(stream: S) -> MessageStream
    where
        S: Stream<Item: IntoDelivery> + Send + 'static,
    {
        let mut stream = Some(stream);
        if let Some(known) = take_as::<MessageStream>(&mut stream) {
            return known;
        }
        if let Some(subscriber) = take_as::<Subscriber>(&mut stream) {
            return MessageStream(Inner::Subscriber(Box::new(subscriber)));
        }
        MessageStream(Inner::Other(match stream {
            Some(stream) => Box::pin(stream.map(IntoDelivery::into_delivery)),
            None => Box::pin(stream::empty()),
        }))
    }

    /// The subscriber of a hub, if the stream is one.
    pub(crate) fn subscriber(&mut self) -> Option<&mut Subscriber> {
        match &mut self.0 {
            Inner::Subscriber(subscriber) => Some(subscriber),
            Inner::Other(_) => None,
        }
    }
}

/// Takes the value of an `Option<T>`, if `option` is one.
fn take_as<T: 'static>(option: &mut dyn Any) -> Option<T> {
    option.downcast_mut::<Option<T>>()?.take()
}

impl Stream for MessageStream {
    type Item = Result<Delivery, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.0 {
            Inner::Subscriber(subscriber) => Pin::new(&mut **subscriber).poll_next(cx),
            Inner::Other(stream) => stream.as_mut().poll_next(cx),
        }
    }
}

impl fmt::Debug for MessageStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageStream").finish_non_exhaustive()
    }
}

/// Answer of a service to a [`Request`](crate::Request).
///
/// Every response means success: if the peer asked for a receipt, it gets one. To refuse, a service returns an error.
#[non_exhaustive]
pub enum Response {
    /// Success. Valid for every request. As the answer to `CONNECT`, it accepts the peer without a principal.
    Done,
    /// Accepts the peer. Valid for `CONNECT`.
    Connected(Connected),
    /// Sends the items of a stream to the subscription. Valid for `SUBSCRIBE`.
    ///
    /// The stream is polled only while the peer takes what it is sent, and the subscription has credit. It is dropped
    /// when the subscription ends, and the subscription ends when the stream does.
    Observe(MessageStream),
}

impl Response {
    /// Creates a [`Response::Observe`] from a stream of anything that can be delivered.
    pub fn observe<S>(stream: S) -> Response
    where
        S: Stream<Item: IntoDelivery> + Send + 'static,
    {
        Response::Observe(MessageStream::new(stream))
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Response::Done => f.write_str("Done"),
            Response::Connected(connected) => f.debug_tuple("Connected").field(connected).finish(),
            Response::Observe(_) => f.debug_tuple("Observe").finish_non_exhaustive(),
        }
    }
}

/// Answer to `CONNECT` that accepts the peer.
#[derive(Debug, Clone, Default)]
pub struct Connected {
    pub(crate) principal: Option<Principal>,
    pub(crate) headers: Headers,
}

impl Connected {
    /// Creates an answer without a principal and without headers.
    #[must_use]
    pub fn new() -> Connected {
        Connected::default()
    }

    /// Sets the principal of the session.
    #[must_use]
    pub fn with_principal(mut self, principal: Principal) -> Connected {
        self.principal = Some(principal);
        self
    }

    /// Adds a header to `CONNECTED`. The session sets `version` and `heart-beat` itself, and ignores them here.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Connected {
        self.headers.append(name, value);
        self
    }

    /// The principal of the session.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// The headers that are added to `CONNECTED`.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }
}

impl From<Principal> for Connected {
    fn from(principal: Principal) -> Connected {
        Connected::new().with_principal(principal)
    }
}
