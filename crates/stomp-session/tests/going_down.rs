//! What a session still does when its server goes down.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::{SinkExt, StreamExt, task::AtomicWaker};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use stomp_frame::Command;
use stomp_session::{Config, Peer, Requests, Session};
use stomp_socket::{Permit, Socket};
use tokio::{
    io::DuplexStream,
    task::{JoinHandle, yield_now},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

/// A server that goes down when it is told to, and knows its connections.
#[derive(Clone, Default)]
struct Server(Arc<Told>);

#[derive(Default)]
struct Told {
    goes_down: AtomicBool,
    task: AtomicWaker,
    negotiated: AtomicUsize,
    places: AtomicUsize,
}

impl Server {
    fn permit(&self) -> Box<dyn Permit> {
        self.0.places.fetch_add(1, Ordering::Relaxed);
        Box::new(Place(self.clone()))
    }

    fn go_down(&self) {
        self.0.goes_down.store(true, Ordering::Relaxed);
        self.0.task.wake();
    }
}

struct Place(Server);

impl Permit for Place {
    fn connected(&mut self) {
        self.0.0.negotiated.fetch_add(1, Ordering::Relaxed);
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.0.task.register(cx.waker());
        if self.0.0.goes_down.load(Ordering::Relaxed) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.places.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The peer.
struct Client(WebSocketStream<DuplexStream>);

impl Client {
    async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    async fn gets(&mut self, start: &str) {
        let message = timeout(Duration::from_secs(100), self.0.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert!(
            matches!(&message, Message::Text(text) if text.starts_with(start)),
            "{message:?}, and no {start:?}"
        );
    }

    async fn is_closed(&mut self) {
        let message = timeout(Duration::from_secs(100), self.0.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert!(
            matches!(&message, Message::Close(Some(close)) if u16::from(close.code) == 1001),
            "{message:?}"
        );
        assert!(self.0.next().await.is_none_or(|message| message.is_err()));
    }
}

/// A session of `server` that has seen nothing yet.
async fn open(server: &Server, config: Config) -> (Client, Requests, JoinHandle<()>) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let socket = Socket::over_websocket(ours, b"", Peer::default(), &Default::default());
    let (_, requests, connection) = Session::new(socket.with_permit(server.permit()), config);
    let client = Client(WebSocketStream::from_raw_socket(theirs, Role::Client, None).await);
    (client, requests, tokio::spawn(connection))
}

async fn connected(server: &Server, config: Config) -> (Client, Requests, JoinHandle<()>) {
    let (mut client, mut requests, connection) = open(server, config).await;
    client.send("CONNECT\naccept-version:1.2\n\n\0").await;
    assert_eq!(server.0.negotiated.load(Ordering::Relaxed), 0);
    requests.next().await.unwrap().1.ok();
    client.gets("CONNECTED\n").await;
    assert_eq!(server.0.negotiated.load(Ordering::Relaxed), 1);
    (client, requests, connection)
}

async fn send(client: &mut Client, receipt: u32) {
    client
        .send(&format!("SEND\ndestination:/a\nreceipt:{receipt}\n\n\0"))
        .await;
}

/// Lets all tasks run until nothing is left to be done.
async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

/// Answers requests until there are none, and gives what they were.
async fn answer_all(requests: &mut Requests) -> Vec<Command> {
    let mut commands = Vec::new();
    while let Some((request, responder)) = requests.next().await {
        commands.push(request.command());
        responder.ok();
    }
    commands
}

#[tokio::test(start_paused = true)]
async fn what_was_read_is_answered_and_nothing_more_is_read() {
    let server = Server::default();
    let mut config = Config::default();
    config.max_inbox_frames = 2;
    let (mut client, mut requests, connection) = connected(&server, config).await;
    // One is being handled, two wait, and the fourth has not been read.
    for receipt in 1..=4 {
        send(&mut client, receipt).await;
    }
    let (_, responder) = requests.next().await.unwrap();
    settle().await;

    server.go_down();
    settle().await;
    send(&mut client, 5).await;
    assert_eq!(
        server.0.places.load(Ordering::Relaxed),
        1,
        "the request is waited for"
    );

    responder.ok();
    let handled = tokio::spawn(async move { answer_all(&mut requests).await });
    for receipt in 1..=3 {
        client
            .gets(&format!("RECEIPT\nreceipt-id:{receipt}\n"))
            .await;
    }
    client.is_closed().await;
    connection.await.unwrap();
    assert_eq!(
        handled.await.unwrap(),
        [Command::Send, Command::Send, Command::Disconnect]
    );
    assert_eq!(server.0.places.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_is_closed_at_once() {
    let server = Server::default();
    let (mut client, mut requests, connection) = connected(&server, Config::default()).await;
    server.go_down();
    client.is_closed().await;
    assert_eq!(answer_all(&mut requests).await, [Command::Disconnect]);
    connection.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_that_has_not_connected_is_closed_too() {
    let server = Server::default();
    let (mut client, mut requests, connection) = open(&server, Config::default()).await;
    settle().await;
    server.go_down();
    client.is_closed().await;
    assert_eq!(answer_all(&mut requests).await, []);
    connection.await.unwrap();
    assert_eq!(server.0.places.load(Ordering::Relaxed), 0);
}
