//! Heart-beats and deadlines of sessions that have much to do.

use crate::support::*;
use futures_util::{FutureExt, stream};
use std::{
    future::{pending, ready},
    time::Duration,
};
use stomp_frame::{HeartBeat, Version};
use stomp_session::{BoxError, Config, Message, Peer, Request, Response, Session};
use stomp_socket::Socket;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::yield_now,
    time::advance,
};
use tower::service_fn;

/// The heart-beats are counted on the stream itself, because a client would have to read them while it writes.
#[tokio::test(start_paused = true)]
async fn a_flood_of_frames_does_not_delay_heart_beats() {
    let mut config = Config::default();
    config.heart_beat = HeartBeat {
        send: 100,
        receive: 0,
    };
    let (near, far) = tokio::io::duplex(1 << 20);
    let socket = Socket::over_byte_stream(far, Peer::default(), &Default::default());
    let (_session, _, connection) = Session::new(socket, config);
    tokio::spawn(connection.run(service_fn(|_| ready(Ok::<_, BoxError>(Response::Done)))));
    let (mut reader, mut writer) = tokio::io::split(near);
    writer
        .write_all(b"CONNECT\naccept-version:1.2\nheart-beat:0,100\n\n\0")
        .await
        .unwrap();
    let mut received = [0; 4_096];
    assert_ne!(reader.read(&mut received).await.unwrap(), 0, "CONNECTED");
    let flood = tokio::spawn(async move {
        let frames = b"SEND\ndestination:/a\n\nhello\0".repeat(10_000);
        while writer.write_all(&frames).await.is_ok() {}
    });
    for _ in 0..5 {
        advance(Duration::from_millis(100)).await;
        // A busy runtime looks at its timers only now and then.
        for _ in 0..3 {
            yield_now().await;
        }
    }
    assert!(!flood.is_finished());
    let count = reader
        .read(&mut received)
        .now_or_never()
        .map_or(0, Result::unwrap);
    let received = received.iter().take(count);
    let beats = received.filter(|byte| **byte == b'\n').count();
    assert!(beats >= 5, "{beats} heart-beats in five intervals");
}

#[tokio::test(start_paused = true)]
async fn a_busy_stream_does_not_delay_the_handler_timeout() {
    let mut config = Config::default();
    // The stream never has to wait for room.
    config.max_outbound_bytes = usize::MAX;
    let late = config.handler_timeout * 2;
    let service = service_fn(|request: Request| async move {
        match request.command() {
            Command::Subscribe => Ok(Response::observe(stream::repeat_with(|| {
                Message::new("again")
            }))),
            Command::Send => pending().await,
            _ => Ok(Response::Done),
        }
    });
    let (_session, mut client, _) = run(config, service);
    // The client runs in a task of its own, so that it runs as often as the session.
    let client = tokio::spawn(async move {
        client.connect(Version::V1_2).await;
        client.send(subscribe("0", "/a")).await;
        client.request(send("/b", "")).await;
        for number in 0..50_000 {
            if number == 1_000 {
                advance(late).await;
            }
            let frame = client.next_frame().await.unwrap();
            if frame.command == Command::Error {
                return frame.headers.get("message") == Some("timeout");
            }
        }
        false
    });
    assert!(
        client.await.unwrap(),
        "no ERROR with the code timeout among 50,000 frames"
    );
}
