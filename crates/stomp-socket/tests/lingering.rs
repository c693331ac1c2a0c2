//! Tests that the last frame arrives over real TCP, even if the peer is still sending.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails the test"
)]

mod support;

use futures_util::{SinkExt, StreamExt};
use std::task::{Context, Poll};
use stomp_frame::{Command, Frame, Version};
use stomp_socket::{Config, Inbound, Outbound, Peer, Permit, Socket};
use stomp_testing::websocket::{CLOSE, FIN, TEXT, frame};
use support::{Script, connected, server};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};

const TIMES: usize = 1_000;
/// Maximum bytes that the client has in flight when the server closes.
const IN_FLIGHT: usize = 64 << 10;

/// Bytes in the body of a frame that precedes the ERROR frame, and that the client has not read when the server closes.
const UNREAD: usize = 64 << 10;

/// A connection whose client has a small receive buffer. So frames wait on the server's side, where a TCP reset would
/// lose them.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpSocket::new_v4().unwrap();
    client.set_recv_buffer_size(4096).unwrap();
    let (client, accepted) = tokio::join!(
        client.connect(listener.local_addr().unwrap()),
        listener.accept()
    );
    (client.unwrap(), accepted.unwrap().0)
}

/// Waits for the peer's end, sends a large frame and an ERROR frame, and closes.
async fn close_with_error(mut socket: Socket) {
    let Some(Inbound::End(end)) = socket.next().await else {
        panic!("expected the end")
    };
    socket.put(&Outbound::Frame(unread())).unwrap();
    socket.put(&Outbound::Frame(error())).unwrap();
    socket.set_close_code(end.close_code());
    socket.close().await.unwrap();
}

fn unread() -> Frame {
    Frame::new(Command::Message).with_body(vec![b'x'; UNREAD])
}

fn error() -> Frame {
    Frame::new(Command::Error).with_header("message", "malformed-frame")
}

/// Connects a client that sends `bytes`, reads `first_read` bytes, sends `last`, and reads to the end. Returns
/// everything that the client reads.
async fn received_by_client(
    make: impl Fn(TcpStream) -> Socket,
    bytes: &[u8],
    last: &[u8],
    first_read: usize,
) -> Vec<u8> {
    let (mut client, accepted) = connection().await;
    let socket = connected(make(accepted));
    let client = async {
        client.write_all(bytes).await.unwrap();
        let mut received = vec![0; first_read];
        client.read_exact(&mut received).await.unwrap();
        client.write_all(last).await.unwrap();
        client.shutdown().await.unwrap();
        client.read_to_end(&mut received).await.unwrap();
        received
    };
    tokio::join!(close_with_error(socket), client).1
}

fn over_byte_stream<S>(io: S) -> Socket
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    Socket::over_byte_stream(io, Peer::default(), &Config::default())
}

/// The bytes that the client of a byte stream should read: a line end follows each frame.
fn expected_over_tcp() -> Vec<u8> {
    let [unread, error] = [unread(), error()].map(|frame| frame.to_bytes(Version::V1_2).unwrap());
    [&unread[..], b"\n", &error, b"\n"].concat()
}

/// The bytes that the client of a WebSocket should read.
fn expected_from_websocket() -> Vec<u8> {
    let message = |payload: &[u8]| match u16::try_from(payload.len()) {
        Ok(length @ 0..126) => [&[0x81, length as u8], payload].concat(),
        _ => [&[0x81, 127][..], &payload.len().to_be_bytes(), payload].concat(),
    };
    let [unread, error] =
        [unread(), error()].map(|frame| message(&frame.to_bytes(Version::V1_2).unwrap()));
    [&unread[..], &error, &[0x88, 2, 0x03, 0xea]].concat()
}

#[tokio::test]
async fn an_error_frame_arrives_over_a_websocket_before_the_close() {
    let (bad, expected) = (frame(FIN | TEXT, b"SENT\n\n\0"), expected_from_websocket());
    for round in 0..TIMES {
        // The size grows from 0 to `IN_FLIGHT` over all rounds. The client sends it in messages of 1,000 bytes.
        let size = IN_FLIGHT * round / (TIMES - 1);
        let more = frame(FIN | TEXT, &[b'\n'; 992]).repeat(size / 1000);
        let bytes = [&bad[..], &more].concat();
        let received = received_by_client(
            server,
            &bytes,
            &frame(FIN | CLOSE, b"\x03\xea"),
            expected.len(),
        )
        .await;
        assert!(
            received == expected,
            "{size} bytes in flight: {} bytes",
            received.len()
        );
    }
}

#[tokio::test]
async fn an_error_frame_arrives_over_tcp_before_the_end() {
    let expected = expected_over_tcp();
    for round in 0..TIMES {
        let size = IN_FLIGHT * round / (TIMES - 1);
        let bytes = [b"SENT\n\n\0", &vec![b'\n'; size][..]].concat();
        let received = received_by_client(over_byte_stream, &bytes, b"", expected.len()).await;
        assert!(
            received == expected,
            "{size} bytes in flight: {} bytes",
            received.len()
        );
    }
}

/// The client writes all of it before it reads.
#[tokio::test]
async fn an_error_frame_arrives_at_a_client_that_uploads_3_mib() {
    const UPLOAD: usize = 3 << 20;
    let expected = expected_over_tcp();
    let bytes = [b"SENT\n\n\0", &vec![b'\n'; UPLOAD][..]].concat();
    for _ in 0..20 {
        let received = received_by_client(over_byte_stream, &bytes, b"", expected.len()).await;
        assert!(received == expected, "{} bytes", received.len());
    }
    let (bad, more) = (
        frame(FIN | TEXT, b"SENT\n\n\0"),
        frame(FIN | TEXT, &[b'\n'; 992]),
    );
    let bytes = [&bad[..], &more.repeat(UPLOAD / 1000)].concat();
    let (last, expected) = (frame(FIN | CLOSE, b"\x03\xea"), expected_from_websocket());
    for _ in 0..20 {
        let received = received_by_client(server, &bytes, &last, expected.len()).await;
        assert!(received == expected, "{} bytes", received.len());
    }
}

/// A permit that allows or refuses to linger.
struct Places(bool);

impl Permit for Places {
    fn connected(&mut self) -> bool {
        true
    }

    fn poll_revoked(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn may_linger(&mut self) -> bool {
        self.0
    }
}

#[tokio::test]
async fn a_closing_socket_drops_no_more_bytes_than_the_config_and_the_permit_allow() {
    const READ: usize = 4 << 10;
    let default = Config::default().max_linger_bytes as usize;
    let free = 64 << 10;
    for (max, allowed, dropped) in [
        (default, true, default),
        (default, false, free),
        (1 << 20, true, 1 << 20),
        (16 << 10, true, 16 << 10),
        (16 << 10, false, 16 << 10),
        (0, true, 0),
    ] {
        let config = Config::default().max_linger_bytes(max as u64);
        for is_websocket in [false, true] {
            let (script, calls) =
                Script::new((0..2 * default / READ).map(|_| Ok(vec![b'\n'; READ])));
            let peer = Peer::default();
            let socket = match is_websocket {
                true => Socket::over_websocket(script, b"", peer, &config),
                false => Socket::over_byte_stream(script, peer, &config),
            };
            let mut socket = connected(socket.with_permit(Box::new(Places(allowed))));
            socket.close().await.unwrap();
            // One more read shows that the limit is exceeded.
            let bytes = calls.lock().unwrap().reads * READ;
            assert_eq!(bytes, dropped + READ, "{max} {allowed} {is_websocket}");
        }
    }
}

/// After invalid bytes, the server cannot parse messages. It drops the rest of the stream as bytes.
#[tokio::test]
async fn an_error_frame_arrives_after_invalid_websocket_bytes() {
    let expected = expected_from_websocket();
    for round in 0..TIMES {
        let size = IN_FLIGHT * round / (TIMES - 1);
        let received =
            received_by_client(server, &vec![0xff; 20 + size], b"", expected.len()).await;
        assert!(
            received == expected,
            "{size} bytes in flight: {} bytes",
            received.len()
        );
    }
}
