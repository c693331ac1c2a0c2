//! The future of a middleware that forwards a request or rejects it.

use pin_project_lite::pin_project;
use std::{
    future::{Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};
use stomp_frame::Command;
use stomp_session::{BoxError, ClientError, Request, Response};

pin_project! {
    /// The future of a middleware that either forwards a request to its inner service or rejects it.
    ///
    /// `F` is the future of the inner service. The result is that of `F`, or the error of the rejection.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ForwardOrRejectFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[derive(Debug)]
    enum State<F> {
        Forwarded { #[pin] future: F },
        Rejected { #[pin] result: Ready<Result<Response, BoxError>> },
    }
}

impl<F> ForwardOrRejectFuture<F> {
    pub(super) fn forward(future: F) -> ForwardOrRejectFuture<F> {
        ForwardOrRejectFuture {
            state: State::Forwarded { future },
        }
    }

    pub(super) fn reject(error: ClientError) -> ForwardOrRejectFuture<F> {
        ForwardOrRejectFuture {
            state: State::Rejected {
                result: ready(Err(error.into())),
            },
        }
    }
}

impl<F, E> Future for ForwardOrRejectFuture<F>
where
    F: Future<Output = Result<Response, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Forwarded { future } => future.poll(cx).map_err(Into::into),
            StateProjection::Rejected { result } => result.poll(cx),
        }
    }
}

/// Returns true if a middleware may reject the request. A client may always connect, unsubscribe and disconnect.
pub(super) fn is_rejectable(request: &Request) -> bool {
    matches!(request.command(), Command::Send | Command::Subscribe)
}
