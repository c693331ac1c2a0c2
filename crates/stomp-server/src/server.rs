//! A listener of its own.

use crate::{Config, Upgrade};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{io, net::SocketAddr, time::Duration};
use stomp_socket::Socket;
use tokio::{
    net::{TcpListener, TcpStream, ToSocketAddrs},
    sync::mpsc,
};
use tower_service::Service;

/// Listens for WebSocket connections, on any path, and gives their sockets.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    upgrade: Upgrade,
    http: http1::Builder,
    sockets: mpsc::Receiver<Socket>,
}

/// So many upgraded sockets wait for [`Server::accept`]; further ones wait in their tasks.
const BACKLOG: usize = 64;

/// The longest HTTP head. Cookies make it long.
const LONGEST_HEAD: usize = 16 << 10;

impl Server {
    /// Listens on an address.
    ///
    /// # Errors
    ///
    /// If that is not possible, most often because something else listens there.
    pub async fn bind(address: impl ToSocketAddrs, config: Config) -> io::Result<Server> {
        Ok(Server::new(TcpListener::bind(address).await?, config))
    }

    /// Listens on a listener.
    #[must_use]
    pub fn new(listener: TcpListener, config: Config) -> Server {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(config.handshake_timeout).max_buf_size(LONGEST_HEAD);
        let (sender, sockets) = mpsc::channel(BACKLOG);
        let upgrade = Upgrade::new(config, move |socket| {
            let sender = sender.clone();
            // If nobody accepts any more, the socket is dropped.
            async move { drop(sender.send(socket).await) }
        });
        Server { listener, upgrade, http, sockets }
    }

    /// The address that is listened on.
    ///
    /// # Errors
    ///
    /// If the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next socket whose handshake is done.
    ///
    /// Connections are taken in while this is polled; their handshakes go on in tasks of their own, so that a slow one
    /// delays nobody. Dropping the future loses nothing.
    pub async fn accept(&mut self) -> Socket {
        loop {
            tokio::select! {
                Some(socket) = self.sockets.recv() => return socket,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, address)) => self.shake_hands(stream, address),
                    Err(error) => rest_after(&error).await,
                },
            }
        }
    }

    fn shake_hands(&self, stream: TcpStream, address: SocketAddr) {
        // Frames are small and written in batches already.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let upgrade = self.upgrade.clone();
        let service = service_fn(move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(address);
            upgrade.clone().call(request)
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), service).with_upgrades();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, %address, "a connection ended before it was upgraded");
            }
        });
    }
}

/// Waits after a failed accept, where waiting helps: with no file descriptor left, trying again at once would fail at
/// once.
async fn rest_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "cannot accept connections; trying again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
