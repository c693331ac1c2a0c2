//! Panics in every place where an application can have code: the client that caused one gets an error, and no other
//! session notices.
//!
//! The usual run is short; with `SOAK=1` in the environment, there are 10,000 panics among 100 busy sessions.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

mod app;
#[path = "../transports/mod.rs"]
mod transports;

use app::{PanicLayer, Panicking, panicking_routes, routes_with_bombs, silence_expected_panics};
use futures_util::{FutureExt, future::join_all};
use std::{panic::AssertUnwindSafe, sync::Arc};
use stomp_testing::{Client, Received, frames, until, usual_or_soak};
use tower::Layer;
use transports::{next, open_in_memory};
use webstomp::{
    Topic,
    frame::{Command, Frame, Version},
    router::{Routes, map_error},
    session::Config,
};

/// Many sessions of one service.
struct Server {
    service: Panicking<Routes>,
    config: Arc<Config>,
}

impl Server {
    fn new(routes: Routes) -> Server {
        Server {
            service: PanicLayer::OnDemand.layer(routes),
            config: Arc::new(Config::default().error_mapper(map_error)),
        }
    }

    fn open(&self, is_websocket: bool) -> Client {
        open_in_memory(self.service.clone(), &self.config, is_websocket)
    }

    async fn connect(&self, is_websocket: bool) -> Client {
        let mut client = self.open(is_websocket);
        client.connect(Version::V1_2).await;
        client
    }
}

/// A session that exchanges messages with other sessions in a room.
struct Talker {
    client: Client,
    name: usize,
    /// All messages that the session got, in order.
    received: Vec<String>,
}

impl Talker {
    async fn join(server: &Server, name: usize) -> Talker {
        let mut client = server.connect(name % 2 == 0).await;
        client.receipt(frames::subscribe("0", "/room")).await;
        Talker {
            client,
            name,
            received: Vec::new(),
        }
    }

    /// Sends a message and waits for its receipt, and until the session has got `count` messages since it joined.
    async fn talk(&mut self, round: usize, count: usize) {
        let text = format!("{} {round}", self.name);
        let id = self.client.request(frames::send("/room", &text)).await;
        let mut has_receipt = false;
        while !has_receipt || self.received.len() < count {
            match next(&mut self.client).await {
                Received::Frame(frame) if frame.command == Command::Message => {
                    let text = String::from_utf8(frame.body.to_vec()).unwrap();
                    self.received.push(text);
                }
                Received::Frame(frame) if frame.command == Command::Receipt && !has_receipt => {
                    has_receipt = frame.headers.get("receipt-id") == Some(&id);
                }
                other => panic!("session {} received {other:?}", self.name),
            }
        }
    }
}

/// Frames whose handling panics. The last frame of each row asks for the receipt 9.
const IN_HANDLERS: &[&str] = &[
    "SEND\ndestination:/now\nreceipt:9\n\n\0",
    "SEND\ndestination:/later\nreceipt:9\n\n\0",
    "SEND\ndestination:/argument\nreceipt:9\n\n\0",
    "SEND\ndestination:/drop\nreceipt:9\n\n\0",
    "SEND\ndestination:/call\nreceipt:9\n\n\0",
    "SEND\ndestination:/ready\nreceipt:9\n\n\0",
    "SEND\ndestination:/layer/call\nreceipt:9\n\n\0",
    "SEND\ndestination:/layer/ready\n\n\0SEND\ndestination:/sink\nreceipt:9\n\n\0",
    "BEGIN\ntransaction:t\n\n\0SEND\ndestination:/later\ntransaction:t\n\n\0COMMIT\ntransaction:t\nreceipt:9\n\n\0",
    "SUBSCRIBE\nid:9\ndestination:/now\nreceipt:9\n\n\0",
    "SUBSCRIBE\nid:8\ndestination:/silence\n\n\0UNSUBSCRIBE\nid:8\nreceipt:9\n\n\0",
];

/// Frames that succeed and start a stream, which then panics.
const IN_STREAMS: &[&str] = &[
    "SUBSCRIBE\nid:9\ndestination:/first\nreceipt:9\n\n\0",
    "SUBSCRIBE\nid:9\ndestination:/third\nreceipt:9\n\n\0",
];

/// Causes the panic with this number, and checks that the client gets an error and its session stays open.
async fn cause_panic(client: &mut Client, number: usize) {
    let number = number % (IN_HANDLERS.len() + IN_STREAMS.len());
    let (frames, is_stream) = match IN_HANDLERS.get(number) {
        Some(frames) => (*frames, false),
        None => (IN_STREAMS[number - IN_HANDLERS.len()], true),
    };
    client.send_bytes(frames).await;
    if is_stream {
        client.expect_receipt("9").await;
    }
    let error = loop {
        match next(client).await {
            Received::Frame(frame) if is_stream && frame.command == Command::Message => {}
            Received::Frame(frame) if frame.command == Command::Error => break frame,
            other => panic!("expected an ERROR after {frames:?}, received {other:?}"),
        }
    };
    check_internal_error(&error);
    let header = |name| error.headers.get(name);
    assert_eq!(
        header("receipt-id"),
        (!is_stream).then_some("9"),
        "{frames:?}"
    );
    let subscription = frames.contains("id:9\n").then_some("9");
    assert_eq!(header("subscription"), subscription, "{frames:?}");
    client.receipt(frames::send("/sink", "")).await;
}

/// Checks that an error reveals nothing about the panic.
fn check_internal_error(error: &Frame) {
    assert_eq!(error.headers.get("message"), Some("internal-error"));
    assert_eq!(error.body, "The server failed to handle this frame.");
    let mut values = error.headers.iter().map(|(_, value)| value);
    assert!(values.all(|value| !value.contains("secret")), "{error:?}");
}

/// Causes panics in the connect handler, in a delivery that is settled, and in the disconnect handler.
async fn cause_panics_of_sessions(server: &Server, is_websocket: bool) {
    let mut refused = server.open(is_websocket);
    let connect = frames::connect(Version::V1_2).with_header("login", "bug");
    refused.send(connect).await;
    check_internal_error(&refused.expect(Command::Error).await);
    refused.expect_close(1008).await;

    let mut client = server.connect(is_websocket).await;
    let subscribe = frames::subscribe_with_ack("0", "/settle", "client");
    client.send(subscribe).await;
    let message = client.expect(Command::Message).await;
    client.receipt(frames::ack(&message)).await;
    client.receipt(frames::send("/panic-at-end", "")).await;
    let error = client
        .expect_refusal(frames::disconnect(), "internal-error")
        .await;
    check_internal_error(&error);
    client.expect_close(1008).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_an_error_only_in_its_own_session() {
    const TALKERS: usize = 100;
    const PANICKERS: usize = 20;
    const PANICS: usize = 5;
    silence_expected_panics();
    let room = Topic::new();
    let server = Server::new(panicking_routes(room.clone()));
    let mut talkers = join_all((0..TALKERS).map(|name| Talker::join(&server, name))).await;
    let mut panickers =
        join_all((0..PANICKERS).map(|number| server.connect(number % 2 == 0))).await;
    let rounds = usual_or_soak(6, 100);
    for round in 0..rounds {
        let count = TALKERS * (round + 1);
        let talks = talkers.iter_mut().map(|talker| talker.talk(round, count));
        let panics = panickers.iter_mut().enumerate();
        let panics = panics.map(async |(number, client)| {
            for each in 0..PANICS {
                cause_panic(client, round * PANICS + number + each).await;
            }
        });
        tokio::join!(
            join_all(talks),
            join_all(panics),
            cause_panics_of_sessions(&server, round % 2 == 0)
        );
    }
    for talker in &talkers {
        assert_eq!(talker.received.len(), TALKERS * rounds);
        assert!(
            talker.received == talkers[0].received,
            "all talkers get the same messages in the same order"
        );
    }
    until("only the talkers and panickers are connected", || {
        server.config.sessions.len() == TALKERS + PANICKERS
    })
    .await;
    assert_eq!(room.subscribers(), TALKERS);
    println!(
        "{} panics of {} kinds; {} messages to {TALKERS} other sessions meanwhile",
        rounds * (PANICKERS * PANICS + 3),
        IN_HANDLERS.len() + IN_STREAMS.len() + 3,
        rounds * TALKERS * TALKERS
    );
}

/// Names of values that panic when they are dropped, and frames that make the session drop them. The client gets an
/// error with this code, or the receipt 9 if there is no code.
const DROPS: &[(&str, &str, Option<&str>)] = &[
    (
        "a handler at its timeout",
        "SEND\ndestination:/hang\nreceipt:9\n\n\0",
        Some("timeout"),
    ),
    (
        "a stream at the end of its subscription",
        "SUBSCRIBE\nid:0\ndestination:/pending\n\n\0UNSUBSCRIBE\nid:0\nreceipt:9\n\n\0",
        None,
    ),
    (
        "a stream that panicked",
        "SUBSCRIBE\nid:0\ndestination:/panicking\n\n\0",
        Some("internal-error"),
    ),
    (
        "a stream that ended",
        "SUBSCRIBE\nid:0\ndestination:/ended\n\n\0UNSUBSCRIBE\nid:0\nreceipt:9\n\n\0",
        None,
    ),
    (
        "a staged effect of a transaction that fails",
        "BEGIN\ntransaction:t\n\n\0SEND\ntransaction:t\ndestination:/stage\n\n\0\
         SEND\ntransaction:t\ndestination:/refuse\n\n\0COMMIT\nreceipt:9\ntransaction:t\n\n\0",
        Some("refused"),
    ),
];

#[tokio::test(start_paused = true)]
async fn a_value_that_panics_when_dropped_leaves_its_session_open() {
    silence_expected_panics();
    let server = Server::new(routes_with_bombs());
    for (name, frames, code) in DROPS {
        let case = async {
            let mut client = server.connect(false).await;
            client.send_bytes(frames).await;
            match code {
                Some(code) => drop(client.expect_error(code).await),
                None => client.expect_receipt("9").await,
            }
            client.receipt(frames::send("/sink", "")).await;
        };
        let result = AssertUnwindSafe(case).catch_unwind().await;
        assert!(result.is_ok(), "{name}");
    }
}
