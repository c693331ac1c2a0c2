//! A handler's arguments, out of a request.

mod body;
mod extension;
mod optional;
mod path;
mod state;

pub use extension::Extension;
pub use optional::OptionalFromRequest;
pub use path::Path;
pub use state::{FromRef, State};

use crate::map_error::missing;
use stomp_frame::Headers;
use stomp_session::{ClientError, DisconnectReason, Peer, Principal, Request, Session};

/// What can be a handler's argument.
///
/// | argument | is | `Option` of it is `None` |
/// |---|---|---|
/// | [`Path<T>`](Path) | the pattern's parameters | |
/// | [`Json<T>`](crate::Json) | the body, as JSON | for an empty body |
/// | `String`, [`Bytes`](bytes::Bytes) | the body | |
/// | [`Headers`] | the frame's headers | |
/// | [`State<T>`](State) | the router's state, or a part of it | |
/// | [`Extension<T>`](Extension) | what a layer has added | where none has |
/// | [`Session`] | the session that asks | |
/// | [`Principal`] | who asks; an error where nobody is known | where nobody is known |
/// | [`Peer`] | the other end of the connection, with the head of its HTTP request | |
/// | [`DisconnectReason`] | why the session ends, for `DISCONNECT` | for other commands |
///
/// Where one cannot be had from what the client has sent, the client gets the error `bad-request`, which says where the
/// trouble is: which parameter of the destination, which field of the JSON.
///
/// It does not wait: the request is there as a whole. What has to be awaited, such as a look-up of a user, belongs
/// into the handler or a layer. An argument of your own:
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
///         let wrong = |_| ClientError::new("bad-request", "The header \"priority\" is no number up to 255.");
///         text.parse().map(Priority).map_err(wrong)
///     }
/// }
///
/// async fn post(Priority(_priority): Priority, _text: String) {}
///
/// let router: Router = Router::new().send("/posts", post);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a handler's argument",
    note = "see the table at `FromRequest`; for state, write `State<{Self}>`"
)]
pub trait FromRequest<S>: Sized {
    /// Takes it out of a request.
    ///
    /// # Errors
    ///
    /// What the client is told if it is not there.
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

/// A copy, with the whole head of the HTTP request. [`Session::peer`] lends it.
impl<S> FromRequest<S> for Peer {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        Ok(request.peer().clone())
    }
}

impl<S> FromRequest<S> for Principal {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        let principal = request.principal().cloned();
        principal.ok_or_else(|| ClientError::new("login-required", "This needs a login."))
    }
}

impl<S> FromRequest<S> for DisconnectReason {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        request
            .reason()
            .ok_or_else(|| missing("the reason of a DISCONNECT", "this is another frame"))
    }
}
