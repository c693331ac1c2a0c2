//! JSON bodies.

use crate::{
    error::BoxError,
    message::{IntoMessage, Message},
};
use serde::Serialize;

/// A value that travels as JSON, with `content-type:application/json`.
///
/// As a message it is written when it is sent; as a handler's argument it is read from the request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoMessage for Json<T> {
    fn into_message(self) -> Result<Message, BoxError> {
        Ok(Message::new(serde_json::to_vec(&self.0)?)
            .with_header("content-type", "application/json"))
    }
}
