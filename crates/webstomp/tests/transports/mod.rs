//! Servers in this process, and the transports on which raw clients reach them.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "no test needs all of it; a helper that fails is a test that fails"
)]

use std::{fmt, net::SocketAddr, sync::Arc};
use stomp_testing::{Client, Received, soon};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use webstomp::{
    App, Peer, Router, Session,
    frame::Version,
    router::{Routes, SessionService, map_error},
    session::{Config, Sessions},
    socket::Socket,
};

/// The number of bytes that a connection in memory buffers in each direction.
pub(crate) const BUFFER_BYTES: usize = 64 << 10;

/// A transport between a client and a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// A byte stream in memory.
    Memory,
    /// A WebSocket in memory, without a handshake.
    MemoryWebSocket,
    /// A byte stream over TCP.
    Tcp,
    /// A WebSocket over TCP.
    TcpWebSocket,
}

impl Transport {
    pub(crate) const ALL: [Transport; 4] = [
        Transport::Memory,
        Transport::MemoryWebSocket,
        Transport::Tcp,
        Transport::TcpWebSocket,
    ];

    pub(crate) fn is_websocket(self) -> bool {
        matches!(self, Transport::MemoryWebSocket | Transport::TcpWebSocket)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Memory => "memory",
            Transport::MemoryWebSocket => "memory-websocket",
            Transport::Tcp => "tcp",
            Transport::TcpWebSocket => "tcp-websocket",
        })
    }
}

/// A server that clients reach over every transport.
pub(crate) struct Server {
    routes: Routes,
    config: Arc<Config>,
    tcp: SocketAddr,
    websocket: SocketAddr,
}

impl Server {
    /// Starts a server with these routes. `router` is called twice: for WebSockets over TCP, and for the other
    /// transports.
    pub(crate) async fn start(router: impl Fn() -> Router, config: Config) -> Server {
        let config = config.error_mapper(map_error);
        let (bytes, websockets) = (listen(), listen());
        let (tcp, websocket) = (
            bytes.local_addr().unwrap(),
            websockets.local_addr().unwrap(),
        );
        let app = App::from(router()).session_config(config.clone());
        tokio::spawn(app.serve(websockets));
        let (routes, config) = (router().build().unwrap(), Arc::new(config));
        tokio::spawn(accept(bytes, routes.clone(), Arc::clone(&config)));
        Server {
            routes,
            config,
            tcp,
            websocket,
        }
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.config.sessions
    }

    /// Opens a connection, without a `CONNECT` frame. Over TCP, `number` chooses one of several local addresses, so that
    /// long runs do not exhaust the ports.
    pub(crate) async fn open(&self, transport: Transport, number: usize) -> Client {
        if let Transport::Memory | Transport::MemoryWebSocket = transport {
            let service = self.routes.clone();
            return open_in_memory(service, &self.config, transport.is_websocket());
        }
        self.open_tcp(transport.is_websocket(), tcp_socket(number))
            .await
    }

    /// Opens a connection and connects in STOMP 1.2.
    pub(crate) async fn connect(&self, transport: Transport) -> Client {
        let mut client = self.open(transport, 0).await;
        client.connect(Version::V1_2).await;
        client
    }

    /// Opens a TCP connection that the client resets when it is dropped.
    pub(crate) async fn open_resetting(&self, is_websocket: bool, number: usize) -> Client {
        let socket = tcp_socket(number);
        socket.set_zero_linger().unwrap();
        self.open_tcp(is_websocket, socket).await
    }

    async fn open_tcp(&self, is_websocket: bool, socket: TcpSocket) -> Client {
        if is_websocket {
            let stream = connect(socket, self.websocket).await;
            Client::upgrade(stream, "/stomp", &[]).await.unwrap()
        } else {
            Client::over_byte_stream(connect(socket, self.tcp).await)
        }
    }
}

/// Runs a session of `service` over a connection in memory, and returns its client.
pub(crate) fn open_in_memory(
    service: impl SessionService,
    config: &Arc<Config>,
    is_websocket: bool,
) -> Client {
    let (near, far) = tokio::io::duplex(BUFFER_BYTES);
    let (peer, settings) = (Peer::default(), Default::default());
    if is_websocket {
        run(
            Socket::over_websocket(near, b"", peer, &settings),
            service,
            config,
        );
        Client::over_websocket(far)
    } else {
        run(
            Socket::over_byte_stream(near, peer, &settings),
            service,
            config,
        );
        Client::over_byte_stream(far)
    }
}

fn run(socket: Socket, service: impl SessionService, config: &Arc<Config>) {
    let (_, _, connection) = Session::new(socket, Arc::clone(config));
    tokio::spawn(connection.run(service));
}

/// A listener on a free port, with room for many clients at once.
fn listen() -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket.listen(1024).unwrap()
}

/// Serves STOMP directly over TCP.
async fn accept(listener: TcpListener, routes: Routes, config: Arc<Config>) {
    loop {
        // `accept` fails if a connection was reset before it was accepted. This is no reason to stop.
        if let Ok((stream, address)) = listener.accept().await {
            stream.set_nodelay(true).ok();
            let socket =
                Socket::over_byte_stream(stream, Peer::from_address(address), &Default::default());
            run(socket, routes.clone(), &config);
        }
    }
}

/// A TCP socket on a local address that `number` chooses.
fn tcp_socket(number: usize) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    let source = [127, 0, 0, 2 + u8::try_from(number % 16).unwrap()];
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    socket
}

async fn connect(socket: TcpSocket, address: SocketAddr) -> TcpStream {
    let stream = soon(socket.connect(address)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Returns the next event that is neither a heart-beat nor a ping.
pub(crate) async fn next(client: &mut Client) -> Received {
    soon(async {
        loop {
            match client.receive().await {
                Received::HeartBeat | Received::Ping => {}
                received => return received,
            }
        }
    })
    .await
}
