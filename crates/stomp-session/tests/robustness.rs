//! Peers that are slow, silent or in a hurry, and what they are owed all the same.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::{FutureExt, SinkExt, Stream, StreamExt};
use std::{future::ready, time::Duration};
use stomp_frame::{Command, HeartBeat};
use stomp_session::{BoxError, Config, MailboxConfig, Peer, Request, Response, Session, Topic};
use stomp_socket::{CloseCode, Socket};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufStream, DuplexStream},
    task::yield_now,
    time::{advance, sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message, protocol::Role},
};

const CONNECT: &str = "CONNECT\naccept-version:1.2\n\n\0";
const SUBSCRIBE: &str = "SUBSCRIBE\nid:0\ndestination:/a\n\n\0";

/// Long, but not endless.
const PATIENCE: Duration = Duration::from_secs(100);

/// A topic in which nobody is too slow.
fn roomy() -> Topic<String> {
    Topic::with_mailboxes(
        MailboxConfig::default()
            .max_messages(usize::MAX)
            .max_bytes(usize::MAX),
    )
}

/// So many messages of a thousand bytes.
fn publish(topic: &Topic<String>, count: usize) {
    (0..count).for_each(|_| topic.publish("x".repeat(1_000)).unwrap());
}

/// Runs a session whose subscriptions are all of `topic`.
fn serve(socket: Socket, config: Config, topic: &Topic<String>) -> Session {
    let (session, _, connection) = Session::new(socket, config);
    let topic = topic.clone();
    tokio::spawn(connection.run(tower::service_fn(move |request: Request| {
        ready(Ok::<_, BoxError>(match request.command() {
            Command::Subscribe => Response::Observe(topic.subscribe().boxed()),
            _ => Response::Done,
        }))
    })));
    session
}

/// A subscriber over a WebSocket, with so many bytes of room between it and the server.
async fn websocket(
    bytes: usize,
    config: Config,
    topic: &Topic<String>,
    connect: &str,
) -> WebSocketStream<DuplexStream> {
    let (ours, theirs) = tokio::io::duplex(bytes);
    serve(
        Socket::over_websocket(ours, b"", Peer::default(), &Default::default()),
        config,
        topic,
    );
    let mut peer = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
    peer.send(Message::text(connect)).await.unwrap();
    gets(&mut peer, "CONNECTED\n").await;
    peer.send(Message::text(
        "SUBSCRIBE\nid:0\ndestination:/a\nreceipt:1\n\n\0",
    ))
    .await
    .unwrap();
    gets(&mut peer, "RECEIPT\n").await;
    peer
}

/// The next that comes over a WebSocket is such a frame.
async fn gets(peer: &mut (impl Stream<Item = Result<Message, Error>> + Unpin), command: &str) {
    match timeout(PATIENCE, peer.next())
        .await
        .expect("something comes")
    {
        Some(Ok(Message::Text(text))) if text.starts_with(command) => {}
        other => panic!("{other:?}"),
    }
}

/// A subscriber over a stream of bytes.
async fn byte_stream(
    bytes: usize,
    config: Config,
    topic: &Topic<String>,
) -> (Session, DuplexStream) {
    let (ours, mut theirs) = tokio::io::duplex(bytes);
    let session = serve(
        Socket::over_byte_stream(ours, Peer::default(), &Default::default()),
        config,
        topic,
    );
    theirs.write_all(CONNECT.as_bytes()).await.unwrap();
    theirs.write_all(SUBSCRIBE.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(1)).await;
    (session, theirs)
}

/// All that comes until the server closes, read with a pause before each piece.
async fn read_slowly(peer: &mut DuplexStream, pause: Duration) -> String {
    let (mut all, mut piece) = (Vec::new(), [0; 4_096]);
    loop {
        sleep(pause).await;
        match timeout(PATIENCE, peer.read(&mut piece))
            .await
            .expect("more, or the end")
        {
            Ok(0) | Err(_) => return String::from_utf8(all).unwrap(),
            Ok(count) => all.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_steadily_is_not_cut() {
    let topic = roomy();
    let mut peer = websocket(4_096, Config::default(), &topic, CONNECT).await;
    publish(&topic, 300);
    // This takes three times as long as it may take nothing.
    for _ in 0..300 {
        sleep(Config::default().write_timeout / 100).await;
        gets(&mut peer, "MESSAGE\n").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_taken_everything_may_rest() {
    let topic = roomy();
    let mut peer = websocket(100_000, Config::default(), &topic, CONNECT).await;
    publish(&topic, 180);
    for _ in 0..180 {
        gets(&mut peer, "MESSAGE\n").await;
    }
    sleep(Config::default().write_timeout * 2).await;
    publish(&topic, 1);
    gets(&mut peer, "MESSAGE\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_beats_while_it_reads_slowly_is_not_silent() {
    let topic = roomy();
    let mut config = Config::default();
    config.write_timeout = PATIENCE;
    let connect = "CONNECT\naccept-version:1.2\nheart-beat:1000,0\n\n\0";
    let (mut beats, mut messages) = websocket(4_096, config, &topic, connect).await.split();
    publish(&topic, 300);
    tokio::spawn(async move {
        while beats.send(Message::text("\n")).await.is_ok() {
            sleep(Duration::from_millis(900)).await;
        }
    });
    for _ in 0..300 {
        sleep(Duration::from_millis(100)).await;
        gets(&mut messages, "MESSAGE\n").await;
    }
}

/// As TLS does, a buffered stream takes more than it can pass on, and then wants to be flushed more than once.
#[tokio::test(start_paused = true)]
async fn what_a_stream_has_taken_is_flushed_to_the_last_byte() {
    let (ours, mut theirs) = tokio::io::duplex(16);
    let socket =
        Socket::over_byte_stream(BufStream::new(ours), Peer::default(), &Default::default());
    serve(socket, Config::default(), &roomy());
    theirs.write_all(CONNECT.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"\0") {
        let read = timeout(PATIENCE, theirs.read_buf(&mut received))
            .await
            .expect("the rest of CONNECTED");
        assert_ne!(read.unwrap(), 0, "{received:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_keeps_no_heart_beats_back() {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let mut config = Config::default();
    config.heart_beat = HeartBeat {
        send: 100,
        receive: 0,
    };
    serve(
        Socket::over_byte_stream(ours, Peer::default(), &Default::default()),
        config,
        &roomy(),
    );
    let (mut reader, mut writer) = tokio::io::split(theirs);
    writer
        .write_all(b"CONNECT\naccept-version:1.2\nheart-beat:0,100\n\n\0")
        .await
        .unwrap();
    let mut received = [0; 4_096];
    assert_ne!(reader.read(&mut received).await.unwrap(), 0, "CONNECTED");
    let flood = tokio::spawn(async move {
        let frames = b"SEND\ndestination:/a\n\nhello\0".repeat(10_000);
        while writer.write_all(&frames).await.is_ok() {}
    });
    for _ in 0..5 {
        advance(Duration::from_millis(100)).await;
        // With so much to do, the runtime looks at its timers only now and then.
        for _ in 0..3 {
            yield_now().await;
        }
    }
    assert!(!flood.is_finished());
    let count = reader
        .read(&mut received)
        .now_or_never()
        .map_or(0, Result::unwrap);
    let beats = received
        .iter()
        .take(count)
        .filter(|byte| **byte == b'\n')
        .count();
    assert!(beats >= 5, "{beats} in five times as long as one may take");
}

#[tokio::test(start_paused = true)]
async fn a_receipt_for_disconnect_arrives_behind_a_backlog() {
    let topic = roomy();
    let (_session, mut peer) = byte_stream(4_096, Config::default(), &topic).await;
    publish(&topic, 60);
    sleep(Duration::from_millis(1)).await;
    peer.write_all(b"DISCONNECT\nreceipt:7\n\n\0")
        .await
        .unwrap();
    // Longer than the server waits for a peer that has got everything.
    let received = read_slowly(&mut peer, Config::default().linger_timeout / 10).await;
    assert!(
        received.contains("\nreceipt-id:7\n"),
        "{} bytes",
        received.len()
    );
}

#[tokio::test(start_paused = true)]
async fn so_does_what_was_sent_before_a_close() {
    let mut config = Config::default();
    config.max_outbound_bytes = 1_000;
    let (session, mut peer) = byte_stream(256, config, &roomy()).await;
    session.message("/a", "x".repeat(2_000)).unwrap();
    sleep(Duration::from_millis(1)).await;
    session.message("/a", "last words").unwrap();
    session.close(CloseCode::Away);
    let received = read_slowly(&mut peer, Duration::from_millis(100)).await;
    assert!(received.ends_with("\n\nlast words\0"), "{received}");
}

#[tokio::test(start_paused = true)]
async fn a_time_that_does_not_end_is_no_deadline() {
    let mut config = Config::default();
    config.connect_timeout = Duration::MAX;
    config.handler_timeout = Duration::MAX;
    config.write_timeout = Duration::MAX;
    config.linger_timeout = Duration::MAX;
    config.ping_interval = Duration::MAX;
    config.ping_timeout = Duration::MAX;
    let topic = roomy();
    let mut peer = websocket(4_096, config, &topic, CONNECT).await;
    publish(&topic, 10);
    sleep(Duration::from_secs(1 << 20)).await;
    for _ in 0..10 {
        gets(&mut peer, "MESSAGE\n").await;
    }
    peer.send(Message::text("DISCONNECT\nreceipt:7\n\n\0"))
        .await
        .unwrap();
    gets(&mut peer, "RECEIPT\n").await;
}
