//! cannot be used as a route
//! tower's `RateLimit` is not `Clone`: add `buffer` before it in one `ServiceBuilder`

use std::time::Duration;
use tower::limit::RateLimitLayer;

async fn post() {}

fn main() {
    let layer = RateLimitLayer::new(1, Duration::from_secs(1));
    let _: stomp_router::Router = stomp_router::Router::new().send("/posts", post).layer(layer);
}
