//! Layers that refuse requests by a predicate.

use crate::{sink, support::Server};
use std::time::Duration;
use stomp_testing::frames::send;
use tower::filter::{AsyncFilterLayer, FilterLayer};
use webstomp::{App, BoxError, ClientError, Handler, Request, Router, frame::Command};

/// Refuses messages without a body.
fn require_body(request: Request) -> Result<Request, ClientError> {
    if request.command() == Command::Send && request.body().is_empty() {
        return Err(ClientError::new("empty", "The body is missing."));
    }
    Ok(request)
}

async fn require_body_later(request: Request) -> Result<Request, BoxError> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(require_body(request)?)
}

/// Checks that messages without a body are refused, and others are not.
async fn check(app: App) {
    let mut client = Server::new(app).client().await;
    client.receipt(send("/p/sink", "something")).await;
    let error = client.expect_refusal(send("/p/sink", ""), "empty").await;
    assert_eq!(error.body, "The body is missing.");
    client.receipt(send("/p/sink", "something")).await;
}

#[tokio::test(start_paused = true)]
async fn a_filter_refuses_requests() {
    let layer = || FilterLayer::new(require_body);
    let nested = Router::new().send("/sink", sink).layer(layer());
    check(App::new().send("/p/sink", sink).layer(layer())).await;
    check(App::new().nest("/p", nested)).await;
    check(App::new().send("/p/sink", sink.layer(layer()))).await;
}

#[tokio::test(start_paused = true)]
async fn an_async_filter_refuses_requests() {
    let layer = || AsyncFilterLayer::new(require_body_later);
    let nested = Router::new().send("/sink", sink).layer(layer());
    check(App::new().send("/p/sink", sink).layer(layer())).await;
    check(App::new().nest("/p", nested)).await;
    check(App::new().send("/p/sink", sink.layer(layer()))).await;
}
