//! The deadline of a closing connection, whatever the peer does.

use crate::support::*;
use std::time::Duration;
use stomp_frame::Version;
use stomp_session::{ClientError, CloseCode, Config, Connection, Peer, Session};
use stomp_socket::Socket;
use stomp_testing::websocket;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::JoinHandle,
    time::{Instant, sleep},
};
use tower::service_fn;

/// Bytes that one end of a connection can write before the other must read.
const PIPE: usize = 1_000;

/// A behaviour of a peer whose session closes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Behaviour {
    /// Reads one byte every three seconds.
    Drips,
    /// Does nothing.
    Stops,
    /// Sends frames without an end, and reads one byte now and then.
    Floods,
    /// Sends the beginning of a frame, byte by byte.
    Trickles,
}

/// A session with a full outbound buffer, its connection, and the peer's end of the stream.
async fn full_session(is_websocket: bool) -> (Config, Session, JoinHandle<()>, DuplexStream) {
    // Only the close timeout can end the connection.
    let config = Config::default()
        .max_outbound_bytes(16 << 10)
        .write_timeout(Duration::from_secs(1_000));
    let (mut near, far) = tokio::io::duplex(PIPE);
    let socket_config = Default::default();
    let socket = if is_websocket {
        Socket::over_websocket(far, b"", Peer::default(), &socket_config)
    } else {
        Socket::over_byte_stream(far, Peer::default(), &socket_config)
    };
    let (session, _, connection) = Session::new(socket, config.clone());
    let task = tokio::spawn(run(connection));
    let frames = [connect(Version::V1_2), subscribe("0", "/a")];
    for frame in frames {
        near.write_all(&encoded(&frame, is_websocket))
            .await
            .unwrap();
        settle().await;
    }
    while session.message("/a", "x".repeat(1_000)).is_err() {
        settle().await;
    }
    for _ in 0..50 {
        session.message("/a", "x".repeat(1_000)).unwrap();
    }
    settle().await;
    (config, session, task, near)
}

async fn run(connection: Connection) {
    let accept = service_fn(async |request| accept(&request));
    connection.run(accept).await;
}

fn encoded(frame: &Frame, is_websocket: bool) -> Vec<u8> {
    let bytes = frame.to_bytes(Version::V1_2).unwrap().to_vec();
    if is_websocket {
        websocket::frame(websocket::FIN | websocket::TEXT, &bytes)
    } else {
        bytes
    }
}

/// Behaves like this as long as the server has not dropped the connection.
async fn behave(behaviour: Behaviour, is_websocket: bool, stream: DuplexStream) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let write = async {
        loop {
            let (bytes, pause) = match behaviour {
                Behaviour::Floods => {
                    let frame = encoded(&send("/a", &"y".repeat(500)), is_websocket);
                    (frame, Duration::from_millis(1))
                }
                Behaviour::Trickles => (b"S".to_vec(), Duration::from_millis(500)),
                _ => return std::future::pending().await,
            };
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
            sleep(pause).await;
        }
    };
    let read = async {
        if behaviour == Behaviour::Stops {
            return std::future::pending().await;
        }
        while reader.read_u8().await.is_ok() {
            sleep(Duration::from_secs(3)).await;
        }
    };
    tokio::join!(write, read);
}

/// Closes a session with `close` while its peer behaves badly, and checks that the connection ends in time.
async fn check(close: impl Fn(&Session)) {
    for is_websocket in [false, true] {
        for behaviour in [
            Behaviour::Drips,
            Behaviour::Stops,
            Behaviour::Floods,
            Behaviour::Trickles,
        ] {
            let (config, session, task, stream) = full_session(is_websocket).await;
            assert_eq!(config.sessions.len(), 1);
            tokio::spawn(behave(behaviour, is_websocket, stream));
            sleep(Duration::from_secs(5)).await;
            close(&session);
            settle().await;
            assert!(session.is_closed());
            assert!(config.sessions.is_empty());
            let start = Instant::now();
            task.await.unwrap();
            let elapsed = start.elapsed();
            assert!(
                elapsed <= config.close_timeout + Duration::from_secs(1),
                "{behaviour:?}, WebSocket {is_websocket}: {elapsed:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_told_to_close_is_gone_in_time_whatever_its_peer_does() {
    check(|session| session.close(CloseCode::Policy)).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_credentials_expire_is_gone_in_time_whatever_its_peer_does() {
    check(|session| session.expires_at(Instant::now().into_std())).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_messages_overflow_is_gone_in_time_whatever_its_peer_does() {
    check(|session| {
        for _ in 0..=Config::default().backlog.max_messages {
            let _ = session.message("/a", "x");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn errors_for_a_peer_that_does_not_read_are_bounded() {
    let (_, session, task, _stream) = full_session(false).await;
    let error = || ClientError::new("again", "x".repeat(100));
    let mut sent = 0;
    while session.error(error()).is_ok() {
        sent += 1;
        settle().await;
        assert!(sent <= 64, "{sent} errors are accepted");
    }
    assert_eq!(sent, 64);
    session.close(CloseCode::Away);
    task.await.unwrap();
    assert!(session.error(error()).is_ok(), "it has no effect");
}
