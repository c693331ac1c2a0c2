//! Tests for a socket over the server's side of a WebSocket, with tungstenite's client at the other end.

use futures_util::{FutureExt, SinkExt, StreamExt};
use stomp_frame::{Command, Frame, Limits, Version};
use stomp_socket::{CloseCode, Config, End, Inbound, Outbound, Peer, Socket};
use stomp_testing::websocket::{FIN, TEXT, frame};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{
            Role,
            frame::{
                Frame as WsFrame,
                coding::{Data, OpCode},
            },
        },
    },
};

type Client = WebSocketStream<DuplexStream>;

/// A server's socket after login, and the client at its other end.
async fn pair() -> (Socket, Client) {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let mut socket = Socket::over_websocket(ours, b"", Peer::default(), &Config::default());
    socket.resume(Version::V1_2, Limits::default());
    (
        socket,
        WebSocketStream::from_raw_socket(theirs, Role::Client, None).await,
    )
}

fn send(body: &'static [u8]) -> Frame {
    Frame::new(Command::Send)
        .with_header("destination", "/a")
        .with_body(body)
}

async fn next_frame(socket: &mut Socket) -> Option<Frame> {
    loop {
        match socket.next().await? {
            Inbound::Frame(frame) => return Some(frame),
            Inbound::HeartBeat => {}
            _ => return None,
        }
    }
}

#[tokio::test]
async fn two_frames_arrive_complete_if_they_are_split_anywhere_into_two_messages() {
    const WIRE: &str = "\nSEND\ndestination:/a\n\nh\u{e9}\0\nSEND\ndestination:/a\n\nh\u{e9}\0";
    let expected = send("h\u{e9}".as_bytes());
    for cut in 0..=WIRE.len() {
        let (mut socket, mut client) = pair().await;
        let (one, two) = WIRE.as_bytes().split_at(cut);
        client.feed(Message::binary(one)).await.unwrap();
        client.send(Message::binary(two)).await.unwrap();
        assert_eq!(
            next_frame(&mut socket).await,
            Some(expected.clone()),
            "split at {cut}"
        );
        assert_eq!(
            next_frame(&mut socket).await,
            Some(expected.clone()),
            "split at {cut}"
        );
    }
}

#[tokio::test]
async fn each_frame_is_sent_as_one_message_which_is_text_if_it_is_utf8() {
    let (mut socket, mut client) = pair().await;
    socket.feed(Outbound::Frame(send(b"text"))).await.unwrap();
    socket.feed(Outbound::Frame(send(b"\xff"))).await.unwrap();
    socket.feed(Outbound::HeartBeat).await.unwrap();
    socket.flush().await.unwrap();
    let Some(Ok(Message::Text(text))) = client.next().await else {
        panic!("expected a text message")
    };
    assert_eq!(
        text.as_str(),
        "SEND\ndestination:/a\ncontent-length:4\n\ntext\0"
    );
    let Some(Ok(Message::Binary(binary))) = client.next().await else {
        panic!("expected a binary message")
    };
    assert!(binary.ends_with(b"\n\n\xff\0"));
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text("\n"));
}

#[tokio::test]
async fn a_ping_is_answered_and_adds_to_received_bytes() {
    let (mut socket, mut client) = pair().await;
    let before = socket.received_bytes();
    client.feed(Message::Ping("x".into())).await.unwrap();
    client.send(Message::text("\n")).await.unwrap();
    assert!(matches!(socket.next().await, Some(Inbound::HeartBeat)));
    assert!(socket.received_bytes() > before);
    socket.flush().await.unwrap();
    assert_eq!(
        client.next().await.unwrap().unwrap(),
        Message::Pong("x".into())
    );
}

#[tokio::test]
async fn the_peers_close_is_reported_as_the_last_item() {
    let (mut socket, mut client) = pair().await;
    client.close(None).await.unwrap();
    assert!(matches!(
        socket.next().await,
        Some(Inbound::End(End::Closed(None)))
    ));
    assert!(socket.next().await.is_none());
}

#[tokio::test]
async fn a_lost_connection_is_distinguished_from_a_close() {
    let (mut socket, client) = pair().await;
    drop(client);
    assert!(matches!(
        socket.next().await,
        Some(Inbound::End(End::Lost(_)))
    ));
}

#[tokio::test]
async fn after_a_malformed_frame_the_peer_receives_the_error_before_the_close() {
    let (mut socket, mut client) = pair().await;
    client.feed(Message::text("SENT\n\n\0")).await.unwrap();
    // Further messages of the peer are not decoded.
    client
        .send(Message::text("SEND\ndestination:/a\n\n\0"))
        .await
        .unwrap();
    let Some(Inbound::End(end @ End::Malformed(_))) = socket.next().await else {
        panic!("expected the end")
    };
    assert!(socket.next().await.is_none());
    socket
        .put(&Outbound::Frame(Frame::new(Command::Error)))
        .unwrap();
    socket.set_close_code(end.close_code());
    let ((), closed) = tokio::join!(
        async {
            assert_eq!(
                client.next().await.unwrap().unwrap(),
                Message::text("ERROR\n\n\0")
            );
            let Some(Ok(Message::Close(Some(close)))) = client.next().await else {
                panic!("expected a close")
            };
            assert_eq!(u16::from(close.code), CloseCode::Protocol.as_u16());
            while client.next().await.is_some() {}
            drop(client);
        },
        socket.close()
    );
    closed.unwrap();
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_connection_with_code_too_big() {
    let (mut socket, mut client) = pair().await;
    socket.resume(
        Version::V1_2,
        Limits::default().max_frame_bytes(100).max_head_bytes(50),
    );
    client
        .send(Message::binary(vec![b'\n'; 151]))
        .await
        .unwrap();
    let Some(Inbound::End(end)) = socket.next().await else {
        panic!("expected the end")
    };
    assert_eq!(end.close_code(), CloseCode::TooBig);
}

#[tokio::test]
async fn a_text_message_that_is_not_utf8_ends_the_connection_with_code_not_utf8() {
    let (ours, mut theirs) = tokio::io::duplex(1024);
    let mut socket = Socket::over_websocket(ours, b"", Peer::default(), &Config::default());
    theirs.write_all(&frame(FIN | TEXT, b"\xff")).await.unwrap();
    let Some(Inbound::End(end)) = socket.next().await else {
        panic!("expected the end")
    };
    assert_eq!(end.close_code(), CloseCode::NotUtf8);
}

#[tokio::test]
async fn is_mid_frame_is_true_after_a_fragment() {
    let (mut socket, mut client) = pair().await;
    let fragment = |text: &'static [u8], code, is_final| {
        Message::Frame(WsFrame::message(text, code, is_final))
    };
    assert!(!socket.is_mid_frame());
    client
        .send(fragment(
            b"SEND\ndestination:/a\n\nte",
            OpCode::Data(Data::Text),
            false,
        ))
        .await
        .unwrap();
    assert!(socket.next().now_or_never().is_none());
    assert!(socket.is_mid_frame());
    client
        .send(fragment(b"xt\0", OpCode::Data(Data::Continue), true))
        .await
        .unwrap();
    assert_eq!(next_frame(&mut socket).await, Some(send(b"text")));
    assert!(!socket.is_mid_frame());
}
