//! The built routes: a service that finds the route of each request and calls it.

use crate::{
    RouteService,
    client_errors::{covers_other_routes, not_found},
    route::LastRoute,
    table::Table,
};
use futures_util::future::BoxFuture;
use std::{
    fmt,
    future::{Ready, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use stomp_frame::Command;
use stomp_session::{BoxError, DestinationSyntax, Pattern, Request, Response};
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};

/// The routes of a router as a service, possibly wrapped in layers. Clones share the routes.
///
/// The pattern that matches a request is found before the layers are called, so that layers for tracing, metrics and
/// policies can use it: [`request.params().pattern()`](stomp_session::Params::pattern).
#[derive(Clone)]
pub struct Routes {
    matcher: Matcher,
    last_route: LastRoute,
    layered: Option<BoxCloneSyncService<Request, Response, BoxError>>,
    destinations: DestinationSyntax,
}

impl Routes {
    pub(crate) fn new(table: Table, destinations: DestinationSyntax) -> Routes {
        Routes {
            matcher: Matcher {
                table: Arc::new(table),
            },
            last_route: LastRoute::default(),
            layered: None,
            destinations,
        }
    }

    /// The syntax that sessions need for these routes: see [`Router::destinations`](crate::Router::destinations).
    #[must_use]
    pub fn destinations(&self) -> &DestinationSyntax {
        &self.destinations
    }

    /// Wraps all routes in a tower layer. The layer sees every request, also those without a route.
    ///
    /// Unlike a [`Route`](crate::Route), the result is ready only when the layer's service is ready. Each call of this
    /// method costs one allocation per request. Combine several layers with a `ServiceBuilder` to pay for only one.
    #[must_use]
    pub fn layer<L>(self, layer: L) -> Routes
    where
        L: Layer<Routes, Service: RouteService>,
    {
        // From now on, the outer routes find the pattern for each request. The inner routes notice this and do not
        // search again.
        let matcher = self.matcher();
        let destinations = self.destinations.clone();
        Routes {
            matcher,
            last_route: LastRoute::default(),
            destinations,
            layered: Some(BoxCloneSyncService::new(
                layer.layer(self).map_err(Into::into),
            )),
        }
    }

    pub(crate) fn matcher(&self) -> Matcher {
        self.matcher.clone()
    }
}

impl Service<Request> for Routes {
    type Response = Response;
    type Error = BoxError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.layered
            .as_mut()
            .map_or(Poll::Ready(Ok(())), |service| service.poll_ready(cx))
    }

    fn call(&mut self, mut request: Request) -> ResponseFuture {
        self.matcher.match_request(&mut request);
        if let Some(service) = &mut self.layered {
            return ResponseFuture::called(service.call(request));
        }
        let command = request.command();
        let table = &self.matcher.table;
        if let Some(route) = table.route(&request) {
            let destination = request.destination();
            if command == Command::Subscribe
                && destination.is_pattern()
                && !table.is_sole_route(&request)
            {
                let error = covers_other_routes(destination.as_str());
                return ResponseFuture(State::Ready(ready(Err(error.into()))));
            }
            return ResponseFuture::called(self.last_route.call(route, request));
        }
        ResponseFuture(State::Ready(ready(match command {
            Command::Send | Command::Subscribe => {
                Err(not_found(command, request.destination().as_str()).into())
            }
            _ => Ok(Response::Done),
        })))
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

/// Finds the pattern that matches a request.
#[derive(Clone)]
pub(crate) struct Matcher {
    table: Arc<Table>,
}

impl Matcher {
    /// Sets the request's parameters, unless outer routes with the same table have already set them.
    #[inline]
    pub(crate) fn match_request(&self, request: &mut Request) {
        let command = request.command();
        let is_known = |pattern: &Arc<Pattern>| self.table.contains(command, pattern);
        if request.params().pattern().is_some_and(is_known) || request.recall_params(is_known) {
            return;
        }
        let params = self.table.find(command, request.destination().canonical());
        request.set_params(params.unwrap_or_default());
    }
}

/// The future of a call to [`Routes`] or [`SessionRoutes`](crate::SessionRoutes).
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture(State);

enum State {
    Called(BoxFuture<'static, Result<Response, BoxError>>),
    /// The response if no route was called. It is not boxed, to save an allocation.
    Ready(Ready<Result<Response, BoxError>>),
}

impl ResponseFuture {
    pub(crate) fn called(future: BoxFuture<'static, Result<Response, BoxError>>) -> ResponseFuture {
        ResponseFuture(State::Called(future))
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Called(future) => future.as_mut().poll(cx),
            State::Ready(ready) => Pin::new(ready).poll(cx),
        }
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
