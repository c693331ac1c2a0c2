//! A span for each request.

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

/// Puts each request into a `tracing` span, and notes in it how it went.
///
/// The span is `request`, at `INFO`, with the fields `command`, `destination`, `route` (the pattern), `principal` and
/// `peer` (the address), as far as there are any; no header but the destination is in it. In the span, an event at `DEBUG`
/// says how long a request that succeeded took, and one at `INFO` what the error was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TraceLayer;

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
    if !request.destination().is_empty() {
        span.record("destination", request.destination());
    }
    if let Some(pattern) = request.params().pattern() {
        span.record("route", &*pattern.text);
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
            Ok(_) => tracing::debug!(?elapsed, "handled"),
            Err(error) => tracing::info!(?elapsed, %error, "refused"),
        });
        Poll::Ready(result)
    }
}
