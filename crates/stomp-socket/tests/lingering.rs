//! The last frame arrives, over real TCP, whatever the peer was still sending.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use futures_util::{SinkExt, StreamExt};
use stomp_frame::{Command, Frame, Version};
use stomp_socket::{Config, Inbound, Outbound, Peer, Socket};
use support::{CLOSE, FIN, TEXT, frame, negotiated, server};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};

const TIMES: usize = 1_000;
/// What is on its way when the server closes.
const IN_FLIGHT: usize = 64 << 10;

/// How much the server has sent before that the client has not read.
const UNREAD: usize = 64 << 10;

/// A connection whose client has room for little: what the server sends waits on its side, and is lost if it resets.
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

/// Says the last, after much that is unread, and closes.
async fn leave(mut socket: Socket) {
    let Some(Inbound::End(end)) = socket.next().await else {
        panic!("no end")
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

/// What a client reads that sends `bytes`, all of them in flight before it reads anything, and `last` when it has read
/// so much.
async fn last_words(
    make: impl Fn(TcpStream) -> Socket,
    bytes: &[u8],
    last: &[u8],
    heard: usize,
) -> Vec<u8> {
    let (mut client, accepted) = connection().await;
    let socket = negotiated(make(accepted));
    let client = async {
        client.write_all(bytes).await.unwrap();
        let mut words = vec![0; heard];
        client.read_exact(&mut words).await.unwrap();
        client.write_all(last).await.unwrap();
        client.shutdown().await.unwrap();
        client.read_to_end(&mut words).await.unwrap();
        words
    };
    tokio::join!(leave(socket), client).1
}

/// What the client of a WebSocket is to read.
fn words_of_a_websocket() -> Vec<u8> {
    let message = |payload: &[u8]| match u16::try_from(payload.len()) {
        Ok(length @ 0..126) => [&[0x81, length as u8], payload].concat(),
        _ => [&[0x81, 127][..], &payload.len().to_be_bytes(), payload].concat(),
    };
    let [unread, error] =
        [unread(), error()].map(|frame| message(&frame.to_bytes(Version::V1_2).unwrap()));
    [&unread[..], &error, &[0x88, 2, 0x03, 0xea]].concat()
}

#[tokio::test]
async fn an_error_arrives_over_a_websocket() {
    let (bad, expected) = (frame(FIN | TEXT, b"SENT\n\n\0"), words_of_a_websocket());
    for round in 0..TIMES {
        // From nothing to all there may be, in messages of a thousand bytes.
        let size = IN_FLIGHT * round / (TIMES - 1);
        let more = frame(FIN | TEXT, &[b'\n'; 992]).repeat(size / 1000);
        let bytes = [&bad[..], &more].concat();
        let words = last_words(
            server,
            &bytes,
            &frame(FIN | CLOSE, b"\x03\xea"),
            expected.len(),
        )
        .await;
        assert!(
            words == expected,
            "{size} bytes in flight: {} bytes",
            words.len()
        );
    }
}

#[tokio::test]
async fn an_error_arrives_over_tcp() {
    let over_byte_stream =
        |stream| Socket::over_byte_stream(stream, Peer::default(), &Config::default());
    let expected = [unread(), error()]
        .map(|frame| frame.to_bytes(Version::V1_2).unwrap())
        .concat();
    for round in 0..TIMES {
        let size = IN_FLIGHT * round / (TIMES - 1);
        let bytes = [b"SENT\n\n\0", &vec![b'\n'; size][..]].concat();
        let words = last_words(over_byte_stream, &bytes, b"", expected.len()).await;
        assert!(
            words == expected,
            "{size} bytes in flight: {} bytes",
            words.len()
        );
    }
}

/// After what is no WebSocket, nothing can be read but bytes.
#[tokio::test]
async fn a_close_arrives_where_the_stream_is_garbage() {
    let expected = words_of_a_websocket();
    for round in 0..TIMES {
        let size = IN_FLIGHT * round / (TIMES - 1);
        let words = last_words(server, &vec![0xff; 20 + size], b"", expected.len()).await;
        assert!(
            words == expected,
            "{size} bytes in flight: {} bytes",
            words.len()
        );
    }
}
