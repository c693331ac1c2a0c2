//! Sessions of a server that shuts down.

use crate::support::*;
use futures_util::task::AtomicWaker;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use stomp_frame::Version;
use stomp_session::{Config, Peer, Requests, Response, Session};
use stomp_socket::{Permit, Socket};
use stomp_testing::Client;
use tokio::task::JoinHandle;

/// A server that counts its connections and can shut down.
#[derive(Clone, Default)]
struct Server(Arc<State>);

#[derive(Default)]
struct State {
    is_shutting_down: AtomicBool,
    task: AtomicWaker,
    negotiated: AtomicUsize,
    connections: AtomicUsize,
}

impl Server {
    fn permit(&self) -> Box<dyn Permit> {
        self.0.connections.fetch_add(1, Ordering::Relaxed);
        Box::new(ServerPermit(self.clone()))
    }

    fn shut_down(&self) {
        self.0.is_shutting_down.store(true, Ordering::Relaxed);
        self.0.task.wake();
    }

    fn negotiated(&self) -> usize {
        self.0.negotiated.load(Ordering::Relaxed)
    }

    fn connections(&self) -> usize {
        self.0.connections.load(Ordering::Relaxed)
    }
}

struct ServerPermit(Server);

impl Permit for ServerPermit {
    fn connected(&mut self) -> bool {
        self.0.0.negotiated.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn poll_revoked(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.0.task.register(cx.waker());
        if self.0.0.is_shutting_down.load(Ordering::Relaxed) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for ServerPermit {
    fn drop(&mut self) {
        self.0.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A session of `server` whose requests the test answers, and its client, which is not connected yet.
fn open(server: &Server, config: Config) -> (Client, Requests, JoinHandle<()>) {
    let (near, far) = tokio::io::duplex(PIPE);
    let socket = Socket::over_websocket(far, b"", Peer::default(), &Default::default());
    let (_, requests, connection) = Session::new(socket.with_permit(server.permit()), config);
    let client = Client::over_websocket(near);
    (client, requests, tokio::spawn(connection))
}

/// A session of `server` and its connected client.
async fn connected(server: &Server, config: Config) -> (Client, Requests, JoinHandle<()>) {
    let (mut client, mut requests, connection) = open(server, config);
    client.send(connect(Version::V1_2)).await;
    let (_, responder) = requests.next().await.unwrap();
    assert_eq!(server.negotiated(), 0);
    responder.ok();
    client.expect(Command::Connected).await;
    assert_eq!(server.negotiated(), 1);
    accept_next(&mut requests, Command::Connected).await;
    (client, requests, connection)
}

/// Answers all remaining requests and returns their commands.
async fn answer_all(requests: &mut Requests) -> Vec<Command> {
    let mut commands = Vec::new();
    while let Some((request, responder)) = requests.next().await {
        commands.push(request.command());
        responder.ok();
    }
    commands
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_answers_the_requests_that_were_read_and_reads_no_more() {
    let server = Server::default();
    let mut config = Config::default();
    config.max_inbox_frames = 2;
    let (mut client, mut requests, connection) = connected(&server, config).await;
    // The first is being handled, two wait in the inbox, and the fourth is not read yet.
    let mut receipts = Vec::new();
    for _ in 0..4 {
        receipts.push(client.request(send("/a", "")).await);
    }
    let (_, responder) = requests.next().await.unwrap();
    settle().await;

    server.shut_down();
    settle().await;
    client.request(send("/a", "")).await;
    assert_eq!(
        server.connections(),
        1,
        "the connection ended before its request was answered"
    );

    responder.ok();
    let handled = tokio::spawn(async move { answer_all(&mut requests).await });
    for receipt in &receipts[..3] {
        client.expect_receipt(receipt).await;
    }
    client.expect_close(1001).await;
    connection.await.unwrap();
    assert_eq!(
        handled.await.unwrap(),
        [Command::Send, Command::Send, Command::Disconnect]
    );
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_closes_an_idle_session_at_once() {
    let server = Server::default();
    let (mut client, mut requests, connection) = connected(&server, Config::default()).await;
    server.shut_down();
    client.expect_close(1001).await;
    assert_eq!(answer_all(&mut requests).await, [Command::Disconnect]);
    connection.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_subscriptions_before_sessions() {
    let server = Server::default();
    let (mut client, mut requests, connection) = connected(&server, Config::default()).await;
    for id in ["0", "1"] {
        client.send(subscribe(id, "/a")).await;
        accept_next(&mut requests, Command::Subscribe).await;
    }
    server.shut_down();
    let commands = answer_all(&mut requests).await;
    let ends = [
        Command::Unsubscribe,
        Command::Unsubscribe,
        Command::Disconnect,
    ];
    assert_eq!(commands, ends);
    drop(client);
    connection.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_closes_a_session_that_is_not_connected_yet() {
    let server = Server::default();
    let (mut client, mut requests, connection) = open(&server, Config::default());
    settle().await;
    server.shut_down();
    client.expect_close(1001).await;
    assert_eq!(answer_all(&mut requests).await, []);
    connection.await.unwrap();
    assert_eq!(server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_during_a_shutdown_gets_no_more_messages() {
    let server = Server::default();
    let (mut client, mut requests, connection) = connected(&server, Config::default()).await;
    client.send(subscribe("0", "/a")).await;
    let (stream, held) = open_stream(&["one"]);
    let (_, responder) = requests.next().await.unwrap();
    responder.respond(Response::observe(stream));
    client.expect_message("one").await;
    client.send(send("/slow", "")).await;
    let (_, responder) = requests.next().await.unwrap();

    server.shut_down();
    settle().await;
    assert!(
        !is_dropped(&held),
        "the peer may wait for the reply to its request"
    );
    client.send(send("/a", "dropped")).await;
    client.send_close(None).await;
    settle().await;
    assert!(is_dropped(&held), "the peer is gone");
    responder.ok();
    let ends = [Command::Unsubscribe, Command::Disconnect];
    assert_eq!(answer_all(&mut requests).await, ends);
    connection.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_malformed_frame_after_the_start_of_a_shutdown_is_dropped() {
    let server = Server::default();
    let (mut client, mut requests, connection) = connected(&server, Config::default()).await;
    let receipt = client.request(send("/slow", "")).await;
    let (_, responder) = requests.next().await.unwrap();
    server.shut_down();
    settle().await;
    client.send_bytes("NONSENSE\n\n\0").await;
    settle().await;
    responder.ok();
    client.expect_receipt(&receipt).await;
    client.expect_close(1001).await;
    assert_eq!(answer_all(&mut requests).await, [Command::Disconnect]);
    connection.await.unwrap();
}
