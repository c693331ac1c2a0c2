//! Handler arguments that may be absent.

use super::{Extension, FromRequest};
use serde::de::DeserializeOwned;
use stomp_session::{ClientError, DisconnectReason, Json, Principal, Request};

/// A type that can be a handler argument as an `Option`, because its absence is not an error.
///
/// A value that is present but invalid is still an error.
#[diagnostic::on_unimplemented(
    message = "`Option<{Self}>` cannot be a handler's argument",
    note = "`Principal`, `Extension<T>`, `Json<T>` and `DisconnectReason` can be optional, see `FromRequest`"
)]
pub trait OptionalFromRequest<S>: Sized {
    /// Takes the value from a request, or returns `None` if it is absent.
    ///
    /// # Errors
    ///
    /// Returns the error that the client gets if the value is present but invalid.
    fn from_request(request: &Request, state: &S) -> Result<Option<Self>, ClientError>;
}

impl<T: OptionalFromRequest<S>, S> FromRequest<S> for Option<T> {
    fn from_request(request: &Request, state: &S) -> Result<Self, ClientError> {
        T::from_request(request, state)
    }
}

impl<S> OptionalFromRequest<S> for Principal {
    fn from_request(request: &Request, _: &S) -> Result<Option<Self>, ClientError> {
        Ok(request.principal().cloned())
    }
}

impl<S> OptionalFromRequest<S> for DisconnectReason {
    fn from_request(request: &Request, _: &S) -> Result<Option<Self>, ClientError> {
        Ok(request.reason())
    }
}

impl<T: Clone + Send + Sync + 'static, S> OptionalFromRequest<S> for Extension<T> {
    fn from_request(request: &Request, _: &S) -> Result<Option<Self>, ClientError> {
        Ok(request.extensions().get().cloned().map(Extension))
    }
}

impl<T: DeserializeOwned, S> OptionalFromRequest<S> for Json<T> {
    fn from_request(request: &Request, state: &S) -> Result<Option<Self>, ClientError> {
        if request.body().is_empty() {
            Ok(None)
        } else {
            FromRequest::from_request(request, state).map(Some)
        }
    }
}
