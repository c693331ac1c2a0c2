//! Tests for the client's side of a WebSocket, and for text and binary messages.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails the test"
)]

mod support;

use futures_util::{FutureExt, SinkExt, StreamExt};
use stomp_frame::{Command, Frame, Limits, Version};
use stomp_socket::{CloseCode, Config, EncodedFrame, End, Inbound, Outbound, Peer, Socket};
use stomp_testing::websocket::{FIN, TEXT, frame};
use support::{Script, connected, pipe, read_all, server};
use tokio::io::DuplexStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, Role},
    },
};

fn client(io: DuplexStream) -> Socket {
    connected(Socket::over_client_websocket(
        io,
        b"",
        Peer::default(),
        &Config::default(),
    ))
}

fn send(body: &[u8]) -> Frame {
    Frame::new(Command::Send)
        .with_header("destination", "/a")
        .with_body(body.to_vec())
}

/// A socket on the client's side, and tungstenite's server at its other end.
async fn with_tungstenite_server() -> (Socket, WebSocketStream<DuplexStream>) {
    let (ours, theirs) = pipe(1 << 20);
    (
        client(ours),
        WebSocketStream::from_raw_socket(theirs, Role::Server, None).await,
    )
}

#[tokio::test]
async fn a_client_masks_its_messages() {
    let (mut client, mut server) = with_tungstenite_server().await;
    for size in [0, 1, 80, 90, 200, 65_500, 65_600, 200_000] {
        let frame = send(&vec![b'x'; size]);
        client.send(Outbound::Frame(frame.clone())).await.unwrap();
        let Some(Ok(Message::Text(text))) = server.next().await else {
            panic!("expected a text message")
        };
        assert_eq!(
            Frame::parse(text.to_string(), Version::V1_2).unwrap().body,
            frame.body
        );
    }
    client.feed(Outbound::HeartBeat).await.unwrap();
    client.send(Outbound::Ping).await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("\n"));
    assert_eq!(
        server.next().await.unwrap().unwrap(),
        Message::Ping("".into())
    );
    server.flush().await.unwrap();
    let before = client.received_bytes();
    assert!(client.next().now_or_never().is_none());
    assert_eq!(
        client.received_bytes() - before,
        2,
        "only the pong was received"
    );
}

/// RFC 6455, section 5.3: "The masking key is a 32-bit value chosen at random by the client."
#[tokio::test]
async fn each_message_has_a_new_masking_key() {
    let (script, calls) = Script::new([]);
    let mut client =
        Socket::over_client_websocket(script, b"", Peer::default(), &Config::default());
    for _ in 0..3 {
        client.send(Outbound::HeartBeat).await.unwrap();
    }
    let mut keys: Vec<_> = calls
        .lock()
        .unwrap()
        .writes
        .iter()
        .map(|write| write[2..6].to_vec())
        .collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 3);
}

#[tokio::test]
async fn a_client_reads_frames_and_answers_pings_and_closes() {
    let (mut client, mut server) = with_tungstenite_server().await;
    server
        .feed(Message::text("SEND\ndestination:/a\n\nh"))
        .await
        .unwrap();
    server.feed(Message::Ping("?".into())).await.unwrap();
    server.feed(Message::binary(&b"i\0"[..])).await.unwrap();
    server
        .send(Message::Close(Some(CloseFrame {
            code: 1001.into(),
            reason: "bye".into(),
        })))
        .await
        .unwrap();
    let (frames, end) = read_all(&mut client).await;
    assert_eq!(frames, [send(b"hi")]);
    assert!(matches!(end, Some(End::Closed(Some(1001)))), "{end:?}");
    let (closed, ()) = tokio::join!(client.close(), async {
        assert_eq!(
            server.next().await.unwrap().unwrap(),
            Message::Pong("?".into())
        );
        assert!(matches!(
            server.next().await.unwrap().unwrap(),
            Message::Close(_)
        ));
        assert!(server.next().await.is_none());
        drop(server);
    });
    closed.unwrap();
}

#[tokio::test]
async fn a_client_closes_with_the_code_that_was_set() {
    let (mut client, mut server) = with_tungstenite_server().await;
    client.set_close_code(CloseCode::Away);
    let (closed, ()) = tokio::join!(client.close(), async {
        let Some(Ok(Message::Close(Some(close)))) = server.next().await else {
            panic!("expected a close")
        };
        assert_eq!(u16::from(close.code), 1001);
        assert!(server.next().await.is_none());
        drop(server);
    });
    closed.unwrap();
}

/// RFC 6455, section 5.1: "A client MUST close a connection if it detects a masked frame."
#[tokio::test]
async fn a_client_rejects_masked_frames() {
    let script = Script::new([Ok(frame(FIN | TEXT, b"\n"))]).0;
    let mut client =
        Socket::over_client_websocket(script, b"", Peer::default(), &Config::default());
    let Some(Inbound::End(end)) = client.next().await else {
        panic!("expected the end")
    };
    assert_eq!(end.close_code(), CloseCode::Protocol);
}

#[tokio::test]
async fn a_client_socket_and_a_server_socket_exchange_frames_and_close() {
    let (ours, theirs) = pipe(1000);
    let mut server = Socket::over_websocket(ours, b"", Peer::default(), &Config::default());
    let mut client =
        Socket::over_client_websocket(theirs, b"", Peer::default(), &Config::default());
    client
        .send(Outbound::Frame(Frame::new(Command::Connect)))
        .await
        .unwrap();
    assert!(matches!(server.next().await, Some(Inbound::Frame(_))));
    server.resume(Version::V1_2, Limits::default());
    server
        .send(Outbound::Frame(
            Frame::new(Command::Connected).with_header("version", "1.2"),
        ))
        .await
        .unwrap();
    assert!(matches!(client.next().await, Some(Inbound::Frame(_))));
    client.resume(Version::V1_2, Limits::default());
    let large = send(&vec![b'x'; 100_000]);
    let (sent, item) = tokio::join!(server.send(Outbound::Frame(large.clone())), client.next());
    sent.unwrap();
    assert!(matches!(item, Some(Inbound::Frame(frame)) if frame.body == large.body));
    let (closed, item) = tokio::join!(client.close(), async {
        let item = server.next().await;
        server.close().await.unwrap();
        drop(server);
        item
    });
    closed.unwrap();
    assert!(
        matches!(item, Some(Inbound::End(End::Closed(Some(1000))))),
        "{item:?}"
    );
}

/// The bytes of an encoded frame are not checked for UTF-8: its `is_text` decides.
#[tokio::test]
async fn messages_are_text_if_they_are_utf8_and_always_binary_is_false() {
    const TEXT: u8 = 0x81;
    const BINARY: u8 = 0x82;
    let encoded =
        |is_text| Outbound::Encoded(EncodedFrame::new("SEND\n".into(), "\n\0".into(), is_text));
    for (item, kind) in [
        (Outbound::Frame(send(b"text")), TEXT),
        (Outbound::Frame(send(b"")), TEXT),
        (Outbound::Frame(send("h\u{e9}".as_bytes())), TEXT),
        (Outbound::Frame(send(b"\xc3")), BINARY),
        (encoded(true), TEXT),
        (encoded(false), BINARY),
        (Outbound::Receipt("1".into()), TEXT),
        (Outbound::HeartBeat, TEXT),
    ] {
        for (always_binary, expected) in [(false, kind), (true, BINARY)] {
            let (script, calls) = Script::new([]);
            let mut config = Config::default();
            config.always_binary = always_binary;
            let mut socket = connected(Socket::over_websocket(
                script,
                b"",
                Peer::default(),
                &config,
            ));
            socket.send(item.clone()).await.unwrap();
            assert_eq!(calls.lock().unwrap().writes[0][0], expected, "{item:?}");
        }
    }
}

#[tokio::test]
async fn a_frame_that_cannot_be_encoded_is_not_buffered() {
    let (script, calls) = Script::new([]);
    let mut socket = connected(server(script));
    let odd = Frame::new(Command::Send).with_header("a\0", "b");
    assert!(socket.put(&Outbound::Frame(odd)).is_err());
    assert_eq!(socket.unsent_bytes(), 0);
    socket.send(Outbound::HeartBeat).await.unwrap();
    assert_eq!(calls.lock().unwrap().writes.concat(), [0x81, 1, b'\n']);
}
