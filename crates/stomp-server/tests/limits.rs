//! Tests for connection limits, and for the responses to connections above them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails the test"
)]

mod support;

use futures_util::SinkExt;
use std::{future::ready, time::Duration};
use stomp_frame::{Limits, Version};
use stomp_server::{Config, ConnectionCounts, Listeners, Server, Upgrade};
use stomp_socket::Socket;
use stomp_testing::{Client, soon};
use support::{Dial, in_memory, serve, settle};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep},
};

fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

fn counts(server: &Server) -> (usize, usize, u64) {
    let ConnectionCounts {
        open,
        unauthenticated,
        refused,
        ..
    } = server.connections();
    (open, unauthenticated, refused)
}

/// Connects a client, and returns it with the server's socket.
async fn accept(server: &mut Server, dial: &Dial) -> (support::Client, Socket) {
    let connecting = tokio::spawn({
        let dial = dial.clone();
        async move { dial.handshake().await }
    });
    let socket = soon(server.accept()).await.unwrap();
    let (client, status) = connecting.await.unwrap();
    assert_eq!(status, 101);
    (client, socket)
}

#[tokio::test(start_paused = true)]
async fn a_connection_does_not_count_as_unauthenticated_after_its_login() {
    let (listener, dial) = in_memory();
    let mut server = Server::new(
        listener,
        config(|config| config.connection_limits.max_unauthenticated = 1),
    )
    .unwrap();
    assert_eq!(counts(&server), (0, 0, 0));
    let (_client, mut socket) = accept(&mut server, &dial).await;
    assert_eq!(counts(&server), (1, 1, 0));

    let mut refused = dial.connect();
    let start = Instant::now();
    let status = tokio::select! {
        status = refused.handshake() => status,
        _ = server.accept() => panic!("the server accepted a connection above the limit"),
    };
    assert_eq!((status, start.elapsed()), (503, Duration::ZERO));
    assert_eq!(
        refused.rest().await,
        "The server has too many connections (max_unauthenticated is 1). Try again later.\n"
    );
    assert_eq!(counts(&server), (1, 1, 1));

    socket.resume(Version::V1_2, Limits::default());
    assert_eq!(counts(&server), (1, 0, 1));
    let (_client, second) = accept(&mut server, &dial).await;
    assert_eq!(counts(&server), (2, 1, 1));
    drop(second);
    assert_eq!(counts(&server), (1, 0, 1));
    drop(socket);
    assert_eq!(counts(&server), (0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_counts_as_unauthenticated_until_the_handshake_timeout() {
    let (listener, dial) = in_memory();
    let _sockets = serve(
        listener,
        config(|config| config.connection_limits.max_unauthenticated = 1),
    );
    let mut silent = dial.connect();
    settle().await;
    assert_eq!(dial.handshake().await.1, 503);
    assert_eq!(silent.rest().await, "");
    assert_eq!(dial.handshake().await.1, 101);
}

#[tokio::test(start_paused = true)]
async fn max_connections_limits_all_connections() {
    let (listener, dial) = in_memory();
    let mut sockets = serve(
        listener,
        config(|config| config.connection_limits.max_connections = 2),
    );
    let mut kept = Vec::new();
    for _ in 0..2 {
        let (client, status) = dial.handshake().await;
        assert_eq!(status, 101);
        let mut socket = soon(sockets.recv()).await.unwrap();
        socket.resume(Version::V1_2, Limits::default());
        kept.push((client, socket));
    }
    assert_eq!(dial.handshake().await.1, 503);
    kept.pop();
    assert_eq!(dial.handshake().await.1, 101);
}

#[tokio::test(start_paused = true)]
async fn a_byte_stream_connection_above_the_limit_is_closed() {
    let (listener, dial) = in_memory();
    let config = config(|config| config.connection_limits.max_connections = 1);
    let mut sockets = serve(Listeners::new().byte_stream(listener), config);
    let _first = dial.connect();
    let _socket = soon(sockets.recv()).await.unwrap();
    assert_eq!(dial.connect().rest().await, "");
}

#[tokio::test(start_paused = true)]
async fn max_per_address_counts_ipv4_addresses_and_ipv6_networks() {
    let (listener, dial) = in_memory();
    let mut sockets = serve(
        listener,
        config(|config| config.connection_limits.max_per_address = Some(1)),
    );
    let mut kept = Vec::new();
    for (address, status) in [
        ("192.0.2.1", 101),
        ("192.0.2.1", 503),
        ("::ffff:192.0.2.1", 503),
        ("192.0.2.2", 101),
        ("2001:db8::1", 101),
        ("2001:db8::2:2", 503),
        ("2001:db8:0:1::1", 101),
    ] {
        let mut client = dial.connect_from(Some(address));
        assert_eq!(client.handshake().await, status, "{address}");
        kept.push(client);
    }
    // Connections without an address do not count.
    assert_eq!(dial.handshake().await.1, 101);
    assert_eq!(dial.handshake().await.1, 101);
    // After a socket is dropped, another connection from its address is accepted.
    drop(sockets.recv().await);
    assert_eq!(dial.connect_from(Some("192.0.2.1")).handshake().await, 101);
}

#[tokio::test(start_paused = true)]
async fn max_per_second_limits_the_rate_of_new_connections() {
    let (listener, dial) = in_memory();
    let _sockets = serve(
        listener,
        config(|config| config.connection_limits.max_per_second = Some(2)),
    );
    let mut statuses = Vec::new();
    for pause in [0, 0, 0, 500, 0, 10_000, 0, 0] {
        sleep(Duration::from_millis(pause)).await;
        statuses.push(dial.handshake().await.1);
    }
    assert_eq!(statuses, [101, 101, 503, 101, 503, 101, 101, 503]);
}

#[tokio::test]
async fn refused_connections_use_a_bounded_number_of_tasks() {
    let (listener, dial) = in_memory();
    let _sockets = serve(
        listener,
        config(|config| config.connection_limits.max_connections = 1),
    );
    let before = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    let clients: Vec<_> = (0..6_000).map(|_| dial.connect()).collect();
    settle().await;
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
        - before;
    // One connection is open, and at most 4,096 are being refused.
    assert!((1..=4_096 + 1).contains(&tasks), "{tasks}");
    drop(clients);
    settle().await;
    assert_eq!(
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks(),
        before
    );
}

#[tokio::test]
async fn an_upgrade_service_enforces_connection_limits() {
    let (sender, mut sockets) = mpsc::unbounded_channel();
    let config = config(|config| config.connection_limits.max_unauthenticated = 1);
    let upgrade = Upgrade::new(config, move |socket| {
        sender.send(socket).unwrap();
        ready(())
    })
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = axum::Router::new().route_service("/stomp", upgrade.clone());
    tokio::spawn(async { axum::serve(listener, http).await });

    let handshake = async || {
        let stream = TcpStream::connect(address).await.unwrap();
        Client::upgrade(stream, "/stomp", &[]).await
    };
    let _first = handshake().await.unwrap();
    let response = handshake().await.unwrap_err();
    assert!(
        response.starts_with("HTTP/1.1 503 ") && response.contains("\r\nretry-after: 1\r\n"),
        "{response}"
    );
    let mut socket = soon(sockets.recv()).await.unwrap();
    socket.resume(Version::V1_2, Limits::default());
    let _second = handshake().await.unwrap();
    let ConnectionCounts {
        open,
        unauthenticated,
        refused,
        ..
    } = upgrade.connections();
    assert_eq!((open, unauthenticated, refused), (2, 1, 1));
}

/// Closes the next socket of `sockets`, while its client sends `bytes`. Returns the client, and the task that closes.
async fn close_beside_a_talker(
    dial: &Dial,
    sockets: &mut mpsc::UnboundedReceiver<Socket>,
    bytes: usize,
) -> (bool, support::Client, JoinHandle<()>) {
    let mut client = dial.connect();
    let mut socket = soon(sockets.recv()).await.unwrap();
    let closing = tokio::spawn(async move {
        let _ = socket.close().await;
    });
    let is_read = soon(client.0.write_all(&vec![b'\n'; bytes])).await.is_ok();
    (is_read, client, closing)
}

#[tokio::test(start_paused = true)]
async fn each_listener_drops_the_bytes_of_a_limited_number_of_closing_peers() {
    const LARGE: usize = 1 << 20;
    let ((first, first_dial), (second, second_dial)) = (in_memory(), in_memory());
    let mut sockets = serve(
        Listeners::new().byte_stream(first).byte_stream(second),
        config(|config| config.connection_limits.max_lingering = 1),
    );
    let (is_read, lingers, closing) = close_beside_a_talker(&first_dial, &mut sockets, LARGE).await;
    assert!(is_read && !closing.is_finished(), "the first one lingers");
    let (is_read, ..) = close_beside_a_talker(&first_dial, &mut sockets, LARGE).await;
    assert!(!is_read, "the second one of the same listener is closed");
    let (is_read, ..) = close_beside_a_talker(&first_dial, &mut sockets, 32 << 10).await;
    assert!(is_read, "small rests are always dropped");
    let (is_read, ..) = close_beside_a_talker(&second_dial, &mut sockets, LARGE).await;
    assert!(is_read, "another listener has places of its own");
    drop(lingers);
    soon(closing).await.unwrap();
    let (is_read, ..) = close_beside_a_talker(&first_dial, &mut sockets, LARGE).await;
    assert!(is_read, "a connection that has ended leaves its place");
}
