//! Tower layers around handlers: what they see, in which order, and what clients are told of their errors.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::{FutureExt, StreamExt};
use std::{
    future::pending,
    task::{Context, Poll},
    time::Duration,
};
use stomp_frame::{Command, Frame};
use stomp_router::{FromRequest, Handler, Router, Routes, map_error};
use stomp_session::{BoxError, ClientError, Request, Response};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, timeout::TimeoutLayer};

fn request(command: Command, destination: &str) -> Request {
    Request::new(Frame::new(command).with_header("destination", destination))
}

/// The code that a client is shown of a `SEND` that fails.
async fn code(routes: &Routes, destination: &str) -> String {
    let error = routes
        .clone()
        .oneshot(request(Command::Send, destination))
        .await
        .unwrap_err();
    map_error(&*error).code().to_owned()
}

/// A layer that leaves its name on each request, and refuses those that `refuse` is about.
#[derive(Clone, Copy)]
struct Named {
    name: &'static str,
    refuses: Option<Command>,
}

fn named(name: &'static str) -> Named {
    Named {
        name,
        refuses: None,
    }
}

impl<S> Layer<S> for Named {
    type Service = Naming<S>;

    fn layer(&self, inner: S) -> Naming<S> {
        Naming {
            inner,
            layer: *self,
        }
    }
}

#[derive(Clone)]
struct Naming<S> {
    inner: S,
    layer: Named,
}

impl<S> Service<Request> for Naming<S>
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
        if self.layer.refuses == Some(request.command()) {
            let error = ClientError::new("refused", self.layer.name);
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

/// The layers a request went through, outermost first.
#[derive(Clone, Default)]
struct Names(Vec<&'static str>);

impl<S> FromRequest<S> for Names {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        Ok(request.extensions().get().cloned().unwrap_or_default())
    }
}

async fn names(Names(names): Names) -> String {
    names.join(" ")
}

/// The layers around the handler of `destination`, outermost first.
async fn around(routes: &Routes, destination: &str) -> String {
    let Response::Observe(mut messages) = routes
        .clone()
        .oneshot(request(Command::Subscribe, destination))
        .await
        .unwrap()
    else {
        panic!("no message")
    };
    String::from_utf8(messages.next().await.unwrap().unwrap().body().to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_timeout_ends_a_handler_that_does_not() {
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
        "it is not in the layer"
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
async fn a_limit_that_sheds_load_lets_in_as_many_as_it_says() {
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
    let first = start("/a").expect("there is room");
    let _second = start("/a").expect("there is room still");
    assert_eq!(code(&routes, "/a").await, "overloaded");
    let _other = start("/b").expect("this route has a limit of its own");

    drop(first);
    let _third = start("/a").expect("there is room again");
    assert_eq!(code(&routes, "/a").await, "overloaded");
}

#[tokio::test]
async fn a_layer_hands_something_to_the_handlers_inside_it() {
    let routes = Router::new()
        .subscribe("/inside", names.layer(named("a")))
        .subscribe("/outside", names)
        .build()
        .unwrap();
    assert_eq!(around(&routes, "/inside").await, "a");
    assert_eq!(around(&routes, "/outside").await, "");
}

#[tokio::test]
async fn a_layer_of_the_router_is_around_the_routes_before_it() {
    let routes = Router::new()
        .subscribe("/first", names)
        .layer(named("a"))
        .subscribe("/second", names)
        .layer(named("b"))
        .subscribe("/third", names)
        .build()
        .unwrap();
    assert_eq!(
        around(&routes, "/first").await,
        "b a",
        "the last added is the outermost"
    );
    assert_eq!(around(&routes, "/second").await, "b");
    assert_eq!(around(&routes, "/third").await, "");
}

#[tokio::test]
async fn the_last_layer_is_the_outermost() {
    let routes = Router::new()
        .subscribe("/one/by/one", names.layer(named("a")).layer(named("b")))
        // In a builder it is the first.
        .subscribe(
            "/built",
            names.layer(ServiceBuilder::new().layer(named("b")).layer(named("a"))),
        )
        .layer(named("c"))
        .layer(named("d"))
        .build()
        .unwrap();
    assert_eq!(around(&routes, "/one/by/one").await, "d c b a");
    assert_eq!(around(&routes, "/built").await, "d c b a");
}

#[tokio::test]
async fn state_and_layers_may_come_in_any_order() {
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
    assert_eq!(around(&before, "/a").await, "s a");
    assert_eq!(around(&after, "/a").await, "s a");
}

#[tokio::test]
async fn routes_of_every_command_are_layered() {
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
            .layer(Named {
                name: "a",
                refuses: Some(command),
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
            let answer = routes.clone().oneshot(request(other, "/a")).await;
            assert_eq!(
                answer.is_err(),
                other == command,
                "{other} where {command} is refused"
            );
        }
    }
}

#[tokio::test]
async fn errors_pass_through_layers_as_what_they_are() {
    async fn refuse() -> Result<(), ClientError> {
        Err(ClientError::new("out-of-stock", "There is none left."))
    }
    async fn fail() -> Result<(), std::fmt::Error> {
        Err(std::fmt::Error)
    }
    async fn sink() {}
    let routes = Router::new()
        .send("/refused", refuse)
        .send("/failed", fail)
        .send(
            "/sink",
            sink.layer(Named {
                name: "a",
                refuses: Some(Command::Send),
            }),
        )
        .layer(ServiceBuilder::new().load_shed().concurrency_limit(1))
        .layer(TimeoutLayer::new(Duration::from_secs(10)))
        .build()
        .unwrap();
    assert_eq!(code(&routes, "/refused").await, "out-of-stock");
    assert_eq!(
        code(&routes, "/sink").await,
        "refused",
        "a layer's own error"
    );
    assert_eq!(
        code(&routes, "/failed").await,
        "internal-error",
        "this is not meant for clients"
    );
    let error = routes
        .oneshot(request(Command::Send, "/failed"))
        .await
        .unwrap_err();
    assert!(error.is::<std::fmt::Error>(), "{error:?}");
}
