//! Handler arguments that may be absent.

use super::{Extension, FromRequestParts};
use serde::de::DeserializeOwned;
use stomp_session::{BoxError, DisconnectReason, Json, Principal, Request};

/// A type that can be a handler argument as an `Option`, because its absence is not an error.
///
/// A value that is present but invalid is still an error.
#[diagnostic::on_unimplemented(
    message = "`Option<{Self}>` cannot be a handler's argument",
    note = "`Principal`, `Extension<T>`, `Json<T>` and `DisconnectReason` can be optional, see `FromRequestParts`"
)]
pub trait OptionalFromRequestParts<S>: Sized {
    /// See [`FromRequestParts::IS_IMMEDIATE`].
    #[doc(hidden)]
    const IS_IMMEDIATE: bool = false;

    /// Takes the value from a request, or returns `None` if it is absent.
    ///
    /// # Errors
    ///
    /// Returns an error if the value is present but invalid. The client sees it if it is a
    /// [`ClientError`](stomp_session::ClientError).
    fn from_request_parts(
        request: &Request,
        state: &S,
    ) -> impl Future<Output = Result<Option<Self>, BoxError>> + Send;
}

impl<T: OptionalFromRequestParts<S>, S: Sync> FromRequestParts<S> for Option<T> {
    const IS_IMMEDIATE: bool = T::IS_IMMEDIATE;

    fn from_request_parts(
        request: &Request,
        state: &S,
    ) -> impl Future<Output = Result<Self, BoxError>> + Send {
        T::from_request_parts(request, state)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Principal {
    const IS_IMMEDIATE: bool = true;

    async fn from_request_parts(request: &Request, _: &S) -> Result<Option<Self>, BoxError> {
        Ok(request.principal().cloned())
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for DisconnectReason {
    const IS_IMMEDIATE: bool = true;

    async fn from_request_parts(request: &Request, _: &S) -> Result<Option<Self>, BoxError> {
        Ok(request.reason())
    }
}

impl<T: Clone + Send + Sync + 'static, S: Sync> OptionalFromRequestParts<S> for Extension<T> {
    const IS_IMMEDIATE: bool = true;

    async fn from_request_parts(request: &Request, _: &S) -> Result<Option<Self>, BoxError> {
        Ok(request.extensions().get().cloned().map(Extension))
    }
}

impl<T: DeserializeOwned, S: Sync> OptionalFromRequestParts<S> for Json<T> {
    const IS_IMMEDIATE: bool = true;

    async fn from_request_parts(request: &Request, state: &S) -> Result<Option<Self>, BoxError> {
        if request.body().is_empty() {
            Ok(None)
        } else {
            let value = <Self as FromRequestParts<S>>::from_request_parts(request, state).await?;
            Ok(Some(value))
        }
    }
}
