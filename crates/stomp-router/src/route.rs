//! A single route: a handler and its layers behind one type.

use futures_util::{
    TryFutureExt,
    future::{BoxFuture, ready},
};
use std::{
    any::Any,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};
use stomp_session::{BoxError, Pattern, Request, Response};
use tower::{Layer, Service, ServiceExt};

/// A handler, possibly wrapped in layers. This is the service that the layers of a route wrap.
///
/// A route is always ready: all sessions share it, and a call waits until its layers are ready. A call goes to a clone of
/// the layers; requests of a session that follow each other on one route may share a clone. So a load-shedding layer does
/// not see that a limit inside it is exhausted, unless both layers are in one `ServiceBuilder`.
#[derive(Clone)]
pub struct Route {
    endpoint: Arc<dyn Endpoint>,
    has_policy: bool,
}

/// The innermost part of a route: a handler with its state, or a service. A call costs one allocation.
pub(crate) trait Endpoint: Send + Sync {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, BoxError>>;

    /// Returns a clone that one session calls several times. `None` if all sessions can call the endpoint itself.
    fn clone_for_session(&self) -> Option<Box<dyn SessionEndpoint>> {
        None
    }
}

/// The clone of an [`Endpoint`] that belongs to one session.
pub(crate) trait SessionEndpoint: Send + Sync {
    /// Calls the service, and returns the request if the service is not ready at once. Then, and if the service has
    /// failed, this clone must not be used again.
    fn try_call(&mut self, request: Request) -> TryCall;
}

/// The result of [`SessionEndpoint::try_call`].
pub(crate) enum TryCall {
    Called(BoxFuture<'static, Result<Response, BoxError>>),
    NotReady(Request),
    Failed(BoxError),
}

/// The service of the route that a session has called last.
#[derive(Default)]
pub(crate) struct LastRoute(Option<(Arc<Pattern>, Box<dyn SessionEndpoint>)>);

impl LastRoute {
    /// Calls the route that was found for a request.
    ///
    /// To call the same clone again saves a clone and a future that waits for it to be ready. It is never left ready or
    /// waiting between two calls, because it would keep what it has reserved from other sessions: it is called as soon as
    /// it is ready, and dropped if it is not.
    #[inline]
    pub(crate) fn call(
        &mut self,
        route: &Route,
        request: Request,
    ) -> BoxFuture<'static, Result<Response, BoxError>> {
        let pattern = request.params().pattern();
        let last = self.0.take();
        let known = last.filter(|(last, _)| pattern.is_some_and(|it| Arc::ptr_eq(it, last)));
        let cloned = || {
            let service = route.endpoint.clone_for_session()?;
            Some((Arc::clone(pattern?), service))
        };
        let Some((pattern, mut service)) = known.or_else(cloned) else {
            return route.call(request);
        };
        match service.try_call(request) {
            TryCall::Called(future) => {
                self.0 = Some((pattern, service));
                future
            }
            TryCall::NotReady(request) => route.call(request),
            TryCall::Failed(error) => Box::pin(ready(Err(error))),
        }
    }
}

/// A clone begins without a service, because it may belong to another session.
impl Clone for LastRoute {
    fn clone(&self) -> LastRoute {
        LastRoute::default()
    }
}

impl Route {
    pub(crate) fn new(endpoint: impl Endpoint + 'static) -> Route {
        Route {
            endpoint: Arc::new(endpoint),
            has_policy: false,
        }
    }

    /// Turns a service into a route. A service that is a route already is returned unchanged, to save an allocation per
    /// call.
    pub(crate) fn from_service(service: impl RouteService) -> Route {
        match (&service as &dyn Any).downcast_ref::<Route>() {
            Some(route) => route.clone(),
            None => Route::new(ServiceEndpoint(service)),
        }
    }

    pub(crate) fn layer<L>(self, layer: &L) -> Route
    where
        L: Layer<Route, Service: RouteService>,
    {
        let has_policy = self.has_policy;
        Route {
            has_policy,
            ..Route::from_service(layer.layer(self))
        }
    }

    /// Marks the route as having a policy.
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
    type Future = RouteFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> RouteFuture {
        RouteFuture(Route::call(self, request))
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("has_policy", &self.has_policy)
            .finish_non_exhaustive()
    }
}

/// The future of a call to a [`Route`].
#[must_use = "futures do nothing unless polled"]
pub struct RouteFuture(BoxFuture<'static, Result<Response, BoxError>>);

impl Future for RouteFuture {
    type Output = Result<Response, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for RouteFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteFuture").finish_non_exhaustive()
    }
}

/// A service, of which calls or sessions have clones.
struct ServiceEndpoint<T>(T);

impl<T: RouteService> Endpoint for ServiceEndpoint<T> {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, BoxError>> {
        Box::pin(self.0.clone().oneshot(request).err_into())
    }

    fn clone_for_session(&self) -> Option<Box<dyn SessionEndpoint>> {
        Some(Box::new(ServiceEndpoint(self.0.clone())))
    }
}

impl<T: RouteService> SessionEndpoint for ServiceEndpoint<T> {
    fn try_call(&mut self, request: Request) -> TryCall {
        // Nobody is woken when the service becomes ready later: then another clone waits for that.
        let mut nobody = Context::from_waker(Waker::noop());
        match self.0.poll_ready(&mut nobody) {
            Poll::Ready(Ok(())) => TryCall::Called(Box::pin(self.0.call(request).err_into())),
            Poll::Ready(Err(error)) => TryCall::Failed(error.into()),
            Poll::Pending => TryCall::NotReady(request),
        }
    }
}

/// A service that can be used as a route. A layer around a route must produce such a service.
///
/// Implemented for every type that fulfils the bounds.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as a route",
    note = "a route, or what a layer makes of it, must be a `tower::Service<Request, Response = Response>` that is \
            `Clone + Send + Sync + 'static`, with an error that is `Into<BoxError>`",
    note = "tower's `RateLimit` is not `Clone`: add `buffer` before it in one `ServiceBuilder`, or give each session \
            its own limit with `layer_per_session`"
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
