//! The memory of idle sessions, counted, wherever they are mounted: they keep a compact copy of the head of their HTTP
//! request, and no buffers.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use std::net::SocketAddr;
use stomp_testing::{
    soon,
    websocket::{FIN, TEXT, frame},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};
use webstomp::{App, IntoSubscribeResponse, Observe, Sessions, State, Topic, server::Config};

const SESSIONS: usize = 300;

/// The memory that a session with long headers may use beyond their bytes.
const MAX_EXTRA: usize = 2 << 10;

/// The memory that a session with a short head may use in all, in the server and in the client. The client needs some
/// 300 bytes.
const MAX_SMALL: usize = 4_200;

/// The memory that a session with one subscription to a `Topic` may use in all, in the server and in the client. A bare
/// WebSocket with a read buffer of 4 KiB needs 5.3 KB in a server.
const MAX_SUBSCRIBED: usize = 5_200;

/// The memory that a session may keep of messages of 64 KiB in both directions.
const MAX_LEFT: usize = 512;

type Fan = Topic<String>;

#[derive(Debug, Clone, Copy)]
enum Mount {
    OwnPort,
    OwnPortWithHttp,
    Axum,
    Hyper,
}

const MOUNTS: [Mount; 4] = [
    Mount::OwnPort,
    Mount::OwnPortWithHttp,
    Mount::Axum,
    Mount::Hyper,
];

/// The history of the sessions that are measured.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Past {
    Connected,
    Subscribed,
    /// Subscribed, and then a message of 64 KiB in each direction.
    Busy,
}

impl Mount {
    async fn serve(self, app: App) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        match self {
            Mount::OwnPort => drop(tokio::spawn(app.serve(listener))),
            Mount::OwnPortWithHttp => {
                let app = app.websocket_path("/stomp").http(axum::Router::new());
                tokio::spawn(app.serve(listener));
            }
            Mount::Hyper => {
                let stomp = app.into_service().unwrap();
                tokio::spawn(async move {
                    loop {
                        let (stream, _) = listener.accept().await.unwrap();
                        let service = TowerToHyperService::new(stomp.clone());
                        let connection = http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service)
                            .with_upgrades();
                        tokio::spawn(connection);
                    }
                });
            }
            Mount::Axum => {
                let stomp = app.into_service().unwrap();
                let http = axum::Router::new().route_service("/stomp", stomp);
                tokio::spawn(async { axum::serve(listener, http).await });
            }
        }
        address
    }

    /// Opens sessions whose handshakes have these headers. Returns the memory that each uses, in bytes.
    fn bytes_per_session(self, headers: &str, past: Past) -> usize {
        let runtime: Runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (sessions, fan) = (Sessions::default(), Fan::new());
        let session_config = webstomp::session::Config::default().sessions(sessions.clone());
        let app = App::new()
            .send("/sink", async || {})
            .subscribe("/fan", subscribe)
            .with_state(fan.clone())
            .session_config(session_config);
        let address = runtime.block_on(self.serve(app));
        let mut clients = vec![runtime.block_on(open(address, headers, past))];
        clients.reserve(SESSIONS);
        let counted = allocation_counter::measure(|| {
            runtime.block_on(async {
                for _ in 0..SESSIONS {
                    clients.push(open(address, headers, past).await);
                }
                if past == Past::Busy {
                    fan.publish("x".repeat(LARGE)).unwrap();
                    for client in &mut clients {
                        receive(client, LARGE, "MESSAGE\n").await;
                    }
                }
                for _ in 0..1_000 {
                    tokio::task::yield_now().await;
                }
            });
        });
        assert_eq!(sessions.len(), SESSIONS + 1);
        usize::try_from(counted.bytes_current).unwrap() / SESSIONS
    }
}

/// The length of a large body, in bytes.
const LARGE: usize = 64 << 10;

async fn subscribe(State(fan): State<Fan>) -> impl IntoSubscribeResponse {
    Observe(fan.subscribe())
}

/// Opens a session with this past. It has not received a large message yet.
async fn open(address: SocketAddr, headers: &str, past: Past) -> TcpStream {
    let mut client = connect(address, headers).await;
    if past != Past::Connected {
        let subscribe = b"SUBSCRIBE\nid:0\ndestination:/fan\nreceipt:1\n\n\0";
        client
            .write_all(&frame(FIN | TEXT, subscribe))
            .await
            .unwrap();
        receive(&mut client, 0, "RECEIPT\n").await;
    }
    if past == Past::Busy {
        let body = "x".repeat(LARGE);
        let send = format!("SEND\ndestination:/sink\nreceipt:2\n\n{body}\0");
        let message = frame(FIN | TEXT, send.as_bytes());
        client.write_all(&message).await.unwrap();
        receive(&mut client, 0, "RECEIPT\n").await;
    }
    client
}

/// Receives a message with a body of this length, whose frame begins with `start`.
async fn receive(client: &mut TcpStream, body: usize, start: &str) {
    let mut received = Vec::new();
    while received.len() < body || !received.ends_with(b"\0") {
        let count = soon(client.read_buf(&mut received)).await.unwrap();
        assert_ne!(count, 0, "the server has closed");
    }
    let at = received.iter().position(u8::is_ascii_uppercase).unwrap();
    assert!(received[at..].starts_with(start.as_bytes()));
}

async fn connect(address: SocketAddr, headers: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /stomp HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let (mut head, mut byte) = ([0; 4], [0]);
    while head != *b"\r\n\r\n" {
        soon(client.read_exact(&mut byte)).await.unwrap();
        head = [head[1], head[2], head[3], byte[0]];
    }
    let message = frame(
        FIN | TEXT,
        b"CONNECT\naccept-version:1.2\nheart-beat:0,0\n\n\0",
    );
    client.write_all(&message).await.unwrap();
    let mut answer = [0; 256];
    let length = soon(client.read(&mut answer)).await.unwrap();
    assert!(answer[2..length].starts_with(b"CONNECTED\n"));
    client
}

fn header(number: usize, bytes: usize) -> String {
    format!("X-{number}: {}\r\n", "v".repeat(bytes))
}

#[test]
fn a_long_http_head_costs_a_session_only_its_own_bytes() {
    for mount in MOUNTS {
        let small = mount.bytes_per_session("", Past::Connected);
        println!("{mount:?}: {small} bytes for a session with a small head");
        assert!(small <= MAX_SMALL, "{mount:?}: {small} bytes");
        for (count, bytes) in [(1, 15 << 10), (5, 3 << 10)] {
            let headers: String = (0..count).map(|number| header(number, bytes)).collect();
            let large = mount.bytes_per_session(&headers, Past::Connected);
            println!("{mount:?}: {large} bytes with {count} headers of {bytes} bytes");
            assert!(
                large <= small + headers.len() + MAX_EXTRA,
                "{mount:?}: {large} bytes, and {small} without the headers"
            );
        }
    }
}

#[test]
fn an_idle_subscribed_session_needs_little_memory_and_returns_its_buffers() {
    for mount in MOUNTS {
        let subscribed = mount.bytes_per_session("", Past::Subscribed);
        let busy = mount.bytes_per_session("", Past::Busy);
        println!("{mount:?}: {subscribed} bytes for a subscribed session, {busy} after 64 KiB");
        assert!(
            subscribed <= MAX_SUBSCRIBED,
            "{mount:?}: {subscribed} bytes"
        );
        assert!(
            busy <= subscribed + MAX_LEFT,
            "{mount:?}: {busy} bytes, and {subscribed} before"
        );
    }
}

#[test]
fn the_head_of_a_handshake_is_limited_to_16_kib_and_100_headers() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let many: String = (0..101).map(|number| header(number, 1)).collect();
    for mount in [Mount::OwnPort, Mount::Axum] {
        for headers in [header(0, 16 << 10), many.clone()] {
            let response = runtime.block_on(async {
                let address = mount
                    .serve(App::new().server_config(Config::default()))
                    .await;
                let stream = TcpStream::connect(address).await.unwrap();
                let (name, value) = headers.split_once(": ").unwrap();
                let value = value.trim_end();
                stomp_testing::Client::upgrade(stream, "/stomp", &[(name, value)]).await
            });
            let response = response.unwrap_err();
            assert!(
                response.starts_with("HTTP/1.1 431 "),
                "{mount:?}: {response}"
            );
        }
    }
}

#[test]
fn the_largest_head_is_within_the_documented_maximum_of_a_peer() {
    let small = Mount::OwnPort.bytes_per_session("", Past::Connected);
    let lines: String = (0..94).map(|number| header(number, 150)).collect();
    let most_lines = Mount::OwnPort.bytes_per_session(&lines, Past::Connected);
    println!(
        "{most_lines} bytes with {} bytes in 99 headers",
        lines.len()
    );
    assert!(most_lines - small <= webstomp::socket::Peer::MAX_BYTES - (64 << 10));
}
