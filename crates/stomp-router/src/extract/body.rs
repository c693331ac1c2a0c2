//! The body of a frame as a handler argument.

use super::FromRequestParts;
use crate::client_errors::{UnavailableArgument, bad_request};
use bytes::Bytes;
use bytestring::ByteString;
use serde::de::DeserializeOwned;
use std::str::Utf8Error;
use stomp_session::{BoxError, ClientError, Json, Request};

impl<S: Sync> FromRequestParts<S> for Bytes {
    const IS_IMMEDIATE: bool = true;

    async fn from_request_parts(request: &Request, _: &S) -> Result<Self, BoxError> {
        Ok(request.body().clone())
    }
}

impl<S: Sync> FromRequestParts<S> for ByteString {
    const IS_IMMEDIATE: bool = true;

    async fn from_request_parts(request: &Request, _: &S) -> Result<Self, BoxError> {
        let body = request.body().clone();
        Ok(ByteString::try_from(body).map_err(not_utf8)?)
    }
}

impl<S: Sync> FromRequestParts<S> for String {
    const IS_IMMEDIATE: bool = true;

    async fn from_request_parts(request: &Request, _: &S) -> Result<Self, BoxError> {
        let text = std::str::from_utf8(request.body()).map_err(not_utf8)?;
        Ok(text.to_owned())
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Json<T> {
    const IS_IMMEDIATE: bool = true;

    async fn from_request_parts(request: &Request, _: &S) -> Result<Self, BoxError> {
        match serde_json::from_slice(request.body()) {
            Ok(value) => Ok(Json(value)),
            Err(_) if request.body().is_empty() && !request.command().allows_body() => {
                let reason = format!("a {} frame has no body", request.command());
                Err(UnavailableArgument::new::<Self>(reason).into())
            }
            Err(error) => Err(invalid_json::<T>(request.body(), &error).into()),
        }
    }
}

fn not_utf8(error: Utf8Error) -> ClientError {
    let at = error.valid_up_to();
    bad_request(&format!("The body is not valid UTF-8 at byte {at}."))
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
