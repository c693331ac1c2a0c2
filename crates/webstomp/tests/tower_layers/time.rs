//! Layers that measure time: timeouts and rates.

use crate::{sink, support::Server};
use std::{future::pending, time::Duration};
use stomp_testing::frames::send;
use tokio::time::Instant;
use tower::{ServiceBuilder, limit::RateLimitLayer, timeout::TimeoutLayer};
use webstomp::{App, Handler, Router};

const TEN_SECONDS: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn a_timeout_layer_refuses_slow_requests_with_the_error_timeout() {
    let layer = || TimeoutLayer::new(Duration::from_secs(5));
    let slow = pending::<()>;
    let app = || App::new().send("/p/slow", slow).send("/p/sink", sink);
    let nested = Router::new()
        .send("/slow", slow)
        .send("/sink", sink)
        .layer(layer());
    let route = App::new()
        .send("/p/slow", slow.layer(layer()))
        .send("/p/sink", sink);
    for app in [app().layer(layer()), App::new().nest("/p", nested), route] {
        let mut client = Server::new(app).client().await;
        let start = Instant::now();
        client.expect_refusal(send("/p/slow", ""), "timeout").await;
        assert_eq!(start.elapsed().as_secs(), 5);
        client.receipt(send("/p/sink", "")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_per_session_slows_down_each_session_separately() {
    // CONNECT and CONNECTED are the first of the three requests in ten seconds.
    let app = App::new()
        .send("/sink", sink)
        .layer_per_session(RateLimitLayer::new(3, TEN_SECONDS));
    let server = Server::new(app);
    let [mut one, mut other] = [server.client().await, server.client().await];
    let start = Instant::now();
    one.receipt(send("/sink", "")).await;
    other.receipt(send("/sink", "")).await;
    assert_eq!(start.elapsed().as_secs(), 0);
    one.receipt(send("/sink", "")).await;
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn layers_per_session_wrap_the_layers_of_the_app() {
    let per_session = |frames| RateLimitLayer::new(frames, TEN_SECONDS);
    let app = App::new()
        .send("/sink", sink)
        .layer(TimeoutLayer::new(Duration::from_secs(1)))
        .layer_per_session(per_session(100))
        .layer_per_session(per_session(2));
    let mut client = Server::new(app).client().await;
    let start = Instant::now();
    client.receipt(send("/sink", "")).await;
    client.receipt(send("/sink", "")).await;
    assert_eq!(
        start.elapsed().as_secs(),
        10,
        "the timeout inside does not count the time that the request waits outside"
    );
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_behind_a_buffer_is_shared_by_all_sessions() {
    let limited = ServiceBuilder::new().buffer(8).rate_limit(1, TEN_SECONDS);
    let app = App::new()
        .send("/limited", sink.layer(limited))
        .send("/sink", sink);
    let server = Server::new(app);
    let [mut one, mut other] = [server.client().await, server.client().await];
    let start = Instant::now();
    one.receipt(send("/limited", "")).await;
    other.receipt(send("/sink", "")).await;
    assert_eq!(start.elapsed().as_secs(), 0);
    other.receipt(send("/limited", "")).await;
    assert_eq!(start.elapsed().as_secs(), 10);
}
