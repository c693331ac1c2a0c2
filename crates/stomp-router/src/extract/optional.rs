//! Arguments that may be missing.

use super::{Extension, FromRequest};
use serde::de::DeserializeOwned;
use stomp_session::{ClientError, DisconnectReason, Json, Principal, Request};

/// What can be a handler's argument as an `Option`: where its absence has a meaning, which is not that of an error.
///
/// What is there and is wrong is still an error.
#[diagnostic::on_unimplemented(
    message = "`Option<{Self}>` cannot be a handler's argument",
    note = "absence has a meaning for `Principal`, `Extension<T>`, `Json<T>` and `DisconnectReason`, see `FromRequest`"
)]
pub trait OptionalFromRequest<S>: Sized {
    /// Takes it out of a request, if it is there.
    ///
    /// # Errors
    ///
    /// What the client is told if it is there and wrong.
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
