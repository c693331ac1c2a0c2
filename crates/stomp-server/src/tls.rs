//! TLS with rustls. Certificates, versions and verifiers are configured in the `ServerConfig` of rustls.

use crate::{
    Incoming, Listener,
    sniff::{Protocol, Sniff},
};
use bytes::Bytes;
use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use stomp_socket::TlsIdentity;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;

pub use tokio_rustls::rustls;

/// A listener whose connections begin with a TLS handshake.
///
/// The handshake runs in the connection's own task, for at most
/// [`Config::handshake_timeout`](crate::Config::handshake_timeout). The results of the handshake, such as the client's
/// certificates, are in [`Peer::tls`](stomp_socket::Peer::tls).
///
/// ```no_run
/// use std::sync::Arc;
/// use stomp_server::{Config, Server, bind, tls::{Tls, rustls}};
///
/// # async fn example(tls: rustls::ServerConfig) -> Result<(), Box<dyn std::error::Error>> {
/// let port = bind("0.0.0.0:8443").await?;
/// let server = Server::new(Tls::new(port, tls), Config::default())?;
/// # Ok(())
/// # }
/// ```
///
/// If the configuration lists ALPN protocols, they must include `http/1.1` for WebSockets, and must not include `h2`.
pub struct Tls<L> {
    listener: L,
    acceptor: TlsAcceptor,
}

impl<L: Listener> Tls<L> {
    /// Wraps each connection of `listener` in TLS.
    pub fn new(listener: L, config: impl Into<Arc<rustls::ServerConfig>>) -> Tls<L> {
        Tls {
            listener,
            acceptor: TlsAcceptor::from(config.into()),
        }
    }
}

impl<L: Listener> Listener for Tls<L> {
    type Io = TlsStream<L::Io>;

    async fn accept(&mut self) -> io::Result<Incoming<TlsStream<L::Io>>> {
        let acceptor = self.acceptor.clone();
        let incoming = self.listener.accept().await?;
        Ok(incoming.then(|io, peer| async move {
            let stream = acceptor.accept(Sniff::new(io, Protocol::Tls)).await?;
            let identity = identity_of(stream.get_ref().1);
            Ok((TlsStream(stream), peer.with_tls(Some(identity))))
        }))
    }

    fn tcp_stream(io: &TlsStream<L::Io>) -> Option<&TcpStream> {
        L::tcp_stream(io.0.get_ref().0.get_ref())
    }
}

fn identity_of(connection: &rustls::ServerConnection) -> TlsIdentity {
    let mut identity = TlsIdentity::default();
    let certificates = connection.peer_certificates().unwrap_or_default();
    identity.certificates = certificates
        .iter()
        .map(|certificate| Bytes::copy_from_slice(certificate))
        .collect();
    identity.server_name = connection.server_name().map(str::to_owned);
    identity.alpn = connection.alpn_protocol().map(Bytes::copy_from_slice);
    identity
}

impl<L> fmt::Debug for Tls<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// A byte stream over TLS.
pub struct TlsStream<S>(tokio_rustls::server::TlsStream<Sniff<S>>);

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl<S> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").finish_non_exhaustive()
    }
}
