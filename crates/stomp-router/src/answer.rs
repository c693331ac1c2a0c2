//! What handlers return, by command: a trait for each, so that an answer in the wrong place does not compile.

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream;
use stomp_session::{BoxError, Connected, IntoDelivery, IntoMessage, Json, Message, Principal, Response};

/// What a connect handler returns.
#[diagnostic::on_unimplemented(
    message = "a connect handler cannot return `{Self}`",
    note = "it returns `()`, a `Principal`, a `Connected`, or a `Result` of these"
)]
pub trait ConnectAnswer {
    /// The service's response.
    ///
    /// # Errors
    ///
    /// The handler's.
    fn into_response(self) -> Result<Response, BoxError>;
}

/// What handlers of `SEND`, `UNSUBSCRIBE` and `DISCONNECT` return.
#[diagnostic::on_unimplemented(
    message = "a handler of SEND, UNSUBSCRIBE or DISCONNECT cannot return `{Self}`",
    note = "it returns `()`, or a `Result` of it"
)]
pub trait SendAnswer {
    /// The service's response.
    ///
    /// # Errors
    ///
    /// The handler's.
    fn into_response(self) -> Result<Response, BoxError>;
}

/// What a subscribe handler returns.
#[diagnostic::on_unimplemented(
    message = "a subscribe handler cannot return `{Self}`",
    note = "it returns `()`, one message (`String`, `Bytes`, `Json`, `Message`), `Observe(stream)`, or a `Result` of these"
)]
pub trait SubscribeAnswer {
    /// The service's response.
    ///
    /// # Errors
    ///
    /// The handler's.
    fn into_response(self) -> Result<Response, BoxError>;
}

/// A stream as a subscription: each item is sent as a message.
///
/// Items are anything that is [`IntoDelivery`]: what can be sent as a message, a `Delivery`, or a `Result` of it, whose error ends the subscription. The stream is
/// polled only while the client takes what it is sent, and dropped when the subscription ends.
#[derive(Debug, Clone, Copy)]
pub struct Observe<S>(pub S);

impl<S> SubscribeAnswer for Observe<S>
where
    S: Stream<Item: IntoDelivery> + Send + 'static,
{
    fn into_response(self) -> Result<Response, BoxError> {
        Ok(Response::observe(self.0))
    }
}

impl ConnectAnswer for Principal {
    fn into_response(self) -> Result<Response, BoxError> {
        Ok(Response::Connected(self.into()))
    }
}

impl ConnectAnswer for Connected {
    fn into_response(self) -> Result<Response, BoxError> {
        Ok(Response::Connected(self))
    }
}

/// Answers that say no more than that it is done, and results.
macro_rules! plain {
    ($($answer:ident),*) => {$(
        impl $answer for () {
            fn into_response(self) -> Result<Response, BoxError> {
                Ok(Response::Done)
            }
        }

        impl<T: $answer, E: Into<BoxError>> $answer for Result<T, E> {
            fn into_response(self) -> Result<Response, BoxError> {
                self.map_err(Into::into)?.into_response()
            }
        }
    )*};
}

plain!(ConnectAnswer, SendAnswer, SubscribeAnswer);

/// One message, then the end of the subscription.
fn one(message: impl IntoMessage) -> Result<Response, BoxError> {
    Ok(Response::observe(stream::iter([message.into_message()?])))
}

impl<T: serde::Serialize> SubscribeAnswer for Json<T> {
    fn into_response(self) -> Result<Response, BoxError> {
        one(self)
    }
}

impl SubscribeAnswer for Message {
    fn into_response(self) -> Result<Response, BoxError> {
        one(self)
    }
}

impl SubscribeAnswer for String {
    fn into_response(self) -> Result<Response, BoxError> {
        one(self)
    }
}

impl SubscribeAnswer for Bytes {
    fn into_response(self) -> Result<Response, BoxError> {
        one(self)
    }
}
