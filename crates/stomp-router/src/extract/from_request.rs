//! The traits of handler arguments, and the arguments that are clones of a part of the request.

use crate::client_errors::{UnavailableArgument, login_required};
use stomp_frame::{Command, Headers};
use stomp_session::{BoxError, DisconnectReason, Peer, Principal, Request, Session, Sessions};

/// A type that can be a handler argument, at any place. It is also called an extractor.
///
/// | argument | value | in an `Option`, it is `None` |
/// |---|---|---|
/// | [`Path<T>`](crate::Path) | parameters of the pattern | – |
/// | [`Json<T>`](crate::Json) | body, deserialized from JSON | if the body is empty |
/// | [`Bytes`](bytes::Bytes), [`ByteString`](bytestring::ByteString) | body, not copied | – |
/// | `String` | copy of the body | – |
/// | [`Headers`] | headers of the frame | – |
/// | [`State<T>`](crate::State) | state of the router, or a part of it | – |
/// | [`Extension<T>`](crate::Extension) | value inserted by a layer | if no layer has inserted one |
/// | [`Session`] | session that sent the frame | – |
/// | [`Sessions`] | registry of connected sessions | – |
/// | [`Principal`] | user of the session; otherwise the error `login-required` | if the client has not logged in |
/// | [`Peer`] | other end of the connection, with the head of its HTTP request | – |
/// | [`DisconnectReason`] | reason for the end of the session, in disconnect handlers | in other handlers |
/// | [`Request`] | the whole request; only as the last argument, see [`FromRequest`] | – |
///
/// Arguments are taken from left to right, and the body can be taken more than once. If one of them returns an error,
/// the handler is not called.
///
/// If the client has sent something invalid, it gets the error `bad-request`. The text names the parameter of the
/// destination, or the field of the JSON. If an argument can never be taken, for example because the pattern has fewer
/// parameters than a `Path` expects, that is a mistake of the application: the client gets `internal-error`, and the
/// log names the argument, the handler and the route.
///
/// # Extractors of your own
///
/// The method may wait, for example for a database. The client sees the error only if it is a
/// [`ClientError`](stomp_session::ClientError), as with errors of handlers.
///
/// ```
/// use stomp_router::{FromRef, FromRequestParts, Router};
/// use stomp_session::{BoxError, ClientError, Principal, Request};
///
/// #[derive(Clone)]
/// struct Database;
///
/// impl Database {
///     async fn customer(&self, name: &str) -> Result<Option<u32>, std::io::Error> {
///         // …
/// #       Ok(Some(name.len() as u32))
///     }
/// }
///
/// struct Customer(u32);
///
/// impl<S: Sync> FromRequestParts<S> for Customer
/// where
///     Database: FromRef<S>,
/// {
///     async fn from_request_parts(request: &Request, state: &S) -> Result<Self, BoxError> {
///         let principal = Principal::from_request_parts(request, state).await?;
///         let customer = Database::from_ref(state).customer(principal.name()).await?;
///         let unknown = || ClientError::new("no-customer", "Register as a customer first.");
///         Ok(Customer(customer.ok_or_else(unknown)?))
///     }
/// }
///
/// async fn order(Customer(_id): Customer, _article: String) {}
///
/// let router: Router = Router::new().send("/orders", order).with_state(Database);
/// ```
///
/// An extractor that depends on one state type needs no type parameter: `impl FromRequestParts<Database> for Customer`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a handler's argument",
    note = "see the table in the documentation of `FromRequestParts`; for state, write `State<{Self}>`"
)]
pub trait FromRequestParts<S>: Sized {
    /// True if the future completes when it is first polled. Handlers with only such arguments are called without the
    /// cost of waiting for them.
    #[doc(hidden)]
    const IS_IMMEDIATE: bool = false;

    /// Takes the value from a request.
    ///
    /// # Errors
    ///
    /// Returns an error if the value is absent or invalid. The client sees it if it is a
    /// [`ClientError`](stomp_session::ClientError).
    fn from_request_parts(
        request: &Request,
        state: &S,
    ) -> impl Future<Output = Result<Self, BoxError>> + Send;
}

/// A type that can be the last argument of a handler: it consumes the request.
///
/// Every [`FromRequestParts`] is also a `FromRequest`. Implement this trait only for a type that takes something out of
/// the request. `M` tells both kinds apart, and is inferred.
///
/// [`Request`] implements it, so a handler can take the whole request, and pass it on:
///
/// ```
/// use stomp_router::{Router, Routes, State};
/// use stomp_session::{BoxError, ClientError, Request, Response};
/// use tower::ServiceExt;
///
/// async fn check(State(archive): State<Routes>, request: Request) -> Result<Response, BoxError> {
///     if request.body().is_empty() {
///         return Err(ClientError::new("empty", "The message is empty.").into());
///     }
///     archive.oneshot(request).await
/// }
///
/// async fn keep(_text: String) {}
///
/// # fn main() -> Result<(), stomp_router::RouteErrors> {
/// let archive = Router::new().send("/notes", keep).build()?;
/// let router: Router = Router::new().send("/notes", check).with_state(archive);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a handler's argument",
    note = "see the table in the documentation of `FromRequestParts`; for state, write `State<{Self}>`"
)]
pub trait FromRequest<S, M = ViaRequest>: Sized {
    /// See [`FromRequestParts::IS_IMMEDIATE`].
    #[doc(hidden)]
    const IS_IMMEDIATE: bool = false;

    /// Takes the value from a request.
    ///
    /// # Errors
    ///
    /// Returns an error as [`FromRequestParts::from_request_parts`] does.
    fn from_request(
        request: Request,
        state: &S,
    ) -> impl Future<Output = Result<Self, BoxError>> + Send;
}

/// Marker of the types that implement [`FromRequest`] themselves.
#[derive(Debug)]
pub enum ViaRequest {}

/// Marker of the types that are [`FromRequest`] because they are [`FromRequestParts`].
#[derive(Debug)]
pub enum ViaParts {}

impl<T: FromRequestParts<S>, S: Sync> FromRequest<S, ViaParts> for T {
    const IS_IMMEDIATE: bool = T::IS_IMMEDIATE;

    async fn from_request(request: Request, state: &S) -> Result<Self, BoxError> {
        T::from_request_parts(&request, state).await
    }
}

impl<S: Sync> FromRequest<S> for Request {
    const IS_IMMEDIATE: bool = true;

    async fn from_request(request: Request, _: &S) -> Result<Self, BoxError> {
        Ok(request)
    }
}

impl<S: Sync> FromRequestParts<S> for Headers {
    const IS_IMMEDIATE: bool = true;

    async fn from_request_parts(request: &Request, _: &S) -> Result<Self, BoxError> {
        Ok(request.headers().clone())
    }
}

impl<S: Sync> FromRequestParts<S> for Session {
    const IS_IMMEDIATE: bool = true;

    async fn from_request_parts(request: &Request, _: &S) -> Result<Self, BoxError> {
        Ok(request.session().clone())
    }
}

impl<S: Sync> FromRequestParts<S> for Sessions {
    const IS_IMMEDIATE: bool = true;

    async fn from_request_parts(request: &Request, _: &S) -> Result<Self, BoxError> {
        Ok(request.session().sessions())
    }
}

/// Clones the whole head of the HTTP request. To avoid this, take [`Session`] and borrow [`Session::peer`].
impl<S: Sync> FromRequestParts<S> for Peer {
    const IS_IMMEDIATE: bool = true;

    async fn from_request_parts(request: &Request, _: &S) -> Result<Self, BoxError> {
        Ok(request.peer().clone())
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    const IS_IMMEDIATE: bool = true;

    async fn from_request_parts(request: &Request, _: &S) -> Result<Self, BoxError> {
        match (request.principal(), request.command()) {
            (Some(principal), _) => Ok(principal.clone()),
            (None, Command::Connect | Command::Stomp) => {
                let reason = "the connect handler returns it, so CONNECT has none yet";
                Err(UnavailableArgument::new::<Self>(reason).into())
            }
            (None, _) => Err(login_required().into()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for DisconnectReason {
    const IS_IMMEDIATE: bool = true;

    async fn from_request_parts(request: &Request, _: &S) -> Result<Self, BoxError> {
        let missing = || UnavailableArgument::new::<Self>("the request is not a DISCONNECT");
        Ok(request.reason().ok_or_else(missing)?)
    }
}
