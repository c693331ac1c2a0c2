//! One route: the place where handlers and layers lose their types.

use futures_util::future::BoxFuture;
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use stomp_session::{BoxError, Request, Response};
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};

/// What layers are wrapped around: a handler, or a handler in other layers.
///
/// It is always ready. Readiness of layers is awaited in the call; so a layer that sheds load when what is inside it
/// is not ready, and the limit that it looks at, belong into one `ServiceBuilder`.
#[derive(Clone)]
pub struct Route(Kind);

#[derive(Clone)]
enum Kind {
    Handler(Arc<dyn Endpoint>),
    Layered(BoxCloneSyncService<Request, Response, BoxError>),
}

/// A handler with its state. Calling it costs one allocation.
pub(crate) trait Endpoint: Send + Sync {
    fn call(&self, request: &Request) -> BoxFuture<'static, Result<Response, BoxError>>;
}

impl Route {
    pub(crate) fn new(endpoint: impl Endpoint + 'static) -> Route {
        Route(Kind::Handler(Arc::new(endpoint)))
    }

    pub(crate) fn layer<L>(self, layer: &L) -> Route
    where
        L: Layer<Route, Service: RouteService>,
    {
        Route(Kind::Layered(BoxCloneSyncService::new(layer.layer(self).map_err(Into::into))))
    }

    pub(crate) fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, BoxError>> {
        match &self.0 {
            Kind::Handler(endpoint) => endpoint.call(&request),
            Kind::Layered(service) => Box::pin(service.clone().oneshot(request)),
        }
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
        f.debug_struct("Route").finish_non_exhaustive()
    }
}

/// What a layer must make of a [`Route`]. Implemented for every service that fits.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the service of a route",
    note = "a layer must make a `tower::Service<Request, Response = Response>` that is `Clone + Send + Sync`, \
            with an error that is `Into<BoxError>`",
    note = "tower's `RateLimit` is not `Clone`: put `buffer` around it in one `ServiceBuilder`"
)]
pub trait RouteService:
    Service<Request, Response = Response, Error: Into<BoxError>, Future: Send + 'static> + Clone + Send + Sync + 'static
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
