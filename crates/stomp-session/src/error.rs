//! Errors of the application, and their form for clients.

use crate::destination::InvalidDestination;
use std::{borrow::Cow, error::Error, fmt, sync::Arc};
use thiserror::Error;

/// Any error of a service.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Error that is shown to the client: a code for programs, and a text for people.
///
/// It becomes an `ERROR` frame with the code as its `message` header and the text as its body. By default, an error of
/// another type becomes `internal-error` and is logged.
///
/// ```
/// use stomp_session::ClientError;
///
/// let error = ClientError::new("out-of-stock", "There is none left.");
/// assert_eq!(error.to_string(), "out-of-stock: There is none left.");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientError {
    code: Cow<'static, str>,
    text: Cow<'static, str>,
}

impl ClientError {
    /// Creates an error from a stable code, for programs, and a sentence, for people.
    pub fn new(
        code: impl Into<Cow<'static, str>>,
        text: impl Into<Cow<'static, str>>,
    ) -> ClientError {
        ClientError {
            code: code.into(),
            text: text.into(),
        }
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The sentence.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The error that a client sees in place of an error that is not meant for it.
    #[must_use]
    pub fn internal() -> ClientError {
        ClientError::new("internal-error", "The server failed to handle this frame.")
    }

    /// The error that a client sees if a transaction failed to commit for a reason that is not meant for it.
    pub(crate) fn engine_unavailable() -> ClientError {
        ClientError::new(
            "engine-unavailable",
            "The server did not confirm the transaction. It may or may not have taken effect.",
        )
    }

    /// Maps the error of a service: returns the first `ClientError` in its chain of sources, where an
    /// [`InvalidDestination`] counts as one. If there is none, logs the error and returns [`ClientError::internal`].
    /// This function is the default of [`Config::error_mapper`](crate::Config::error_mapper).
    #[must_use]
    pub fn from_error(error: &(dyn Error + 'static)) -> ClientError {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(shown) = error.downcast_ref::<ClientError>() {
                return shown.clone();
            }
            if let Some(invalid) = error.downcast_ref::<InvalidDestination>() {
                return invalid.clone().into();
            }
            next = error.source();
        }
        tracing::error!(error = %Chain(error), "a handler failed");
        ClientError::internal()
    }
}

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

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.text)
    }
}

impl Error for ClientError {}

impl From<InvalidDestination> for ClientError {
    /// Creates an error with the code `bad-destination`. Its text is the message of `invalid`.
    fn from(invalid: InvalidDestination) -> ClientError {
        ClientError::new("bad-destination", invalid.to_string())
    }
}

/// Error: the client has no subscription to this destination, or its connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the client is not subscribed to this destination")]
pub struct NotSubscribed;

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

/// Displays an error and its sources in one line.
struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}
