//! A handler's arguments, out of a request.

mod path;

pub use path::Path;

use crate::errors::bad_request;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use stomp_frame::Headers;
use stomp_session::{ClientError, Json, Principal, Request, Session};

/// What can be a handler's argument.
///
/// | argument | is |
/// |---|---|
/// | [`Path<T>`](Path) | the pattern's parameters |
/// | [`Json<T>`](Json) | the body, as JSON |
/// | `String`, [`Bytes`] | the body |
/// | [`Headers`] | the frame's headers |
/// | [`State<T>`](State) | the router's state, or a part of it |
/// | [`Session`] | the session that asks |
/// | [`Principal`] | who asks; an error where nobody is known |
///
/// It does not wait: the request is there as a whole. What has to be awaited, such as a look-up of a user, belongs
/// into the handler or a layer.
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

impl<S> FromRequest<S> for Bytes {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        Ok(request.body().clone())
    }
}

impl<S> FromRequest<S> for String {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        match std::str::from_utf8(request.body()) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(bad_request(format!("The body is not UTF-8 from octet {} on.", error.valid_up_to()))),
        }
    }
}

impl<T: DeserializeOwned, S> FromRequest<S> for Json<T> {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        match serde_json::from_slice(request.body()) {
            Ok(value) => Ok(Json(value)),
            Err(error) => Err(bad_request(format!("The body is not the JSON that is expected: {error}."))),
        }
    }
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

impl<S> FromRequest<S> for Principal {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        let principal = request.principal().cloned();
        principal.ok_or_else(|| ClientError::new("login-required", "This needs a login."))
    }
}

/// The router's state, or a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State<T>(pub T);

impl<T: FromRef<S>, S> FromRequest<S> for State<T> {
    fn from_request(_: &Request, state: &S) -> Result<Self, ClientError> {
        Ok(State(T::from_ref(state)))
    }
}

/// What is a part of a state `S`. Every state is a part of itself.
pub trait FromRef<S> {
    /// A copy of the part.
    fn from_ref(state: &S) -> Self;
}

impl<S: Clone> FromRef<S> for S {
    fn from_ref(state: &S) -> S {
        state.clone()
    }
}
