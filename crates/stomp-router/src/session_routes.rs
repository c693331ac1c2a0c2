//! The routes of one session, wrapped in layers that no other session shares.

use crate::{
    Routes,
    routes::{Matcher, ResponseFuture},
};
use std::{
    fmt,
    task::{Context, Poll},
};
use stomp_session::{BoxError, Request, Response};
use tower::{Layer, Service, ServiceExt, util::BoxService};

/// The [`Routes`] of one session, wrapped in layers that belong to this session only.
///
/// The services of such layers need not be `Clone`, and their state belongs to one session. For example, tower's
/// `RateLimit` limits each session separately: if a session is too fast, the server pauses reading from its connection.
///
/// These layers wrap those of [`Routes::layer`]. The reverse order would not work: some tower layers clone their inner
/// service for each call, and so would reset the state of a session's layer inside them.
///
/// ```
/// use std::time::Duration;
/// use stomp_router::{Router, SessionRoutes};
/// use tower::limit::RateLimitLayer;
///
/// # fn example() -> Result<(), stomp_router::RouteErrors> {
/// let routes = Router::new().build()?;
/// // Once for each connection:
/// let service = SessionRoutes::from(routes.clone()).layer(&RateLimitLayer::new(10, Duration::from_secs(1)));
/// # Ok(())
/// # }
/// ```
pub struct SessionRoutes(Inner);

enum Inner {
    Shared(Routes),
    Layered(Matcher, BoxService<Request, Response, BoxError>),
}

impl SessionRoutes {
    /// Wraps the routes in a tower layer. The layer added last is the outermost.
    #[must_use]
    pub fn layer<L>(self, layer: &L) -> SessionRoutes
    where
        L: Layer<SessionRoutes, Service: SessionService>,
    {
        let matcher = match &self.0 {
            Inner::Shared(routes) => routes.matcher(),
            Inner::Layered(matcher, _) => matcher.clone(),
        };
        SessionRoutes(Inner::Layered(
            matcher,
            BoxService::new(layer.layer(self).map_err(Into::into)),
        ))
    }
}

impl From<Routes> for SessionRoutes {
    fn from(routes: Routes) -> SessionRoutes {
        SessionRoutes(Inner::Shared(routes))
    }
}

impl Service<Request> for SessionRoutes {
    type Response = Response;
    type Error = BoxError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.0 {
            Inner::Shared(routes) => routes.poll_ready(cx),
            Inner::Layered(_, service) => service.poll_ready(cx),
        }
    }

    fn call(&mut self, mut request: Request) -> ResponseFuture {
        match &mut self.0 {
            Inner::Shared(routes) => routes.call(request),
            Inner::Layered(matcher, service) => {
                matcher.match_request(&mut request);
                ResponseFuture::called(service.call(request))
            }
        }
    }
}

impl fmt::Debug for SessionRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRoutes").finish_non_exhaustive()
    }
}

/// A service that a layer around [`SessionRoutes`] may produce.
///
/// Implemented for every type that fulfils the bounds.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as the service of a session",
    note = "what a layer makes of a session's routes must be a `tower::Service<Request, Response = Response>` that is \
            `Send + 'static`, with an error that is `Into<BoxError>`"
)]
pub trait SessionService:
    Service<Request, Response = Response, Error: Into<BoxError>, Future: Send + 'static>
    + Send
    + 'static
{
}

impl<T> SessionService for T where
    T: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send + 'static>
        + Send
        + 'static
{
}
