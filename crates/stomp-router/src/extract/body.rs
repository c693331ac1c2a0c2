//! The body as an argument.

use super::FromRequest;
use crate::map_error::bad_request;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use stomp_session::{ClientError, Json, Request};

impl<S> FromRequest<S> for Bytes {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        Ok(request.body().clone())
    }
}

impl<S> FromRequest<S> for String {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        match std::str::from_utf8(request.body()) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(bad_request(&format!(
                "The body is not UTF-8 from byte {} on.",
                error.valid_up_to()
            ))),
        }
    }
}

impl<T: DeserializeOwned, S> FromRequest<S> for Json<T> {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        match serde_json::from_slice(request.body()) {
            Ok(value) => Ok(Json(value)),
            Err(error) => Err(rejection::<T>(request.body(), &error)),
        }
    }
}

/// Says in which field the error is, for which the body is read once more: only those who send bad JSON pay for it.
fn rejection<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> ClientError {
    let again: Result<T, _> =
        serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body));
    let field = again
        .err()
        .map(|error| error.path().to_string())
        .filter(|path| path != ".");
    let field = field.map_or_else(String::new, |path| format!(", at {path}"));
    bad_request(&format!(
        "The body is not the JSON that is expected{field}: {error}."
    ))
}
