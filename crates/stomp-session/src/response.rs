//! What a peer is answered.

use crate::{
    delivery::{Delivery, IntoDelivery},
    error::BoxError,
    principal::Principal,
};
use futures_core::Stream;
use futures_util::StreamExt;
use std::{fmt, pin::Pin};
use stomp_frame::Headers;

/// The messages of a subscription. An error ends it, and is told.
pub type MessageStream = Pin<Box<dyn Stream<Item = Result<Delivery, BoxError>> + Send>>;

/// A service's answer to a [`Request`](crate::Request).
///
/// Any answer is success: where the peer asked for a receipt it gets one. To refuse, a service returns an error.
#[non_exhaustive]
pub enum Response {
    /// It is done. The answer to any request.
    Done,
    /// The peer is let in. An answer to `CONNECT`.
    Connected(Connected),
    /// These messages are the subscription's. An answer to `SUBSCRIBE`.
    ///
    /// The stream is polled only while the peer takes what it is sent, and dropped when the subscription ends. When
    /// the stream ends, the subscription does.
    Observe(MessageStream),
}

impl Response {
    /// The items of a stream as the messages of a subscription, see [`Response::Observe`].
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

/// How a peer is let in.
#[derive(Debug, Clone, Default)]
pub struct Connected {
    pub(crate) principal: Option<Principal>,
    pub(crate) headers: Headers,
}

impl Connected {
    /// Lets the peer in, without a name.
    #[must_use]
    pub fn new() -> Connected {
        Connected::default()
    }

    /// Names the peer.
    #[must_use]
    pub fn with_principal(mut self, principal: Principal) -> Connected {
        self.principal = Some(principal);
        self
    }

    /// Adds a header to `CONNECTED`. `version` and `heart-beat` are set by the session.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Connected {
        self.headers.append(name, value);
        self
    }

    /// The peer's name.
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
