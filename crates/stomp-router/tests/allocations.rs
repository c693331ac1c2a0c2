//! The number of allocations of one call, from the request to the response.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::FutureExt;
use std::time::Duration;
use stomp_frame::{Command, Frame};
use stomp_router::{
    FromRequestParts, Handler, Path, Router, Routes, SessionRoutes, State,
    middleware::{Next, RequirePrincipalLayer, TraceLayer, from_fn},
};
use stomp_session::{BoxError, Principal, Request, Response};
use tower::{Service, ServiceBuilder, ServiceExt, timeout::TimeoutLayer};

/// Returns the average number of allocations for a `SEND`, after other calls have warmed up the service. No destination
/// is used twice.
fn allocations<S>(mut service: S, rooms: usize) -> f64
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
            let response = ready.map(|service| service.call(request).now_or_never().unwrap());
            assert!(response.is_ok_and(|response| response.is_ok()));
        }
    };
    call(requests(0));
    let counted = requests(TIMES);
    allocation_counter::measure(|| call(counted)).count_total as f64 / TIMES as f64
}

async fn plain(State(_): State<u32>, Path(_): Path<u32>) {}

/// An argument that could wait.
struct Waiting;

impl FromRequestParts<u32> for Waiting {
    async fn from_request_parts(_: &Request, state: &u32) -> Result<Self, BoxError> {
        assert_eq!(std::future::ready(*state).await, 7);
        Ok(Waiting)
    }
}

async fn waiting(_: Waiting, Path(_): Path<u32>, _: Request) {}

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
fn a_route_without_layers_costs_one_allocation() {
    assert_eq!(allocations(routes(1), 1), 1.0);
}

#[test]
fn arguments_that_may_wait_cost_no_more_allocations() {
    let routes = Router::new()
        .send("/rooms/0/{id}", waiting)
        .with_state(7)
        .build();
    assert_eq!(allocations(routes.unwrap(), 1), 1.0);
}

#[test]
fn the_number_of_routes_does_not_change_the_allocations() {
    for rooms in [10, 1_000] {
        assert_eq!(allocations(routes(rooms), rooms), 1.0, "{rooms}");
    }
}

#[test]
fn any_number_of_layers_around_a_route_costs_one_more_allocation() {
    let one = Router::new()
        .send("/rooms/0/{id}", plain.layer(layer()))
        .with_state(7);
    assert_eq!(allocations(one.build().unwrap(), 1), 2.0);
    assert_eq!(
        allocations(router(1).layer(layer()).with_state(7).build().unwrap(), 1),
        2.0
    );
    let combined = ServiceBuilder::new()
        .concurrency_limit(5)
        .layer(RequirePrincipalLayer)
        .layer(TraceLayer::new());
    assert_eq!(
        allocations(
            router(1)
                .layer(combined.layer(layer()))
                .with_state(7)
                .build()
                .unwrap(),
            1
        ),
        2.0
    );
    let function = from_fn(async |request, next: Next| next.run(request).await);
    assert_eq!(
        allocations(router(1).layer(function).with_state(7).build().unwrap(), 1),
        2.0
    );
}

#[test]
fn each_layer_around_all_routes_costs_one_more_allocation() {
    assert_eq!(allocations(routes(1).layer(layer()), 1), 2.0);
    let function = from_fn(async |request, next: Next| next.run(request).await);
    assert_eq!(
        allocations(routes(1).layer(function), 1),
        3.0,
        "`from_fn` boxes the call to the inner service as well"
    );
    assert_eq!(allocations(SessionRoutes::from(routes(1)), 1), 1.0);
    assert_eq!(
        allocations(SessionRoutes::from(routes(1)).layer(&layer()), 1),
        2.0
    );
    assert_eq!(
        allocations(
            SessionRoutes::from(routes(1).layer(layer())).layer(&layer()),
            1
        ),
        3.0
    );
}
