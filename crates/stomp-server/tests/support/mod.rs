//! A server over connections in memory, for tests with a paused clock.

#![allow(dead_code, unreachable_pub, reason = "each test file uses some of it")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails the test"
)]

use std::{collections::VecDeque, io, net::SocketAddr};
use stomp_server::{Config, Incoming, Listener, Listeners, Peer, Server};
use stomp_socket::Socket;
use stomp_testing::soon;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc,
};

/// A valid WebSocket handshake.
pub const HANDSHAKE: &str = "GET /stomp HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A listener in memory.
pub struct InMemory {
    incoming: mpsc::UnboundedReceiver<(DuplexStream, Option<SocketAddr>)>,
    /// Errors to return before the first connection is accepted.
    pub failures: VecDeque<io::Error>,
}

/// Creates connections to an [`InMemory`] listener.
#[derive(Clone)]
pub struct Dial(mpsc::UnboundedSender<(DuplexStream, Option<SocketAddr>)>);

pub fn in_memory() -> (InMemory, Dial) {
    let (sender, incoming) = mpsc::unbounded_channel();
    (
        InMemory {
            incoming,
            failures: VecDeque::new(),
        },
        Dial(sender),
    )
}

impl Listener for InMemory {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<Incoming<DuplexStream>> {
        if let Some(error) = self.failures.pop_front() {
            return Err(error);
        }
        match self.incoming.recv().await {
            Some((io, address)) => Ok(Incoming::new(io, Peer::default().with_address(address))),
            None => std::future::pending().await,
        }
    }
}

/// The client's end of a connection.
pub struct Client(pub DuplexStream);

impl Dial {
    pub fn connect(&self) -> Client {
        self.connect_from(None)
    }

    pub fn connect_from(&self, address: Option<&str>) -> Client {
        let (ours, theirs) = tokio::io::duplex(4 << 10);
        self.0
            .send((
                ours,
                address.map(|ip| SocketAddr::new(ip.parse().unwrap(), 4711)),
            ))
            .unwrap_or_default();
        Client(theirs)
    }

    /// Connects and sends a handshake. Returns the client and the status of the response.
    pub async fn handshake(&self) -> (Client, u16) {
        let mut client = self.connect();
        let status = client.handshake().await;
        (client, status)
    }
}

impl Client {
    pub async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends a handshake and returns the status of the response.
    pub async fn handshake(&mut self) -> u16 {
        // Writing fails if the server has already refused the connection.
        let _ = self.0.write_all(HANDSHAKE.as_bytes()).await;
        let head = self.head().await;
        head.split(' ')
            .nth(1)
            .unwrap_or_else(|| panic!("no status in the response {head:?}"))
            .parse()
            .unwrap()
    }

    /// Reads to the next empty line, or to the end of the stream.
    pub async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match soon(self.0.read_u8()).await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        String::from_utf8(head).unwrap()
    }

    /// Reads to the end of the stream.
    pub async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let _ = soon(self.0.read_to_end(&mut rest)).await;
        String::from_utf8_lossy(&rest).into_owned()
    }
}

/// Runs a server and returns a channel with its sockets.
pub fn serve(listeners: impl Into<Listeners>, config: Config) -> mpsc::UnboundedReceiver<Socket> {
    let mut server = Server::new(listeners, config).unwrap();
    let (sender, sockets) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(socket) = server.accept().await {
            let _ = sender.send(socket);
        }
    });
    sockets
}

/// Yields often enough for all tasks to reach a state where they wait.
pub async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}
