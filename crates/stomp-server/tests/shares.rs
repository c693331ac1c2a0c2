//! Tests for the shares of addresses in the places for connections that have not logged in.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails the test"
)]

mod support;

use futures_util::StreamExt;
use std::{future::pending, io, time::Duration};
use stomp_frame::{Limits, Version};
use stomp_server::{
    Config, ConnectionLimits, Incoming, Listener, Listeners, Server, TrustedProxies, Upgrade,
};
use stomp_socket::{End, Inbound, Socket};
use stomp_testing::soon;
use support::{Client, Dial, HANDSHAKE, InMemory, in_memory, serve, settle};
use tokio::{io::DuplexStream, sync::mpsc, time::Instant};

fn limited_to(max_unauthenticated: usize) -> Config {
    let limits = ConnectionLimits::default().max_unauthenticated(max_unauthenticated);
    Config::default().connection_limits(limits)
}

const ATTACKER: Option<&str> = Some("192.0.2.66");
const NEWCOMER: Option<&str> = Some("192.0.2.1");

async fn silent_from(dial: &Dial, address: Option<&str>, count: usize) -> Vec<Client> {
    let silent = (0..count).map(|_| dial.connect_from(address)).collect();
    settle().await;
    silent
}

async fn is_closed(client: &mut Client) -> bool {
    settle().await;
    let mut byte = [0];
    let read = tokio::io::AsyncReadExt::read(&mut client.0, &mut byte);
    futures_util::FutureExt::now_or_never(read).is_some()
}

#[tokio::test(start_paused = true)]
async fn silent_websockets_of_one_address_do_not_lock_out_another_address() {
    let (listener, dial) = in_memory();
    let _sockets = serve(listener, limited_to(8));
    let mut silent = silent_from(&dial, ATTACKER, 8).await;
    let start = Instant::now();
    let mut same = dial.connect_from(ATTACKER);
    assert_eq!(same.handshake().await, 503, "the largest holder");
    let mut other = dial.connect_from(NEWCOMER);
    assert_eq!(other.handshake().await, 101);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(is_closed(&mut silent[0]).await, "the oldest connection");
    assert!(!is_closed(&mut silent[1]).await);
}

#[tokio::test(start_paused = true)]
async fn silent_byte_streams_of_one_address_do_not_lock_out_another_address() {
    let (listener, dial) = in_memory();
    let mut sockets = serve(Listeners::new().byte_stream(listener), limited_to(8));
    let mut silent = silent_from(&dial, ATTACKER, 8).await;
    let mut owned = Vec::new();
    for _ in &silent {
        owned.push(soon(sockets.recv()).await.unwrap());
    }
    assert_eq!(dial.connect_from(ATTACKER).rest().await, "");
    let mut other = dial.connect_from(NEWCOMER);
    other.send("CONNECT\n\n\0").await;
    let mut socket = soon(sockets.recv()).await.unwrap();
    assert!(matches!(soon(socket.next()).await, Some(Inbound::Frame(_))));
    // The oldest socket ends, and the others do not.
    match soon(owned[0].next()).await {
        Some(Inbound::End(End::Lost(error))) => {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted)
        }
        other => panic!("{other:?}"),
    }
    owned.remove(0);
    assert!(is_closed(&mut silent[0]).await);
    let second = futures_util::FutureExt::now_or_never(owned[0].next());
    assert!(second.is_none());
}

/// A listener whose connections never complete their TLS handshake.
struct Handshaking(InMemory);

impl Listener for Handshaking {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<Incoming<DuplexStream>> {
        let incoming = self.0.accept().await?;
        Ok(incoming.then(|io, peer| async move {
            if peer.address.unwrap().ip().to_string() == ATTACKER.unwrap() {
                let _held = io;
                return pending().await;
            }
            Ok((io, peer))
        }))
    }
}

#[tokio::test(start_paused = true)]
async fn unfinished_tls_handshakes_of_one_address_do_not_lock_out_another_address() {
    let (listener, dial) = in_memory();
    let _sockets = serve(Handshaking(listener), limited_to(8));
    let mut silent = silent_from(&dial, ATTACKER, 8).await;
    assert_eq!(dial.connect_from(NEWCOMER).handshake().await, 101);
    assert!(is_closed(&mut silent[0]).await);
    assert!(!is_closed(&mut silent[1]).await);
}

#[tokio::test(start_paused = true)]
async fn addresses_of_one_ipv6_network_share_their_places() {
    let (listener, dial) = in_memory();
    let _sockets = serve(listener, limited_to(4));
    let mut held = Vec::new();
    for last in 1..=4 {
        let address = format!("2001:db8::{last}");
        held.extend(silent_from(&dial, Some(&address), 1).await);
    }
    let mut same = dial.connect_from(Some("2001:db8::5"));
    assert_eq!(same.handshake().await, 503);
    let mut other = dial.connect_from(Some("2001:db8:0:1::5"));
    assert_eq!(other.handshake().await, 101);
}

#[tokio::test(start_paused = true)]
async fn a_full_server_displaces_silent_connections_but_no_sessions() {
    let (listener, dial) = in_memory();
    let limits = ConnectionLimits::default().max_connections(4);
    let mut sockets = serve(listener, Config::default().connection_limits(limits));
    let mut clients = Vec::new();
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let mut client = dial.connect_from(ATTACKER);
        assert_eq!(client.handshake().await, 101);
        let mut socket: Socket = soon(sockets.recv()).await.unwrap();
        socket.resume(Version::V1_2, Limits::default());
        clients.push(client);
        sessions.push(socket);
    }
    let mut silent = silent_from(&dial, ATTACKER, 2).await;
    for _ in 0..2 {
        // The second newcomer displaces the last silent connection after a second.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut other = dial.connect_from(NEWCOMER);
        assert_eq!(other.handshake().await, 101);
        let mut socket = soon(sockets.recv()).await.unwrap();
        socket.resume(Version::V1_2, Limits::default());
        clients.push(other);
        sessions.push(socket);
    }
    assert!(is_closed(&mut silent[0]).await && is_closed(&mut silent[1]).await);
    let mut last = dial.connect_from(Some("192.0.2.2"));
    assert_eq!(last.handshake().await, 503);
    assert!(!is_closed(&mut clients[0]).await);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_was_displaced_before_its_login_ends_after_it() {
    let (listener, dial) = in_memory();
    let mut server = Server::new(Listeners::new().byte_stream(listener), limited_to(2)).unwrap();
    let _silent = silent_from(&dial, ATTACKER, 2).await;
    let mut first = soon(server.accept()).await.unwrap();
    let _second = soon(server.accept()).await.unwrap();
    let _other = dial.connect_from(NEWCOMER);
    let _third = soon(server.accept()).await.unwrap();
    first.resume(Version::V1_2, Limits::default());
    assert!(matches!(
        soon(first.next()).await,
        Some(Inbound::End(End::Lost(_)))
    ));
    let counts = server.connections();
    assert_eq!(
        (counts.open, counts.unauthenticated, counts.displaced),
        (2, 2, 1)
    );
    drop(first);
    assert_eq!(server.connections().open, 2);
}

#[tokio::test(start_paused = true)]
async fn clients_behind_a_trusted_proxy_have_shares_of_their_own() {
    let (listener, dial) = in_memory();
    let limits = ConnectionLimits::default()
        .max_unauthenticated(4)
        .max_per_address(3);
    let proxies = TrustedProxies::new(["10.0.0.1"]).unwrap();
    let config = Config::default()
        .connection_limits(limits)
        .trusted_proxies(proxies);
    let mut sockets = serve(listener, config);
    let (mut held, mut connections) = (Vec::new(), Vec::new());
    for (client, status) in [
        ("192.0.2.66", 101),
        ("192.0.2.66", 101),
        ("192.0.2.66", 101),
        ("192.0.2.66", 503),
        ("192.0.2.1", 101),
        // The places are full. This displaces the oldest connection of 192.0.2.66.
        ("192.0.2.2", 101),
    ] {
        let mut connection = dial.connect_from(Some("10.0.0.1"));
        let forwarded = format!("\r\nX-Forwarded-For: {client}\r\n\r\n");
        connection
            .send(&HANDSHAKE.replace("\r\n\r\n", &forwarded))
            .await;
        let head = connection.head().await;
        let line = format!("HTTP/1.1 {status} ");
        assert!(head.starts_with(&line), "{client}: {head}");
        if status == 101 {
            let socket = soon(sockets.recv()).await.unwrap();
            let address = socket.peer().address.unwrap();
            assert_eq!(address.ip().to_string(), client);
            held.push(socket);
            connections.push(connection);
        }
    }
    assert!(matches!(
        soon(held[0].next()).await,
        Some(Inbound::End(End::Lost(_)))
    ));
}

#[tokio::test]
async fn an_upgrade_service_shares_its_places_among_addresses() {
    use hyper::{body::Incoming, server::conn::http1, service::service_fn};
    use hyper_util::rt::TokioIo;
    use std::net::SocketAddr;
    use tower_service::Service;

    let (sender, mut sockets) = mpsc::unbounded_channel();
    let upgrade = Upgrade::new(limited_to(4), move |socket| {
        let _ = sender.send(socket);
        std::future::ready(())
    })
    .unwrap();
    let connect = async |address: &str| {
        let (client, server) = tokio::io::duplex(4 << 10);
        let address = SocketAddr::new(address.parse().unwrap(), 1);
        let upgrade = upgrade.clone();
        let service = service_fn(move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(address);
            upgrade.clone().call(request)
        });
        let connection = http1::Builder::new()
            .serve_connection(TokioIo::new(server), service)
            .with_upgrades();
        tokio::spawn(connection);
        let mut client = Client(client);
        let status = client.handshake().await;
        (client, status)
    };
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(connect(ATTACKER.unwrap()).await);
    }
    let mut first = soon(sockets.recv()).await.unwrap();
    assert_eq!(connect(ATTACKER.unwrap()).await.1, 503);
    let (_client, status) = connect(NEWCOMER.unwrap()).await;
    assert_eq!(status, 101);
    assert!(matches!(
        soon(first.next()).await,
        Some(Inbound::End(End::Lost(_)))
    ));
}
