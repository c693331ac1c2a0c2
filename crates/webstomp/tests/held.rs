//! The memory that one peer can occupy in the server by sending input that never becomes a complete frame.
//!
//! The usual run is short; with `SOAK=1` in the environment, the cheapest input is sent a million times.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod transports;

use std::{sync::Arc, time::Duration};
use stomp_testing::{
    Client, Received, usual_or_soak,
    websocket::{BINARY, CONTINUATION, FIN, PING, frame},
};
use tokio::{
    runtime::{Builder, Runtime},
    time::{sleep, timeout},
};
use transports::{next, open_in_memory};
use webstomp::{
    Router,
    frame::{Limits, Version},
    session::Config,
};

/// Bytes that a client sends: `first` once, and then `again` many times.
struct Flood {
    name: &'static str,
    is_websocket: bool,
    first: Vec<u8>,
    again: Vec<u8>,
    times: usize,
    /// The code of the `ERROR` that ends the session. `None` if only a timeout ends it.
    code: Option<&'static str>,
}

impl Flood {
    fn over_byte_stream(name: &'static str, first: &str, again: &[u8], times: usize) -> Flood {
        Flood {
            name,
            is_websocket: false,
            first: first.into(),
            again: again.to_vec(),
            times,
            code: Some("too-large"),
        }
    }

    fn over_websocket(name: &'static str, first: Vec<u8>, again: Vec<u8>, times: usize) -> Flood {
        Flood {
            name,
            is_websocket: true,
            first,
            again,
            times,
            code: Some("too-large"),
        }
    }
}

/// All floods. `command` is the command of the frames that never end.
fn floods(command: &str, is_connected: bool) -> Vec<Flood> {
    let many = usual_or_soak(20_000, 1_000_000);
    let line = format!("{command}\na:");
    let message = |bytes: &[u8]| frame(FIN | BINARY, bytes);
    let fragment = |bytes: &[u8]| frame(BINARY, bytes);
    let next_fragment = |bytes: &[u8]| frame(CONTINUATION, bytes);
    let line_ends = b"\n\n\n\n\n\n\n\n\r\n";
    vec![
        Flood::over_byte_stream("a line without end", &line, b"x", 20_000),
        Flood::over_byte_stream(
            "a head without end",
            &format!("{command}\n"),
            b"a:b\n",
            20_000,
        ),
        Flood {
            // After CONNECTED, line ends are heart-beats.
            code: (!is_connected).then_some("too-large"),
            ..Flood::over_byte_stream("line ends and nothing else", "", line_ends, many)
        },
        Flood::over_websocket(
            "a line without end, in messages",
            message(line.as_bytes()),
            message(b"x"),
            20_000,
        ),
        Flood::over_websocket(
            "a message without end",
            fragment(b"\n"),
            next_fragment(b"\n\n\n\n"),
            80_000,
        ),
        Flood::over_websocket(
            "a message of empty fragments",
            fragment(b""),
            next_fragment(b""),
            many,
        ),
        Flood::over_websocket("empty messages", vec![], message(b""), many),
    ]
}

/// Runs a server, and opens a client connection to it.
fn open(is_websocket: bool, is_connected: bool) -> (Runtime, Client) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let client = runtime.block_on(async {
        async fn sink() {}
        let routes = Router::new().send("/sink", sink).build().unwrap();
        let mut client = open_in_memory(routes, &Arc::default(), is_websocket);
        if is_connected {
            client.connect(Version::V1_2).await;
        }
        client
    });
    (runtime, client)
}

/// Sends a flood, and returns the maximum number of bytes that were allocated at any moment.
fn pour(flood: &Flood, runtime: &Runtime, client: &mut Client) -> usize {
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            client.send_raw(&flood.first).await;
            for _ in 0..flood.times {
                client.send_raw(&flood.again).await;
            }
            sleep(Duration::from_millis(1)).await;
        });
    });
    usize::try_from(counted.bytes_max).unwrap()
}

/// Returns the code of an `ERROR`, if one has arrived.
fn error_code(runtime: &Runtime, client: &mut Client) -> Option<String> {
    let received =
        runtime.block_on(async { timeout(Duration::from_millis(10), next(client)).await });
    match received {
        Ok(Received::Frame(frame)) => frame.headers.get("message").map(str::to_owned),
        Ok(other) => panic!("expected an ERROR or nothing, received {other:?}"),
        Err(_) => None,
    }
}

#[test]
fn memory_for_input_that_never_becomes_a_frame_is_bounded() {
    let (before, after) = (Limits::before_login(), Limits::default());
    for (is_connected, command, limit) in [
        (false, "CONNECT", before.max_frame_bytes),
        (true, "SEND", after.max_frame_bytes + after.max_head_bytes),
    ] {
        for flood in floods(command, is_connected) {
            let (runtime, mut client) = open(flood.is_websocket, is_connected);
            let bytes = pour(&flood, &runtime, &mut client);
            // A buffer doubles its size when it grows, and needs both the old and the new memory at that moment. The
            // rest of the allowed bytes is for one read.
            assert!(
                bytes <= 3 * limit + (8 << 10),
                "{}: {bytes} bytes, at a limit of {limit}",
                flood.name
            );
            let code = error_code(&runtime, &mut client);
            assert_eq!(code.as_deref(), flood.code, "{}", flood.name);
            println!(
                "{}, {} times: at most {bytes} bytes, at a limit of {limit}",
                flood.name, flood.times
            );
        }
    }
}

#[test]
fn memory_for_unread_answers_to_pings_is_bounded() {
    let limit = Config::default().max_outbound_bytes;
    for is_connected in [false, true] {
        let ping = frame(FIN | PING, &[0; 125]);
        let times = usual_or_soak(10_000, 100_000);
        let flood = Flood::over_websocket("pings", vec![], ping, times);
        let (runtime, mut client) = open(true, is_connected);
        let bytes = pour(&flood, &runtime, &mut client);
        assert!(bytes <= limit, "{bytes} bytes, at a limit of {limit}");
        println!("{times} pings: at most {bytes} bytes, at a limit of {limit}");
    }
}
