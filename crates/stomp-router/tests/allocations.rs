//! What a frame costs in allocations, from the request to the answer.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::FutureExt;
use std::time::Duration;
use stomp_frame::{Command, Frame};
use stomp_router::{
    Handler, Path, Router, Routes, SessionRoutes, State,
    middleware::{Next, RequirePrincipalLayer, TraceLayer, from_fn},
};
use stomp_session::{Principal, Request, Response};
use tower::{Service, ServiceBuilder, ServiceExt, timeout::TimeoutLayer};

/// What a `SEND` to one of these routes costs, when there have been others before, none to the same destination.
fn cost<S>(mut service: S, rooms: usize) -> f64
where
    S: Service<Request, Response = Response>,
{
    const TIMES: usize = 100;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let requests = |from: usize| -> Vec<Request> {
        let destinations =
            (from..from + TIMES).map(|turn| format!("/rooms/{}/{}", turn % rooms, 1_000 + turn));
        let frames =
            destinations.map(|to| Frame::new(Command::Send).with_header("destination", &to));
        frames
            .map(|frame| Request::new(frame).with_principal(Principal::new("ann")))
            .collect()
    };
    let mut call = |requests: Vec<Request>| {
        for request in requests {
            let ready = service.ready().now_or_never().unwrap();
            let answer = ready.map(|service| service.call(request).now_or_never().unwrap());
            assert!(answer.is_ok_and(|answer| answer.is_ok()));
        }
    };
    call(requests(0));
    let counted = requests(TIMES);
    allocation_counter::measure(|| call(counted)).count_total as f64 / TIMES as f64
}

async fn plain(State(_): State<u32>, Path(_): Path<u32>) {}

fn routes(rooms: usize) -> Routes {
    router(rooms).with_state(7).build().unwrap()
}

fn router(rooms: usize) -> Router<u32> {
    (0..rooms).fold(Router::new(), |router, room| {
        router.send(&format!("/rooms/{room}/{{id}}"), plain)
    })
}

fn layer() -> TimeoutLayer {
    TimeoutLayer::new(Duration::from_secs(10))
}

#[test]
fn a_plain_route_costs_one() {
    assert_eq!(cost(routes(1), 1), 1.0);
}

#[test]
fn it_is_one_with_ten_routes_and_with_a_thousand() {
    for rooms in [10, 1_000] {
        assert_eq!(cost(routes(rooms), rooms), 1.0, "{rooms}");
    }
}

#[test]
fn a_route_in_layers_costs_two() {
    let one = Router::new()
        .send("/rooms/0/{id}", plain.layer(layer()))
        .with_state(7);
    assert_eq!(cost(one.build().unwrap(), 1), 2.0);
    assert_eq!(
        cost(router(1).layer(layer()).with_state(7).build().unwrap(), 1),
        2.0
    );
    let several = ServiceBuilder::new()
        .concurrency_limit(5)
        .layer(RequirePrincipalLayer)
        .layer(TraceLayer);
    assert_eq!(
        cost(
            router(1)
                .layer(several.layer(layer()))
                .with_state(7)
                .build()
                .unwrap(),
            1
        ),
        2.0
    );
    let function = from_fn(async |request, next: Next| next.run(request).await);
    assert_eq!(
        cost(router(1).layer(function).with_state(7).build().unwrap(), 1),
        2.0
    );
}

#[test]
fn layers_around_everything_cost_one_more() {
    assert_eq!(cost(routes(1).layer(layer()), 1), 2.0);
    let function = from_fn(async |request, next: Next| next.run(request).await);
    assert_eq!(
        cost(routes(1).layer(function), 1),
        3.0,
        "a function keeps the way to the handler for later"
    );
    assert_eq!(cost(SessionRoutes::from(routes(1)), 1), 1.0);
    assert_eq!(cost(SessionRoutes::from(routes(1)).layer(&layer()), 1), 2.0);
    assert_eq!(
        cost(
            SessionRoutes::from(routes(1).layer(layer())).layer(&layer()),
            1
        ),
        3.0
    );
}
