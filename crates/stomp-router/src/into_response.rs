//! Conversion of a handler's return value into the response to its request.
//!
//! There is one trait for each kind of command, so that a return value which does not fit the command does not compile.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use stomp_session::{
    BoxError, ClientError, Connected, IntoMessage, Json, Message, Principal, Request, Response,
};

/// A return value of a connect handler.
///
/// Implemented for `()`, [`Principal`], [`Connected`], the [`Response`] of another service, and a `Result` of these with
/// any error.
#[diagnostic::on_unimplemented(
    message = "a connect handler cannot return `{Self}`",
    note = "it can return `()`, a `Principal`, a `Connected`, or a `Result` of these"
)]
pub trait IntoConnectResponse {
    /// Converts the value into the service's response.
    ///
    /// # Errors
    ///
    /// Returns the handler's error.
    fn into_response(self) -> Result<Response, BoxError>;
}

/// A return value of a handler for `SEND`, `UNSUBSCRIBE` or `DISCONNECT`.
///
/// Implemented for `()`, for [`Reply`](crate::Reply) (`SEND` only), for the [`Response`] of another service, and for a
/// `Result` of these with any error.
#[diagnostic::on_unimplemented(
    message = "a handler of SEND, UNSUBSCRIBE or DISCONNECT cannot return `{Self}`",
    note = "it can return `()`, for SEND also `Reply(value)`, or a `Result` of these"
)]
pub trait IntoSendResponse: Sized {
    /// The parts of the request that the conversion needs: `()` for every type except replies.
    type Context: Send + 'static;

    /// Extracts the [`Context`](IntoSendResponse::Context) from the request, before the handler is called.
    ///
    /// # Errors
    ///
    /// Returns an error if the request lacks a part. The client gets this error, and the handler is not called, because
    /// its reply could not be sent.
    fn context(request: &Request) -> Result<Self::Context, ClientError>;

    /// Converts the value into the service's response.
    ///
    /// # Errors
    ///
    /// Returns the handler's error, or an error if the reply cannot be sent.
    fn into_response(self, context: Self::Context) -> Result<Response, BoxError>;
}

/// A return value of a subscribe handler.
///
/// | value | messages | the subscription |
/// |---|---|---|
/// | `()` | none | stays open |
/// | `String`, [`Bytes`], [`Json`], [`Message`] | one | stays open |
/// | [`Observe`](crate::Observe) | the items of a stream | ends when the stream ends |
/// | [`Response`] of another service | those of the response | as the response says |
/// | `Result` of these, with any error | those of the value | an error refuses it |
///
/// The session can send more messages to a subscription that is open, for example with
/// [`Session::message`](stomp_session::Session::message). STOMP has no frame that tells a client of an end, so a client
/// unsubscribes when it needs no more messages.
#[diagnostic::on_unimplemented(
    message = "a subscribe handler cannot return `{Self}`",
    note = "it can return `()`, one message (`String`, `Bytes`, `Json`, `Message`), `Observe(stream)`, or a `Result` of \
            these",
    note = "`Observe` takes a `Stream` that is `Send + 'static` and whose items can be sent as messages; for a receiver \
            of a tokio channel, see its documentation"
)]
pub trait IntoSubscribeResponse {
    /// Converts the value into the service's response.
    ///
    /// # Errors
    ///
    /// Returns the handler's error, or an error if the message cannot be encoded.
    fn into_response(self) -> Result<Response, BoxError>;
}

/// For handlers that pass their request to another service, such as a broker. A response that does not fit the command
/// becomes `internal-error`, and is logged.
impl IntoConnectResponse for Response {
    fn into_response(self) -> Result<Response, BoxError> {
        Ok(self)
    }
}

/// For handlers that pass their request to another service, such as a broker. A response that does not fit the command
/// becomes `internal-error`, and is logged.
impl IntoSendResponse for Response {
    type Context = ();

    fn context(_: &Request) -> Result<(), ClientError> {
        Ok(())
    }

    fn into_response(self, (): ()) -> Result<Response, BoxError> {
        Ok(self)
    }
}

/// For handlers that pass their request to another service, such as a broker.
impl IntoSubscribeResponse for Response {
    fn into_response(self) -> Result<Response, BoxError> {
        Ok(self)
    }
}

impl IntoConnectResponse for Principal {
    fn into_response(self) -> Result<Response, BoxError> {
        Ok(Response::Connected(self.into()))
    }
}

impl IntoConnectResponse for Connected {
    fn into_response(self) -> Result<Response, BoxError> {
        Ok(Response::Connected(self))
    }
}

/// Implements response traits for `()` and for `Result`.
macro_rules! unit_and_result {
    ($($trait:ident),*) => {$(
        impl $trait for () {
            fn into_response(self) -> Result<Response, BoxError> {
                Ok(Response::Done)
            }
        }

        impl<T: $trait, E: Into<BoxError>> $trait for Result<T, E> {
            fn into_response(self) -> Result<Response, BoxError> {
                self.map_err(Into::into)?.into_response()
            }
        }
    )*};
}

unit_and_result!(IntoConnectResponse, IntoSubscribeResponse);

impl IntoSendResponse for () {
    type Context = ();

    fn context(_: &Request) -> Result<(), ClientError> {
        Ok(())
    }

    fn into_response(self, (): ()) -> Result<Response, BoxError> {
        Ok(Response::Done)
    }
}

impl<T: IntoSendResponse, E: Into<BoxError>> IntoSendResponse for Result<T, E> {
    type Context = T::Context;

    fn context(request: &Request) -> Result<T::Context, ClientError> {
        T::context(request)
    }

    fn into_response(self, context: T::Context) -> Result<Response, BoxError> {
        self.map_err(Into::into)?.into_response(context)
    }
}

/// Creates a response that sends one message and keeps the subscription open, as `()` does: the client cannot see an
/// end, and would not get messages that are sent later.
fn single_message(message: impl IntoMessage) -> Result<Response, BoxError> {
    let message = stream::iter([message.into_message()?]);
    Ok(Response::observe(message.chain(stream::pending())))
}

impl<T: serde::Serialize> IntoSubscribeResponse for Json<T> {
    fn into_response(self) -> Result<Response, BoxError> {
        single_message(self)
    }
}

impl IntoSubscribeResponse for Message {
    fn into_response(self) -> Result<Response, BoxError> {
        single_message(self)
    }
}

impl IntoSubscribeResponse for String {
    fn into_response(self) -> Result<Response, BoxError> {
        single_message(self)
    }
}

impl IntoSubscribeResponse for Bytes {
    fn into_response(self) -> Result<Response, BoxError> {
        single_message(self)
    }
}

/// Two functions that convert a handler's output into a response. `context` is called before the handler, and `convert`
/// after it.
#[derive(Debug)]
pub struct ResponseConverter<T, C> {
    /// Extracts the parts of the request that `convert` needs.
    pub(crate) context: fn(&Request) -> Result<C, ClientError>,
    /// Converts the handler's output into a response. Its second argument is the result of `context`.
    pub(crate) convert: fn(T, C) -> Result<Response, BoxError>,
}

impl<T: IntoConnectResponse> ResponseConverter<T, ()> {
    pub(crate) fn for_connect() -> ResponseConverter<T, ()> {
        ResponseConverter {
            context: |_| Ok(()),
            convert: |output, ()| output.into_response(),
        }
    }
}

impl<T: IntoSendResponse> ResponseConverter<T, T::Context> {
    pub(crate) fn for_send() -> ResponseConverter<T, T::Context> {
        ResponseConverter {
            context: T::context,
            convert: T::into_response,
        }
    }
}

impl<T: IntoSubscribeResponse> ResponseConverter<T, ()> {
    pub(crate) fn for_subscribe() -> ResponseConverter<T, ()> {
        ResponseConverter {
            context: |_| Ok(()),
            convert: |output, ()| output.into_response(),
        }
    }
}
