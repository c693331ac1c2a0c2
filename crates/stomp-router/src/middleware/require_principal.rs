//! No entry without a name.

use super::{GuardFuture, go, may_be_refused, refuse};
use std::task::{Context, Poll};
use stomp_session::{BoxError, ClientError, Request, Response};
use tower::{Layer, Service};

/// Refuses `SEND` and `SUBSCRIBE` with `login-required` where the connect handler has not said who the peer is. Other
/// frames pass.
///
/// ```
/// use stomp_router::{Router, middleware::RequirePrincipalLayer};
///
/// async fn order() {}
///
/// let members: Router = Router::new().send("/orders", order).policy(RequirePrincipalLayer);
/// let router = Router::new().nest("/members", members);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequirePrincipalLayer;

impl<S> Layer<S> for RequirePrincipalLayer {
    type Service = RequirePrincipal<S>;

    fn layer(&self, inner: S) -> RequirePrincipal<S> {
        RequirePrincipal { inner }
    }
}

/// The service of [`RequirePrincipalLayer`].
#[derive(Debug, Clone, Copy)]
pub struct RequirePrincipal<S> {
    inner: S,
}

impl<S> Service<Request> for RequirePrincipal<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>>,
{
    type Response = Response;
    type Error = BoxError;
    type Future = GuardFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if may_be_refused(&request) && request.principal().is_none() {
            return refuse(ClientError::new("login-required", "This needs a login."));
        }
        go(self.inner.call(request))
    }
}
