//! Where connections come from.

use std::{io, net::SocketAddr, pin::Pin};
use stomp_socket::Peer;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, lookup_host},
};

/// A source of connections. There are those of tokio, [`Tls`](crate::tls::Tls) around any, and yours:
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
    /// The stream of bytes to and from a peer.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next connection. Dropping the future must lose nothing.
    ///
    /// What has to be said before the connection can be used belongs into [`Incoming::then`], where it makes no other
    /// connection wait.
    ///
    /// # Errors
    ///
    /// Not being able to accept now. The server goes on: after a connection that failed before it was accepted at once,
    /// otherwise after a rest of 100 ms.
    fn accept(&mut self) -> impl Future<Output = io::Result<Incoming<Self::Io>>> + Send;
}

/// A connection that has come, and what is still to be said before it can be used.
pub struct Incoming<Io> {
    peer: Peer,
    stage: Stage<Io>,
}

enum Stage<Io> {
    Ready(Io),
    Secured(Secured<Io>),
}

type Secured<Io> = Pin<Box<dyn Future<Output = io::Result<(Io, Peer)>> + Send>>;

impl<Io> Incoming<Io> {
    /// A connection that can be used, and what is known of its peer.
    #[must_use]
    pub fn new(io: Io, peer: Peer) -> Incoming<Io> {
        Incoming {
            peer,
            stage: Stage::Ready(io),
        }
    }

    /// What is known of the peer so far.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Lets `handshake` make another stream of this one, such as one with TLS. It runs in a task of its own, for no
    /// longer than [`Config::handshake_timeout`](crate::Config::handshake_timeout); if it fails, so does the connection.
    #[must_use]
    pub fn then<To, F, R>(self, handshake: F) -> Incoming<To>
    where
        Io: Send + 'static,
        F: FnOnce(Io, Peer) -> R + Send + 'static,
        R: Future<Output = io::Result<(To, Peer)>> + Send + 'static,
    {
        let peer = self.peer.clone();
        let secured = async move {
            let (io, peer) = self.ready().await?;
            handshake(io, peer).await
        };
        Incoming {
            peer,
            stage: Stage::Secured(Box::pin(secured)),
        }
    }

    pub(crate) async fn ready(self) -> io::Result<(Io, Peer)> {
        match self.stage {
            Stage::Ready(io) => Ok((io, self.peer)),
            Stage::Secured(secured) => secured.await,
        }
    }

    /// The stream, if nothing has to be said before it can be used.
    pub(crate) fn into_plain(self) -> Option<Io> {
        match self.stage {
            Stage::Ready(io) => Some(io),
            Stage::Secured(_) => None,
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

/// Listens on an address, with a queue of 4,096 connections that wait to be accepted, as far as the system allows.
///
/// [`TcpListener::bind`] has a shorter one. Where it overflows, as it does when many clients come back at once, those
/// that found no room try again only after a second.
///
/// # Errors
///
/// If that is not possible, most often because something else listens there.
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
    // Elsewhere it means that others may listen there too.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// How many connections may wait to be accepted.
pub(crate) const QUEUE: u32 = 4_096;

impl Listener for TcpListener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<Incoming<TcpStream>> {
        let (stream, address) = TcpListener::accept(self).await?;
        // Frames are small and written in batches already.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        Ok(Incoming::new(stream, Peer::from_address(address)))
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
