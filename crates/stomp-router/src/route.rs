//! One route: the place where handlers and layers lose their types.

use futures_util::{TryFutureExt, future::BoxFuture};
use std::{
    any::Any,
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use stomp_session::{BoxError, Request, Response};
use tower::{Layer, Service, ServiceExt};

/// What layers are wrapped around: a handler, or a handler in other layers.
///
/// It is always ready. Readiness of layers is awaited in the call; so a layer that sheds load when what is inside it
/// is not ready, and the limit that it looks at, belong into one `ServiceBuilder`.
#[derive(Clone)]
pub struct Route {
    endpoint: Arc<dyn Endpoint>,
    has_policy: bool,
}

/// A handler with its state, or a service. Calling it costs one allocation.
pub(crate) trait Endpoint: Send + Sync {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, BoxError>>;
}

impl Route {
    pub(crate) fn new(endpoint: impl Endpoint + 'static) -> Route {
        Route {
            endpoint: Arc::new(endpoint),
            has_policy: false,
        }
    }

    /// A service as a route; a route as itself.
    pub(crate) fn of(service: impl RouteService) -> Route {
        match (&service as &dyn Any).downcast_ref::<Route>() {
            Some(route) => route.clone(),
            None => Route::new(Called(service)),
        }
    }

    pub(crate) fn layer<L>(self, layer: &L) -> Route
    where
        L: Layer<Route, Service: RouteService>,
    {
        let has_policy = self.has_policy;
        Route {
            has_policy,
            ..Route::of(layer.layer(self))
        }
    }

    /// Notes that who may use it is taken care of.
    pub(crate) fn with_policy(self) -> Route {
        Route {
            has_policy: true,
            ..self
        }
    }

    pub(crate) fn has_policy(&self) -> bool {
        self.has_policy
    }

    pub(crate) fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, BoxError>> {
        self.endpoint.call(request)
    }
}

impl Service<Request> for Route {
    type Response = Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        Route::call(self, request)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("has_policy", &self.has_policy)
            .finish_non_exhaustive()
    }
}

/// A service, a clone of which is called.
struct Called<T>(T);

impl<T: RouteService> Endpoint for Called<T> {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, BoxError>> {
        Box::pin(self.0.clone().oneshot(request).err_into())
    }
}

/// What can be a route, and what a layer must make of one. Implemented for every service that fits.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the service of a route",
    note = "a layer must make a `tower::Service<Request, Response = Response>` that is `Clone + Send + Sync`, \
            with an error that is `Into<BoxError>`",
    note = "tower's `RateLimit` is not `Clone`: put `buffer` around it in one `ServiceBuilder`, or give each session \
            its own with `layer_per_session`"
)]
pub trait RouteService:
    Service<Request, Response = Response, Error: Into<BoxError>, Future: Send + 'static>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<T> RouteService for T where
    T: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static
{
}
