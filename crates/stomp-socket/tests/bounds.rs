//! Tests for the limits on the memory that a peer can make a socket use.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails the test"
)]

mod support;

use allocation_counter::measure;
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::task::{Context, Poll, Waker};
use stomp_frame::{Command, Frame, Limits, Version};
use stomp_socket::{CloseCode, Config, End, Inbound, Outbound, Peer, Socket};
use stomp_testing::websocket::{BINARY, CONTINUATION, FIN, PING, TEXT, frame, header};
use support::{Script, connected, pipe, read_all, server};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// A number of repetitions that exceeds every limit.
const MANY: usize = 1_000_000;

/// The maximum bytes of a message after login.
fn max_message() -> usize {
    Limits::default().max_frame_bytes + Limits::default().max_head_bytes
}

fn message(body: usize) -> Frame {
    Frame::new(Command::Send)
        .with_header("destination", "/a")
        .with_body(vec![b'x'; body])
}

/// Sends `first`, then `repeated` without end. Returns the number of bytes that a socket after login received before it
/// reported the end, and this end.
async fn send_endlessly(first: Vec<u8>, repeated: Vec<u8>) -> (u64, End) {
    let (ours, mut theirs) = pipe(1 << 10);
    let mut socket = connected(server(ours));
    let endless = async {
        theirs.write_all(&first).await.unwrap();
        for _ in 0..MANY {
            if theirs.write_all(&repeated).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        (frames, end) = read_all(&mut socket) => {
            assert_eq!(frames, []);
            (socket.received_bytes(), end.unwrap())
        }
        () = endless => panic!("the socket reads without a limit"),
    }
}

#[tokio::test]
async fn endless_messages_and_fragments_without_a_complete_frame_reach_a_limit() {
    let begin = frame(FIN | BINARY, b"SEND\ndestination:/a\n\n");
    let fragment = |payload: &[u8]| frame(CONTINUATION, payload);
    for (name, first, repeated) in [
        ("empty fragments", frame(BINARY, b""), fragment(b"")),
        ("empty messages", begin.clone(), frame(FIN | BINARY, b"")),
        (
            "empty messages without a frame",
            vec![],
            frame(FIN | TEXT, b""),
        ),
        ("fragments of one byte", frame(BINARY, b"x"), fragment(b"x")),
        (
            "messages of one byte",
            begin.clone(),
            frame(FIN | BINARY, b"x"),
        ),
        (
            "fragments after a piece of a frame",
            [begin, frame(BINARY, b"x")].concat(),
            fragment(&[b'x'; 100]),
        ),
    ] {
        let (received, end) = send_endlessly(first, repeated).await;
        assert_eq!(end.close_code(), CloseCode::TooBig, "{name}: {end:?}");
        // A fragment of one byte takes 7 bytes. An empty one takes 6 bytes and counts for 32.
        assert!(
            received <= 7 * max_message() as u64 + 8_000,
            "{name}: {received}"
        );
    }
}

/// tungstenite reads until it has a message, so the limit must also apply within one call of tungstenite.
#[test]
fn endless_fragments_reach_a_limit_within_one_poll() {
    let (script, calls) = Script::new(
        std::iter::once(BINARY)
            .chain([CONTINUATION; 20_000])
            .map(|first| Ok(frame(first, b""))),
    );
    let mut socket = connected(server(script));
    let Some(Some(Inbound::End(end))) = socket.next().now_or_never() else {
        panic!("expected the end")
    };
    assert_eq!(end.close_code(), CloseCode::TooBig);
    let reads = calls.lock().unwrap().reads;
    assert!(reads <= max_message() / 32 + 2, "{reads}");
}

#[tokio::test]
async fn any_number_of_pings_is_answered() {
    let (script, calls) = Script::new((0..20_000).map(|_| Ok(frame(FIN | PING, b"?"))));
    let mut socket = connected(server(script));
    assert!(socket.next().now_or_never().is_none());
    let written = calls.lock().unwrap().writes.concat();
    assert_eq!(written.len(), 20_000 * b"\x8a\x01?".len());
}

#[tokio::test]
async fn polling_the_stream_also_writes_pongs() {
    let (script, calls) = Script::new([Ok(frame(FIN | PING, b"?"))]);
    let mut socket = connected(server(script));
    assert!(socket.next().now_or_never().is_none());
    assert_eq!(calls.lock().unwrap().writes, [b"\x8a\x01?"]);
}

/// The decoder holds the beginning of a frame, and a WebSocket header announces a message. The sum of both must not
/// exceed the limit.
#[tokio::test]
async fn the_announced_length_of_a_message_is_added_to_the_held_bytes() {
    let head = b"SEND\ndestination:/a\ncontent-length:250000\n\n";
    for (piece, announced, is_allowed) in [
        (100_000, max_message() - 100_000 - head.len(), true),
        (100_000, max_message() - 100_000 - head.len() + 1, false),
        (0, max_message() - head.len(), true),
        (0, max_message() - head.len() + 1, false),
    ] {
        let bytes = [&head[..], &vec![b'x'; piece]].concat();
        let reads = [
            frame(FIN | BINARY, &bytes),
            header(FIN | BINARY, announced as u64),
        ];
        let mut socket = connected(server(Script::new(reads.map(Ok)).0));
        let item = socket.next().now_or_never();
        match is_allowed {
            true => assert!(item.is_none(), "{piece} and {announced}: {item:?}"),
            false => {
                let Some(Some(Inbound::End(end))) = item else {
                    panic!("{piece} and {announced}")
                };
                assert_eq!(end.close_code(), CloseCode::TooBig);
            }
        }
    }
}

/// In the worst case, the decoder holds half of a frame, and tungstenite holds the rest in fragments.
#[test]
fn an_incomplete_frame_uses_at_most_twice_its_limits() {
    let half = max_message() / 2;
    let bytes = [b"SEND\ndestination:/a\n\n", &vec![b'x'; half][..]].concat();
    let mut reads: Vec<_> = bytes
        .chunks(1000)
        .map(|piece| frame(FIN | BINARY, piece))
        .collect();
    reads.push(frame(BINARY, b"x"));
    reads.extend((0..half / 1000 - 1).map(|_| frame(CONTINUATION, &[b'x'; 1000])));
    let (script, _) = Script::new(reads.into_iter().map(Ok));
    let mut socket = connected(server(script));
    let held = measure(|| assert!(socket.next().now_or_never().is_none()));
    assert!(held.bytes_current > max_message() as i64 / 2, "{held:?}");
    assert!(held.bytes_current <= 2 * max_message() as i64, "{held:?}");
    // A growing buffer exists twice while it is copied.
    assert!(held.bytes_max <= 3 * max_message() as u64, "{held:?}");
}

#[tokio::test]
async fn all_bytes_before_login_count_against_the_limit() {
    let limit =
        (Limits::before_login().max_frame_bytes + Config::default().read_buffer_bytes) as u64;
    let over_byte_stream = |io| Socket::over_byte_stream(io, Peer::default(), &Config::default());
    let eols = vec![b'\n'; 4000];
    for (mut socket, mut theirs, bytes) in [
        socket_with(server, frame(FIN | TEXT, b"\n")),
        socket_with(server, frame(FIN | PING, b"?")),
        socket_with(over_byte_stream, eols),
    ] {
        let endless = async {
            for _ in 0..MANY {
                if theirs.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        };
        let end = tokio::select! {
            (_, end) = read_all(&mut socket) => end.unwrap(),
            () = endless => panic!("the socket reads without a limit"),
        };
        assert_eq!(end.close_code(), CloseCode::TooBig, "{end:?}");
        assert!(
            (limit..=limit + 4096).contains(&socket.received_bytes()),
            "{}",
            socket.received_bytes()
        );
    }
}

fn socket_with(
    make: impl Fn(DuplexStream) -> Socket,
    bytes: Vec<u8>,
) -> (Socket, DuplexStream, Vec<u8>) {
    let (ours, theirs) = pipe(1 << 10);
    (make(ours), theirs, bytes)
}

/// The limit applies to the STOMP frame. WebSocket headers do not count.
#[tokio::test]
async fn a_connect_frame_of_the_maximum_length_is_accepted() {
    let limits = Limits::before_login().max_frame_bytes(1000);
    let mut config = Config::default();
    (config.limits, config.read_buffer_bytes) = (limits, 16);
    let connect = Frame::new(Command::Connect)
        .with_header("a", &"x".repeat(1000 - b"CONNECT\na:\n\n\0".len()));
    let connect = connect.to_bytes(Version::V1_0).unwrap();
    assert_eq!(connect.len(), 1000);
    for split in [1000, 500] {
        let (one, two) = connect.split_at(split);
        let bytes = if two.is_empty() {
            frame(FIN | TEXT, one)
        } else {
            [frame(TEXT, one), frame(FIN, two)].concat()
        };
        let mut socket =
            Socket::over_websocket(Script::new([Ok(bytes)]).0, b"", Peer::default(), &config);
        assert!(
            matches!(socket.next().now_or_never(), Some(Some(Inbound::Frame(_)))),
            "{split}"
        );
    }
    let mut socket = Socket::over_byte_stream(
        Script::new([Ok(connect.to_vec())]).0,
        Peer::default(),
        &config,
    );
    assert!(matches!(
        socket.next().now_or_never(),
        Some(Some(Inbound::Frame(_)))
    ));
}

#[test]
fn an_idle_socket_owns_no_buffer() {
    let large = frame(
        FIN | BINARY,
        &message(200_000).to_bytes(Version::V1_2).unwrap(),
    );
    let small = frame(FIN | BINARY, &message(10).to_bytes(Version::V1_2).unwrap());
    // Allocates the buffers that the thread keeps.
    let mut warm = connected(server(Script::new([Ok(small.clone())]).0));
    echo(&mut warm, 1);
    for (name, bytes, frames) in [
        ("small", small.clone(), 1),
        ("large", large.clone(), 1),
        ("both", [large, small].concat(), 2),
    ] {
        let (script, calls) = Script::new([Ok(bytes)]);
        calls.lock().unwrap().writes.reserve(100);
        let mut socket = connected(server(script));
        let kept = measure(|| {
            echo(&mut socket, frames);
            calls.lock().unwrap().writes.clear();
        });
        // The number is negative if the script frees bytes that were allocated before the measurement.
        assert!(kept.bytes_current <= 0, "{name}: {kept:?}");
        assert!(kept.bytes_max >= 20, "{name}: {kept:?}");
    }
}

/// tungstenite reads a large message to its end, but not beyond. So its buffer can be freed.
#[test]
fn the_buffer_of_a_large_message_is_freed_before_the_next_message_is_complete() {
    let large = frame(
        FIN | BINARY,
        &message(200_000).to_bytes(Version::V1_2).unwrap(),
    );
    let bytes = [large, vec![FIN | BINARY]].concat();
    let length = bytes.len() as i64;
    let mut socket = connected(server(Script::new([Ok(bytes)]).0));
    let kept = measure(|| echo(&mut socket, 1));
    // The script frees the bytes that were read and records the bytes that were written.
    assert!(
        kept.bytes_current <= 2 * Config::default().read_buffer_bytes as i64 - length + 210_000,
        "{kept:?}"
    );
    assert!(kept.bytes_max > 200_000, "{kept:?}");
}

#[test]
fn all_connections_of_a_thread_share_one_write_buffer() {
    let make = || {
        let io = tokio::io::join(tokio::io::empty(), tokio::io::sink());
        connected(Socket::over_byte_stream(
            io,
            Peer::default(),
            &Config::default(),
        ))
    };
    let (mut one, mut two) = (make(), make());
    let write = |socket: &mut Socket| {
        socket.put(&Outbound::HeartBeat).unwrap();
        assert!(socket.flush().now_or_never().is_some());
    };
    write(&mut one);
    assert_eq!(measure(|| write(&mut two)).count_total, 0);
}

fn echo(socket: &mut Socket, frames: usize) {
    for _ in 0..frames {
        let Some(Some(Inbound::Frame(frame))) = socket.next().now_or_never() else {
            panic!("expected a frame")
        };
        socket.put(&Outbound::Frame(frame)).unwrap();
    }
    assert!(socket.flush().now_or_never().is_some());
    assert!(socket.next().now_or_never().is_none());
}

/// Checks two sockets whose peers read nothing. The first socket sends frames; the second answers pings.
#[test]
fn unsent_bytes_use_at_most_twice_the_write_limit_and_one_frame() {
    let config = Config::default();
    let body = 10_000;
    let bound = 2 * (config.max_write_buffer_bytes + body + 1_000) as u64;
    let (ours, theirs) = pipe(64);
    let mut socket = connected(server(ours));
    let message = message(body);
    let held = measure(|| {
        while socket
            .feed(Outbound::Frame(message.clone()))
            .now_or_never()
            .is_some()
        {}
    });
    assert!(socket.unsent_bytes() > config.max_write_buffer_bytes);
    assert!(held.bytes_max <= bound, "{held:?}");
    drop(theirs);

    let (script, _) = Script::new((0..100_000).map(|_| Ok(frame(FIN | PING, &[0; 125]))));
    let mut socket = connected(server(Stuck(script)));
    let held = measure(|| assert!(socket.next().now_or_never().is_none()));
    assert!(socket.unsent_bytes() > config.max_write_buffer_bytes);
    assert!(held.bytes_max <= bound, "{held:?}");
}

/// A stream that never accepts bytes to write.
struct Stuck(Script);

mod stuck {
    use super::Stuck;
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
    };
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    impl AsyncRead for Stuck {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            space: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, space)
        }
    }

    impl AsyncWrite for Stuck {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }
}

#[tokio::test]
async fn many_small_frames_are_written_in_one_call() {
    let (script, calls) = Script::new([]);
    let mut socket = connected(server(script));
    for _ in 0..1_000 {
        let frame = Frame::new(Command::Receipt).with_header("receipt-id", "012345678901234567");
        socket.feed(Outbound::Frame(frame)).await.unwrap();
    }
    socket.flush().await.unwrap();
    let calls = calls.lock().unwrap();
    assert_eq!(
        (calls.writes.len(), calls.writes[0].len()),
        (1, 1_000 * (2 + 40))
    );
}

#[tokio::test]
async fn a_frame_longer_than_the_write_limit_is_sent() {
    let (ours, mut theirs) = pipe(1 << 10);
    let mut socket = connected(server(ours));
    let mut received = vec![0; 1_000_000];
    let (sent, read) = tokio::join!(
        socket.send(Outbound::Frame(message(1_000_000))),
        theirs.read_exact(&mut received)
    );
    sent.unwrap();
    read.unwrap();
    // The header has FIN and the opcode of text, and then the length of the head, the body and the NUL.
    let length = 1_000_000 + b"SEND\ndestination:/a\ncontent-length:1000000\n\n\0".len();
    assert_eq!(
        received[..10],
        [&[0x81, 127][..], &length.to_be_bytes()].concat()
    );
}

/// Callers of `put` and `poll_read` must watch `unsent_bytes` themselves.
#[test]
fn put_buffers_without_a_limit() {
    let (script, _) = Script::new([]);
    let mut socket = connected(server(Stuck(script)));
    for count in 1..=100 {
        socket.put(&Outbound::HeartBeat).unwrap();
        assert_eq!(socket.unsent_bytes(), 3 * count);
    }
    assert!(matches!(
        socket.poll_write(&mut Context::from_waker(Waker::noop())),
        Poll::Pending
    ));
    assert!(!socket.is_flushed());
}
