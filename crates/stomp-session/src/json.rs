//! JSON bodies.

use crate::{
    error::BoxError,
    message::{IntoMessage, Message},
};
use serde::Serialize;

/// A value that is sent or received as a JSON body, with `content-type:application/json`.
///
/// As a message, it is serialized when it is sent. As an argument of a handler, it is deserialized from the body of the
/// request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoMessage for Json<T> {
    fn into_message(self) -> Result<Message, BoxError> {
        Ok(Message::new(serde_json::to_vec(&self.0)?)
            .with_header("content-type", "application/json"))
    }
}
