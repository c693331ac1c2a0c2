//! Middleware that opens a `tracing` span for each request.

use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};
use stomp_session::{BoxError, Request, Response};
use tower::{Layer, Service};
use tracing::{
    Span,
    field::{Empty, display},
    instrument::{Instrument, Instrumented},
};

/// Opens a `tracing` span for each request, and logs the outcome in it.
///
/// The span is named `request` and has the level `INFO`. Its fields are `command`, `destination`, `route` (the pattern),
/// `principal` (the name) and `peer` (the address); fields without a value are omitted. No other header is recorded.
///
/// Success is logged at `DEBUG` with the field `elapsed`, an error at `INFO` with the fields `elapsed` and `error`.
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
        }
    }
}

fn span(request: &Request) -> Span {
    let span = tracing::info_span!(
        "request",
        command = request.command().as_str(),
        destination = Empty,
        route = Empty,
        principal = Empty,
        peer = Empty,
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
    if let Some(principal) = request.principal() {
        span.record("principal", principal.name());
    }
    if let Some(address) = request.peer().address {
        span.record("peer", display(address));
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
        let elapsed = this.start.elapsed();
        this.future.span().in_scope(|| match &result {
            Ok(_) => tracing::debug!(?elapsed, "The request succeeded."),
            Err(error) => tracing::info!(?elapsed, %error, "The request failed."),
        });
        Poll::Ready(result)
    }
}
