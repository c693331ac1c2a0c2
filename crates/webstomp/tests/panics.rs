//! Panics of an application, in great numbers and wherever it has code: whoever asked is told, and nobody else notices.
//!
//! A short run; with `SOAK=1` in the environment, 10,000 panics among 100 busy sessions.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "panics are what this is about"
)]

mod wire;

use futures_util::{FutureExt, StreamExt, future::join_all, stream};
use std::{
    future::pending,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::task::yield_now;
use tower::{Layer, Service};
use webstomp::{
    BoxError, ClientError, FromRequest, Handler, IntoSubscribeResponse, Observe, Peer, Request,
    Router, Session, State, Topic,
    frame::{Command, Frame, Headers, Version},
    router::{Routes, map_error},
    session::{Config, Delivery, Message},
    socket::Socket,
};
use wire::{Client, soak};

/// What nobody is to be shown.
const BUG: &str = "secret: a bug";

/// Panics, as code with a bug does.
fn panic() {
    if !std::hint::black_box(false) {
        std::panic::panic_any(BUG);
    }
}

/// Does not print the panics that are meant.
fn quieten() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref() != Some(&BUG) {
            loud(info);
        }
    }));
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic();
    }
}

/// An argument that panics.
struct Broken;

impl<S> FromRequest<S> for Broken {
    fn from_request(_: &Request, _: &S) -> Result<Self, ClientError> {
        panic();
        Ok(Broken)
    }
}

/// A layer that panics.
#[derive(Clone, Copy, PartialEq)]
enum Break {
    /// In each `poll_ready`.
    Ready,
    /// In each `call`.
    Call,
    /// For requests of a destination that says so: in their `call`, or in the next `poll_ready`.
    Asked,
}

impl<S> Layer<S> for Break {
    type Service = Breaking<S>;

    fn layer(&self, inner: S) -> Breaking<S> {
        Breaking {
            inner,
            layer: *self,
            is_next: false,
        }
    }
}

#[derive(Clone)]
struct Breaking<S> {
    inner: S,
    layer: Break,
    is_next: bool,
}

impl<S: Service<Request>> Service<Request> for Breaking<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if std::mem::take(&mut self.is_next) || self.layer == Break::Ready {
            panic();
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> S::Future {
        let is_asked =
            |destination| self.layer == Break::Asked && request.destination() == destination;
        if self.layer == Break::Call || is_asked("/break/call") {
            panic();
        }
        self.is_next = is_asked("/break/ready");
        self.inner.call(request)
    }
}

/// What goes well: a room, and nothing else.
fn sound(router: Router<Topic<String>>) -> Router<Topic<String>> {
    async fn join(State(room): State<Topic<String>>) -> impl IntoSubscribeResponse {
        Observe(room.subscribe())
    }
    async fn say(State(room): State<Topic<String>>, text: String) -> Result<(), BoxError> {
        room.publish(text)
    }
    async fn sink() {}
    router
        .subscribe("/room", join)
        .send("/room", say)
        .send("/break/call", sink)
        .send("/break/ready", sink)
        .send("/sink", sink)
}

/// Handlers that panic, in themselves or in what is around them.
fn unsound(router: Router<Topic<String>>) -> Router<Topic<String>> {
    async fn now() {
        panic();
    }
    async fn later() {
        yield_now().await;
        panic();
    }
    async fn extract(_: Broken) {}
    async fn hold() {
        let _bomb = Bomb;
        yield_now().await;
    }
    async fn sink() {}
    async fn silence() {}
    router
        .send("/now", now)
        .send("/later", later)
        .send("/extract", extract)
        .send("/hold", hold)
        .send("/call", sink.layer(Break::Call))
        .send("/ready", sink.layer(Break::Ready))
        .subscribe("/now", now)
        .subscribe("/silence", silence)
        .unsubscribe("/silence", now)
}

/// Streams that panic, and a delivery that does when it is settled.
fn unsound_streams(router: Router<Topic<String>>) -> Router<Topic<String>> {
    async fn never() -> impl IntoSubscribeResponse {
        Observe(stream::poll_fn(|_| {
            panic();
            Poll::Ready(None::<String>)
        }))
    }
    async fn twice() -> impl IntoSubscribeResponse {
        Observe(stream::iter(0..).map(|number| {
            if number == 2 {
                panic();
            }
            number.to_string()
        }))
    }
    async fn settle() -> impl IntoSubscribeResponse {
        Observe(
            stream::iter([
                Delivery::new(Message::new("to be acknowledged")).on_settled(|_| panic())
            ])
            .chain(stream::pending()),
        )
    }
    router
        .subscribe("/never", never)
        .subscribe("/twice", twice)
        .subscribe("/settle", settle)
}

/// Sessions that panic when they begin or end.
fn unsound_sessions(router: Router<Topic<String>>) -> Router<Topic<String>> {
    async fn login(headers: Headers) {
        if headers.get("login") == Some("bug") {
            panic();
        }
    }
    async fn disconnect(session: Session) {
        if session.get::<Leaver>().is_some() {
            panic();
        }
    }
    async fn leave(session: Session) {
        session.insert(Leaver);
    }
    router
        .connect(login)
        .disconnect(disconnect)
        .send("/leave", leave)
}

fn routes(room: Topic<String>) -> Routes {
    let router = unsound_sessions(unsound_streams(unsound(sound(Router::new()))));
    router.with_state(room).build().unwrap()
}

/// Its `DISCONNECT` panics.
#[derive(Clone)]
struct Leaver;

/// Many sessions on the same service.
struct Server {
    service: Breaking<Routes>,
    config: Arc<Config>,
}

impl Server {
    fn reach(&self, is_websocket: bool) -> Client {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let socket = match is_websocket {
            true => Socket::over_websocket(ours, b"", Peer::default(), &Default::default()),
            false => Socket::over_byte_stream(ours, Peer::default(), &Default::default()),
        };
        let (_, _, connection) = Session::new(socket, Arc::clone(&self.config));
        tokio::spawn(connection.run(self.service.clone()));
        Client::new(Box::new(theirs), is_websocket)
    }

    async fn connect(&self, is_websocket: bool) -> Client {
        let mut client = self.reach(is_websocket);
        client.connects(Version::V1_2).await;
        client
    }
}

/// A session that goes about its business.
struct Busy {
    client: Client,
    name: usize,
    heard: Vec<String>,
}

impl Busy {
    async fn join(server: &Server, name: usize) -> Busy {
        let mut client = server.connect(name % 2 == 0).await;
        client
            .asks("SUBSCRIBE\nid:0\ndestination:/room\nreceipt:s\n\n\0", "s")
            .await;
        Busy {
            client,
            name,
            heard: Vec::new(),
        }
    }

    /// Says something, gets its receipt, and hears until it has heard `count` things in all.
    async fn talk(&mut self, round: usize, count: usize) {
        self.client
            .say(format!(
                "SEND\ndestination:/room\nreceipt:{round}\n\n{} {round}\0",
                self.name
            ))
            .await;
        let mut has_receipt = false;
        while !has_receipt || self.heard.len() < count {
            let Frame {
                command,
                headers,
                body,
            } = match self.client.hear().await {
                wire::Heard::Frame(frame) => frame,
                other => panic!("{} was left: {other:?}", self.name),
            };
            match command {
                Command::Message => self.heard.push(String::from_utf8(body.to_vec()).unwrap()),
                Command::Receipt if !has_receipt => {
                    has_receipt = headers.get("receipt-id") == Some(&*round.to_string())
                }
                _ => panic!("{} got {command} {headers:?} {body:?}", self.name),
            }
        }
    }
}

/// What is said, and whether it is about a subscription's stream, not about the frame.
const OFFENCES: &[(&str, bool)] = &[
    ("SEND\ndestination:/now\nreceipt:9\n\n\0", false),
    ("SEND\ndestination:/later\nreceipt:9\n\n\0", false),
    ("SEND\ndestination:/extract\nreceipt:9\n\n\0", false),
    ("SEND\ndestination:/hold\nreceipt:9\n\n\0", false),
    ("SEND\ndestination:/call\nreceipt:9\n\n\0", false),
    ("SEND\ndestination:/ready\nreceipt:9\n\n\0", false),
    ("SEND\ndestination:/break/call\nreceipt:9\n\n\0", false),
    (
        "SEND\ndestination:/break/ready\n\n\0SEND\ndestination:/sink\nreceipt:9\n\n\0",
        false,
    ),
    (
        "BEGIN\ntransaction:t\n\n\0SEND\ndestination:/later\ntransaction:t\n\n\0COMMIT\ntransaction:t\nreceipt:9\n\n\0",
        false,
    ),
    ("SUBSCRIBE\nid:9\ndestination:/now\nreceipt:9\n\n\0", false),
    (
        "SUBSCRIBE\nid:8\ndestination:/silence\n\n\0UNSUBSCRIBE\nid:8\nreceipt:9\n\n\0",
        false,
    ),
    ("SUBSCRIBE\nid:9\ndestination:/never\nreceipt:9\n\n\0", true),
    ("SUBSCRIBE\nid:9\ndestination:/twice\nreceipt:9\n\n\0", true),
];

/// Has a session's request panic: it is told, and goes on.
async fn offend(client: &mut Client, (offence, is_stream): (&str, bool)) {
    client.say(offence).await;
    if is_stream {
        client.gets(Command::Receipt).await;
    }
    let error = loop {
        match client.hear().await {
            wire::Heard::Frame(frame) if is_stream && frame.command == Command::Message => {}
            wire::Heard::Frame(frame) if frame.command == Command::Error => break frame,
            other => panic!("{other:?}, and no error, to {offence:?}"),
        }
    };
    is_internal(&error);
    assert_eq!(
        error.headers.get("receipt-id"),
        (!is_stream).then_some("9"),
        "{offence:?}"
    );
    assert_eq!(
        error.headers.get("subscription"),
        offence.contains("id:9\n").then_some("9"),
        "{offence:?}"
    );
    client
        .asks("SEND\ndestination:/sink\nreceipt:on\n\n\0", "on")
        .await;
}

fn is_internal(error: &Frame) {
    assert_eq!(error.headers.get("message"), Some("internal-error"));
    assert_eq!(error.body, "The server failed to handle this frame.");
    assert!(
        error
            .headers
            .iter()
            .all(|(_, value)| !value.contains("secret"))
    );
}

/// Panics at the door, on the way out, and where there is nobody to be told.
async fn come_and_go(server: &Server, is_websocket: bool) {
    let mut refused = server.reach(is_websocket);
    refused
        .say("CONNECT\naccept-version:1.2\nlogin:bug\n\n\0")
        .await;
    is_internal(&refused.gets(Command::Error).await);
    refused.is_closed(1008).await;
    let mut client = server.connect(is_websocket).await;
    client
        .say("SUBSCRIBE\nid:0\ndestination:/settle\nack:client\n\n\0")
        .await;
    let message = client.gets(Command::Message).await;
    client
        .asks(
            format!(
                "ACK\nid:{}\nreceipt:a\n\n\0",
                message.headers.get("ack").unwrap()
            ),
            "a",
        )
        .await;
    client
        .asks("SEND\ndestination:/leave\nreceipt:l\n\n\0", "l")
        .await;
    client.say("DISCONNECT\nreceipt:9\n\n\0").await;
    let error = client.gets(Command::Error).await;
    is_internal(&error);
    assert_eq!(error.headers.get("receipt-id"), Some("9"));
    client.is_closed(1008).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_panics_nobody_else_notices() {
    const BUSY: usize = 100;
    const OFFENDERS: usize = 20;
    const EACH: usize = 5;
    quieten();
    let room = Topic::new();
    let mut config = Config::default();
    config.error_mapper = Some(webstomp::session::ErrorMapper::new(map_error));
    let sessions = config.sessions.clone();
    let service = Break::Asked.layer(routes(room.clone()));
    let server = Server {
        service,
        config: Arc::new(config),
    };
    let mut busy = join_all((0..BUSY).map(|name| Busy::join(&server, name))).await;
    let mut offenders =
        join_all((0..OFFENDERS).map(|number| server.connect(number % 2 == 0))).await;
    let rounds = soak(100, 6);
    for round in 0..rounds {
        let talks = busy
            .iter_mut()
            .map(|busy| busy.talk(round, BUSY * (round + 1)));
        let offences = offenders
            .iter_mut()
            .enumerate()
            .map(|(number, client)| async move {
                for each in 0..EACH {
                    offend(
                        client,
                        OFFENCES[(round * EACH + number + each) % OFFENCES.len()],
                    )
                    .await;
                }
            });
        tokio::join!(
            join_all(talks),
            join_all(offences),
            come_and_go(&server, round % 2 == 0)
        );
    }
    for other in &busy {
        assert_eq!(other.heard.len(), BUSY * rounds);
        assert!(other.heard == busy[0].heard, "all hear the same");
    }
    wire::until("only those are left that did not go", || {
        sessions.len() == BUSY + OFFENDERS
    })
    .await;
    assert_eq!(room.subscribers(), BUSY);
    println!(
        "{} panics of {} kinds, each told to whoever asked; {} exchanges and {} messages of {BUSY} others meanwhile",
        rounds * (OFFENDERS * EACH + 3),
        OFFENCES.len() + 3,
        rounds * BUSY,
        rounds * BUSY * BUSY
    );
}

/// Routes whose futures, streams and effects panic when they are dropped.
fn bombs() -> Routes {
    async fn hold() {
        let _bomb = Bomb;
        pending::<()>().await;
    }
    async fn fragile() -> impl IntoSubscribeResponse {
        let bomb = Bomb;
        Observe(stream::poll_fn(move |_| {
            let _held = &bomb;
            Poll::<Option<String>>::Pending
        }))
    }
    async fn broken() -> impl IntoSubscribeResponse {
        let bomb = Bomb;
        Observe(stream::poll_fn(move |_| {
            let _held = &bomb;
            panic();
            Poll::<Option<String>>::Pending
        }))
    }
    async fn ended() -> impl IntoSubscribeResponse {
        let bomb = Bomb;
        Observe(stream::poll_fn(move |_| {
            let _held = &bomb;
            Poll::Ready(None::<String>)
        }))
    }
    async fn stage(Staged(staging): Staged) {
        let bomb = Bomb;
        staging.unwrap().stage(move || drop(bomb));
    }
    async fn refuse() -> Result<(), ClientError> {
        Err(ClientError::new("refused", "No."))
    }
    async fn sink() {}
    Router::new()
        .send("/hold", hold)
        .subscribe("/fragile", fragile)
        .subscribe("/broken", broken)
        .subscribe("/ended", ended)
        .send("/stage", stage)
        .send("/refuse", refuse)
        .send("/sink", sink)
        .build()
        .unwrap()
}

/// What an application gives to a session, the session drops; and that may panic too.
#[tokio::test(start_paused = true)]
async fn what_is_dropped_may_panic_as_well() {
    quieten();
    let mut config = Config::default();
    config.error_mapper = Some(webstomp::session::ErrorMapper::new(map_error));
    let server = Server {
        service: Break::Asked.layer(bombs()),
        config: Arc::new(config),
    };
    let unsubscribe = "UNSUBSCRIBE\nid:0\nreceipt:9\n\n\0";
    for (name, before, frame, expected) in [
        (
            "a handler at its deadline",
            "",
            "SEND\ndestination:/hold\nreceipt:9\n\n\0",
            "timeout",
        ),
        (
            "a stream",
            "SUBSCRIBE\nid:0\ndestination:/fragile\n\n\0",
            unsubscribe,
            "",
        ),
        (
            "a stream that panicked",
            "",
            "SUBSCRIBE\nid:0\ndestination:/broken\n\n\0",
            "internal-error",
        ),
        (
            "a stream that ended",
            "SUBSCRIBE\nid:0\ndestination:/ended\n\n\0",
            unsubscribe,
            "",
        ),
        (
            "what was staged",
            "",
            "BEGIN\ntransaction:t\n\n\0SEND\ntransaction:t\ndestination:/stage\n\n\0\
             SEND\ntransaction:t\ndestination:/refuse\n\n\0COMMIT\nreceipt:9\ntransaction:t\n\n\0",
            "refused",
        ),
    ] {
        let case = async {
            let mut client = server.connect(false).await;
            client.say(before).await;
            match expected {
                "" => client.asks(frame, "9").await,
                code => {
                    client.say(frame).await;
                    client.is_told(code).await;
                }
            }
            client
                .asks("SEND\ndestination:/sink\nreceipt:on\n\n\0", "on")
                .await;
        };
        assert!(
            AssertUnwindSafe(case).catch_unwind().await.is_ok(),
            "{name}"
        );
    }
}

struct Staged(Option<webstomp::session::Staging>);

impl<S> FromRequest<S> for Staged {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        Ok(Staged(request.transaction().cloned()))
    }
}
