//! Middleware that opens a `tracing` span for each request.

use pin_project_lite::pin_project;
use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use stomp_session::{BoxError, ClientError, Request, Response};
use tower::{Layer, Service};
use tracing::{
    Span,
    field::Empty,
    instrument::{Instrument, Instrumented},
};

/// Opens a `tracing` span for each request, and logs the outcome and the time of the request in it.
///
/// A session has spans of its own, without this layer: `session` with the session's id, the address of the peer and the
/// name of the principal, and at `DEBUG` within it `request` with command and route. This layer adds the span `handler`
/// at `INFO`, with the fields `command`, `destination` and `route` (the pattern), and these events:
///
/// | event | level | fields |
/// |---|---|---|
/// | the request succeeded | `DEBUG` | `elapsed` |
/// | the request was refused with a [`ClientError`] | `INFO` | `elapsed`, `code` |
/// | the request failed with another error, which the session logs at `ERROR` | `DEBUG` | `elapsed` |
/// | the request was dropped before it was complete: it took too long, or its session ended; or it panicked | `DEBUG` | `elapsed` |
///
/// No other header and no text of an error is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TraceLayer;

impl TraceLayer {
    /// Creates the layer.
    #[must_use]
    pub fn new() -> TraceLayer {
        TraceLayer
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { inner }
    }
}

/// The service of [`TraceLayer`].
#[derive(Debug, Clone, Copy)]
pub struct Trace<S> {
    inner: S,
}

impl<S> Service<Request> for Trace<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Response = Response;
    type Error = BoxError;
    type Future = TraceFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let span = span(&request);
        let start = Instant::now();
        let future = span.in_scope(|| self.inner.call(request));
        TraceFuture {
            future: future.instrument(span),
            start,
            is_complete: false,
        }
    }
}

/// Logs an error that the client sees. The session logs all others.
fn log_error(error: &(dyn Error + 'static), elapsed: Duration) {
    match ClientError::find(error) {
        Some(error) => tracing::info!(?elapsed, code = error.code(), "the request was refused"),
        None => tracing::debug!(?elapsed, "the request failed"),
    }
}

fn span(request: &Request) -> Span {
    let span = tracing::info_span!(
        "handler",
        command = request.command().as_str(),
        destination = Empty,
        route = Empty,
    );
    if span.is_disabled() {
        return span;
    }
    let destination = request.destination().as_str();
    if !destination.is_empty() {
        span.record("destination", destination);
    }
    if let Some(pattern) = request.params().pattern() {
        span.record("route", &**pattern.text());
    }
    span
}

pin_project! {
    /// The future of [`Trace`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct TraceFuture<F> {
        #[pin]
        future: Instrumented<F>,
        start: Instant,
        is_complete: bool,
    }

    impl<F> PinnedDrop for TraceFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if !*this.is_complete {
                let elapsed = this.start.elapsed();
                this.future.span().in_scope(|| {
                    tracing::debug!(?elapsed, "the request was dropped before it was complete");
                });
            }
        }
    }
}

impl<F, E> Future for TraceFuture<F>
where
    F: Future<Output = Result<Response, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let result = ready!(this.future.as_mut().poll(cx)).map_err(Into::into);
        *this.is_complete = true;
        let elapsed = this.start.elapsed();
        this.future.span().in_scope(|| match &result {
            Ok(_) => tracing::debug!(?elapsed, "the request succeeded"),
            Err(error) => log_error(&**error, elapsed),
        });
        Poll::Ready(result)
    }
}
