//! What a client is told when something goes wrong.

use std::{borrow::Cow, error::Error, fmt, sync::Arc};
use thiserror::Error;

/// Any error of a service.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// An error that the client is shown: the one way for a handler's own words to reach it.
///
/// It becomes an `ERROR` frame with the code as its `message` header and the text as its body. Any other error is
/// shown as `internal-error`, and logged.
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
    /// An error with a stable code, by which programs know it, and a sentence for people.
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

    /// What a client is shown of an error that is not meant for it.
    #[must_use]
    pub fn internal() -> ClientError {
        ClientError::new("internal-error", "The server failed to handle this frame.")
    }

    /// The default of [`Config::error_mapper`](crate::Config::error_mapper): a `ClientError` anywhere in the chain of sources
    /// is shown as it is, anything else as `internal-error`.
    #[must_use]
    pub fn from_error(error: &(dyn Error + 'static)) -> ClientError {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(shown) = error.downcast_ref::<ClientError>() {
                return shown.clone();
            }
            next = error.source();
        }
        tracing::error!(error = %Chain(error), "a handler failed");
        ClientError::internal()
    }
}

/// Function that turns the error of a service into the [`ClientError`] that the client gets.
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

/// The client has no subscription to this destination, or is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the client is not subscribed to this destination")]
pub struct NotSubscribed;

/// A handler panicked. The panic itself went to the panic hook.
#[derive(Debug, Error)]
#[error("a handler panicked")]
pub(crate) struct Panicked;

/// [`Requests`](crate::Requests) was dropped.
#[derive(Debug, Error)]
#[error("nobody handles requests any more")]
pub(crate) struct NobodyAsks;

/// A handler gave no answer.
#[derive(Debug, Error)]
#[error("a responder was dropped without an answer")]
pub(crate) struct Unanswered;

/// An error and its sources, in one line.
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
