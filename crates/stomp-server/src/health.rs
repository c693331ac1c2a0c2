//! An HTTP service that tells load balancers and supervisors how the process is.

use crate::Shutdown;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// A tower service that answers `GET /live` and `GET /ready`, from [`Shutdown::health`].
///
/// | path | 200 if | otherwise |
/// |---|---|---|
/// | `/live` | [`Shutdown::is_live`] | 503 |
/// | `/ready` | [`Shutdown::is_ready`], and all checks of [`ready_if`](HealthService::ready_if) | 503 |
///
/// Any other path gets 404. Paths may have a prefix, so the service can be mounted below one.
///
/// Serve it by [`Listeners::http`](crate::Listeners::http), alone or in a router, such as axum's
/// `Router::new().route_service("/ready", shutdown.health())`.
#[derive(Clone)]
pub struct HealthService {
    shutdown: Shutdown,
    checks: Arc<[Arc<dyn Fn() -> bool + Send + Sync>]>,
}

impl HealthService {
    pub(crate) fn new(shutdown: Shutdown) -> HealthService {
        HealthService {
            shutdown,
            checks: Arc::default(),
        }
    }

    /// Adds a check to `/ready`. It runs with each request, so it must not block.
    #[must_use]
    pub fn ready_if(self, check: impl Fn() -> bool + Send + Sync + 'static) -> HealthService {
        let added: Arc<dyn Fn() -> bool + Send + Sync> = Arc::new(check);
        HealthService {
            checks: self.checks.iter().cloned().chain([added]).collect(),
            ..self
        }
    }

    fn answer(&self, method: &Method, path: &str) -> (StatusCode, &'static str) {
        let is_healthy = match path.rsplit('/').next() {
            Some("live") => self.shutdown.is_live(),
            Some("ready") => self.shutdown.is_ready() && self.checks.iter().all(|check| check()),
            _ => return (StatusCode::NOT_FOUND, "not found\n"),
        };
        match (method, is_healthy) {
            (&Method::GET | &Method::HEAD, true) => (StatusCode::OK, "ok\n"),
            (&Method::GET | &Method::HEAD, false) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable\n")
            }
            _ => (StatusCode::METHOD_NOT_ALLOWED, "use GET\n"),
        }
    }
}

impl<B> Service<Request<B>> for HealthService {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Full<Bytes>>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (status, text) = self.answer(request.method(), request.uri().path());
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, plain);
        let never = header::HeaderValue::from_static("no-store");
        headers.insert(header::CACHE_CONTROL, never);
        ready(Ok(response))
    }
}

impl fmt::Debug for HealthService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthService")
            .field("shutdown", &self.shutdown)
            .field("checks", &self.checks.len())
            .finish()
    }
}
