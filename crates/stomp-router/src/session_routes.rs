//! Routes in layers that each session has for itself.

use crate::{
    Routes,
    routes::{Finder, ResponseFuture},
};
use std::{
    fmt,
    task::{Context, Poll},
};
use stomp_session::{BoxError, Request, Response};
use tower::{Layer, Service, ServiceExt, util::BoxService};

/// The [`Routes`] of one session, in layers that are its own.
///
/// The services of such layers need not be `Clone`, and what they count is one session's: a tower `RateLimit` here is a
/// limit for each session, and holds back one that is too fast, down to its TCP connection.
///
/// ```
/// use std::time::Duration;
/// use stomp_router::{Router, SessionRoutes};
/// use tower::limit::RateLimitLayer;
///
/// # fn example() -> Result<(), stomp_router::RouteErrors> {
/// let routes = Router::new().build()?;
/// // For each connection:
/// let service = SessionRoutes::from(routes.clone()).layer(&RateLimitLayer::new(10, Duration::from_secs(1)));
/// # Ok(())
/// # }
/// ```
pub struct SessionRoutes(Kind);

enum Kind {
    Shared(Routes),
    Layered(Finder, BoxService<Request, Response, BoxError>),
}

impl SessionRoutes {
    /// Wraps a tower layer around all of it. The last one is the outermost.
    #[must_use]
    pub fn layer<L>(self, layer: &L) -> SessionRoutes
    where
        L: Layer<SessionRoutes, Service: SessionService>,
    {
        let finder = match &self.0 {
            Kind::Shared(routes) => routes.finder(),
            Kind::Layered(finder, _) => finder.clone(),
        };
        SessionRoutes(Kind::Layered(
            finder,
            BoxService::new(layer.layer(self).map_err(Into::into)),
        ))
    }
}

impl From<Routes> for SessionRoutes {
    fn from(routes: Routes) -> SessionRoutes {
        SessionRoutes(Kind::Shared(routes))
    }
}

impl Service<Request> for SessionRoutes {
    type Response = Response;
    type Error = BoxError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.0 {
            Kind::Shared(routes) => routes.poll_ready(cx),
            Kind::Layered(_, service) => service.poll_ready(cx),
        }
    }

    fn call(&mut self, mut request: Request) -> ResponseFuture {
        match &mut self.0 {
            Kind::Shared(routes) => routes.call(request),
            Kind::Layered(finder, service) => {
                finder.locate(&mut request);
                ResponseFuture::of(service.call(request))
            }
        }
    }
}

impl fmt::Debug for SessionRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRoutes").finish_non_exhaustive()
    }
}

/// What a layer of a session must make of its routes. Implemented for every service that fits.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the service of a session",
    note = "a layer must make a `tower::Service<Request, Response = Response>` that is `Send`, with an error that is \
            `Into<BoxError>`"
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
