//! A request extension as a handler argument.

use super::FromRequestParts;
use crate::client_errors::UnavailableArgument;
use stomp_session::{BoxError, Request};

/// A value that a layer has inserted into the request's [extensions](Request::extensions_mut).
///
/// If no layer has inserted a `T`, the client gets an `internal-error`, and the log names the missing type and the
/// handler. If that is expected, use `Option<Extension<T>>`.
///
/// ```
/// use stomp_router::{Extension, Handler, Router};
/// use stomp_session::Request;
/// use tower::util::MapRequestLayer;
///
/// #[derive(Clone)]
/// struct Tenant(String);
///
/// async fn order(Extension(Tenant(name)): Extension<Tenant>) {
///     println!("An order from {name}.");
/// }
///
/// let tenant = MapRequestLayer::new(|mut request: Request| {
///     let name = request.headers().get("tenant").unwrap_or("nobody").to_owned();
///     request.extensions_mut().insert(Tenant(name));
///     request
/// });
/// let router: Router = Router::new().send("/orders", order.layer(tenant));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extension<T>(pub T);

impl<T: Clone + Send + Sync + 'static, S: Sync> FromRequestParts<S> for Extension<T> {
    const IS_IMMEDIATE: bool = true;

    async fn from_request_parts(request: &Request, _: &S) -> Result<Self, BoxError> {
        let value = request.extensions().get().cloned().map(Extension);
        let missing = || UnavailableArgument::new::<Self>("no layer has inserted one");
        Ok(value.ok_or_else(missing)?)
    }
}
