//! Tests for accepting connections: several listeners, failures, and timeouts.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails the test"
)]

mod support;

use futures_util::StreamExt;
use std::{io, time::Duration};
use stomp_frame::Command;
use stomp_server::{Config, Incoming, Listener, Listeners, Peer, Server, bind};
use stomp_socket::{Inbound, Socket};
use stomp_testing::{
    soon,
    websocket::{FIN, TEXT, frame},
};
use support::{HANDSHAKE, InMemory, in_memory, serve, settle};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::{Instant, sleep},
};

async fn command(socket: &mut Socket) -> Command {
    match soon(socket.next()).await {
        Some(Inbound::Frame(frame)) => frame.command,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_accepts_from_several_listeners() {
    let ((web, web_dial), (raw, raw_dial)) = (in_memory(), in_memory());
    let mut sockets = serve(
        Listeners::new().websocket(web).byte_stream(raw),
        Config::default(),
    );

    let mut service = raw_dial.connect_from(Some("192.0.2.1"));
    service.send("STOMP\naccept-version:1.2\n\n\0").await;
    let mut socket = soon(sockets.recv()).await.unwrap();
    assert_eq!(command(&mut socket).await, Command::Stomp);
    assert!(!socket.supports_ping(), "a byte stream has no pings");
    assert_eq!(socket.peer().address.unwrap().to_string(), "192.0.2.1:4711");
    assert!(socket.peer().request.is_none());

    let mut page = web_dial.connect_from(Some("192.0.2.2"));
    assert_eq!(page.handshake().await, 101);
    page.0
        .write_all(&frame(FIN | TEXT, b"CONNECT\n\n\0"))
        .await
        .unwrap();
    let mut socket = soon(sockets.recv()).await.unwrap();
    assert_eq!(command(&mut socket).await, Command::Connect);
    assert_eq!(socket.peer().address.unwrap().to_string(), "192.0.2.2:4711");
    assert_eq!(socket.peer().request.as_ref().unwrap().uri, "/stomp");
}

#[tokio::test(start_paused = true)]
async fn bytes_received_with_the_handshake_are_not_lost() {
    let (listener, dial) = in_memory();
    let mut sockets = serve(listener, Config::default());
    let mut page = dial.connect();
    let message = frame(FIN | TEXT, b"CONNECT\n\n\0");
    page.0
        .write_all(&[HANDSHAKE.as_bytes(), &message].concat())
        .await
        .unwrap();
    assert_eq!(
        command(&mut soon(sockets.recv()).await.unwrap()).await,
        Command::Connect
    );
}

#[tokio::test(start_paused = true)]
async fn a_handshake_has_the_same_effect_in_one_piece_and_in_several() {
    for split in [0, 1, 20, HANDSHAKE.len() - 1] {
        let (listener, dial) = in_memory();
        let mut sockets = serve(listener, Config::default());
        let mut client = dial.connect();
        let (first, rest) = HANDSHAKE.split_at(split);
        client.send(first).await;
        sleep(Duration::from_secs(1)).await;
        client.send(rest).await;
        let head = client.head().await;
        assert!(
            head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
            "{head}"
        );
        // The answer to the example of RFC 6455, section 1.3.
        let answer = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        assert!(head.contains(answer), "{head}");
        let mut socket = soon(sockets.recv()).await.unwrap();
        let request = socket.peer().request.as_ref().unwrap();
        assert_eq!(request.uri, "/stomp");
        assert_eq!(request.headers.len(), 1, "{:?}", request.headers);
        let message = frame(FIN | TEXT, b"CONNECT\n\n\0");
        client.0.write_all(&message).await.unwrap();
        assert_eq!(command(&mut socket).await, Command::Connect);
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_retries_after_failures_to_accept() {
    const EMFILE: i32 = 24;
    let (mut listener, dial) = in_memory();
    let aborted = || io::Error::from(io::ErrorKind::ConnectionAborted);
    listener.failures.extend((0..1_000).map(|_| aborted()));
    listener
        .failures
        .extend((0..5).map(|_| io::Error::from_raw_os_error(EMFILE)));
    let _sockets = serve(listener, Config::default());
    let start = Instant::now();
    assert_eq!(dial.handshake().await.1, 101);
    // The server retries at once after an aborted connection, and after 100 ms if there is no file descriptor.
    assert_eq!(start.elapsed().as_millis(), 500);
}

#[tokio::test(start_paused = true)]
async fn sending_byte_by_byte_does_not_extend_the_handshake_timeout() {
    let (listener, dial) = in_memory();
    let mut sockets = serve(listener, Config::default());
    let start = Instant::now();
    let mut slow = dial.connect();
    for byte in HANDSHAKE.bytes() {
        if slow.0.write_all(&[byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(start.elapsed().as_secs(), 5);
    assert_eq!(slow.rest().await, "");
    assert!(sockets.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn other_requests_do_not_extend_the_handshake_timeout() {
    let (listener, dial) = in_memory();
    let _sockets = serve(listener, Config::default());
    let start = Instant::now();
    let (mut client, mut answers) = (dial.connect(), 0);
    while answers < 60
        && client
            .0
            .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .is_ok()
    {
        sleep(Duration::from_secs(1)).await;
        answers += usize::from(client.head().await.contains(" 426 "));
    }
    assert_eq!((start.elapsed().as_secs(), answers), (5, 5));
}

/// A listener whose connections begin with a handshake of one byte, before HTTP.
struct WithHandshake(InMemory);

impl Listener for WithHandshake {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<Incoming<DuplexStream>> {
        let incoming = self.0.accept().await?;
        Ok(incoming.then(|mut io, peer: Peer| async move {
            match io.read_u8().await? {
                b'!' => Ok((io, peer.with_address("192.0.2.3:1".parse().ok()))),
                _ => Err(io::ErrorKind::InvalidData.into()),
            }
        }))
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_handshake_before_http_does_not_delay_other_connections() {
    let (listener, dial) = in_memory();
    let mut sockets = serve(WithHandshake(listener), Config::default());
    let start = Instant::now();
    let (mut silent, mut wrong, mut right) = (dial.connect(), dial.connect(), dial.connect());
    wrong.send("?").await;
    assert_eq!(wrong.rest().await, "");
    right.send("!").await;
    assert_eq!(right.handshake().await, 101);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(
        soon(sockets.recv())
            .await
            .unwrap()
            .peer()
            .address
            .unwrap()
            .port(),
        1
    );
    assert_eq!(silent.rest().await, "");
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_client_with_the_wrong_protocol_gets_status_400() {
    let ((web, web_dial), (raw, raw_dial)) = (in_memory(), in_memory());
    let mut sockets = serve(
        Listeners::new().websocket(web).byte_stream(raw),
        Config::default(),
    );
    tokio::spawn(async move {
        while let Some(mut socket) = sockets.recv().await {
            // Reads to the end and closes, as a session does.
            while !matches!(socket.next().await, None | Some(Inbound::End(_))) {}
            let _ = futures_util::SinkExt::close(&mut socket).await;
        }
    });
    // A client uses HTTP on a port for STOMP.
    let mut curl = raw_dial.connect();
    curl.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let answer = curl.rest().await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(
        body,
        "This port accepts STOMP over TCP, not HTTP requests.\r\n"
    );
    assert!(
        head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())),
        "{answer}"
    );
    // Clients use TLS and STOMP on a port for HTTP.
    for first in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"CONNECT\naccept-version:1.2\n\n\0",
    ] {
        let mut client = web_dial.connect();
        client.0.write_all(first).await.unwrap();
        assert!(client.rest().await.starts_with("HTTP/1.1 400 "));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_server_stops_listening() {
    let (listener, dial) = in_memory();
    let mut server = Server::new(listener, Config::default()).unwrap();
    let mut early = dial.connect();
    early.send(HANDSHAKE).await;
    assert!(soon(server.accept()).await.is_some());
    drop(server);
    settle().await;
    assert_eq!(dial.connect().rest().await, "");
}

#[tokio::test]
async fn binding_an_address_in_use_is_an_error() {
    let first = bind("127.0.0.1:0").await.unwrap();
    let address = first.local_addr().unwrap();
    assert_eq!(
        bind(address).await.unwrap_err().kind(),
        io::ErrorKind::AddrInUse
    );
    // If there are several addresses, `bind` uses the first free one.
    let free = bind(&[address, "127.0.0.1:0".parse().unwrap()][..])
        .await
        .unwrap();
    assert_ne!(free.local_addr().unwrap(), address);
    drop(first);
    bind(address).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_http_head_over_16_kib_gets_status_431() {
    let (listener, dial) = in_memory();
    let _sockets = serve(listener, Config::default());
    for (cookie, status) in [(10 << 10, 101), (20 << 10, 431)] {
        let mut page = dial.connect();
        let origin = "Origin: http://localhost\r\n";
        let cookie = format!("{origin}Cookie: {}\r\n\r\n", "a".repeat(cookie));
        let request = HANDSHAKE.replace("\r\n\r\n", &format!("\r\n{cookie}"));
        // Writing fails if the server responds before it has received everything.
        let _ = page.0.write_all(request.as_bytes()).await;
        let head = page.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
}
