//! Middleware that counts and times requests.

use metrics::{counter, histogram};
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};
use stomp_frame::Command;
use stomp_session::{Pattern, Request, Response};
use tower::{Layer, Service};

/// Counts and times requests, through the recorder of the crate [`metrics`].
///
/// | metric | type | value | labels |
/// |---|---|---|---|
/// | `stomp_requests_total` | counter | completed requests | `command`, `route`, `outcome` (`ok` or `error`) |
/// | `stomp_request_duration_seconds` | histogram | time from call to response | `command`, `route` |
///
/// `route` is the pattern of the route and not the destination, so that clients cannot create labels. It is empty for
/// requests without a pattern. With [`Routes::layer`](crate::Routes::layer), requests without a route are counted as
/// well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MetricsLayer;

impl MetricsLayer {
    /// Creates the layer.
    #[must_use]
    pub fn new() -> MetricsLayer {
        MetricsLayer
    }
}

impl<S> Layer<S> for MetricsLayer {
    type Service = Metrics<S>;

    fn layer(&self, inner: S) -> Metrics<S> {
        Metrics { inner }
    }
}

/// The service of [`MetricsLayer`].
#[derive(Debug, Clone, Copy)]
pub struct Metrics<S> {
    inner: S,
}

impl<S> Service<Request> for Metrics<S>
where
    S: Service<Request, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = MetricsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (command, pattern) = (request.command(), request.params().pattern().cloned());
        let start = Instant::now();
        MetricsFuture {
            future: self.inner.call(request),
            command,
            pattern,
            start,
        }
    }
}

pin_project! {
    /// The future of [`Metrics`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct MetricsFuture<F> {
        #[pin]
        future: F,
        command: Command,
        pattern: Option<Arc<Pattern>>,
        start: Instant,
    }
}

impl<F, E> Future for MetricsFuture<F>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.future.poll(cx));
        let outcome = if result.is_ok() { "ok" } else { "error" };
        let command = this.command.as_str();
        let route: Arc<str> = this
            .pattern
            .as_ref()
            .map_or_else(|| "".into(), |pattern| Arc::clone(pattern.text()));
        let elapsed = this.start.elapsed();
        counter!("stomp_requests_total", "command" => command, "route" => Arc::clone(&route), "outcome" => outcome)
            .increment(1);
        histogram!("stomp_request_duration_seconds", "command" => command, "route" => route)
            .record(elapsed);
        Poll::Ready(result)
    }
}
