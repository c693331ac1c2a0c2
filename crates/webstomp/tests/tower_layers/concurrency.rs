//! Layers that bound how many requests run at the same time.

use crate::{
    gate::{Gate, Waiting, check_concurrent, check_exclusive, wait},
    sink,
    support::Server,
};
use stomp_testing::frames::send;
use tower::{
    ServiceBuilder,
    buffer::BufferLayer,
    limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer},
    load_shed::LoadShedLayer,
};
use webstomp::{App, Handler, Router};

/// An app with two waiting handlers, to which a test adds a layer.
fn two_routes(gate: Gate) -> App {
    App::new()
        .send("/p/a", wait)
        .send("/p/b", wait)
        .with_state(gate)
}

/// A router with two waiting handlers, which the tests nest under `/p`.
fn two_nested_routes() -> Router<Gate> {
    Router::new().send("/a", wait).send("/b", wait)
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_of_an_app_covers_all_routes() {
    let app = |gate| two_routes(gate).layer(ConcurrencyLimitLayer::new(1));
    check_exclusive(app, "/p/a", "/p/a").await;
    check_exclusive(app, "/p/a", "/p/b").await;
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_of_a_router_is_separate_for_each_route() {
    let app = |gate| {
        let nested = two_nested_routes().layer(ConcurrencyLimitLayer::new(1));
        App::new().nest("/p", nested).with_state(gate)
    };
    check_exclusive(app, "/p/a", "/p/a").await;
    check_concurrent(app, "/p/a", "/p/b").await;
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_of_a_route_covers_no_other_route() {
    let app = |gate| {
        App::new()
            .send("/a", wait.layer(ConcurrencyLimitLayer::new(1)))
            .send("/b", wait)
            .with_state(gate)
    };
    check_exclusive(app, "/a", "/a").await;
    check_concurrent(app, "/a", "/b").await;
    check_concurrent(app, "/b", "/b").await;
}

#[tokio::test(start_paused = true)]
async fn idle_sessions_hold_no_permits_of_a_concurrency_limit() {
    let app = App::new()
        .send("/sink", sink)
        .layer(ConcurrencyLimitLayer::new(1));
    let server = Server::new(app);
    let [mut one, mut other] = [server.client().await, server.client().await];
    for _ in 0..2 {
        one.receipt(send("/sink", "")).await;
        other.receipt(send("/sink", "")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_global_concurrency_limit_is_shared_by_all_routes_that_it_wraps() {
    let layer = || GlobalConcurrencyLimitLayer::new(1);
    let app = |gate| two_routes(gate).layer(layer());
    check_exclusive(app, "/p/a", "/p/b").await;

    let prefix = |gate| {
        App::new()
            .nest("/p", two_nested_routes().layer(layer()))
            .send("/c", wait)
            .with_state(gate)
    };
    check_exclusive(prefix, "/p/a", "/p/b").await;
    check_concurrent(prefix, "/p/a", "/c").await;

    let routes = |gate| {
        let layer = layer();
        App::new()
            .send("/a", wait.layer(layer.clone()))
            .send("/b", wait.layer(layer))
            .with_state(gate)
    };
    check_exclusive(routes, "/a", "/b").await;
}

#[tokio::test(start_paused = true)]
async fn load_shed_refuses_requests_over_the_limit_with_the_error_overloaded() {
    async fn check(app: impl FnOnce(Gate) -> App) {
        let gate = Gate::new();
        let server = Server::new(app(gate.clone()));
        let [one, mut other] = [server.client().await, server.client().await];
        let mut one = Waiting::start(one, "/p/a").await;
        other.expect_refusal(send("/p/a", ""), "overloaded").await;
        gate.open_for_one();
        one.expect_receipt().await;
        gate.open_for_one();
        other.receipt(send("/p/a", "")).await;
    }
    let layer = || ServiceBuilder::new().load_shed().concurrency_limit(1);
    check(|gate| two_routes(gate).layer(layer())).await;
    check(|gate| {
        let nested = two_nested_routes().layer(layer());
        App::new().nest("/p", nested).with_state(gate)
    })
    .await;
    check(|gate| {
        App::new()
            .send("/p/a", wait.layer(layer()))
            .with_state(gate)
    })
    .await;
    // An outer layer of an app sees whether the inner one is ready, so the two can be added one by one.
    check(|gate| {
        two_routes(gate)
            .layer(ConcurrencyLimitLayer::new(1))
            .layer(LoadShedLayer::new())
    })
    .await;
}

/// With a limit of one, one request runs, a second is held by the buffer's worker, and a third is in the buffer.
#[tokio::test(start_paused = true)]
async fn a_buffer_holds_requests_over_the_limit() {
    async fn check(app: impl FnOnce(Gate) -> App) {
        let gate = Gate::new();
        let server = Server::new(app(gate.clone()));
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(server.client().await);
        }
        let mut fourth = server.client().await;
        let mut waiting = Vec::new();
        for client in clients {
            waiting.push(Waiting::start(client, "/p/a").await);
        }
        fourth.expect_refusal(send("/p/a", ""), "overloaded").await;
        for waiting in &mut waiting {
            gate.open_for_one();
            waiting.expect_receipt().await;
        }
        assert_eq!(gate.started(), 3);
    }
    let layer = || {
        ServiceBuilder::new()
            .load_shed()
            .layer(BufferLayer::new(1))
            .concurrency_limit(1)
    };
    check(|gate| two_routes(gate).layer(layer())).await;
    check(|gate| {
        let nested = two_nested_routes().layer(layer());
        App::new().nest("/p", nested).with_state(gate)
    })
    .await;
    check(|gate| {
        App::new()
            .send("/p/a", wait.layer(layer()))
            .with_state(gate)
    })
    .await;
}
