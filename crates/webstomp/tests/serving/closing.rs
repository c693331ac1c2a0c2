//! Sessions that are told to close over TCP, while their peers do whatever they like.

use std::{io, time::Duration};
use stomp_testing::{
    frames::{connect, send, subscribe},
    soon,
    websocket::{FIN, TEXT, frame},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
    time::sleep,
};
use webstomp::{
    frame::{Frame, Version},
    session::{BoxError, CloseCode, Config, Peer, Request, Response, Session},
    socket::Socket,
};

/// A behaviour of a peer whose session closes.
#[derive(Debug, Clone, Copy)]
enum Behaviour {
    /// Reads a few bytes now and then.
    Drips,
    /// Does nothing.
    Stops,
    /// Sends frames without an end, and reads a few bytes now and then.
    Floods,
}

/// A pair of connected streams with small buffers. The first is the server's.
async fn streams() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpSocket::new_v4().unwrap();
    client.set_recv_buffer_size(4 << 10).unwrap();
    let address = listener.local_addr().unwrap();
    let (client, accepted) = tokio::join!(client.connect(address), listener.accept());
    (accepted.unwrap().0, client.unwrap())
}

/// A session with more output than the buffers of both ends can hold.
async fn full_session(is_websocket: bool) -> (Session, JoinHandle<()>, TcpStream) {
    let (server, mut client) = streams().await;
    let socket_config = Default::default();
    let socket = if is_websocket {
        Socket::over_websocket(server, b"", Peer::default(), &socket_config)
    } else {
        Socket::over_byte_stream(server, Peer::default(), &socket_config)
    };
    // Only the close timeout can end the connection.
    let config = Config::default()
        .max_outbound_bytes(16 << 20)
        .write_timeout(Duration::from_secs(1_000))
        .close_timeout(Duration::from_millis(300));
    let (session, _, connection) = Session::new(socket, config);
    let task = tokio::spawn(async move {
        let accept = tower::service_fn(async |_: Request| Ok::<_, BoxError>(Response::Done));
        connection.run(accept).await;
    });
    for frame in [connect(Version::V1_2), subscribe("0", "/a")] {
        client
            .write_all(&encoded(&frame, is_websocket))
            .await
            .unwrap();
    }
    while session.message("/a", "x").is_err() {
        sleep(Duration::from_millis(1)).await;
    }
    for _ in 0..16 {
        session.message("/a", "x".repeat(1 << 20)).unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    (session, task, client)
}

fn encoded(sent: &Frame, is_websocket: bool) -> Vec<u8> {
    let bytes = sent.to_bytes(Version::V1_2).unwrap().to_vec();
    if is_websocket {
        frame(FIN | TEXT, &bytes)
    } else {
        bytes
    }
}

/// Behaves like this until the server drops the connection.
async fn behave(behaviour: Behaviour, is_websocket: bool, mut client: TcpStream) -> io::Result<()> {
    let (mut reader, mut writer) = client.split();
    let write = async {
        let Behaviour::Floods = behaviour else {
            return std::future::pending().await;
        };
        loop {
            let frame = encoded(&send("/a", &"y".repeat(500)), is_websocket);
            writer.write_all(&frame).await?;
            sleep(Duration::from_millis(1)).await;
        }
    };
    let read = async {
        if let Behaviour::Stops = behaviour {
            return std::future::pending().await;
        }
        loop {
            let mut bytes = [0; 2 << 10];
            reader.read_exact(&mut bytes).await?;
            sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        result = write => result,
        result = read => result,
    }
}

#[tokio::test]
async fn a_session_that_is_told_to_close_ends_whatever_its_peer_does() {
    for is_websocket in [false, true] {
        for behaviour in [Behaviour::Drips, Behaviour::Stops, Behaviour::Floods] {
            let (session, task, client) = full_session(is_websocket).await;
            let peer = tokio::spawn(behave(behaviour, is_websocket, client));
            session.close(CloseCode::Policy);
            soon(task)
                .await
                .unwrap_or_else(|error| panic!("{behaviour:?}, {is_websocket}: {error}"));
            peer.abort();
        }
    }
}
