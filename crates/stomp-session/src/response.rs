//! The answers of a service.

use crate::{
    delivery::{Delivery, IntoDelivery},
    error::BoxError,
    principal::Principal,
};
use futures_core::Stream;
use futures_util::StreamExt;
use std::{fmt, pin::Pin};
use stomp_frame::Headers;

/// Stream of messages for a subscription. An error is reported to the peer and ends the subscription.
pub type MessageStream = Pin<Box<dyn Stream<Item = Result<Delivery, BoxError>> + Send>>;

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
        Response::Observe(Box::pin(stream.map(IntoDelivery::into_delivery)))
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
