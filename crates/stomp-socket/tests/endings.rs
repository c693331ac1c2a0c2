//! Tests for the end of a connection that a socket reports.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails the test"
)]

mod support;

use futures_util::{FutureExt, SinkExt, StreamExt};
use std::io::{Error, ErrorKind, Result};
use stomp_frame::{Command, Frame};
use stomp_socket::{CloseCode, Config, End, Inbound, Outbound, Peer, Socket};
use stomp_testing::websocket::{BINARY, CLOSE, FIN, TEXT, frame, header};
use support::{Script, connected, read_all, server};

const SEND: &[u8] = b"SEND\ndestination:/a\n\nhello\0";

fn over_byte_stream(script: Script) -> Socket {
    Socket::over_byte_stream(script, Peer::default(), &Config::default())
}

/// Reads a stream with these reads to its end. Returns the number of frames and the end.
async fn end_of(make: fn(Script) -> Socket, reads: Vec<Result<Vec<u8>>>) -> (usize, End) {
    let mut socket = connected(make(Script::new(reads).0));
    let (frames, end) = read_all(&mut socket).await;
    assert!(
        socket.next().await.is_none(),
        "the end should be the last item"
    );
    (frames.len(), end.unwrap())
}

fn kind(end: &End) -> Option<ErrorKind> {
    match end {
        End::Lost(error) => Some(error.kind()),
        _ => None,
    }
}

#[tokio::test]
async fn a_byte_stream_may_end_between_frames() {
    for bytes in [&b""[..], SEND, b"\n", &[SEND, b"\n"].concat()] {
        let reads = vec![Ok(bytes.to_vec()), Ok(Vec::new())];
        let (frames, end) = end_of(over_byte_stream, reads).await;
        assert_eq!(frames, bytes.len() / SEND.len());
        assert!(matches!(end, End::HalfClosed), "{end:?}");
        assert_eq!(end.close_code(), CloseCode::Normal);
    }
}

#[tokio::test]
async fn a_byte_stream_that_ends_within_a_frame_is_half_closed_and_keeps_that_frame() {
    for cut in 0..SEND.len() {
        let reads = vec![Ok([SEND, &SEND[..cut]].concat()), Ok(Vec::new())];
        let mut socket = connected(over_byte_stream(Script::new(reads).0));
        let (frames, end) = read_all(&mut socket).await;
        assert!(matches!(end, Some(End::HalfClosed)), "{end:?} after {cut}");
        let bytes = socket.incomplete_frame().map_or(0, |frame| frame.bytes);
        assert_eq!((frames.len(), bytes), (1, cut));
    }
}

#[tokio::test]
async fn a_websocket_that_ends_without_a_close_is_reported_as_lost() {
    let message = frame(FIN | TEXT, SEND);
    for cut in 0..=message.len() {
        let reads = vec![Ok([&message, &message[..cut]].concat()), Ok(Vec::new())];
        let (frames, end) = end_of(server, reads).await;
        assert_eq!(
            (frames, kind(&end)),
            (1 + cut / message.len(), Some(ErrorKind::UnexpectedEof)),
            "after {cut}"
        );
        assert_eq!(end.close_code(), CloseCode::Normal);
    }
}

#[tokio::test]
async fn a_failed_stream_is_reported_as_lost_or_timed_out() {
    for (make, bytes) in [
        (server as fn(Script) -> Socket, frame(FIN | TEXT, SEND)),
        (over_byte_stream, SEND.to_vec()),
    ] {
        for in_a_frame in [false, true] {
            let rest = if in_a_frame {
                bytes[..9].to_vec()
            } else {
                Vec::new()
            };
            let reads =
                |error: ErrorKind| vec![Ok([&bytes[..], &rest].concat()), Err(Error::from(error))];
            let (frames, end) = end_of(make, reads(ErrorKind::ConnectionReset)).await;
            assert_eq!((frames, kind(&end)), (1, Some(ErrorKind::ConnectionReset)));
            let (frames, end) = end_of(make, reads(ErrorKind::TimedOut)).await;
            assert!(frames == 1 && matches!(end, End::TimedOut), "{end:?}");
            assert_eq!(end.close_code(), CloseCode::Policy);
        }
    }
}

#[tokio::test]
async fn a_peers_close_is_reported_with_its_code_and_answered_with_the_same_code() {
    for (payload, code) in [
        (&b""[..], None),
        (b"\x03\xe8", Some(1000)),
        (b"\x03\xe9bye", Some(1001)),
        (b"\x0f\xa0", Some(4000)),
    ] {
        let (script, calls) =
            Script::new([Ok(
                [frame(FIN | TEXT, SEND), frame(FIN | CLOSE, payload)].concat()
            )]);
        let mut socket = connected(server(script));
        let (frames, end) = read_all(&mut socket).await;
        assert_eq!(frames.len(), 1);
        assert!(matches!(end, Some(End::Closed(c)) if c == code), "{end:?}");
        // No frame of ours follows the answer.
        socket.put(&Outbound::HeartBeat).unwrap();
        socket.flush().await.unwrap();
        let answer = [&[0x88, payload.len() as u8][..], payload].concat();
        assert_eq!(calls.lock().unwrap().writes.concat(), answer);
        assert!(
            socket.close().now_or_never().is_none(),
            "the socket should wait for the peer's end of the stream"
        );
        assert_eq!(calls.lock().unwrap().writes.concat(), answer);
    }
}

#[tokio::test]
async fn each_websocket_violation_ends_the_connection_with_the_right_close_code() {
    let unmasked = vec![0x81, 1, b'\n'];
    let over = header(FIN | BINARY, 1 << 40);
    for (bytes, code) in [
        (unmasked, CloseCode::Protocol),
        (frame(FIN | 0x40 | TEXT, b"\n"), CloseCode::Protocol),
        (frame(FIN | 3, b"\n"), CloseCode::Protocol),
        (frame(CLOSE, b""), CloseCode::Protocol),
        (frame(FIN | CLOSE, b"\x03"), CloseCode::Protocol),
        (frame(FIN | CLOSE, &[0; 126]), CloseCode::Protocol),
        (frame(FIN, b"\n"), CloseCode::Protocol),
        (
            [frame(TEXT, b"\n"), frame(TEXT, b"\n")].concat(),
            CloseCode::Protocol,
        ),
        (frame(FIN | TEXT, b"\xff"), CloseCode::NotUtf8),
        (
            [frame(TEXT, b"\xc3"), frame(FIN, b"\n")].concat(),
            CloseCode::NotUtf8,
        ),
        (over, CloseCode::TooBig),
    ] {
        let (_, end) = end_of(server, vec![Ok(bytes.clone())]).await;
        assert!(matches!(end, End::Violation { .. }), "{bytes:x?}: {end:?}");
        assert_eq!(end.close_code(), code, "{bytes:x?}");
    }
}

/// The peer receives the reason in an ERROR frame and in the WebSocket close. Its further messages are not decoded.
#[tokio::test]
async fn a_peer_that_violates_the_protocol_receives_the_error_and_the_close_code() {
    for (bytes, code) in [
        (header(FIN | BINARY, 1 << 20), CloseCode::TooBig),
        (frame(FIN | TEXT, b"\xff"), CloseCode::NotUtf8),
        (frame(FIN | TEXT, b"SENT\n\n\0"), CloseCode::Protocol),
        (vec![0xff; 20], CloseCode::Protocol),
    ] {
        let reads = [Ok(bytes), Ok(frame(FIN | TEXT, SEND)), Ok(Vec::new())];
        let (script, calls) = Script::new(reads);
        let mut socket = connected(server(script));
        let Some(Inbound::End(end)) = socket.next().await else {
            panic!("expected the end")
        };
        socket
            .put(&Outbound::Frame(Frame::new(Command::Error)))
            .unwrap();
        socket.set_close_code(end.close_code());
        socket.close().await.unwrap();
        let [high, low] = code.as_u16().to_be_bytes();
        let expected = [b"\x81\x08ERROR\n\n\0", &[0x88, 2, high, low][..]].concat();
        assert_eq!(
            calls.lock().unwrap().writes,
            [expected],
            "{code:?}: expected one write"
        );
    }
}

/// A stream does not report that its peer has disappeared, but `received_bytes` shows that the peer does not answer a
/// ping.
#[tokio::test]
async fn received_bytes_stays_the_same_on_a_half_open_connection() {
    let (script, calls) = Script::new([Ok(frame(FIN | TEXT, SEND))]);
    let mut socket = connected(server(script));
    assert!(socket.supports_ping());
    assert!(matches!(socket.next().await, Some(Inbound::Frame(_))));
    let before = socket.received_bytes();
    socket.send(Outbound::Ping).await.unwrap();
    assert_eq!(calls.lock().unwrap().writes, [b"\x89\x00"]);
    assert!(socket.next().now_or_never().is_none());
    assert_eq!(socket.received_bytes(), before);
}
