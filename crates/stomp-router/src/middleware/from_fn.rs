//! Middleware written as an async function.

use crate::route::{Route, RouteService};
use std::{
    fmt,
    task::{Context, Poll},
};
use stomp_session::{BoxError, Request, Response};
use tower::{Layer, Service};

/// Creates a layer from an async function.
///
/// The function forwards the request with [`Next::run`], or rejects it by returning an error. If the error is a
/// [`ClientError`](stomp_session::ClientError), the client sees it; otherwise see [`map_error`](crate::map_error).
///
/// ```
/// use stomp_frame::Command;
/// use stomp_router::{Router, middleware::{Next, from_fn}};
/// use stomp_session::{BoxError, ClientError, Request, Response};
///
/// async fn match_colours(request: Request, next: Next) -> Result<Response, BoxError> {
///     if request.command() == Command::Send && request.headers().get("colour") != Some("green") {
///         return Err(ClientError::new("bad-colour", "Colours are not coordinated.").into());
///     }
///     next.run(request).await
/// }
///
/// async fn paint() {}
///
/// let router: Router = Router::new().send("/walls", paint).layer(from_fn(match_colours));
/// ```
///
/// To pass more values to the function, capture them in a closure: `from_fn(move |request, next| check(rules.clone(),
/// request, next))`. [`Next::run`] waits until the inner layers are ready.
///
/// The inner service is cloned for each request and must be `Clone`. For this reason, the layer cannot wrap
/// [`SessionRoutes`](crate::SessionRoutes).
pub fn from_fn<F>(function: F) -> FromFnLayer<F> {
    FromFnLayer { function }
}

/// The layer that [`from_fn`] creates.
#[derive(Clone, Copy)]
pub struct FromFnLayer<F> {
    function: F,
}

impl<F: Clone, S: RouteService> Layer<S> for FromFnLayer<F> {
    type Service = FromFn<F>;

    fn layer(&self, inner: S) -> FromFn<F> {
        FromFn {
            function: self.function.clone(),
            inner: Route::from_service(inner),
        }
    }
}

/// The service of [`FromFnLayer`].
#[derive(Clone)]
pub struct FromFn<F> {
    function: F,
    inner: Route,
}

impl<F, R, E> Service<Request> for FromFn<F>
where
    F: Fn(Request, Next) -> R,
    R: Future<Output = Result<Response, E>>,
{
    type Response = Response;
    type Error = E;
    type Future = R;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> R {
        (self.function)(request, Next(self.inner.clone()))
    }
}

/// The inner layers and the handler, to which a function of [`from_fn`] forwards requests.
#[derive(Debug, Clone)]
pub struct Next(Route);

impl Next {
    /// Forwards the request and returns the response.
    ///
    /// # Errors
    ///
    /// Returns the error of an inner layer or of the handler.
    pub async fn run(self, request: Request) -> Result<Response, BoxError> {
        self.0.call(request).await
    }
}

impl<F> fmt::Debug for FromFnLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFnLayer").finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").finish_non_exhaustive()
    }
}
