//! Errors of services, and the function that maps them for clients.

pub use crate::client_error::ClientError;

use crate::client_error::Chain;
use std::{error::Error, fmt, sync::Arc};
use thiserror::Error;

/// Any error of a service.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Function that maps the error of a service to the [`ClientError`] that the client sees.
///
/// See [`Config::error_mapper`](crate::Config::error_mapper). Clones share the function.
#[derive(Clone)]
pub struct ErrorMapper(Arc<MapError>);

type MapError = dyn Fn(&(dyn Error + 'static)) -> ClientError + Send + Sync;

impl ErrorMapper {
    /// Wraps a function or a closure.
    pub fn new(
        map: impl Fn(&(dyn Error + 'static)) -> ClientError + Send + Sync + 'static,
    ) -> ErrorMapper {
        ErrorMapper(Arc::new(map))
    }

    /// Calls the function.
    #[must_use]
    pub fn map(&self, error: &(dyn Error + 'static)) -> ClientError {
        (self.0)(error)
    }
}

impl fmt::Debug for ErrorMapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorMapper").finish_non_exhaustive()
    }
}

/// Error: the client has no subscription to this destination, or its session is closing or has ended.
///
/// A client sees it as the [`ClientError`] `not-subscribed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotSubscribed;

/// The form of [`NotSubscribed`] for clients. It is its source, so that [`ClientError::find`] finds it.
static NOT_SUBSCRIBED: ClientError = ClientError::constant(
    "not-subscribed",
    "The session has no subscription for the reply to this frame.",
);

impl fmt::Display for NotSubscribed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client is not subscribed to this destination")
    }
}

impl Error for NotSubscribed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&NOT_SUBSCRIBED)
    }
}

impl From<NotSubscribed> for ClientError {
    /// Creates an error with the code `not-subscribed`.
    fn from(_: NotSubscribed) -> ClientError {
        NOT_SUBSCRIBED.clone()
    }
}

/// Error of [`Session::observe`](crate::Session::observe).
///
/// A client sees it as the [`ClientError`] `not-subscribed` or `too-many-streams`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObserveError {
    /// The client has no subscription to this destination, or its connection is closing.
    NotSubscribed(NotSubscribed),
    /// The subscription has as many streams as [`Config::max_streams`](crate::Config::max_streams) allows.
    #[non_exhaustive]
    TooManyStreams {
        /// The maximum.
        max: usize,
    },
}

/// The form of [`ObserveError::TooManyStreams`] for clients.
static TOO_MANY_STREAMS: ClientError = ClientError::constant(
    "too-many-streams",
    "The subscription has as many streams as the server allows.",
);

impl fmt::Display for ObserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObserveError::NotSubscribed(error) => error.fmt(f),
            ObserveError::TooManyStreams { max } => {
                write!(f, "a subscription has at most {max} streams (max_streams)")
            }
        }
    }
}

impl Error for ObserveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(match self {
            ObserveError::NotSubscribed(_) => &NOT_SUBSCRIBED,
            ObserveError::TooManyStreams { .. } => &TOO_MANY_STREAMS,
        })
    }
}

impl From<NotSubscribed> for ObserveError {
    fn from(error: NotSubscribed) -> ObserveError {
        ObserveError::NotSubscribed(error)
    }
}

/// Error of [`Session::subscribe`](crate::Session::subscribe).
///
/// A client sees it as the [`ClientError`] `not-subscribed`, `too-many-subscriptions`, `duplicate-subscription` or
/// `bad-destination`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The session is closing or has ended.
    Closed,
    /// The session has as many subscriptions as [`Config::max_subscriptions`](crate::Config::max_subscriptions) allows.
    #[non_exhaustive]
    TooManySubscriptions {
        /// The maximum.
        max: usize,
    },
    /// The sessions of the principal have as many subscriptions together as
    /// [`Config::max_subscriptions_per_principal`](crate::Config::max_subscriptions_per_principal) allows.
    #[non_exhaustive]
    TooManyOfPrincipal {
        /// The maximum.
        max: usize,
    },
    /// The client uses the text of the destination as the id of a subscription to another destination.
    DuplicateId,
    /// The destination is longer than [`Config::max_destination_bytes`](crate::Config::max_destination_bytes), or
    /// contains a line end or NUL, which not every version of STOMP can encode.
    #[non_exhaustive]
    BadDestination {
        /// The maximum length in bytes.
        max_bytes: usize,
    },
}

/// The form of [`SubscribeError::TooManySubscriptions`] for clients.
static TOO_MANY_SUBSCRIPTIONS: ClientError = ClientError::constant(
    "too-many-subscriptions",
    "The session has as many subscriptions as the server allows (max_subscriptions).",
);

/// The form of [`SubscribeError::TooManyOfPrincipal`] for clients.
static TOO_MANY_OF_PRINCIPAL: ClientError = ClientError::constant(
    "too-many-subscriptions",
    "The sessions of the user have as many subscriptions as the server allows (max_subscriptions_per_principal).",
);

/// The form of [`SubscribeError::DuplicateId`] for clients.
static DUPLICATE_ID: ClientError = ClientError::constant(
    "duplicate-subscription",
    "The client uses the destination of the expected messages as the id of a subscription to another destination.",
);

/// The form of [`SubscribeError::BadDestination`] for clients.
static BAD_DESTINATION: ClientError = ClientError::constant(
    "bad-destination",
    "A destination is too long for the id of a subscription, or contains a line end or NUL.",
);

impl SubscribeError {
    /// The form of the error for clients. It is its source, so that [`ClientError::find`] finds it.
    fn shown(&self) -> &'static ClientError {
        match self {
            SubscribeError::Closed => &NOT_SUBSCRIBED,
            SubscribeError::TooManySubscriptions { .. } => &TOO_MANY_SUBSCRIPTIONS,
            SubscribeError::TooManyOfPrincipal { .. } => &TOO_MANY_OF_PRINCIPAL,
            SubscribeError::DuplicateId => &DUPLICATE_ID,
            SubscribeError::BadDestination { .. } => &BAD_DESTINATION,
        }
    }
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SubscribeError::Closed => f.write_str("the session is closing or has ended"),
            SubscribeError::TooManySubscriptions { max } => {
                write!(
                    f,
                    "a session has at most {max} subscriptions (max_subscriptions)"
                )
            }
            SubscribeError::TooManyOfPrincipal { max } => {
                write!(
                    f,
                    "the sessions of a principal have at most {max} subscriptions together \
                     (max_subscriptions_per_principal)"
                )
            }
            SubscribeError::DuplicateId => f.write_str(
                "the text of the destination is the id of a subscription to another destination",
            ),
            SubscribeError::BadDestination { max_bytes } => write!(
                f,
                "the destination of a subscription without a SUBSCRIBE has at most {max_bytes} bytes \
                 (max_destination_bytes), and neither a line end nor NUL"
            ),
        }
    }
}

impl Error for SubscribeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.shown())
    }
}

impl From<SubscribeError> for ClientError {
    fn from(error: SubscribeError) -> ClientError {
        error.shown().clone()
    }
}

/// Error of [`Session::error`](crate::Session::error): as many errors as allowed wait already until the client reads.
///
/// A client sees it as the [`ClientError`] `too-many-errors`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooManyErrors;

/// The form of [`TooManyErrors`] for clients.
static TOO_MANY_ERRORS: ClientError = ClientError::constant(
    "too-many-errors",
    "Too many errors wait to be sent to this client.",
);

impl fmt::Display for TooManyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("at most 64 errors with 64 KiB wait to be sent to a client")
    }
}

impl Error for TooManyErrors {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&TOO_MANY_ERRORS)
    }
}

/// Error: a service or a stream panicked. The panic hook has already reported the panic itself.
#[derive(Debug, Error)]
#[error("a handler or a stream panicked")]
pub(crate) struct HandlerPanicked;

/// Error: [`Requests`](crate::Requests) was dropped, so that no request can be handled.
#[derive(Debug, Error)]
#[error("`Requests` was dropped, so that no request can be handled")]
pub(crate) struct RequestsDropped;

/// Error: a [`Responder`](crate::Responder) was dropped without an answer.
#[derive(Debug, Error)]
#[error("a `Responder` was dropped without an answer")]
pub(crate) struct ResponderDropped;

/// Error: a future of a transaction failed after an earlier one had succeeded. The cause is not its source: it may say
/// that the transaction is refused, which is true only of a part.
#[derive(Debug, Error)]
#[error("a part of a transaction is committed, and another failed: {}", Chain(&**.0))]
pub(crate) struct PartlyCommitted(pub(crate) BoxError);
