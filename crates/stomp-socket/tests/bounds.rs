//! What a peer can make a socket hold, counted.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use allocation_counter::measure;
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::task::{Context, Poll, Waker};
use stomp_frame::{Command, Frame, Limits, Version};
use stomp_socket::{CloseCode, Config, End, Inbound, Outbound, Peer, Socket};
use support::{
    BINARY, CONTINUATION, FIN, PING, Script, TEXT, frame, header, negotiated, pipe, read_all,
    server,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// As good as no end.
const MANY: usize = 1_000_000;

/// What a message may have after the negotiation.
fn most() -> usize {
    Limits::default().max_frame_bytes + Limits::default().max_head_bytes
}

fn message(body: usize) -> Frame {
    Frame::new(Command::Send)
        .with_header("destination", "/a")
        .with_body(vec![b'x'; body])
}

/// How many bytes of `bytes`, given again and again, a negotiated socket takes until it ends, and how it ends.
async fn taken_until_the_end(first: Vec<u8>, again: Vec<u8>) -> (u64, End) {
    let (ours, mut theirs) = pipe(1 << 10);
    let mut socket = negotiated(server(ours));
    let endless = async {
        theirs.write_all(&first).await.unwrap();
        for _ in 0..MANY {
            if theirs.write_all(&again).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        (frames, end) = read_all(&mut socket) => {
            assert_eq!(frames, []);
            (socket.received_bytes(), end.unwrap())
        }
        () = endless => panic!("it is taken without end"),
    }
}

#[tokio::test]
async fn endless_pieces_that_make_no_frame_end() {
    let begin = frame(FIN | BINARY, b"SEND\ndestination:/a\n\n");
    let fragment = |payload: &[u8]| frame(CONTINUATION, payload);
    for (name, first, again) in [
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
        let (taken, end) = taken_until_the_end(first, again).await;
        assert_eq!(end.close_code(), CloseCode::TooBig, "{name}: {end:?}");
        // Seven bytes of a fragment hold one; an empty one has six, and counts for 32.
        assert!(taken <= 7 * most() as u64 + 8_000, "{name}: {taken}");
    }
}

/// The context reads on by itself until there is a message. Here there is always more.
#[test]
fn endless_fragments_end_within_one_read_of_a_message() {
    let (script, calls) = Script::new(
        std::iter::once(BINARY)
            .chain([CONTINUATION; 20_000])
            .map(|first| Ok(frame(first, b""))),
    );
    let mut socket = negotiated(server(script));
    let Some(Some(Inbound::End(end))) = socket.next().now_or_never() else {
        panic!("no end")
    };
    assert_eq!(end.close_code(), CloseCode::TooBig);
    let reads = calls.lock().unwrap().reads;
    assert!(reads <= most() / 32 + 2, "{reads}");
}

#[tokio::test]
async fn pings_may_go_on_for_ever() {
    let (script, calls) = Script::new((0..20_000).map(|_| Ok(frame(FIN | PING, b"?"))));
    let mut socket = negotiated(server(script));
    assert!(socket.next().now_or_never().is_none());
    let written = calls.lock().unwrap().writes.concat();
    assert_eq!(written.len(), 20_000 * b"\x8a\x01?".len());
}

#[tokio::test]
async fn a_single_ping_is_answered_by_reading_alone() {
    let (script, calls) = Script::new([Ok(frame(FIN | PING, b"?"))]);
    let mut socket = negotiated(server(script));
    assert!(socket.next().now_or_never().is_none());
    assert_eq!(calls.lock().unwrap().writes, [b"\x8a\x01?"]);
}

/// A piece of a frame waits in the decoder, and a message is announced that would make the sum too large.
#[tokio::test]
async fn what_is_announced_counts_with_what_is_held() {
    let head = b"SEND\ndestination:/a\ncontent-length:250000\n\n";
    for (piece, announced, passes) in [
        (100_000, most() - 100_000 - head.len(), true),
        (100_000, most() - 100_000 - head.len() + 1, false),
        (0, most() - head.len(), true),
        (0, most() - head.len() + 1, false),
    ] {
        let bytes = [&head[..], &vec![b'x'; piece]].concat();
        let reads = [
            frame(FIN | BINARY, &bytes),
            header(FIN | BINARY, announced as u64),
        ];
        let mut socket = negotiated(server(Script::new(reads.map(Ok)).0));
        let item = socket.next().now_or_never();
        match passes {
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

/// The worst a peer can do with one frame: half of it waits, and the rest comes in fragments.
#[test]
fn pieces_of_a_frame_take_no_more_than_twice_its_limits() {
    let half = most() / 2;
    let bytes = [b"SEND\ndestination:/a\n\n", &vec![b'x'; half][..]].concat();
    let mut reads: Vec<_> = bytes
        .chunks(1000)
        .map(|piece| frame(FIN | BINARY, piece))
        .collect();
    reads.push(frame(BINARY, b"x"));
    reads.extend((0..half / 1000 - 1).map(|_| frame(CONTINUATION, &[b'x'; 1000])));
    let (script, _) = Script::new(reads.into_iter().map(Ok));
    let mut socket = negotiated(server(script));
    let held = measure(|| assert!(socket.next().now_or_never().is_none()));
    assert!(held.bytes_current > most() as i64 / 2, "{held:?}");
    assert!(held.bytes_current <= 2 * most() as i64, "{held:?}");
    // Buffers that are copied as they grow are there twice for that moment.
    assert!(held.bytes_max <= 3 * most() as u64, "{held:?}");
}

#[tokio::test]
async fn before_the_negotiation_little_may_come_of_anything() {
    let limit =
        (Limits::before_login().max_frame_bytes + Config::default().read_buffer_bytes) as u64;
    let over_byte_stream = |io| Socket::over_byte_stream(io, Peer::default(), &Config::default());
    let eols = vec![b'\n'; 4000];
    for (mut socket, mut theirs, bytes) in [
        with(server, frame(FIN | TEXT, b"\n")),
        with(server, frame(FIN | PING, b"?")),
        with(over_byte_stream, eols),
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
            () = endless => panic!("it is taken without end"),
        };
        assert_eq!(end.close_code(), CloseCode::TooBig, "{end:?}");
        assert!(
            (limit..=limit + 4096).contains(&socket.received_bytes()),
            "{}",
            socket.received_bytes()
        );
    }
}

fn with(make: impl Fn(DuplexStream) -> Socket, bytes: Vec<u8>) -> (Socket, DuplexStream, Vec<u8>) {
    let (ours, theirs) = pipe(1 << 10);
    (make(ours), theirs, bytes)
}

/// The largest CONNECT there may be, which over WebSocket has a header too.
#[tokio::test]
async fn a_connect_of_the_largest_size_passes() {
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

/// What a socket holds that has nothing to do, however large the last message was.
#[test]
fn an_idle_socket_owns_no_buffer() {
    let large = frame(
        FIN | BINARY,
        &message(200_000).to_bytes(Version::V1_2).unwrap(),
    );
    let small = frame(FIN | BINARY, &message(10).to_bytes(Version::V1_2).unwrap());
    // The buffers of this thread.
    let mut warm = negotiated(server(Script::new([Ok(small.clone())]).0));
    echo(&mut warm, 1);
    for (name, bytes, frames) in [
        ("small", small.clone(), 1),
        ("large", large.clone(), 1),
        ("both", [large, small].concat(), 2),
    ] {
        let (script, calls) = Script::new([Ok(bytes)]);
        calls.lock().unwrap().writes.reserve(100);
        let mut socket = negotiated(server(script));
        let kept = measure(|| {
            echo(&mut socket, frames);
            calls.lock().unwrap().writes.clear();
        });
        // The script's own bytes were freed.
        assert!(kept.bytes_current <= 0, "{name}: {kept:?}");
        assert!(kept.bytes_max >= 20, "{name}: {kept:?}");
    }
}

/// Its buffer was read to its end and no further, so it can go.
#[test]
fn what_follows_a_large_message_is_held_without_its_buffer() {
    let large = frame(
        FIN | BINARY,
        &message(200_000).to_bytes(Version::V1_2).unwrap(),
    );
    let bytes = [large, vec![FIN | BINARY]].concat();
    let length = bytes.len() as i64;
    let mut socket = negotiated(server(Script::new([Ok(bytes)]).0));
    let kept = measure(|| echo(&mut socket, 1));
    // Of the script's bytes, those that came are freed, and those that went are noted.
    assert!(
        kept.bytes_current <= 2 * Config::default().read_buffer_bytes as i64 - length + 210_000,
        "{kept:?}"
    );
    assert!(kept.bytes_max > 200_000, "{kept:?}");
}

#[test]
fn connections_share_the_buffer_they_write_from() {
    let make = || {
        let io = tokio::io::join(tokio::io::empty(), tokio::io::sink());
        negotiated(Socket::over_byte_stream(
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
            panic!("no frame")
        };
        socket.put(&Outbound::Frame(frame)).unwrap();
    }
    assert!(socket.flush().now_or_never().is_some());
    assert!(socket.next().now_or_never().is_none());
}

/// A peer that reads nothing, and one that only pings.
#[test]
fn a_stuck_reader_holds_at_most_twice_the_high_water_and_a_frame() {
    let config = Config::default();
    let body = 10_000;
    let bound = 2 * (config.max_write_buffer_bytes + body + 1_000) as u64;
    let (ours, theirs) = pipe(64);
    let mut socket = negotiated(server(ours));
    let frame = message(body);
    let held = measure(|| {
        while socket
            .feed(Outbound::Frame(frame.clone()))
            .now_or_never()
            .is_some()
        {}
    });
    assert!(socket.unsent_bytes() > config.max_write_buffer_bytes);
    assert!(held.bytes_max <= bound, "{held:?}");
    drop(theirs);

    let (script, _) = Script::new((0..100_000).map(|_| Ok(support::frame(FIN | PING, &[0; 125]))));
    let mut socket = negotiated(server(Stuck(script)));
    let held = measure(|| assert!(socket.next().now_or_never().is_none()));
    assert!(socket.unsent_bytes() > config.max_write_buffer_bytes);
    assert!(held.bytes_max <= bound, "{held:?}");
}

/// A stream that takes nothing.
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
    let mut socket = negotiated(server(script));
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

/// One frame may be larger than all that is otherwise collected.
#[tokio::test]
async fn a_frame_beyond_the_high_water_is_sent_all_the_same() {
    let (ours, mut theirs) = pipe(1 << 10);
    let mut socket = negotiated(server(ours));
    let mut received = vec![0; 1_000_000];
    let (sent, read) = tokio::join!(
        socket.send(Outbound::Frame(message(1_000_000))),
        theirs.read_exact(&mut received)
    );
    sent.unwrap();
    read.unwrap();
    // FIN and text; then the length, which is that of the body and of the head and the NUL around it.
    let length = 1_000_000 + b"SEND\ndestination:/a\ncontent-length:1000000\n\n\0".len();
    assert_eq!(
        received[..10],
        [&[0x81, 127][..], &length.to_be_bytes()].concat()
    );
}

/// Whoever calls `put` and `poll_read` bounds what is unsent.
#[test]
fn what_is_put_is_bounded_by_the_caller_alone() {
    let (script, _) = Script::new([]);
    let mut socket = negotiated(server(Stuck(script)));
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
