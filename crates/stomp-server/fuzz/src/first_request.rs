//! Checks that a server treats a request that arrives in one piece, which it may answer itself, like the same request in
//! two pieces, which hyper answers.
//!
//! The input consists of a byte for the settings, and of all that a client sends.

use super::exchange::{MAX_BYTES, Settings, run};
use std::{future::poll_fn, io, time::Duration};
use stomp_server::{
    Config, ConnectionLimits, ForwardedHeader, Incoming, Listener, Listeners, Peer, Server,
    TrustedProxies,
};
use stomp_socket::Socket;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};

/// The results of a connection.
#[derive(Debug, PartialEq, Eq)]
struct Results {
    /// All lines that the server sent, in the order of the alphabet, because hyper chooses another order of headers.
    /// Without the line `date`, which hyper adds.
    response: Vec<String>,
    /// The peer of the socket, if a handshake was accepted, and everything that it read.
    socket: Option<String>,
}

/// Checks that both ways have the same results.
pub fn check(input: &[u8]) {
    let (first, bytes) = input.split_first().unwrap_or((&b'0', &[]));
    let settings = Settings::from_byte(*first);
    let serve = |pieces: &[&[u8]]| {
        let config = config(settings, *first);
        run(serve(config, Peer::from_address(settings.peer()), pieces))
    };
    let whole = serve(&[bytes]);
    let ends = [&b"\n\n"[..], b"\n\r\n"];
    if !ends.iter().any(|end| contains(bytes, end)) {
        // hyper rejects the beginning of a head at once only if that is the first thing that it reads.
        assert!(whole.socket.is_none(), "{}", bytes.escape_ascii());
        return;
    }
    // The server tries to answer the first byte alone, and leaves it to hyper.
    let (start, rest) = bytes.split_at(1);
    let split = serve(&[start, rest]);
    assert_eq!(whole, split, "{}", bytes.escape_ascii());
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Returns the settings of a server. They include some that a mounted handshake does not have.
fn config(settings: Settings, byte: u8) -> Config {
    let mut config = settings.config();
    if byte & 8 != 0 {
        config.websocket_path = Some("/stomp".to_owned());
    }
    if byte & 64 != 0 {
        let proxies = TrustedProxies::new(["192.0.2.0/24", "127.0.0.0/8"]);
        config.trusted_proxies = proxies.expect("they are networks");
        config.connection_limits = ConnectionLimits::default().max_per_address(1);
    }
    if byte & 128 != 0 {
        let proxies = config.trusted_proxies.header(ForwardedHeader::Forwarded);
        config.trusted_proxies = proxies;
    }
    config
}

/// A handshake of the client 192.0.2.9, from whose address there may be one connection.
const OCCUPANT: &[u8] = b"GET /stomp HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nForwarded: for=192.0.2.9\r\n\
    X-Forwarded-For: 192.0.2.9\r\n\r\n";

/// The connections of a server.
struct InMemory(mpsc::Receiver<(DuplexStream, Peer)>);

impl Listener for InMemory {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<Incoming<DuplexStream>> {
        let (io, peer) = self.0.recv().await.ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Incoming::new(io, peer))
    }
}

/// Sends `pieces` to a server, one after the other.
async fn serve(config: Config, peer: Peer, pieces: &[&[u8]]) -> Results {
    let (connections, receiver) = mpsc::channel(1);
    let listeners = Listeners::new().websocket(InMemory(receiver));
    let is_limited = config.connection_limits.max_per_address.is_some();
    let mut server = Server::new(listeners, config).expect("the settings are valid");
    let connect = || {
        let (client, io) = duplex(MAX_BYTES);
        let sent = connections.try_send((io, peer.clone()));
        assert!(sent.is_ok(), "the channel has room");
        client
    };
    let mut occupied = None;
    if is_limited {
        let mut client = connect();
        client.write_all(OCCUPANT).await.expect("the pipe has room");
        occupied = Some((server.accept().await.expect("a handshake"), client));
    }
    let client = connect();
    let mut talking = Box::pin(talk(client, pieces));
    let mut socket = None;
    let response = loop {
        tokio::select! {
            response = &mut talking => break response,
            accepted = server.accept() => {
                let accepted = accepted.expect("no shutdown has started");
                assert!(socket.replace(read(accepted)).is_none(), "two sockets");
            }
        }
    };
    let socket = match socket {
        Some(reading) => Some(reading.await.expect("no panic")),
        None => None,
    };
    drop(occupied);
    Results { response, socket }
}

/// Sends `pieces`, and returns the lines that the server sends.
async fn talk(mut client: DuplexStream, pieces: &[&[u8]]) -> Vec<String> {
    for piece in pieces {
        // Fails if the server has closed the connection.
        let _ = client.write_all(piece).await;
        // The clock stands still until the server has read the piece.
        sleep(Duration::from_millis(1)).await;
    }
    let mut response = Vec::new();
    let _ = client.read_to_end(&mut response).await;
    let lines = response.split_inclusive(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.starts_with(b"date: "));
    let mut lines: Vec<_> = lines.map(|line| line.escape_ascii().to_string()).collect();
    lines.sort_unstable();
    lines
}

/// Reads from a socket for a while.
fn read(mut socket: Socket) -> JoinHandle<String> {
    tokio::spawn(async move {
        let peer = socket.peer();
        let mut text = format!("{peer:?} {:?}", peer.request);
        let mut reading = async || poll_fn(|cx| socket.poll_read(cx)).await;
        while let Ok(Some(inbound)) = timeout(Duration::from_secs(1), reading()).await {
            text += &format!("\n{inbound:?}");
        }
        text
    })
}
