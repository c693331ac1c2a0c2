//! Tower's own layers on an app, on a prefix and on one route, and what they do to the frames of real sessions.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use futures_util::future::BoxFuture;
use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use support::{Client, Server, send, subscribe};
use tokio::{sync::Semaphore, time::Instant};
use tower::{
    Layer, Service, ServiceBuilder,
    buffer::BufferLayer,
    filter::{AsyncFilterLayer, FilterLayer},
    limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer, RateLimitLayer},
    load_shed::LoadShedLayer,
    timeout::TimeoutLayer,
};
use webstomp::{
    App, BoxError, ClientError, Extension, Handler, Request, Response, Router, State,
    frame::Command,
};

/// Handlers that are held at a gate.
#[derive(Clone)]
struct Gate {
    arrived: Arc<AtomicUsize>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Gate {
        Gate {
            arrived: Arc::default(),
            open: Arc::new(Semaphore::new(0)),
        }
    }

    fn arrived(&self) -> usize {
        self.arrived.load(Ordering::SeqCst)
    }

    /// Lets one handler end.
    fn let_one_pass(&self) {
        self.open.add_permits(1);
    }
}

async fn held(State(gate): State<Gate>) {
    gate.arrived.fetch_add(1, Ordering::SeqCst);
    gate.open.acquire().await.unwrap().forget();
}

async fn sink() {}

/// Sends from one client, which is held, and then from another.
async fn two_at(server: &Server, gate: &Gate, first: &str, second: &str) -> [Client; 2] {
    let [mut one, mut other] = [server.client().await, server.client().await];
    one.begins(send(first, "")).await;
    one.waits().await;
    assert_eq!(gate.arrived(), 1);
    other.begins(send(second, "")).await;
    [one, other]
}

/// Whoever is second waits for the first, and then has its turn.
async fn one_after_the_other(app: impl FnOnce(Gate) -> App, first: &str, second: &str) {
    let gate = Gate::new();
    let server = Server::new(app(gate.clone()));
    let [mut one, mut other] = two_at(&server, &gate, first, second).await;
    other.waits().await;
    assert_eq!(gate.arrived(), 1, "the second is not let in");
    gate.let_one_pass();
    one.is_answered().await;
    other.waits().await;
    assert_eq!(gate.arrived(), 2, "now it is");
    gate.let_one_pass();
    other.is_answered().await;
}

/// Nobody waits for anybody.
async fn both_at_once(app: impl FnOnce(Gate) -> App, first: &str, second: &str) {
    let gate = Gate::new();
    let server = Server::new(app(gate.clone()));
    let _clients = two_at(&server, &gate, first, second).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(gate.arrived(), 2);
}

#[tokio::test(start_paused = true)]
async fn timeout() {
    let layer = || TimeoutLayer::new(Duration::from_secs(5));
    let slow = pending::<()>;
    for app in [
        App::new()
            .send("/p/slow", slow)
            .send("/p/sink", sink)
            .layer(layer()),
        App::new().nest(
            "/p",
            Router::new()
                .send("/slow", slow)
                .send("/sink", sink)
                .layer(layer()),
        ),
        App::new()
            .send("/p/slow", slow.layer(layer()))
            .send("/p/sink", sink),
    ] {
        let mut client = Server::new(app).client().await;
        let start = Instant::now();
        client.is_refused(send("/p/slow", ""), "timeout").await;
        assert_eq!(start.elapsed().as_secs(), 5);
        client.asks(send("/p/sink", "")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn concurrency_limit() {
    let layer = ConcurrencyLimitLayer::new(1);
    let app = |gate| {
        App::new()
            .send("/p/a", held)
            .send("/p/b", held)
            .with_state(gate)
            .layer(layer.clone())
    };
    one_after_the_other(app, "/p/a", "/p/a").await;
    one_after_the_other(app, "/p/a", "/p/b").await;

    // Around a router, each route is wrapped for itself and has a limit of its own.
    let nested = || {
        Router::new()
            .send("/a", held)
            .send("/b", held)
            .layer(layer.clone())
    };
    let prefix = |gate| App::new().nest("/p", nested()).with_state(gate);
    one_after_the_other(prefix, "/p/a", "/p/a").await;
    both_at_once(prefix, "/p/a", "/p/b").await;

    let route = |gate| {
        App::new()
            .send("/a", held.layer(layer.clone()))
            .send("/b", held)
            .with_state(gate)
    };
    one_after_the_other(route, "/a", "/a").await;
    both_at_once(route, "/a", "/b").await;
    both_at_once(route, "/b", "/b").await;
}

#[tokio::test(start_paused = true)]
async fn idle_sessions_hold_no_permits() {
    let server = Server::new(
        App::new()
            .send("/sink", sink)
            .layer(ConcurrencyLimitLayer::new(1)),
    );
    let [mut one, mut other] = [server.client().await, server.client().await];
    for _ in 0..2 {
        one.asks(send("/sink", "")).await;
        other.asks(send("/sink", "")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn global_limit() {
    let layer = || GlobalConcurrencyLimitLayer::new(1);
    let app = |gate| {
        App::new()
            .send("/p/a", held)
            .send("/p/b", held)
            .with_state(gate)
            .layer(layer())
    };
    one_after_the_other(app, "/p/a", "/p/b").await;

    let nested = || {
        Router::new()
            .send("/a", held)
            .send("/b", held)
            .layer(layer())
    };
    let prefix = |gate| {
        App::new()
            .nest("/p", nested())
            .send("/c", held)
            .with_state(gate)
    };
    one_after_the_other(prefix, "/p/a", "/p/b").await;
    both_at_once(prefix, "/p/a", "/c").await;

    let route = |gate| {
        let layer = layer();
        App::new()
            .send("/a", held.layer(layer.clone()))
            .send("/b", held.layer(layer))
            .with_state(gate)
    };
    one_after_the_other(route, "/a", "/b").await;
}

#[tokio::test(start_paused = true)]
async fn load_shed() {
    async fn is_shed(app: impl FnOnce(Gate) -> App) {
        let gate = Gate::new();
        let server = Server::new(app(gate.clone()));
        let [mut one, mut other] = two_at(&server, &gate, "/p/a", "/p/a").await;
        assert_eq!(
            other.gets(Command::Error).await.headers.get("message"),
            Some("overloaded")
        );
        gate.let_one_pass();
        one.is_answered().await;
        gate.let_one_pass();
        other.asks(send("/p/a", "")).await;
    }
    let layer = || ServiceBuilder::new().load_shed().concurrency_limit(1);
    is_shed(|gate| {
        App::new()
            .send("/p/a", held)
            .with_state(gate)
            .layer(layer())
    })
    .await;
    is_shed(|gate| {
        App::new()
            .nest("/p", Router::new().send("/a", held).layer(layer()))
            .with_state(gate)
    })
    .await;
    is_shed(|gate| {
        App::new()
            .send("/p/a", held.layer(layer()))
            .with_state(gate)
    })
    .await;
    // Layers of an app see whether those inside are ready, so here these may as well be two.
    let two = |app: App| {
        app.layer(ConcurrencyLimitLayer::new(1))
            .layer(LoadShedLayer::new())
    };
    is_shed(|gate| two(App::new().send("/p/a", held).with_state(gate))).await;
}

/// With a limit of one, one is held, one is with the buffer's worker and one is in the buffer: the fourth is refused.
#[tokio::test(start_paused = true)]
async fn buffer() {
    async fn holds_two(app: impl FnOnce(Gate) -> App) {
        let gate = Gate::new();
        let server = Server::new(app(gate.clone()));
        let mut clients = [
            server.client().await,
            server.client().await,
            server.client().await,
        ];
        let mut fourth = server.client().await;
        for client in &mut clients {
            client.begins(send("/p/a", "")).await;
            client.waits().await;
        }
        fourth.is_refused(send("/p/a", ""), "overloaded").await;
        for client in &mut clients {
            gate.let_one_pass();
            client.is_answered().await;
        }
        assert_eq!(gate.arrived(), 3);
    }
    let layer = || {
        ServiceBuilder::new()
            .load_shed()
            .layer(BufferLayer::new(1))
            .concurrency_limit(1)
    };
    holds_two(|gate| {
        App::new()
            .send("/p/a", held)
            .with_state(gate)
            .layer(layer())
    })
    .await;
    holds_two(|gate| {
        App::new()
            .nest("/p", Router::new().send("/a", held).layer(layer()))
            .with_state(gate)
    })
    .await;
    holds_two(|gate| {
        App::new()
            .send("/p/a", held.layer(layer()))
            .with_state(gate)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn rate_limit_per_session() {
    // CONNECT is the first of the two.
    let app = App::new()
        .send("/sink", sink)
        .layer_per_session(RateLimitLayer::new(2, Duration::from_secs(10)));
    let server = Server::new(app);
    let [mut one, mut other] = [server.client().await, server.client().await];
    let start = Instant::now();
    one.asks(send("/sink", "")).await;
    other.asks(send("/sink", "")).await;
    assert_eq!(start.elapsed().as_secs(), 0, "each has its own");
    one.asks(send("/sink", "")).await;
    assert_eq!(
        start.elapsed().as_secs(),
        10,
        "the third waits for the next ten seconds"
    );
}

#[tokio::test(start_paused = true)]
async fn layers_of_sessions_are_around_each_other_and_the_app() {
    let per_session = |frames| RateLimitLayer::new(frames, Duration::from_secs(10));
    let app = App::new()
        .send("/sink", sink)
        .layer(TimeoutLayer::new(Duration::from_secs(1)));
    let server = Server::new(
        app.layer_per_session(per_session(100))
            .layer_per_session(per_session(2)),
    );
    let mut client = server.client().await;
    let start = Instant::now();
    client.asks(send("/sink", "")).await;
    client.asks(send("/sink", "")).await;
    assert_eq!(
        start.elapsed().as_secs(),
        10,
        "the timeout inside does not count what is waited for outside"
    );
}

#[tokio::test(start_paused = true)]
async fn rate_limit_under_buffer() {
    let limited = ServiceBuilder::new()
        .buffer(8)
        .rate_limit(1, Duration::from_secs(10));
    let server = Server::new(
        App::new()
            .send("/limited", sink.layer(limited))
            .send("/sink", sink),
    );
    let [mut one, mut other] = [server.client().await, server.client().await];
    let start = Instant::now();
    one.asks(send("/limited", "")).await;
    other.asks(send("/sink", "")).await;
    assert_eq!(start.elapsed().as_secs(), 0);
    other.asks(send("/limited", "")).await;
    assert_eq!(start.elapsed().as_secs(), 10, "all sessions share it");
}

/// Refuses messages without a body.
fn is_there(request: Request) -> Result<Request, ClientError> {
    if request.command() == Command::Send && request.body().is_empty() {
        return Err(ClientError::new("empty", "There is nothing in it."));
    }
    Ok(request)
}

async fn bodies_are_asked_for(app: App) {
    let mut client = Server::new(app).client().await;
    client.asks(send("/p/sink", "something")).await;
    let error = client.is_refused(send("/p/sink", ""), "empty").await;
    assert_eq!(error.body, "There is nothing in it.");
    client.asks(send("/p/sink", "something")).await;
}

#[tokio::test(start_paused = true)]
async fn filter() {
    let layer = || FilterLayer::new(is_there);
    bodies_are_asked_for(App::new().send("/p/sink", sink).layer(layer())).await;
    bodies_are_asked_for(App::new().nest("/p", Router::new().send("/sink", sink).layer(layer())))
        .await;
    bodies_are_asked_for(App::new().send("/p/sink", sink.layer(layer()))).await;
}

#[tokio::test(start_paused = true)]
async fn async_filter() {
    async fn is_there_in_a_while(request: Request) -> Result<Request, BoxError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(is_there(request)?)
    }
    let layer = || AsyncFilterLayer::new(is_there_in_a_while);
    bodies_are_asked_for(App::new().send("/p/sink", sink).layer(layer())).await;
    bodies_are_asked_for(App::new().nest("/p", Router::new().send("/sink", sink).layer(layer())))
        .await;
    bodies_are_asked_for(App::new().send("/p/sink", sink.layer(layer()))).await;
}

/// A layer as one writes it: it numbers the requests.
#[derive(Clone, Default)]
struct CountLayer(Arc<AtomicUsize>);

impl<S> Layer<S> for CountLayer {
    type Service = Count<S>;

    fn layer(&self, inner: S) -> Count<S> {
        Count {
            inner,
            count: Arc::clone(&self.0),
        }
    }
}

#[derive(Clone)]
struct Count<S> {
    inner: S,
    count: Arc<AtomicUsize>,
}

#[derive(Clone, Copy)]
struct Number(usize);

impl<S> Service<Request> for Count<S>
where
    S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send + 'static>,
{
    type Response = Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        request.extensions_mut().insert(Number(number));
        let future = self.inner.call(request);
        Box::pin(async move { future.await.map_err(Into::into) })
    }
}

async fn number(number: Option<Extension<Number>>) -> String {
    number.map_or_else(
        || "none".to_owned(),
        |Extension(Number(number))| number.to_string(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_hand_written_layer() {
    async fn tells(app: App, expected: &str) {
        let mut client = Server::new(app).client().await;
        client.send(subscribe("0", "/p/other")).await;
        client.gets(Command::Message).await;
        client.send(subscribe("1", "/p/number")).await;
        assert_eq!(client.gets(Command::Message).await.body, expected);
    }
    let layer = CountLayer::default;
    let both = || {
        Router::new()
            .subscribe("/number", number)
            .subscribe("/other", number)
    };
    tells(App::new().nest("/p", both()).layer(layer()), "3").await; // CONNECT and the other are the first two.
    tells(App::new().nest("/p", both().layer(layer())), "2").await;
    let one = Router::new()
        .subscribe("/number", number.layer(layer()))
        .subscribe("/other", number);
    tells(App::new().nest("/p", one), "1").await;
    tells(
        App::new().nest("/p", both()).layer_per_session(layer()),
        "3",
    )
    .await;
    tells(App::new().nest("/p", both()), "none").await;
}
