//! Sources of connections.

use std::{io, net::SocketAddr, pin::Pin, time::Duration};
use stomp_socket::Peer;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, lookup_host},
    time::timeout,
};

/// A source of connections: tokio's listeners, [`Tls`](crate::tls::Tls) over any listener, or your own:
///
/// ```
/// use std::io;
/// use stomp_server::{Incoming, Listener, Peer};
/// use tokio::{io::DuplexStream, sync::mpsc};
///
/// struct InMemory(mpsc::Receiver<DuplexStream>);
///
/// impl Listener for InMemory {
///     type Io = DuplexStream;
///
///     async fn accept(&mut self) -> io::Result<Incoming<DuplexStream>> {
///         let io = self.0.recv().await.ok_or(io::ErrorKind::BrokenPipe)?;
///         Ok(Incoming::new(io, Peer::default()))
///     }
/// }
/// ```
pub trait Listener: Send + 'static {
    /// The byte stream of a connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next connection. Dropping the future must not lose a connection.
    ///
    /// Put a handshake that precedes HTTP, such as TLS, into [`Incoming::then`], so that it delays no other connection.
    ///
    /// # Errors
    ///
    /// Returns an error if no connection can be accepted now. The server retries. It retries at once if only this
    /// connection failed (aborted, refused or reset) or the call was interrupted. Otherwise it logs the error and
    /// retries after 100 ms.
    fn accept(&mut self) -> impl Future<Output = io::Result<Incoming<Self::Io>>> + Send;

    /// The address on which this listener listens, for the log. A listener that wraps another one should forward to it.
    /// Default: none.
    fn local_address(&self) -> Option<SocketAddr> {
        None
    }

    /// The TCP listener under this one. On Linux, the server sets the options of all its connections there, once, and
    /// saves system calls. A listener that wraps another one may forward to it. Default: none.
    fn tcp_listener(&self) -> Option<&TcpListener> {
        None
    }

    /// The TCP connection under a stream. The server sets `TCP_NODELAY` on it, and applies
    /// [`Config::tcp_keepalive`](crate::Config::tcp_keepalive). A listener that wraps another one should forward to it.
    /// Default: none.
    fn tcp_stream(io: &Self::Io) -> Option<&TcpStream> {
        let _ = io;
        None
    }
}

/// An accepted connection, and the handshake that it still needs, if any.
pub struct Incoming<Io> {
    peer: Peer,
    stage: Stage<Io>,
}

enum Stage<Io> {
    Ready(Io),
    Handshake(Handshake<Io>),
}

type Handshake<Io> = Pin<Box<dyn Future<Output = io::Result<(Io, Peer)>> + Send>>;

impl<Io> Incoming<Io> {
    /// Creates a connection that needs no further handshake.
    #[must_use]
    pub fn new(io: Io, peer: Peer) -> Incoming<Io> {
        Incoming {
            peer,
            stage: Stage::Ready(io),
        }
    }

    /// The peer, with the facts that are known so far.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Adds a handshake that turns the stream into another stream, for example into one with TLS.
    ///
    /// The handshake runs in the connection's own task, for at most
    /// [`Config::handshake_timeout`](crate::Config::handshake_timeout). If it fails, the connection is closed.
    #[must_use]
    pub fn then<To, F, R>(self, handshake: F) -> Incoming<To>
    where
        Io: Send + 'static,
        F: FnOnce(Io, Peer) -> R + Send + 'static,
        R: Future<Output = io::Result<(To, Peer)>> + Send + 'static,
    {
        let peer = self.peer.clone();
        let established = async move {
            let (io, peer) = self.establish().await?;
            handshake(io, peer).await
        };
        Incoming {
            peer,
            stage: Stage::Handshake(Box::pin(established)),
        }
    }

    /// Runs the handshake, if there is one.
    async fn establish(self) -> io::Result<(Io, Peer)> {
        match self.stage {
            Stage::Ready(io) => Ok((io, self.peer)),
            Stage::Handshake(handshake) => handshake.await,
        }
    }

    /// Runs the handshake, if there is one, for at most this time.
    pub(crate) async fn establish_within(self, time: Duration) -> io::Result<(Io, Peer)> {
        match self.stage {
            Stage::Ready(io) => Ok((io, self.peer)),
            Stage::Handshake(handshake) => timeout(time, handshake).await?,
        }
    }

    /// The stream, if it needs no handshake; otherwise `None`.
    pub(crate) fn into_ready(self) -> Option<Io> {
        match self.stage {
            Stage::Ready(io) => Some(io),
            Stage::Handshake(_) => None,
        }
    }
}

impl<Io> std::fmt::Debug for Incoming<Io> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// Binds a TCP listener to an address, with a queue of up to 4,096 connections that wait to be accepted. The operating
/// system may use a shorter queue. If there are several addresses, binds the first one that is free.
///
/// The queue of [`TcpListener::bind`] is shorter. If a queue overflows, for example because many clients reconnect at
/// once, TCP retries only after a second.
///
/// # Errors
///
/// Returns an error if no address can be bound, usually because another process listens on it.
pub async fn bind(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in lookup_host(address).await? {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Unix only: on Windows the option lets other processes bind the same address.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// Maximum number of connections that wait to be accepted.
pub(crate) const QUEUE: u32 = 4_096;

impl Listener for TcpListener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<Incoming<TcpStream>> {
        let (stream, address) = TcpListener::accept(self).await?;
        Ok(Incoming::new(stream, Peer::from_address(address)))
    }

    fn local_address(&self) -> Option<SocketAddr> {
        self.local_addr().ok()
    }

    fn tcp_listener(&self) -> Option<&TcpListener> {
        Some(self)
    }

    fn tcp_stream(io: &TcpStream) -> Option<&TcpStream> {
        Some(io)
    }
}

#[cfg(unix)]
impl Listener for tokio::net::UnixListener {
    type Io = tokio::net::UnixStream;

    async fn accept(&mut self) -> io::Result<Incoming<tokio::net::UnixStream>> {
        let (stream, _) = tokio::net::UnixListener::accept(self).await?;
        Ok(Incoming::new(stream, Peer::default()))
    }
}
