//! What one peer can make the server hold by saying much that never becomes a frame: bounded, and counted.
//!
//! A short run; with `SOAK=1` in the environment, a million of what costs a peer least.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod wire;

use std::time::Duration;
use tokio::{
    runtime::{Builder, Runtime},
    time::{sleep, timeout},
};
use webstomp::{
    Peer, Router, Session,
    frame::{Limits, Version},
    session::Config,
    socket::Socket,
};
use wire::{BINARY, CONTINUATION, Client, FIN, Heard, PING, soak, websocket_frame};

/// One way to say much: something at first, and something else so many times.
struct Flood {
    name: &'static str,
    is_websocket: bool,
    first: Vec<u8>,
    again: Vec<u8>,
    times: usize,
    /// The code of the `ERROR` that ends it, if something does before a deadline.
    code: Option<&'static str>,
}

fn flood(
    name: &'static str,
    is_websocket: bool,
    first: &[u8],
    again: &[u8],
    times: usize,
) -> Flood {
    Flood {
        name,
        is_websocket,
        first: first.to_vec(),
        again: again.to_vec(),
        times,
        code: None,
    }
}

impl Flood {
    fn ended(self) -> Flood {
        Flood {
            code: Some("too-large"),
            ..self
        }
    }
}

/// Floods of bytes, and floods of WebSocket frames; `command` begins a frame.
fn floods(command: &str, is_connected: bool) -> Vec<Flood> {
    let many = soak(1_000_000, 20_000);
    let line = format!("{command}\na:");
    let message = |bytes: &[u8]| websocket_frame(FIN | BINARY, bytes);
    let (part, more) = (
        |bytes: &[u8]| websocket_frame(BINARY, bytes),
        |bytes: &[u8]| websocket_frame(CONTINUATION, bytes),
    );
    vec![
        flood(
            "a line without an end",
            false,
            line.as_bytes(),
            b"x",
            20_000,
        )
        .ended(),
        flood(
            "a head without an end",
            false,
            format!("{command}\n").as_bytes(),
            b"a:b\n",
            20_000,
        )
        .ended(),
        // Heart-beats, once a peer is connected.
        Flood {
            code: (!is_connected).then_some("too-large"),
            ..flood(
                "line ends and nothing else",
                false,
                b"",
                b"\n\n\n\n\n\n\n\n\r\n",
                many,
            )
        },
        flood(
            "a line without an end, in messages",
            true,
            &message(line.as_bytes()),
            &message(b"x"),
            20_000,
        )
        .ended(),
        flood(
            "a message without an end",
            true,
            &part(b"\n"),
            &more(b"\n\n\n\n"),
            80_000,
        )
        .ended(),
        flood(
            "a message of fragments of nothing",
            true,
            &part(b""),
            &more(b""),
            many,
        )
        .ended(),
        flood("messages of nothing", true, b"", &message(b""), many).ended(),
    ]
}

/// A client that says too much, and its server's runtime.
fn reach(is_websocket: bool, is_connected: bool) -> (Runtime, Client) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let client = runtime.block_on(async {
        let (ours, theirs) = tokio::io::duplex(4 << 10);
        let socket = match is_websocket {
            true => Socket::over_websocket(ours, b"", Peer::default(), &Default::default()),
            false => Socket::over_byte_stream(ours, Peer::default(), &Default::default()),
        };
        let (_, _, connection) = Session::new(socket, Config::default());
        async fn sink() {}
        tokio::spawn(connection.run(Router::new().send("/sink", sink).build().unwrap()));
        let mut client = Client::new(Box::new(theirs), is_websocket);
        if is_connected {
            client.connects(Version::V1_2).await;
        }
        client
    });
    (runtime, client)
}

/// The most bytes that a flood makes the server hold.
fn pour(flood: &Flood, runtime: &Runtime, client: &mut Client) -> usize {
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            client.say_raw(&flood.first).await;
            for _ in 0..flood.times {
                client.say_raw(&flood.again).await;
            }
            sleep(Duration::from_millis(1)).await;
        });
    });
    usize::try_from(counted.bytes_max).unwrap()
}

/// The code of the `ERROR` that has come, if one has.
fn told(runtime: &Runtime, client: &mut Client) -> Option<String> {
    let heard = runtime.block_on(async { timeout(Duration::from_millis(10), client.hear()).await });
    match heard {
        Ok(Heard::Frame(frame)) => frame.headers.get("message").map(str::to_owned),
        Ok(other) => panic!("{other:?}, and no word"),
        Err(_) => None,
    }
}

#[test]
fn what_never_becomes_a_frame_is_held_within_bounds() {
    let (before, after) = (Limits::before_login(), Limits::default());
    for (is_connected, command, limit) in [
        (false, "CONNECT", before.max_frame_bytes),
        (true, "SEND", after.max_frame_bytes + after.max_head_bytes),
    ] {
        for flood in floods(command, is_connected) {
            let (runtime, mut client) = reach(flood.is_websocket, is_connected);
            let most = pour(&flood, &runtime, &mut client);
            // A buffer grows by doubling, and for a moment the smaller one is there as well; and there is what is read
            // at once.
            assert!(
                most <= 3 * limit + (8 << 10),
                "{}: {most} bytes for a limit of {limit}",
                flood.name
            );
            assert_eq!(
                told(&runtime, &mut client).as_deref(),
                flood.code,
                "{}",
                flood.name
            );
            println!(
                "{} {} times: {most} bytes at most, of {limit} that are allowed",
                flood.name, flood.times
            );
        }
    }
}

/// They are answered, and nobody reads the answers.
#[test]
fn pings_are_answered_within_bounds() {
    let limit = Config::default().max_outbound_bytes;
    for is_connected in [false, true] {
        let flood = flood(
            "pings",
            true,
            b"",
            &websocket_frame(FIN | PING, &[0; 125]),
            soak(100_000, 10_000),
        );
        let (runtime, mut client) = reach(true, is_connected);
        let most = pour(&flood, &runtime, &mut client);
        assert!(most <= limit, "{most} bytes for a limit of {limit}");
        println!(
            "{} pings: {most} bytes at most, of {limit} that are allowed",
            flood.times
        );
    }
}
