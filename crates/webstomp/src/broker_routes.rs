//! The routes of a broker.

use stomp_broker::Broker;
use stomp_frame::Command;
use stomp_router::Router;
use tower::layer::util::Identity;

/// The routes of a broker: `SEND` and `SUBSCRIBE` to `/topic/…`, `/queue/…`, `/user/…` and `/temp-queue/…`.
///
/// [`App::broker`](crate::App::broker) adds these routes to an app. Use this function instead to put layers and
/// policies around them first. Then [merge](Router::merge) the router into the app's routes. Do not nest it, since a
/// broker's destinations have no other prefix.
///
/// The broker's [rules](stomp_broker::Rules) count as the [policy](Router::policy) of these routes. The router also
/// contains the [syntax](stomp_broker::destination_syntax()) of the broker's destinations.
///
/// ```
/// use webstomp::{App, Router, broker::Broker, broker_routes, middleware::RequirePrincipalLayer};
///
/// # fn main() -> Result<(), webstomp::BoxError> {
/// let broker = Broker::new(Default::default())?;
///
/// // Nobody uses the broker without a login, whatever its rules say.
/// let members: Router = broker_routes(&broker).policy(RequirePrincipalLayer);
/// let app = App::from(Router::new().merge(members).require_policies());
/// # app.into_service()?;
/// # Ok(())
/// # }
/// ```
#[track_caller]
pub fn broker_routes<S: Clone + Send + 'static>(broker: &Broker) -> Router<S> {
    let mut router = Router::new();
    for pattern in [
        "/topic/{*path}",
        "/queue/{*path}",
        "/user/{*path}",
        "/temp-queue/{*path}",
    ] {
        for command in [Command::Send, Command::Subscribe] {
            router = router.route_service(command, pattern, broker.clone());
        }
    }
    router
        .policy(Identity::new())
        .destinations(stomp_broker::destination_syntax())
}
