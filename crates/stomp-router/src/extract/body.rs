//! The body of a frame as a handler argument.

use super::FromRequest;
use crate::client_errors::bad_request;
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
                "The body is not valid UTF-8 at byte {}.",
                error.valid_up_to()
            ))),
        }
    }
}

impl<T: DeserializeOwned, S> FromRequest<S> for Json<T> {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        match serde_json::from_slice(request.body()) {
            Ok(value) => Ok(Json(value)),
            Err(error) => Err(invalid_json::<T>(request.body(), &error)),
        }
    }
}

/// The error for a body that cannot be deserialized. Its text names the invalid field.
///
/// To find the field, this function deserializes the body again and tracks the path to each field. Valid bodies are
/// deserialized only once, without the cost of tracking.
fn invalid_json<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> ClientError {
    let tracked: Result<T, _> =
        serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body));
    let field = tracked
        .err()
        .map(|error| error.path().to_string())
        .filter(|path| path != ".");
    let field = field.map_or_else(String::new, |path| format!(", at {path}"));
    bad_request(&format!(
        "The body is not the expected JSON{field}: {error}."
    ))
}
