//! Middleware that requires a login.

use super::forward_or_reject::{ForwardOrRejectFuture, is_rejectable};
use crate::client_errors::login_required;
use std::task::{Context, Poll};
use stomp_session::{BoxError, Request, Response};
use tower::{Layer, Service};

/// Rejects `SEND` and `SUBSCRIBE` frames of sessions without a principal, with the error `login-required`.
///
/// A session has a principal if the connect handler returned one. Frames with other commands pass.
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
    type Future = ForwardOrRejectFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if is_rejectable(&request) && request.principal().is_none() {
            return ForwardOrRejectFuture::reject(login_required());
        }
        ForwardOrRejectFuture::forward(self.inner.call(request))
    }
}
