//! What layers have added, as an argument.

use super::FromRequest;
use crate::map_error::missing;
use std::any::type_name;
use stomp_session::{ClientError, Request};

/// What a layer has added to the request's [extensions](Request::extensions_mut).
///
/// Where none has, the client is told of an `internal-error`, and the log says what is missing. Where that may be,
/// write `Option<Extension<T>>`.
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
///     println!("An order of {name}.");
/// }
///
/// let tenant = MapRequestLayer::new(|mut request: Request| {
///     let host = request.headers().get("tenant").unwrap_or("nobody").to_owned();
///     request.extensions_mut().insert(Tenant(host));
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
            .ok_or_else(|| missing(type_name::<Self>(), "no layer around it has added one"))
    }
}
