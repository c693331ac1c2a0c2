//! What a peer asks for, as a stream, for those who handle it without a service.

use crate::{
    error::{BoxError, NobodyAsks, Unanswered},
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

/// The requests of a session, one after the other: the next comes when this one is answered.
///
/// Dropping this closes the session, once what is being handled is answered.
#[derive(Debug)]
pub struct Requests {
    receiver: mpsc::Receiver<(Request, Responder)>,
    session: Session,
}

impl Requests {
    /// The next request, or `None` when the session is over, or its connection [runs a
    /// service](crate::Connection::run).
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<(Request, Responder)> {
        self.receiver.recv().await
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.session.shared().abandon();
    }
}

/// Answers one request. Dropping it answers `internal-error`.
#[derive(Debug)]
pub struct Responder(oneshot::Sender<Result<Response, BoxError>>);

impl Responder {
    /// It is done.
    pub fn ok(self) {
        self.respond(Response::Done);
    }

    /// It is done, and this is the answer.
    pub fn respond(self, response: Response) {
        // If nobody waits any more, the peer is gone.
        let _ = self.0.send(Ok(response));
    }

    /// It cannot be done.
    pub fn refuse(self, error: impl Into<BoxError>) {
        let _ = self.0.send(Err(error.into()));
    }
}

pub(crate) fn channel(session: Session) -> (Channel, Requests) {
    // One request is handled at a time.
    let (sender, receiver) = mpsc::channel(1);
    (Channel(sender), Requests { receiver, session })
}

/// The service that hands requests to [`Requests`].
#[derive(Debug)]
pub(crate) struct Channel(mpsc::Sender<(Request, Responder)>);

impl Service<Request> for Channel {
    type Response = Response;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Answer {
        let (sender, receiver) = oneshot::channel();
        // There is room: the request before was answered, so it was taken. If nobody takes this one, it is unanswered.
        let _ = self.0.try_send((request, Responder(sender)));
        Answer {
            receiver,
            is_taken: !self.0.is_closed(),
        }
    }
}

/// What a [`Responder`] will say.
#[derive(Debug)]
pub(crate) struct Answer {
    receiver: oneshot::Receiver<Result<Response, BoxError>>,
    is_taken: bool,
}

impl Future for Answer {
    type Output = Result<Response, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.receiver).poll(cx));
        Poll::Ready(answer.unwrap_or_else(|_| {
            if self.is_taken {
                Err(Unanswered.into())
            } else {
                Err(NobodyAsks.into())
            }
        }))
    }
}
