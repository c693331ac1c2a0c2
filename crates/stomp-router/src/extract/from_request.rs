//! The trait of handler arguments, and the arguments that are clones of a part of the request.

use crate::client_errors::{login_required, missing_argument};
use stomp_frame::Headers;
use stomp_session::{ClientError, DisconnectReason, Peer, Principal, Request, Session};

/// A type that can be a handler argument. It is also called an extractor.
///
/// | argument | value | in an `Option`, it is `None` |
/// |---|---|---|
/// | [`Path<T>`](crate::Path) | parameters of the pattern | – |
/// | [`Json<T>`](crate::Json) | body, deserialized from JSON | if the body is empty |
/// | `String`, [`Bytes`](bytes::Bytes) | body | – |
/// | [`Headers`] | headers of the frame | – |
/// | [`State<T>`](crate::State) | state of the router, or a part of it | – |
/// | [`Extension<T>`](crate::Extension) | value inserted by a layer | if no layer has inserted one |
/// | [`Session`] | session that sent the frame | – |
/// | [`Principal`] | user of the session; otherwise the error `login-required` | if the client has not logged in |
/// | [`Peer`] | other end of the connection, with the head of its HTTP request | – |
/// | [`DisconnectReason`] | reason for the end of the session, in disconnect handlers | in other handlers |
///
/// If an argument cannot be taken from what the client has sent, the handler is not called and the client gets the error
/// `bad-request`. Its text names the place: the parameter of the destination, or the field of the JSON.
///
/// Extraction is not async, since the whole request is available. Do async work, such as a database query, in the
/// handler or in a layer.
///
/// The following code implements an extractor:
///
/// ```
/// use stomp_router::{FromRequest, Router};
/// use stomp_session::{ClientError, Request};
///
/// struct Priority(u8);
///
/// impl<S> FromRequest<S> for Priority {
///     fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
///         let text = request.headers().get("priority").unwrap_or("4");
///         let invalid = |_| ClientError::new("bad-request", "The header \"priority\" must be a number from 0 to 255.");
///         text.parse().map(Priority).map_err(invalid)
///     }
/// }
///
/// async fn post(Priority(_priority): Priority, _text: String) {}
///
/// let router: Router = Router::new().send("/posts", post);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a handler's argument",
    note = "see the table in the documentation of `FromRequest`; for state, write `State<{Self}>`"
)]
pub trait FromRequest<S>: Sized {
    /// Takes the value from a request.
    ///
    /// # Errors
    ///
    /// Returns the error that the client gets if the value is absent or invalid.
    fn from_request(request: &Request, state: &S) -> Result<Self, ClientError>;
}

impl<S> FromRequest<S> for Headers {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        Ok(request.headers().clone())
    }
}

impl<S> FromRequest<S> for Session {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        Ok(request.session().clone())
    }
}

/// Clones the whole head of the HTTP request. To avoid this, take [`Session`] and borrow [`Session::peer`].
impl<S> FromRequest<S> for Peer {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        Ok(request.peer().clone())
    }
}

impl<S> FromRequest<S> for Principal {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        let principal = request.principal().cloned();
        principal.ok_or_else(login_required)
    }
}

impl<S> FromRequest<S> for DisconnectReason {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        request
            .reason()
            .ok_or_else(|| missing_argument("DisconnectReason", "the request is not a DISCONNECT"))
    }
}
