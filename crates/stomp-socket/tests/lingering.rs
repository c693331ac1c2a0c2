//! The last frame arrives, over real TCP, whatever the peer was still sending.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

mod support;

use futures_util::{SinkExt, StreamExt};
use stomp_frame::{Command, Frame};
use stomp_socket::{Config, End, Inbound, Outbound, Peer, Socket};
use support::{CLOSE, FIN, TEXT, frame, negotiated, server};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const TIMES: usize = 1_000;
/// What is on its way when the server closes.
const IN_FLIGHT: usize = 64 << 10;
const ERROR: &[u8] = b"ERROR\nmessage:malformed-frame\n\n\0";

/// What a client reads that sends `octets`, waits until the server has said its last, and sends `last` when it read it.
async fn last_words(make: impl Fn(TcpStream) -> Socket, octets: &[u8], last: &[u8], heard: usize) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let (mut client, mut socket) = (client.unwrap(), negotiated(make(accepted.unwrap().0)));
    let server = async {
        let Some(Inbound::End(end @ End::Malformed(_))) = socket.next().await else { panic!("no end") };
        socket.put(&Outbound::Frame(Frame::new(Command::Error).with_header("message", "malformed-frame"))).unwrap();
        socket.set_close_code(end.close_code());
        socket.close().await.unwrap();
        drop(socket);
    };
    let client = async {
        // All is in flight before the client reads anything.
        client.write_all(octets).await.unwrap();
        let mut words = vec![0; heard];
        client.read_exact(&mut words).await.unwrap();
        client.write_all(last).await.unwrap();
        client.shutdown().await.unwrap();
        client.read_to_end(&mut words).await.unwrap();
        words
    };
    tokio::join!(server, client).1
}

#[tokio::test]
async fn an_error_arrives_over_a_websocket() {
    let bad = frame(FIN | TEXT, b"SENT\n\n\0");
    let expected = [&[0x81, ERROR.len() as u8][..], ERROR, &[0x88, 2, 0x03, 0xea]].concat();
    for round in 0..TIMES {
        // From nothing to all there may be, in messages of a thousand octets.
        let size = IN_FLIGHT * round / (TIMES - 1);
        let more = frame(FIN | TEXT, &[b'\n'; 992]).repeat(size / 1000);
        let octets = [&bad[..], &more].concat();
        let words = last_words(server, &octets, &frame(FIN | CLOSE, b"\x03\xea"), expected.len()).await;
        assert!(words == expected, "{size} octets in flight: {}", words.escape_ascii());
    }
}

#[tokio::test]
async fn an_error_arrives_over_tcp() {
    let over_bytes = |stream| Socket::over_bytes(stream, Peer::default(), &Config::default());
    for round in 0..TIMES {
        let size = IN_FLIGHT * round / (TIMES - 1);
        let octets = [b"SENT\n\n\0", &vec![b'\n'; size][..]].concat();
        let words = last_words(over_bytes, &octets, b"", ERROR.len()).await;
        assert!(words == ERROR, "{size} octets in flight: {}", words.escape_ascii());
    }
}

/// After what is no WebSocket, nothing can be read but octets.
#[tokio::test]
async fn a_close_arrives_where_the_stream_is_garbage() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for round in 0..TIMES {
        let size = IN_FLIGHT * round / (TIMES - 1);
        let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let (mut client, mut socket) = (client.unwrap(), negotiated(server(accepted.unwrap().0)));
        let server = async {
            let Some(Inbound::End(end @ End::Violation { .. })) = socket.next().await else { panic!("no end") };
            socket.put(&Outbound::Frame(Frame::new(Command::Error).with_header("message", "malformed-frame"))).unwrap();
            socket.set_close_code(end.close_code());
            socket.close().await.unwrap();
            drop(socket);
        };
        let client = async {
            client.write_all(&vec![0xff; 20 + size]).await.unwrap();
            let mut words = Vec::new();
            client.read_to_end(&mut words).await.unwrap();
            drop(client);
            words
        };
        let words = tokio::join!(server, client).1;
        let expected = [&[0x81, ERROR.len() as u8][..], ERROR, &[0x88, 2, 0x03, 0xea]].concat();
        assert!(words == expected, "{size} octets in flight: {}", words.escape_ascii());
    }
}
