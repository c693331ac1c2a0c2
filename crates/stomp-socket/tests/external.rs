//! Tests for a socket over an established `WebSocketStream`.

#![cfg(feature = "tungstenite")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails the test"
)]

mod support;

use futures_util::{FutureExt, SinkExt, StreamExt};
use stomp_frame::{Command, Frame, Limits};
use stomp_socket::{CloseCode, Config, End, Inbound, Outbound, Peer, Socket};
use support::{connected, pipe, read_all};
use tokio::{io::DuplexStream, task::yield_now};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

type External = WebSocketStream<DuplexStream>;

/// Creates a socket over a `WebSocketStream` with this role, and the stream at its other end. The pipe between them has
/// a buffer of `bytes` bytes.
async fn pair(role: Role, bytes: usize) -> (Socket, External) {
    let other = if role == Role::Server {
        Role::Client
    } else {
        Role::Server
    };
    let (ours, theirs) = pipe(bytes);
    let ours = WebSocketStream::from_raw_socket(ours, role, None).await;
    let socket = Socket::from_websocket(ours, Peer::default(), &Config::default());
    (
        socket,
        WebSocketStream::from_raw_socket(theirs, other, None).await,
    )
}

fn send(body: &[u8]) -> Frame {
    Frame::new(Command::Send)
        .with_header("destination", "/a")
        .with_body(body.to_vec())
}

#[tokio::test]
async fn a_server_and_a_client_can_both_send_and_receive_frames() {
    for role in [Role::Server, Role::Client] {
        let (socket, mut other) = pair(role, 1 << 20).await;
        let mut socket = connected(socket);
        other
            .feed(Message::text("SEND\ndestination:/a\n\nh"))
            .await
            .unwrap();
        other.send(Message::binary(&b"i\0"[..])).await.unwrap();
        assert!(matches!(socket.next().await, Some(Inbound::Frame(frame)) if frame == send(b"hi")));
        assert_eq!(socket.received_bytes(), (2 + 22) + (2 + 2));

        socket.feed(Outbound::Frame(send(b"text"))).await.unwrap();
        socket.feed(Outbound::Frame(send(b"\xff"))).await.unwrap();
        socket.feed(Outbound::Ping).await.unwrap();
        assert!(socket.unsent_bytes() > 80 && !socket.is_flushed());
        socket.send(Outbound::HeartBeat).await.unwrap();
        assert!(socket.unsent_bytes() == 0 && socket.is_flushed());
        assert!(
            matches!(other.next().await, Some(Ok(Message::Text(text))) if text.ends_with("\n\ntext\0"))
        );
        assert!(
            matches!(other.next().await, Some(Ok(Message::Binary(bytes))) if bytes.ends_with(b"\n\n\xff\0"))
        );
        assert_eq!(
            other.next().await.unwrap().unwrap(),
            Message::Ping("".into())
        );
        assert_eq!(other.next().await.unwrap().unwrap(), Message::text("\n"));
    }
}

#[tokio::test]
async fn a_server_and_a_client_can_both_close_and_receive_a_close() {
    for role in [Role::Server, Role::Client] {
        let (mut socket, mut other) = pair(role, 1 << 20).await;
        socket
            .put(&Outbound::Frame(Frame::new(Command::Error)))
            .unwrap();
        socket.set_close_code(CloseCode::Policy);
        let (closed, ()) = tokio::join!(socket.close(), async {
            assert_eq!(
                other.next().await.unwrap().unwrap(),
                Message::text("ERROR\n\n\0")
            );
            let Some(Ok(Message::Close(Some(close)))) = other.next().await else {
                panic!("expected a close")
            };
            assert_eq!(u16::from(close.code), 1008);
            while other.next().await.is_some() {}
            drop(other);
        });
        closed.unwrap();

        let (mut socket, mut other) = pair(role, 1 << 20).await;
        other.close(None).await.unwrap();
        assert!(matches!(
            read_all(&mut socket).await,
            (_, Some(End::Closed(None)))
        ));
        socket.put(&Outbound::HeartBeat).unwrap();
        assert_eq!(
            socket.unsent_bytes(),
            0,
            "nothing can be sent after the close"
        );
        let (closed, ()) = tokio::join!(socket.close(), async {
            while other.next().await.is_some() {}
            drop(other);
        });
        closed.unwrap();

        let (mut socket, other) = pair(role, 1 << 20).await;
        drop(other);
        assert!(matches!(
            read_all(&mut socket).await,
            (_, Some(End::Lost(_)))
        ));
    }
}

#[tokio::test]
async fn unsent_bytes_shrinks_gradually_while_a_slow_peer_reads() {
    let (socket, mut other) = pair(Role::Server, 1 << 10).await;
    let mut socket = connected(socket);
    for _ in 0..100 {
        socket.put(&Outbound::Frame(send(&[b'x'; 1000]))).unwrap();
    }
    let (mut steps, mut received) = (Vec::new(), 0);
    while !socket.is_flushed() {
        let _ = socket.flush().now_or_never();
        steps.push(socket.unsent_bytes());
        received += std::iter::from_fn(|| other.next().now_or_never()).count();
        // Gives the task a new budget of the tokio scheduler.
        yield_now().await;
    }
    steps.dedup();
    assert!(
        steps.is_sorted_by(|one, two| one > two) && steps.len() > 5,
        "{steps:?}"
    );
    received += std::iter::from_fn(|| other.next().now_or_never()).count();
    assert_eq!(received, 100);
}

#[tokio::test]
async fn all_bytes_before_login_count_against_the_limit() {
    let (mut socket, mut other) = pair(Role::Server, 1 << 20).await;
    let limit = Limits::before_login().max_frame_bytes + Config::default().read_buffer_bytes;
    for _ in 0..=limit / 3 {
        other.feed(Message::text("\n")).await.unwrap();
    }
    other.flush().await.unwrap();
    let (_, end) = read_all(&mut socket).await;
    assert_eq!(end.unwrap().close_code(), CloseCode::TooBig);
}
