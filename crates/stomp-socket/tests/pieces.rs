//! Tests that frames arrive complete, however they are split into messages, fragments and reads.

mod support;

use futures_util::{FutureExt, StreamExt};
use std::io;
use stomp_frame::{Command, Frame, Limits, Version};
use stomp_socket::{Config, End, Inbound, Peer, Socket};
use stomp_testing::websocket::{BINARY, CLOSE, CONTINUATION, FIN, PING, TEXT, frame};
use support::{Script, connected, pipe, read_all, server};
use tokio::io::AsyncWriteExt;

const WIRE: &str = "\nSEND\ndestination:/a\n\nh\u{e9}\u{20ac}\u{1f600}\0\r\nSEND\ndestination:/a\n\nh\u{e9}\u{20ac}\u{1f600}\0";

fn expected() -> Vec<Frame> {
    let send = Frame::new(Command::Send).with_header("destination", "/a");
    vec![send.with_body("h\u{e9}\u{20ac}\u{1f600}"); 2]
}

/// Returns the frames of a socket whose stream returns `bytes` in reads of `size` bytes, and then ends.
async fn frames_of(make: fn(Script) -> Socket, bytes: &[u8], size: usize) -> Vec<Frame> {
    let reads = bytes
        .chunks(size)
        .map(<[u8]>::to_vec)
        .chain([Vec::new()])
        .map(Ok);
    read_all(&mut connected(make(Script::new(reads).0))).await.0
}

fn over_byte_stream(script: Script) -> Socket {
    Socket::over_byte_stream(script, Peer::default(), &Config::default())
}

#[tokio::test]
async fn frames_arrive_complete_for_reads_of_any_size() {
    let ping = frame(FIN | PING, b"?");
    let message = [
        frame(TEXT, WIRE.as_bytes()),
        ping.clone(),
        frame(FIN | CONTINUATION, b""),
        ping,
    ]
    .concat();
    for size in 1..=message.len() {
        assert_eq!(
            frames_of(server, &message, size).await,
            expected(),
            "WebSocket, reads of {size}"
        );
    }
    for size in 1..=WIRE.len() {
        assert_eq!(
            frames_of(over_byte_stream, WIRE.as_bytes(), size).await,
            expected(),
            "bytes, reads of {size}"
        );
    }
}

#[tokio::test]
async fn frames_arrive_complete_if_they_are_split_anywhere_into_binary_messages() {
    for cut in 0..=WIRE.len() {
        let (one, two) = WIRE.as_bytes().split_at(cut);
        let messages = [frame(FIN | BINARY, one), frame(FIN | BINARY, two)].concat();
        assert_eq!(
            frames_of(server, &messages, 4096).await,
            expected(),
            "split at {cut}"
        );
    }
    let each: Vec<u8> = WIRE
        .bytes()
        .flat_map(|byte| frame(FIN | BINARY, &[byte]))
        .collect();
    assert_eq!(frames_of(server, &each, 4096).await, expected());
}

#[tokio::test]
async fn messages_arrive_complete_if_they_are_split_anywhere_into_fragments() {
    for kind in [TEXT, BINARY] {
        for cut in 0..=WIRE.len() {
            let (one, two) = WIRE.as_bytes().split_at(cut);
            let message = [
                frame(kind, one),
                frame(CONTINUATION, b""),
                frame(FIN | PING, b""),
                frame(FIN | CONTINUATION, two),
            ];
            assert_eq!(
                frames_of(server, &message.concat(), 4096).await,
                expected(),
                "split at {cut}"
            );
        }
    }
}

#[tokio::test]
async fn text_and_binary_messages_form_one_stream() {
    let half = WIRE.len() / 2;
    for kinds in [
        [TEXT, TEXT],
        [TEXT, BINARY],
        [BINARY, TEXT],
        [BINARY, BINARY],
    ] {
        let cut = (half..).find(|at| WIRE.is_char_boundary(*at)).unwrap();
        let (one, two) = WIRE.split_at(cut);
        let messages = [
            frame(FIN | kinds[0], one.as_bytes()),
            frame(FIN | kinds[1], two.as_bytes()),
        ]
        .concat();
        assert_eq!(
            frames_of(server, &messages, 4096).await,
            expected(),
            "{kinds:?}"
        );
    }
}

#[tokio::test]
async fn a_message_of_eols_is_one_heart_beat() {
    let (ours, mut theirs) = pipe(4096);
    let mut socket = connected(server(ours));
    for eols in ["\n", "\r\n", "\n\n\r\n"] {
        theirs
            .write_all(&frame(FIN | TEXT, eols.as_bytes()))
            .await
            .unwrap();
        assert!(matches!(socket.next().await, Some(Inbound::HeartBeat)));
        assert!(socket.next().now_or_never().is_none());
    }
}

#[tokio::test]
async fn bytes_received_with_the_handshake_are_read_first() {
    let message = frame(FIN | TEXT, WIRE.as_bytes());
    for cut in 0..=message.len() {
        let (early, late) = message.split_at(cut);
        let reads = if late.is_empty() {
            vec![]
        } else {
            vec![late.to_vec()]
        };
        let (script, _) = Script::new(reads.into_iter().chain([Vec::new()]).map(Ok));
        let mut socket = connected(Socket::over_websocket(
            script,
            early,
            Peer::default(),
            &Config::default(),
        ));
        assert_eq!(read_all(&mut socket).await.0, expected(), "{cut} bytes");
        assert_eq!(socket.received_bytes(), message.len() as u64);
    }
}

/// The bytes after CONNECT are neither read nor decoded until `resume` is called.
#[tokio::test]
async fn nothing_is_read_between_connect_and_resume() {
    let connect = b"CONNECT\naccept-version:1.2\n\n\0";
    let (websocket, bytes) = (frame(FIN | TEXT, connect), connect.to_vec());
    for (make, connect, after) in [
        (
            server as fn(Script) -> Socket,
            websocket,
            frame(FIN | TEXT, WIRE.as_bytes()),
        ),
        (over_byte_stream, bytes, WIRE.as_bytes().to_vec()),
    ] {
        let (script, calls) = Script::new([
            Ok(connect),
            Ok(after),
            Err(io::ErrorKind::ConnectionReset.into()),
        ]);
        let mut socket = make(script);
        assert!(matches!(socket.next().await, Some(Inbound::Frame(_))));
        for _ in 0..3 {
            assert!(socket.next().now_or_never().is_none());
        }
        assert_eq!(calls.lock().unwrap().reads, 1);
        socket = connected(socket);
        assert_eq!(read_all(&mut socket).await.0, expected());
    }
}

/// Reads `stream` with a socket that has this read buffer, in reads of `size` bytes. Returns the frames and the kind of
/// end.
async fn outcome(read_buffer_bytes: usize, stream: &[u8], size: usize) -> (Vec<Frame>, String) {
    let mut config = Config::default();
    config.read_buffer_bytes = read_buffer_bytes;
    let reads = stream
        .chunks(size)
        .map(<[u8]>::to_vec)
        .chain([Vec::new()])
        .map(Ok);
    let socket = Socket::over_websocket(Script::new(reads).0, b"", Peer::default(), &config);
    let (frames, end) = read_all(&mut connected(socket)).await;
    let end = end.expect("the stream should end");
    let kind = match &end {
        End::Violation { .. } => "violation".to_owned(),
        end => format!("{end:?}"),
    };
    (frames, format!("{kind}, {:?}", end.close_code()))
}

/// With a read buffer of one byte, all messages go through the tungstenite context.
#[tokio::test]
async fn the_fast_path_and_tungstenite_read_the_same_frames_and_ends() {
    let long = format!("SEND\ndestination:/a\n\n{}\0", "x".repeat(5000));
    let unmasked = [&[FIN | TEXT, 1][..], b"\n"].concat();
    let parts = [
        frame(FIN | TEXT, WIRE.as_bytes()),
        frame(FIN | BINARY, WIRE.as_bytes()),
        frame(FIN | BINARY, long.as_bytes()),
        frame(FIN | PING, b"?"),
        [
            frame(TEXT, &WIRE.as_bytes()[..30]),
            frame(FIN | CONTINUATION, &WIRE.as_bytes()[30..]),
        ]
        .concat(),
        frame(FIN | TEXT, b""),
        frame(FIN | TEXT, b"\xc3"),
        frame(FIN | BINARY, b"SEND\n\xff:\n\n\0"),
        frame(FIN | 0x40 | TEXT, b"\n"),
        frame(FIN | 3, b"\n"),
        frame(FIN | CONTINUATION, b"\n"),
        frame(FIN | CLOSE, &1000_u16.to_be_bytes()),
        unmasked,
    ];
    for first in &parts {
        for second in &parts {
            for third in &parts {
                let stream = [&first[..], second, third].concat();
                let expected = outcome(1, &stream, stream.len()).await;
                for (read_buffer_bytes, size) in
                    [(4096, stream.len()), (64, stream.len()), (4096, 61)]
                {
                    assert_eq!(
                        outcome(read_buffer_bytes, &stream, size).await,
                        expected,
                        "a read buffer of {read_buffer_bytes}, reads of {size}"
                    );
                }
            }
        }
    }
}

/// Bytes after the end of a frame do not count against the limit of this frame.
#[tokio::test]
async fn a_message_may_contain_the_end_of_a_long_frame_and_the_beginning_of_the_next() {
    let limits = Limits::default().max_frame_bytes(5000).max_head_bytes(100);
    let frames = format!("SEND\ndestination:/a\n\n{}\0", "x".repeat(4900)).repeat(3);
    let reads = frames
        .as_bytes()
        .chunks(4000)
        .map(|piece| Ok(frame(FIN | BINARY, piece)));
    let mut socket = server(Script::new(reads).0);
    socket.resume(Version::V1_2, limits);
    for _ in 0..3 {
        assert!(matches!(
            socket.next().now_or_never(),
            Some(Some(Inbound::Frame(_)))
        ));
    }
}

/// An HTTP server may have read many bytes after the handshake. The socket processes them even if they exceed the limit
/// before login.
#[tokio::test]
async fn bytes_received_with_the_handshake_are_read_even_above_the_limit_before_login() {
    let connect = frame(FIN | TEXT, b"CONNECT\naccept-version:1.2\n\n\0");
    let early = [connect, frame(FIN | TEXT, WIRE.as_bytes()).repeat(300)].concat();
    let reads = Script::new([]).0;
    let mut socket = Socket::over_websocket(reads, &early, Peer::default(), &Config::default());
    assert!(matches!(
        socket.next().now_or_never(),
        Some(Some(Inbound::Frame(_)))
    ));
    socket.resume(Version::V1_2, Limits::default());
    let mut frames = 0;
    while let Some(Some(item)) = socket.next().now_or_never() {
        frames += usize::from(matches!(item, Inbound::Frame(_)));
    }
    assert_eq!(frames, 600);
}
