//! The requests of a peer as a stream, for programs without a service.

use crate::{
    error::{BoxError, RequestsDropped, ResponderDropped},
    request::Request,
    response::Response,
    session::Session,
};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::sync::{mpsc, oneshot};
use tower_service::Service;

/// The requests of a session, one at a time: each arrives after the one before it is answered.
///
/// Dropping this value closes the session, as soon as the current request is answered.
#[derive(Debug)]
pub struct Requests {
    receiver: mpsc::Receiver<(Request, Responder)>,
    session: Session,
}

impl Requests {
    /// Waits for the next request. Returns `None` if the session has ended, or if its connection [calls a
    /// service](crate::Connection::run) instead.
    ///
    /// Cancel safe: dropping the future loses no request.
    pub async fn next(&mut self) -> Option<(Request, Responder)> {
        self.receiver.recv().await
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.session.shared().set_requests_dropped();
    }
}

/// Answers one request. A responder that is dropped answers with the error `internal-error` and logs it.
#[derive(Debug)]
pub struct Responder(oneshot::Sender<Result<Response, BoxError>>);

impl Responder {
    /// Answers with success.
    pub fn ok(self) {
        self.respond(Response::Done);
    }

    /// Answers with success and a response.
    pub fn respond(self, response: Response) {
        // Sending fails if the session has ended or the call has timed out. Then no answer is needed any more.
        let _ = self.0.send(Ok(response));
    }

    /// Answers with an error. [`Config::error_mapper`](crate::Config::error_mapper) decides what the client sees of it.
    pub fn refuse(self, error: impl Into<BoxError>) {
        let _ = self.0.send(Err(error.into()));
    }
}

/// Creates the service that passes requests to the returned [`Requests`].
pub(crate) fn channel(session: Session) -> (RequestSender, Requests) {
    // One place is enough, because a request is sent only after the answer to the last one.
    let (sender, receiver) = mpsc::channel(1);
    (RequestSender(sender), Requests { receiver, session })
}

/// Service that passes requests to [`Requests`].
#[derive(Debug)]
pub(crate) struct RequestSender(mpsc::Sender<(Request, Responder)>);

impl Service<Request> for RequestSender {
    type Response = Response;
    type Error = BoxError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> ResponseFuture {
        let (sender, receiver) = oneshot::channel();
        // The channel has room: the last request was answered, so it was received. If nobody receives this one, its
        // responder is dropped.
        let _ = self.0.try_send((request, Responder(sender)));
        ResponseFuture {
            receiver,
            is_received: !self.0.is_closed(),
        }
    }
}

/// Future that waits for the answer of a [`Responder`].
#[derive(Debug)]
pub(crate) struct ResponseFuture {
    receiver: oneshot::Receiver<Result<Response, BoxError>>,
    /// True if [`Requests`] existed when the request was sent.
    is_received: bool,
}

impl Future for ResponseFuture {
    type Output = Result<Response, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.receiver).poll(cx));
        Poll::Ready(answer.unwrap_or_else(|_| {
            if self.is_received {
                Err(ResponderDropped.into())
            } else {
                Err(RequestsDropped.into())
            }
        }))
    }
}
