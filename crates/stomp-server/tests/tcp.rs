//! Tests for the options of TCP connections.

#![allow(clippy::unwrap_used, reason = "a failing helper fails the test")]

mod support;

use http::Request;
use hyper::{body::Incoming as Body, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use std::{io, time::Duration};
use stomp_server::{Config, Incoming, Listener, Listeners, Upgrade};
use stomp_testing::soon;
use support::{HANDSHAKE, serve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tower_service::Service;

/// Another handle to the server's end of a connection, which shows its options.
type Handle = std::net::TcpStream;

/// A listener that also sends a handle of each connection to the test.
struct Spy {
    listener: TcpListener,
    handles: mpsc::UnboundedSender<Handle>,
    /// True if connections inherit the options of the listener.
    inherits: bool,
}

impl Listener for Spy {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<Incoming<TcpStream>> {
        let incoming = Listener::accept(&mut self.listener).await?;
        let (handles, inherits) = (self.handles.clone(), self.inherits);
        Ok(incoming.then(move |stream, peer| async move {
            if !inherits {
                // A listener need not set the option.
                stream.set_nodelay(false).unwrap();
            }
            let (stream, handle) = duplicate(stream);
            handles.send(handle).unwrap();
            Ok((stream, peer))
        }))
    }

    fn tcp_listener(&self) -> Option<&TcpListener> {
        self.inherits.then_some(&self.listener)
    }

    fn tcp_stream(io: &TcpStream) -> Option<&TcpStream> {
        TcpListener::tcp_stream(io)
    }
}

fn duplicate(stream: TcpStream) -> (TcpStream, Handle) {
    let stream = stream.into_std().unwrap();
    let handle = stream.try_clone().unwrap();
    (TcpStream::from_std(stream).unwrap(), handle)
}

/// Checks the options of a connection of a server whose keep-alive begins after `idle`.
fn check(handle: &Handle, idle: Option<Duration>) {
    let socket = SockRef::from(handle);
    assert!(socket.tcp_nodelay().unwrap());
    assert_eq!(socket.keepalive().unwrap(), idle.is_some());
    #[cfg(target_os = "linux")]
    if let Some(idle) = idle {
        assert_eq!(socket.tcp_keepalive_time().unwrap(), idle);
        assert_eq!(socket.tcp_keepalive_interval().unwrap().as_secs(), 10);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 6);
        let unacknowledged = socket.tcp_user_timeout().unwrap().unwrap();
        assert_eq!(unacknowledged, idle + Duration::from_secs(60));
    }
}

async fn listener() -> (TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn every_connection_of_a_server_has_tcp_nodelay_and_keep_alive() {
    for (idle, inherits) in [
        (Some(Duration::from_secs(60)), true),
        (Some(Duration::from_secs(7)), false),
        (None, true),
    ] {
        let ((web, web_address), (raw, raw_address)) = (listener().await, listener().await);
        let (handles_of, mut handles) = mpsc::unbounded_channel();
        let spy = |listener| Spy {
            listener,
            handles: handles_of.clone(),
            inherits,
        };
        // Such a connection has not inherited the options.
        let mut early = TcpStream::connect(web_address).await.unwrap();
        let listeners = Listeners::new().websocket(spy(web)).byte_stream(spy(raw));
        let mut config = Config::default();
        if idle != config.tcp_keepalive {
            config = config.tcp_keepalive(idle);
        }
        let mut sockets = serve(listeners, config);
        early.write_all(HANDSHAKE.as_bytes()).await.unwrap();
        let _early_socket = soon(sockets.recv()).await.unwrap();
        check(&soon(handles.recv()).await.unwrap(), idle);
        for (address, bytes) in [(web_address, HANDSHAKE), (raw_address, "")] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(bytes.as_bytes()).await.unwrap();
            let _socket = soon(sockets.recv()).await.unwrap();
            check(&soon(handles.recv()).await.unwrap(), idle);
        }
    }
}

#[tokio::test]
async fn an_upgraded_tcp_connection_has_tcp_nodelay_and_keep_alive() {
    let (listener, address) = listener().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    let (stream, handle) = duplicate(listener.accept().await.unwrap().0);
    let (sender, mut served) = mpsc::unbounded_channel();
    let upgrade = Upgrade::new(Config::default(), move |socket| {
        sender.send(socket).unwrap();
        std::future::ready(())
    })
    .unwrap();
    let service = service_fn(move |request: Request<Body>| upgrade.clone().call(request));
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    soon(connection).await.unwrap();
    let _socket = soon(served.recv()).await.unwrap();
    check(&handle, Config::default().tcp_keepalive);
    let mut head = [0; 12];
    client.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
}

#[tokio::test]
async fn a_connection_of_axum_has_tcp_nodelay_and_keep_alive() {
    /// A listener for axum that also sends a handle of each connection to the test.
    struct Spy(TcpListener, mpsc::UnboundedSender<Handle>);

    impl axum::serve::Listener for Spy {
        type Io = TcpStream;
        type Addr = std::net::SocketAddr;

        async fn accept(&mut self) -> (TcpStream, Self::Addr) {
            let (stream, address) = self.0.accept().await.unwrap();
            let (stream, handle) = duplicate(stream);
            self.1.send(handle).unwrap();
            (stream, address)
        }

        fn local_addr(&self) -> io::Result<Self::Addr> {
            self.0.local_addr()
        }
    }

    let (listener, address) = listener().await;
    let (sender, mut handles) = mpsc::unbounded_channel();
    let (served, mut sockets) = mpsc::unbounded_channel();
    let upgrade = Upgrade::new(Config::default(), move |socket| {
        served.send(socket).unwrap();
        std::future::ready(())
    })
    .unwrap();
    let http = axum::Router::new().route_service("/stomp", upgrade);
    tokio::spawn(async move { axum::serve(Spy(listener, sender), http).await });
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    let _socket = soon(sockets.recv()).await.unwrap();
    let handle = soon(handles.recv()).await.unwrap();
    check(&handle, Config::default().tcp_keepalive);
}
