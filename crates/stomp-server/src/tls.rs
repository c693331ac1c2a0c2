//! TLS with rustls. Certificates, versions and verifiers are configured in the `ServerConfig` of rustls.

use crate::{
    Incoming, Listener,
    sniff::{Protocol, Sniff},
    tcp,
};
use bytes::Bytes;
use std::{
    fmt, io, mem,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
};
use stomp_socket::TlsIdentity;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
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
///
/// A [`TlsConfig`] replaces the configuration while the listener runs, for example to renew a certificate.
pub struct Tls<L> {
    listener: L,
    config: TlsConfig,
}

impl<L: Listener> Tls<L> {
    /// Wraps each connection of `listener` in TLS.
    pub fn new(listener: L, config: impl Into<TlsConfig>) -> Tls<L> {
        Tls {
            listener,
            config: config.into(),
        }
    }
}

impl<L: Listener> Listener for Tls<L> {
    type Io = TlsStream<L::Io>;

    async fn accept(&mut self) -> io::Result<Incoming<TlsStream<L::Io>>> {
        let incoming = self.listener.accept().await?;
        // Not before: while the listener waited, the configuration may have been replaced.
        let acceptor = TlsAcceptor::from(self.config.current());
        Ok(incoming.then(|io, peer| async move {
            // The server does this too, but only after the handshake.
            if let Some(stream) = L::tcp_stream(&io) {
                tcp::set_nodelay(stream);
            }
            let stream = acceptor
                .accept(Sniff::new(io, Protocol::Tls, peer.address))
                .await?;
            let identity = identity_of(stream.get_ref().1);
            Ok((TlsStream(stream), peer.with_tls(Some(identity))))
        }))
    }

    fn local_address(&self) -> Option<SocketAddr> {
        self.listener.local_address()
    }

    fn tcp_listener(&self) -> Option<&TcpListener> {
        self.listener.tcp_listener()
    }

    fn tcp_stream(io: &TlsStream<L::Io>) -> Option<&TcpStream> {
        L::tcp_stream(io.0.get_ref().0.get_ref())
    }
}

/// A TLS configuration that can be replaced while [`Tls`] listeners use it. Clones share the configuration.
///
/// A new configuration may change everything: certificates, the authority of clients' certificates, versions. Connections
/// that are accepted from then on use it. Those that exist keep the configuration with which they began.
///
/// ```no_run
/// use stomp_server::{Listeners, bind, tls::{Tls, TlsConfig, rustls}};
///
/// # type Error = Box<dyn std::error::Error>;
/// # fn from_files() -> Result<rustls::ServerConfig, Error> { unimplemented!() }
/// # async fn example() -> Result<(), Error> {
/// let tls = TlsConfig::new(from_files()?);
/// let listeners = Listeners::new()
///     .websocket(Tls::new(bind("0.0.0.0:8443").await?, tls.clone()))
///     .byte_stream(Tls::new(bind("0.0.0.0:61614").await?, tls.clone()));
///
/// // Later, in another task, when the files have changed:
/// if let Err(error) = tls.reload(from_files) {
///     eprintln!("the server goes on with its old certificate: {error}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// A TLS session of an earlier connection is not resumed under another configuration, unless both have the same ticketer
/// or session storage.
#[derive(Clone)]
pub struct TlsConfig(Arc<RwLock<Arc<rustls::ServerConfig>>>);

impl TlsConfig {
    /// Creates a configuration that can be replaced.
    pub fn new(config: impl Into<Arc<rustls::ServerConfig>>) -> TlsConfig {
        TlsConfig(Arc::new(RwLock::new(config.into())))
    }

    /// The configuration that new connections use.
    #[must_use]
    pub fn current(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the configuration, and returns the previous one.
    pub fn replace(
        &self,
        config: impl Into<Arc<rustls::ServerConfig>>,
    ) -> Arc<rustls::ServerConfig> {
        let config = config.into();
        mem::replace(
            &mut *self.0.write().unwrap_or_else(PoisonError::into_inner),
            config,
        )
    }

    /// Replaces the configuration by the one that `load` returns. If `load` fails, for example because a file is missing
    /// or the key is that of another certificate, the previous configuration stays. Both outcomes are logged.
    ///
    /// # Errors
    ///
    /// Returns the error of `load`.
    pub fn reload<E: fmt::Display>(
        &self,
        load: impl FnOnce() -> Result<rustls::ServerConfig, E>,
    ) -> Result<(), E> {
        match load() {
            Ok(config) => {
                self.replace(config);
                tracing::info!("the TLS configuration was reloaded");
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "the TLS configuration cannot be reloaded, and the previous one stays");
                Err(error)
            }
        }
    }
}

impl From<rustls::ServerConfig> for TlsConfig {
    fn from(config: rustls::ServerConfig) -> TlsConfig {
        TlsConfig::new(config)
    }
}

impl From<Arc<rustls::ServerConfig>> for TlsConfig {
    fn from(config: Arc<rustls::ServerConfig>) -> TlsConfig {
        TlsConfig::new(config)
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig").finish_non_exhaustive()
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
