//! What handlers return, by command: a trait for each, so that an answer in the wrong place does not compile.

use bytes::Bytes;
use futures_core::Stream;
use futures_util::{StreamExt, stream};
use stomp_session::{
    BoxError, ClientError, Connected, Delivery, IntoDelivery, IntoMessage, Json, Message,
    Principal, Request, Response,
};

/// What a connect handler returns.
#[diagnostic::on_unimplemented(
    message = "a connect handler cannot return `{Self}`",
    note = "it returns `()`, a `Principal`, a `Connected`, or a `Result` of these"
)]
pub trait IntoConnectResponse {
    /// The service's response.
    ///
    /// # Errors
    ///
    /// The handler's.
    fn into_response(self) -> Result<Response, BoxError>;
}

/// What handlers of `SEND`, `UNSUBSCRIBE` and `DISCONNECT` return; only `SEND` can be [replied](crate::Reply) to.
#[diagnostic::on_unimplemented(
    message = "a handler of SEND, UNSUBSCRIBE or DISCONNECT cannot return `{Self}`",
    note = "it returns `()`, for SEND also `Reply(value)`, or a `Result` of these"
)]
pub trait IntoSendResponse: Sized {
    /// What of the request is needed to answer it: `()` but for replies.
    type Context: Send + 'static;

    /// Takes that out of the request, before the handler is called.
    ///
    /// # Errors
    ///
    /// What the client is told if it is not there.
    fn context(request: &Request) -> Result<Self::Context, ClientError>;

    /// The service's response.
    ///
    /// # Errors
    ///
    /// The handler's.
    fn into_response(self, context: Self::Context) -> Result<Response, BoxError>;
}

/// What a subscribe handler returns.
#[diagnostic::on_unimplemented(
    message = "a subscribe handler cannot return `{Self}`",
    note = "it returns `()`, one message (`String`, `Bytes`, `Json`, `Message`), `Observe(stream)`, or a `Result` of these",
    note = "`Observe` takes a `Stream` that is `Send + 'static`, of items that can be sent as messages"
)]
pub trait IntoSubscribeResponse {
    /// The service's response.
    ///
    /// # Errors
    ///
    /// The handler's.
    fn into_response(self) -> Result<Response, BoxError>;
}

/// A stream as a subscription: each item is sent as a message.
///
/// Items are anything that is [`IntoDelivery`]: what can be sent as a message, a `Delivery`, or a `Result` of these,
/// whose error ends the subscription. The stream is polled only while the client takes what it is sent, and dropped
/// when the subscription ends.
///
/// Any `Stream` will do, such as one that counts:
///
/// ```
/// use futures_util::stream;
/// use stomp_router::{Observe, Router, IntoSubscribeResponse};
///
/// async fn count() -> impl IntoSubscribeResponse {
///     Observe(stream::unfold(1, async |number: u64| Some((number.to_string(), number + 1))))
/// }
///
/// let router: Router = Router::new().subscribe("/numbers", count);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Observe<S>(pub S);

impl<S> Observe<S>
where
    S: Stream<Item: IntoDelivery> + Send + 'static,
{
    /// Sends these values first: what there is already, before what is new.
    ///
    /// Begin to listen before you look at what there is, and nothing is missed in between.
    ///
    /// ```
    /// use stomp_router::{Json, Observe, State, IntoSubscribeResponse};
    /// use stomp_session::Topic;
    /// # #[derive(Clone)]
    /// # struct Price { changes: Topic<Json<f64>> }
    /// # impl Price { fn now(&self) -> f64 { 12.5 } }
    ///
    /// async fn watch(State(price): State<Price>) -> impl IntoSubscribeResponse {
    ///     let changes = price.changes.subscribe();
    ///     Observe(changes).starting_with([Json(price.now())])
    /// }
    /// ```
    pub fn starting_with<I>(
        self,
        values: I,
    ) -> Observe<impl Stream<Item = Result<Delivery, BoxError>> + Send + 'static>
    where
        I: IntoIterator<Item: IntoDelivery + 'static, IntoIter: Send + 'static>,
    {
        let values = stream::iter(values.into_iter().map(IntoDelivery::into_delivery));
        Observe(values.chain(self.0.map(IntoDelivery::into_delivery)))
    }
}

impl<S> IntoSubscribeResponse for Observe<S>
where
    S: Stream<Item: IntoDelivery> + Send + 'static,
{
    fn into_response(self) -> Result<Response, BoxError> {
        Ok(Response::observe(self.0))
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

plain!(IntoConnectResponse, IntoSubscribeResponse);

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

/// One message, then the end of the subscription.
fn one(message: impl IntoMessage) -> Result<Response, BoxError> {
    Ok(Response::observe(stream::iter([message.into_message()?])))
}

impl<T: serde::Serialize> IntoSubscribeResponse for Json<T> {
    fn into_response(self) -> Result<Response, BoxError> {
        one(self)
    }
}

impl IntoSubscribeResponse for Message {
    fn into_response(self) -> Result<Response, BoxError> {
        one(self)
    }
}

impl IntoSubscribeResponse for String {
    fn into_response(self) -> Result<Response, BoxError> {
        one(self)
    }
}

impl IntoSubscribeResponse for Bytes {
    fn into_response(self) -> Result<Response, BoxError> {
        one(self)
    }
}

/// How a command's handlers are answered for: what is taken out of the request before, and what is made of the answer
/// and that.
#[derive(Debug)]
pub struct Answering<T, C> {
    pub(crate) context: fn(&Request) -> Result<C, ClientError>,
    pub(crate) respond: fn(T, C) -> Result<Response, BoxError>,
}

impl<T: IntoConnectResponse> Answering<T, ()> {
    pub(crate) fn connect() -> Answering<T, ()> {
        Answering {
            context: |_| Ok(()),
            respond: |answer, ()| answer.into_response(),
        }
    }
}

impl<T: IntoSendResponse> Answering<T, T::Context> {
    pub(crate) fn send() -> Answering<T, T::Context> {
        Answering {
            context: T::context,
            respond: T::into_response,
        }
    }
}

impl<T: IntoSubscribeResponse> Answering<T, ()> {
    pub(crate) fn subscribe() -> Answering<T, ()> {
        Answering {
            context: |_| Ok(()),
            respond: |answer, ()| answer.into_response(),
        }
    }
}
