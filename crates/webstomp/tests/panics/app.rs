//! An app that panics in every place where an application can have code.

use futures_util::{StreamExt, stream};
use std::{
    future::pending,
    sync::Once,
    task::{Context, Poll},
};
use tokio::task::yield_now;
use tower::{Layer, Service};
use webstomp::{
    BoxError, ClientError, FromRequestParts, Handler, IntoSubscribeResponse, Observe, Request,
    Router, Session, State, Topic,
    frame::Headers,
    router::Routes,
    session::{Delivery, Message, Staging},
};

/// The payload of every panic in this module. No client may see it.
const BUG: &str = "secret: a bug";

/// Panics, but hides this from the compiler, which would warn about unreachable code.
fn panic() {
    if !std::hint::black_box(false) {
        std::panic::panic_any(BUG);
    }
}

/// Keeps the panics of this module out of the output of the tests.
pub(crate) fn silence_expected_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref() != Some(&BUG) {
                default(info);
            }
        }));
    });
}

/// A value that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic();
    }
}

/// An argument whose extraction panics.
struct Broken;

impl<S: Sync> FromRequestParts<S> for Broken {
    async fn from_request_parts(_: &Request, _: &S) -> Result<Self, BoxError> {
        panic();
        Ok(Broken)
    }
}

/// A layer that panics.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum PanicLayer {
    /// Panics in each `poll_ready`.
    Ready,
    /// Panics in each `call`.
    Call,
    /// Panics in the `call` of a request to `/layer/call`, and in the `poll_ready` after a request to `/layer/ready`.
    OnDemand,
}

impl<S> Layer<S> for PanicLayer {
    type Service = Panicking<S>;

    fn layer(&self, inner: S) -> Panicking<S> {
        Panicking {
            inner,
            layer: *self,
            panics_next: false,
        }
    }
}

#[derive(Clone)]
pub(crate) struct Panicking<S> {
    inner: S,
    layer: PanicLayer,
    panics_next: bool,
}

impl<S: Service<Request>> Service<Request> for Panicking<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if std::mem::take(&mut self.panics_next) || self.layer == PanicLayer::Ready {
            panic();
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> S::Future {
        let is_demanded = |destination| {
            self.layer == PanicLayer::OnDemand && request.destination().as_str() == destination
        };
        if self.layer == PanicLayer::Call || is_demanded("/layer/call") {
            panic();
        }
        self.panics_next = is_demanded("/layer/ready");
        self.inner.call(request)
    }
}

async fn sink() {}

type Room = Topic<String>;

/// Routes that do not panic.
fn healthy(router: Router<Room>) -> Router<Room> {
    async fn join(State(room): State<Room>) -> impl IntoSubscribeResponse {
        Observe(room.subscribe())
    }
    async fn say(State(room): State<Room>, text: String) -> Result<(), BoxError> {
        room.publish(text)
    }
    router
        .subscribe("/room", join)
        .send("/room", say)
        .send("/layer/call", sink)
        .send("/layer/ready", sink)
        .send("/sink", sink)
}

/// Handlers that panic, in themselves or in their arguments or layers.
fn panicking_handlers(router: Router<Room>) -> Router<Room> {
    async fn now() {
        panic();
    }
    async fn later() {
        yield_now().await;
        panic();
    }
    async fn argument(_: Broken) {}
    async fn drop_at_end() {
        let _bomb = Bomb;
        yield_now().await;
    }
    async fn silence() {}
    router
        .send("/now", now)
        .send("/later", later)
        .send("/argument", argument)
        .send("/drop", drop_at_end)
        .send("/call", sink.layer(PanicLayer::Call))
        .send("/ready", sink.layer(PanicLayer::Ready))
        .subscribe("/now", now)
        .subscribe("/silence", silence)
        .unsubscribe("/silence", now)
}

/// Streams that panic, and a delivery that panics when it is settled.
fn panicking_streams(router: Router<Room>) -> Router<Room> {
    async fn first() -> impl IntoSubscribeResponse {
        Observe(stream::poll_fn(|_| {
            panic();
            Poll::Ready(None::<String>)
        }))
    }
    async fn third() -> impl IntoSubscribeResponse {
        Observe(stream::iter(0..).map(|number| {
            if number == 2 {
                panic();
            }
            number.to_string()
        }))
    }
    async fn settle() -> impl IntoSubscribeResponse {
        let delivery = Delivery::new(Message::new("a job")).on_settled(|_| panic());
        Observe(stream::iter([delivery]).chain(stream::pending()))
    }
    router
        .subscribe("/first", first)
        .subscribe("/third", third)
        .subscribe("/settle", settle)
}

/// A session with this value panics at its `DISCONNECT`.
#[derive(Clone)]
struct PanicsAtEnd;

/// Handlers that panic when a session begins or ends.
fn panicking_sessions(router: Router<Room>) -> Router<Room> {
    async fn log_in(headers: Headers) {
        if headers.get("login") == Some("bug") {
            panic();
        }
    }
    async fn disconnect(session: Session) {
        if session.get::<PanicsAtEnd>().is_some() {
            panic();
        }
    }
    async fn panic_at_end(session: Session) {
        session.insert(PanicsAtEnd);
    }
    router
        .connect(log_in)
        .disconnect(disconnect)
        .send("/panic-at-end", panic_at_end)
}

/// All routes whose code panics while it runs.
pub(crate) fn panicking_routes(room: Room) -> Routes {
    let router = panicking_handlers(healthy(Router::new()));
    let router = panicking_sessions(panicking_streams(router));
    router.with_state(room).build().unwrap()
}

struct Transaction(Option<Staging>);

impl<S: Sync> FromRequestParts<S> for Transaction {
    async fn from_request_parts(request: &Request, _: &S) -> Result<Self, BoxError> {
        Ok(Transaction(request.transaction().cloned()))
    }
}

/// Routes whose futures, streams and staged effects panic when they are dropped.
pub(crate) fn routes_with_bombs() -> Routes {
    async fn hang() {
        let _bomb = Bomb;
        pending::<()>().await;
    }
    async fn pending_stream() -> impl IntoSubscribeResponse {
        let bomb = Bomb;
        Observe(stream::poll_fn(move |_| {
            let _held = &bomb;
            Poll::<Option<String>>::Pending
        }))
    }
    async fn panicking_stream() -> impl IntoSubscribeResponse {
        let bomb = Bomb;
        Observe(stream::poll_fn(move |_| {
            let _held = &bomb;
            panic();
            Poll::<Option<String>>::Pending
        }))
    }
    async fn ended_stream() -> impl IntoSubscribeResponse {
        let bomb = Bomb;
        Observe(stream::poll_fn(move |_| {
            let _held = &bomb;
            Poll::Ready(None::<String>)
        }))
    }
    async fn stage(Transaction(staging): Transaction) {
        let bomb = Bomb;
        staging.unwrap().stage(move || drop(bomb));
    }
    async fn refuse() -> Result<(), ClientError> {
        Err(ClientError::new("refused", "No."))
    }
    Router::new()
        .send("/hang", hang)
        .subscribe("/pending", pending_stream)
        .subscribe("/panicking", panicking_stream)
        .subscribe("/ended", ended_stream)
        .send("/stage", stage)
        .send("/refuse", refuse)
        .send("/sink", sink)
        .build()
        .unwrap()
}
