//! Tower layers around handlers: their order, the values they pass to handlers, and the errors that clients get for
//! their errors.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::{FutureExt, StreamExt};
use std::{
    future::pending,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use stomp_frame::{Command, Frame};
use stomp_router::{FromRequestParts, Handler, Router, Routes, SessionRoutes, map_error};
use stomp_session::{BoxError, ClientError, DestinationSyntax, Request, Response};
use tokio::sync::Notify;
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer,
    timeout::TimeoutLayer, util::MapRequestLayer,
};

fn request(command: Command, destination: &str) -> Request {
    Request::new(Frame::new(command).with_header("destination", destination))
}

/// The code of the error that a client gets for a `SEND`.
async fn code(routes: &Routes, destination: &str) -> String {
    let error = routes
        .clone()
        .oneshot(request(Command::Send, destination))
        .await
        .unwrap_err();
    map_error(&*error).code().to_owned()
}

/// A layer that adds its name to each request, and rejects requests with one command.
#[derive(Clone, Copy)]
struct NameLayer {
    name: &'static str,
    rejects: Option<Command>,
}

fn named(name: &'static str) -> NameLayer {
    NameLayer {
        name,
        rejects: None,
    }
}

impl<S> Layer<S> for NameLayer {
    type Service = NameService<S>;

    fn layer(&self, inner: S) -> NameService<S> {
        NameService {
            inner,
            layer: *self,
        }
    }
}

#[derive(Clone)]
struct NameService<S> {
    inner: S,
    layer: NameLayer,
}

impl<S> Service<Request> for NameService<S>
where
    S: Service<Request, Response = Response, Error = BoxError, Future: Send + 'static>,
{
    type Response = Response;
    type Error = BoxError;
    type Future = futures_util::future::BoxFuture<'static, Result<Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if self.layer.rejects == Some(request.command()) {
            let error = ClientError::new("rejected", self.layer.name);
            return async { Err(error.into()) }.boxed();
        }
        request
            .extensions_mut()
            .get_or_insert_default::<Names>()
            .0
            .push(self.layer.name);
        self.inner.call(request).boxed()
    }
}

/// The names of the layers that a request has passed, outermost first.
#[derive(Clone, Default)]
struct Names(Vec<&'static str>);

impl<S: Sync> FromRequestParts<S> for Names {
    async fn from_request_parts(request: &Request, _: &S) -> Result<Self, BoxError> {
        Ok(request.extensions().get().cloned().unwrap_or_default())
    }
}

async fn names(Names(names): Names) -> String {
    names.join(" ")
}

/// The names of the layers around the handler for `destination`, outermost first.
async fn layers_around(routes: &Routes, destination: &str) -> String {
    let Response::Observe(mut messages) = routes
        .clone()
        .oneshot(request(Command::Subscribe, destination))
        .await
        .unwrap()
    else {
        panic!("the response has no messages")
    };
    String::from_utf8(messages.next().await.unwrap().unwrap().body().to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_timeout_layer_ends_a_slow_handler() {
    async fn slow() {
        tokio::time::sleep(Duration::from_secs(100)).await;
    }
    let routes = Router::new()
        .send(
            "/never",
            pending::<()>.layer(TimeoutLayer::new(Duration::from_secs(10))),
        )
        .send("/slow", slow)
        .send(
            "/slow/enough",
            slow.layer(TimeoutLayer::new(Duration::from_secs(101))),
        )
        .build()
        .unwrap();
    assert_eq!(code(&routes, "/never").await, "timeout");
    assert!(
        routes
            .clone()
            .oneshot(request(Command::Send, "/slow"))
            .await
            .is_ok(),
        "a handler outside the layer has no timeout"
    );
    assert!(
        routes
            .clone()
            .oneshot(request(Command::Send, "/slow/enough"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_load_shedding_concurrency_limit_rejects_calls_above_the_limit() {
    let limit = || ServiceBuilder::new().load_shed().concurrency_limit(2);
    let routes = Router::new()
        .send("/a", pending::<()>.layer(limit()))
        .send("/b", pending::<()>.layer(limit()))
        .build()
        .unwrap();
    let start = |destination| {
        let mut call = Box::pin(routes.clone().oneshot(request(Command::Send, destination)));
        (&mut call).now_or_never().map_or(Ok(call), Err)
    };
    let first = start("/a").expect("the first call is below the limit");
    let _second = start("/a").expect("the second call is below the limit");
    assert_eq!(code(&routes, "/a").await, "overloaded");
    let _other = start("/b").expect("each route has its own limit");

    drop(first);
    let _third = start("/a").expect("a dropped call no longer counts");
    assert_eq!(code(&routes, "/a").await, "overloaded");
}

#[tokio::test]
async fn a_layer_passes_a_value_to_the_handlers_inside_it() {
    let routes = Router::new()
        .subscribe("/inside", names.layer(named("a")))
        .subscribe("/outside", names)
        .build()
        .unwrap();
    assert_eq!(layers_around(&routes, "/inside").await, "a");
    assert_eq!(layers_around(&routes, "/outside").await, "");
}

#[tokio::test]
async fn a_layer_that_redirects_a_request_changes_its_route() {
    let redirect = |request: Request| {
        let destination = DestinationSyntax::default().parse("/new").unwrap();
        request.with_destination(destination)
    };
    let routes = Router::new()
        .subscribe("/old", names.layer(named("old")))
        .subscribe("/new", names.layer(named("new")))
        .build()
        .unwrap()
        .layer(MapRequestLayer::new(redirect));
    for destination in ["/old", "/new", "/unknown"] {
        assert_eq!(
            layers_around(&routes, destination).await,
            "new",
            "{destination}"
        );
    }
}

#[tokio::test]
async fn a_router_layer_wraps_only_the_routes_added_before_it() {
    let routes = Router::new()
        .subscribe("/first", names)
        .layer(named("a"))
        .subscribe("/second", names)
        .layer(named("b"))
        .subscribe("/third", names)
        .build()
        .unwrap();
    assert_eq!(
        layers_around(&routes, "/first").await,
        "b a",
        "the layer added last is the outermost"
    );
    assert_eq!(layers_around(&routes, "/second").await, "b");
    assert_eq!(layers_around(&routes, "/third").await, "");
}

#[tokio::test]
async fn the_layer_added_last_is_the_outermost() {
    let routes = Router::new()
        .subscribe("/one/by/one", names.layer(named("a")).layer(named("b")))
        // In a `ServiceBuilder`, the first layer is the outermost.
        .subscribe(
            "/built",
            names.layer(ServiceBuilder::new().layer(named("b")).layer(named("a"))),
        )
        .layer(named("c"))
        .layer(named("d"))
        .build()
        .unwrap();
    assert_eq!(layers_around(&routes, "/one/by/one").await, "d c b a");
    assert_eq!(layers_around(&routes, "/built").await, "d c b a");
}

#[tokio::test]
async fn state_and_layers_can_be_added_in_any_order() {
    async fn both(
        Names(names): Names,
        stomp_router::State(state): stomp_router::State<&'static str>,
    ) -> String {
        format!("{state} {}", names.join(" "))
    }
    let before = Router::new()
        .subscribe("/a", both)
        .with_state("s")
        .layer(named("a"))
        .build()
        .unwrap();
    let after = Router::new()
        .subscribe("/a", both)
        .layer(named("a"))
        .with_state("s")
        .build()
        .unwrap();
    assert_eq!(layers_around(&before, "/a").await, "s a");
    assert_eq!(layers_around(&after, "/a").await, "s a");
}

#[tokio::test]
async fn a_router_layer_wraps_the_routes_of_every_command() {
    async fn sink() {}
    for command in [
        Command::Connect,
        Command::Send,
        Command::Subscribe,
        Command::Unsubscribe,
        Command::Disconnect,
    ] {
        let routes = Router::new()
            .connect(sink)
            .send("/a", sink)
            .subscribe("/a", sink)
            .unsubscribe("/a", sink)
            .disconnect(sink)
            .layer(NameLayer {
                name: "a",
                rejects: Some(command),
            })
            .build()
            .unwrap();
        for other in [
            Command::Connect,
            Command::Send,
            Command::Subscribe,
            Command::Unsubscribe,
            Command::Disconnect,
        ] {
            let result = routes.clone().oneshot(request(other, "/a")).await;
            assert_eq!(
                result.is_err(),
                other == command,
                "{other} while the layer rejects {command}"
            );
        }
    }
}

#[tokio::test]
async fn errors_keep_their_type_through_layers() {
    async fn reject() -> Result<(), ClientError> {
        Err(ClientError::new("out-of-stock", "There is none left."))
    }
    async fn fail() -> Result<(), std::fmt::Error> {
        Err(std::fmt::Error)
    }
    async fn sink() {}
    let routes = Router::new()
        .send("/rejected", reject)
        .send("/failed", fail)
        .send(
            "/sink",
            sink.layer(NameLayer {
                name: "a",
                rejects: Some(Command::Send),
            }),
        )
        .layer(ServiceBuilder::new().load_shed().concurrency_limit(1))
        .layer(TimeoutLayer::new(Duration::from_secs(10)))
        .build()
        .unwrap();
    assert_eq!(code(&routes, "/rejected").await, "out-of-stock");
    assert_eq!(
        code(&routes, "/sink").await,
        "rejected",
        "a layer's own error reaches the client"
    );
    assert_eq!(
        code(&routes, "/failed").await,
        "internal-error",
        "other errors are hidden from clients"
    );
    let error = routes
        .oneshot(request(Command::Send, "/failed"))
        .await
        .unwrap_err();
    assert!(error.is::<std::fmt::Error>(), "{error:?}");
}

#[tokio::test]
async fn a_call_that_is_given_up_while_its_route_is_not_ready_keeps_no_place() {
    let proceed = Arc::new(Notify::new());
    let waits = Arc::clone(&proceed);
    let handler = move || {
        let proceed = Arc::clone(&waits);
        async move { proceed.notified().await }
    };
    let routes = Router::new()
        .send("/a", handler.layer(ConcurrencyLimitLayer::new(1)))
        .build()
        .unwrap();
    let [mut one, mut other] = [(); 2].map(|()| SessionRoutes::from(routes.clone()));
    let request = || request(Command::Send, "/a");
    for _ in 0..3 {
        // The second session has a clone of the route already, except in the first turn.
        let mut running = one.call(request());
        assert!((&mut running).now_or_never().is_none());
        let mut given_up = other.call(request());
        assert!((&mut given_up).now_or_never().is_none(), "it must wait");
        drop(given_up);
        proceed.notify_one();
        running.await.unwrap();
        let mut waits = other.call(request());
        assert!((&mut waits).now_or_never().is_none());
        let mut behind = one.call(request());
        assert!((&mut behind).now_or_never().is_none());
        proceed.notify_one();
        waits.await.unwrap();
        proceed.notify_one();
        behind.await.unwrap();
    }
}
