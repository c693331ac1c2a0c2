//! Clients that the server refuses or disconnects.

use crate::Ports;
use futures_util::{FutureExt, future::BoxFuture};
use std::{net::SocketAddr, time::Duration};
use stomp_testing::{
    Client, frames,
    websocket::{self, FIN, TEXT},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::sleep,
};
use webstomp::frame::{Command, Frame, Version};

/// A part of everything secret that the clients send.
pub(crate) const SECRET: &str = "S3CR3T";

/// A client, which ends when it was refused or disconnected.
pub(crate) type ClientFn = for<'a> fn(&'a Ports, SocketAddr) -> BoxFuture<'a, ()>;

/// A client, with the reason that the log names.
type Case = (&'static str, ClientFn);

pub(crate) fn all() -> Vec<Case> {
    [
        violating_protocol(),
        refused_by_app(),
        slow(),
        refused_before_session(),
    ]
    .concat()
}

/// Clients that break the protocol or exceed a limit of frames.
fn violating_protocol() -> Vec<Case> {
    vec![
        ("unexpected-frame", |ports, at| {
            close_after(open(ports, at), frames::send("/news", SECRET)).boxed()
        }),
        ("version-not-supported", |ports, at| {
            let frame = Frame::new(Command::Connect)
                .with_header("accept-version", "9.9 S3CR3T")
                .with_header("passcode", SECRET);
            close_after(open(ports, at), frame).boxed()
        }),
        ("malformed-frame", |ports, at| {
            bytes_after(log_in(ports, at), b"SEND\npasscode S3CR3T\n\n\0").boxed()
        }),
        ("malformed-message", |ports, at| {
            let text = websocket::frame(FIN | TEXT, b"SEND\ntoken:S3CR3T\xff\n\n\0");
            async move {
                let mut client = log_in(ports, at).await;
                client.send_raw(text).await;
                client.expect(Command::Error).await;
            }
            .boxed()
        }),
        ("too-large", |ports, at| {
            let frame = frames::send("/news", &SECRET.repeat(10_000));
            close_after(log_in(ports, at), frame).boxed()
        }),
        ("missing-header", |ports, at| {
            let frame = Frame::new(Command::Send).with_header("token", SECRET);
            close_after(log_in(ports, at), frame).boxed()
        }),
        ("too-many-subscriptions", |ports, at| {
            subscribe_twice(ports, at, "1").boxed()
        }),
        ("duplicate-subscription", |ports, at| {
            subscribe_twice(ports, at, "0").boxed()
        }),
        ("unknown-transaction", |ports, at| {
            let frame = frames::transaction(Command::Commit, SECRET);
            close_after(log_in(ports, at), frame).boxed()
        }),
    ]
}

/// Clients to which the application or the broker answers with an error.
fn refused_by_app() -> Vec<Case> {
    vec![
        ("login-failed", |ports, at| {
            let connect = connect_frame().with_header("login", "bob");
            close_after(open(ports, at), connect).boxed()
        }),
        ("prefetch-too-large", |ports, at| {
            let frame = frames::subscribe_with_ack("0", "/queue/a", "client")
                .with_header("prefetch-count", "9");
            close_after(log_in(ports, at), frame).boxed()
        }),
        ("not-found", |ports, at| {
            close_after(log_in(ports, at), frames::send("/nowhere", "")).boxed()
        }),
        ("internal-error", |ports, at| {
            close_after(log_in(ports, at), frames::send("/fail", SECRET)).boxed()
        }),
        ("timeout", |ports, at| {
            close_after(log_in(ports, at), frames::send("/endless", SECRET)).boxed()
        }),
        ("queue-full", |ports, at| {
            async move {
                let mut client = log_in(ports, at).await;
                client.receipt(frames::send("/queue/a", SECRET)).await;
                close_after(std::future::ready(client), frames::send("/queue/a", "")).await;
            }
            .boxed()
        }),
    ]
}

/// Clients that send or read too slowly.
fn slow() -> Vec<Case> {
    vec![
        ("slow-consumer", |ports, at| {
            slow_consumer(ports, at).boxed()
        }),
        ("write-timeout", |ports, at| {
            reads_nothing(ports, at).boxed()
        }),
        ("connect-timeout", |ports, at| {
            bytes_after(open(ports, at), b"CONNECT\npasscode:S3CR3T\n").boxed()
        }),
        ("frame-timeout", |ports, at| {
            unfinished(ports.tcp.connect(at)).boxed()
        }),
        ("heart-beat-timeout", |ports, at| silent(ports, at).boxed()),
    ]
}

/// Clients that are refused before they have a session, or use a wrong protocol.
fn refused_before_session() -> Vec<Case> {
    vec![
        ("origin", |ports, at| {
            const HEADERS: &[(&str, &str)] = &[
                ("authorization", "Bearer S3CR3T"),
                ("origin", "https://evil.example"),
            ];
            refused(ports, at, HEADERS)
        }),
        ("cookie-without-origin", |ports, at| {
            refused(ports, at, &[("cookie", "session=S3CR3T")])
        }),
        ("no-handshake", |ports, at| {
            let request = "GET /?token=S3CR3T HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                authorization: Bearer S3CR3T\r\n\r\n";
            raw(ports.web.connect(at), request.as_bytes()).boxed()
        }),
        ("handshake-timeout", |ports, at| {
            raw(ports.web.connect(at), b"GET / HTTP/1.1\r\ncookie: S3CR3T").boxed()
        }),
        ("max_per_address", |ports, at| {
            async move {
                let _first = open(ports, at).await;
                raw(ports.web.connect(at), b"").await;
            }
            .boxed()
        }),
        ("displaced", |ports, at| {
            async move {
                let mut displaced = open(ports, at).await;
                sleep(Duration::from_secs(2)).await;
                let _newcomer = open(ports, ([198, 51, 100, 1], 50_000).into()).await;
                assert_eq!(displaced.next_frame().await, None);
            }
            .boxed()
        }),
        ("head-too-long", |ports, at| {
            let request = format!("GET / HTTP/1.1\r\n{}\r\n", "x: S3CR3T\r\n".repeat(101));
            async move { raw(ports.web.connect(at), request.as_bytes()).await }.boxed()
        }),
        ("unexpected-stomp", |ports, at| {
            raw(ports.web.connect(at), b"CONNECT\npasscode:S3CR3T\n\n\0").boxed()
        }),
        ("unexpected-http", |ports, at| {
            raw(ports.tcp.connect(at), b"GET /S3CR3T HTTP/1.1\r\n\r\n").boxed()
        }),
        ("unexpected-tls", |ports, at| {
            raw(
                ports.web.connect(at),
                b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03S3CR3T",
            )
            .boxed()
        }),
    ]
}

fn connect_frame() -> Frame {
    frames::connect(Version::V1_2)
        .with_header("passcode", SECRET)
        .with_header("authorization", "Bearer S3CR3T")
        .with_header("token", SECRET)
}

/// Opens a WebSocket with a cookie.
async fn open(ports: &Ports, at: SocketAddr) -> Client {
    let headers = [
        ("cookie", "session=S3CR3T"),
        ("authorization", "Bearer S3CR3T"),
        ("origin", "http://localhost"),
    ];
    let path = "/stomp?access_token=S3CR3T";
    Client::upgrade(ports.web.connect(at), path, &headers)
        .await
        .unwrap()
}

async fn log_in(ports: &Ports, at: SocketAddr) -> Client {
    let mut client = open(ports, at).await;
    let connect = connect_frame().with_header("login", "ann");
    client.connect_with(connect).await;
    client
}

async fn close_after(client: impl Future<Output = Client>, frame: Frame) {
    let mut client = client.await.with_timeout(Duration::from_secs(60));
    client.send(frame).await;
    client.expect(Command::Error).await;
}

async fn bytes_after(client: impl Future<Output = Client>, bytes: &[u8]) {
    let mut client = client.await.with_timeout(Duration::from_secs(60));
    client.send_bytes(bytes).await;
    client.expect(Command::Error).await;
}

async fn subscribe_twice(ports: &Ports, at: SocketAddr, id: &str) {
    let mut client = log_in(ports, at).await;
    client.receipt(frames::subscribe("0", "/news")).await;
    close_after(std::future::ready(client), frames::subscribe(id, "/news")).await;
}

/// Reads too slowly for its topic, but takes a few bytes now and then.
async fn slow_consumer(ports: &Ports, at: SocketAddr) {
    let mut client = log_in(ports, at).await;
    client.receipt(frames::subscribe("0", "/news")).await;
    for _ in 0..1_000 {
        ports.news.publish(SECRET.repeat(500)).unwrap();
    }
    while client.next_frame().await.is_some() {}
}

async fn reads_nothing(ports: &Ports, at: SocketAddr) {
    let mut client = log_in(ports, at).await;
    client.receipt(frames::subscribe("0", "/news")).await;
    for _ in 0..20 {
        ports.news.publish(SECRET.repeat(500)).unwrap();
    }
    sleep(Duration::from_secs(60)).await;
}

async fn silent(ports: &Ports, at: SocketAddr) {
    let mut client = open(ports, at).await;
    let connect = connect_frame()
        .with_header("login", "ann")
        .with_header("heart-beat", "1000,0");
    client.connect_with(connect).await;
    sleep(Duration::from_secs(60)).await;
}

/// Begins a frame and never ends it.
async fn unfinished(stream: DuplexStream) {
    let mut client = Client::over_byte_stream(stream);
    let connect = connect_frame().with_header("login", "ann");
    client.connect_with(connect).await;
    client.send_raw(b"SEND\npasscode:S3CR3T\n").await;
    sleep(Duration::from_secs(60)).await;
}

fn refused<'a>(
    ports: &'a Ports,
    at: SocketAddr,
    headers: &'static [(&'static str, &'static str)],
) -> BoxFuture<'a, ()> {
    async move {
        let upgraded = Client::upgrade(ports.web.connect(at), "/?S3CR3T", headers).await;
        assert!(upgraded.is_err());
    }
    .boxed()
}

/// Sends bytes, and waits for the end of the connection.
async fn raw(mut stream: DuplexStream, bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    // The server may end the connection with an error.
    let _ = stream.read_to_end(&mut Vec::new()).await;
}
