//! Tests that futures over a socket may be dropped at any time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails the test"
)]

mod support;

use futures_util::{FutureExt, Sink, SinkExt, StreamExt};
use std::future::poll_fn;
use stomp_frame::{Command, Frame, Limits, Version};
use stomp_socket::{Config, End, Inbound, Outbound, Peer, Socket};
use support::{connected, pipe};
use tokio::{io::DuplexStream, task::yield_now};

const COUNT: usize = 50;

/// Two pairs of connected sockets: over a WebSocket and over a byte stream. The pipe of a pair has a small buffer, so
/// that each operation takes many steps.
fn pairs() -> [(Socket, Socket); 2] {
    let config = Config::default();
    let make = |socket: fn(DuplexStream, &Config) -> Socket,
                other: fn(DuplexStream, &Config) -> Socket| {
        let (ours, theirs) = pipe(7);
        (
            connected(socket(ours, &config)),
            connected(other(theirs, &config)),
        )
    };
    let server = |io, config: &Config| Socket::over_websocket(io, b"", Peer::default(), config);
    let client =
        |io, config: &Config| Socket::over_client_websocket(io, b"", Peer::default(), config);
    let bytes = |io, config: &Config| Socket::over_byte_stream(io, Peer::default(), config);
    [make(server, client), make(bytes, bytes)]
}

fn send(number: usize) -> Frame {
    Frame::new(Command::Send)
        .with_header("destination", "/a")
        .with_header("number", &number.to_string())
}

/// Creates a future, polls it once and drops it. Repeats this until a future is ready at its first poll.
macro_rules! dropped_until_ready {
    ($future:expr) => {
        loop {
            match $future.now_or_never() {
                Some(output) => break output,
                None => yield_now().await,
            }
        }
    };
}

/// The next item that is not the line end behind a frame.
async fn next(socket: &mut Socket) -> Option<Inbound> {
    loop {
        match socket.next().await {
            Some(Inbound::HeartBeat) => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn dropping_next_loses_no_item() {
    for (mut one, mut two) in pairs() {
        let sending = async {
            for number in 0..COUNT {
                two.send(Outbound::Frame(send(number))).await.unwrap();
            }
        };
        let receiving = async {
            for number in 0..COUNT {
                let frame = loop {
                    match dropped_until_ready!(one.next()) {
                        Some(Inbound::Frame(frame)) => break frame,
                        // The line end behind a frame.
                        Some(Inbound::HeartBeat) => {}
                        other => panic!("expected a frame, got {other:?}"),
                    }
                };
                assert_eq!(frame.headers.get("number"), Some(&*number.to_string()));
            }
        };
        tokio::join!(sending, receiving);
    }
}

#[tokio::test]
async fn a_dropped_flush_or_close_continues_when_it_is_called_again() {
    for (mut one, mut two) in pairs() {
        let sending = async {
            for number in 0..COUNT {
                two.feed(Outbound::Frame(send(number))).await.unwrap();
                dropped_until_ready!(two.flush()).unwrap();
            }
            dropped_until_ready!(two.close()).unwrap();
        };
        let receiving = async {
            for number in 0..COUNT {
                let Some(Inbound::Frame(frame)) = next(&mut one).await else {
                    panic!("expected a frame")
                };
                assert_eq!(frame.headers.get("number"), Some(&*number.to_string()));
            }
            let end = next(&mut one).await;
            assert!(
                matches!(
                    end,
                    Some(Inbound::End(End::Closed(Some(1000)) | End::HalfClosed))
                ),
                "{end:?}"
            );
            dropped_until_ready!(one.close()).unwrap();
        };
        tokio::join!(sending, receiving);
    }
}

/// Without room in the buffer, a dropped `send` buffers nothing. With room, it buffers the whole frame.
#[tokio::test]
async fn a_dropped_send_buffers_all_of_its_frame_or_nothing() {
    let mut config = Config::default();
    config.max_write_buffer_bytes = 0;
    let (ours, theirs) = pipe(7);
    let mut one = Socket::over_websocket(ours, b"", Peer::default(), &config);
    one.resume(Version::V1_2, Limits::default());
    let mut two = connected(Socket::over_client_websocket(
        theirs,
        b"",
        Peer::default(),
        &config,
    ));

    assert!(one.send(Outbound::Frame(send(0))).now_or_never().is_none());
    let unsent = one.unsent_bytes();
    assert!(
        one.send(Outbound::Frame(send(1))).now_or_never().is_none(),
        "the buffer should be full"
    );
    assert_eq!(one.unsent_bytes(), unsent, "nothing should be buffered");
    let ready = poll_fn(|cx| Sink::poll_ready(std::pin::Pin::new(&mut one), cx)).now_or_never();
    assert!(ready.is_none());
    let (sent, item) = tokio::join!(one.send(Outbound::Frame(send(2))), async {
        let mut numbers = Vec::new();
        while numbers.len() < 2 {
            let Some(Inbound::Frame(frame)) = two.next().await else {
                panic!("expected a frame")
            };
            numbers.push(frame.headers.get("number").unwrap().to_owned());
        }
        numbers
    });
    sent.unwrap();
    assert_eq!(item, ["0", "2"]);
}
