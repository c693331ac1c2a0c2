//! A request extension as a handler argument.

use super::FromRequest;
use crate::client_errors::missing_argument;
use std::any::type_name;
use stomp_session::{ClientError, Request};

/// A value that a layer has inserted into the request's [extensions](Request::extensions_mut).
///
/// If no layer has inserted a `T`, the client gets an `internal-error`, and the log names the missing type. If that is
/// expected, use `Option<Extension<T>>`.
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

impl<T: Clone + Send + Sync + 'static, S> FromRequest<S> for Extension<T> {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        let value = request.extensions().get().cloned();
        value
            .map(Extension)
            .ok_or_else(|| missing_argument(type_name::<Self>(), "no layer has inserted one"))
    }
}
