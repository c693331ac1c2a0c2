//! A tower service for WebSocket handshakes.

use crate::{
    Config, ConnectionCounts,
    acceptor::{Serve, spawn_each},
    connections::{ConnectionPermit, Connections, Lingering},
    refusal::Refusal,
    report, tcp,
    websocket_handshake::Handshake,
};
use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body_util::Full;
use hyper::upgrade::{OnUpgrade, Parts, Upgraded};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
};
use stomp_socket::{InvalidConfig, Peer, Socket, TlsIdentity};
use tokio::net::TcpStream;
use tower_service::Service;

/// A tower service that answers WebSocket handshakes and passes the sockets to a function.
///
/// Mount it on any HTTP server that supports upgrades: with `axum::Router::route_service("/stomp", upgrade)`, or on
/// hyper with `serve_connection(..).with_upgrades()`. It responds with 101, or with an error status and a sentence:
///
/// | status | when |
/// |---|---|
/// | 400 | a header of the handshake is malformed, missing or repeated, or the request has a body |
/// | 403 | [`Config::origins`] or [`Config::hosts`] does not allow the request's `Origin` |
/// | 405 | the method is not GET |
/// | 426 | the request is not a WebSocket handshake of version 13, or the HTTP server does not allow upgrades |
/// | 431 | the head of the request has more than 16 KiB or 100 headers |
/// | 503 | a limit of [`Config::connection_limits`] is reached, or the server shuts down |
///
/// The HTTP server owns a connection until its handshake has been accepted. So the HTTP server must bound the time for
/// the head of a request, the size of a head that it buffers, its idle connections, and its connections in all. axum's
/// `serve` bounds only the size of heads, to about 400 KiB, and waits for silent connections when it shuts down: see
/// [`Shutdown`](crate::Shutdown). A [`Server`](crate::Server) has all of these bounds, and
/// [serves an HTTP service](crate::Listeners::http) on the same port.
///
/// Set [`Upgrade::peer_addr`], so that the service recognizes connections from the same machine, for which it checks the
/// `Host` (see [`Config::hosts`]).
///
/// Cloning is cheap.
#[derive(Clone)]
pub struct Upgrade {
    shared: Arc<Shared>,
    peer_addr: Arc<PeerAddr>,
    kept: Vec<Keep>,
}

/// A function that copies one extension of a request.
type Keep = fn(&Extensions, &mut Extensions);

struct Shared {
    config: Config,
    connections: Arc<Connections>,
    lingering: Lingering,
    serve: Serve,
}

/// A function that finds the peer's address in the extensions of a request.
type PeerAddr = dyn Fn(&Extensions) -> Option<SocketAddr> + Send + Sync;

impl Upgrade {
    /// Creates a service that runs `serve` for each socket, in a separate task.
    ///
    /// # Errors
    ///
    /// Returns the error of [`Config::validate`], if a value is invalid.
    pub fn new<F, R>(config: Config, serve: F) -> Result<Upgrade, InvalidConfig>
    where
        F: Fn(Socket) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        config.validate()?;
        let serve = spawn_each(config.shutdown.clone(), serve);
        let connections =
            Connections::new(config.connection_limits.clone(), config.shutdown.clone());
        Ok(Upgrade {
            shared: Arc::new(Shared {
                lingering: Lingering::new(&config.connection_limits),
                config,
                connections,
                serve,
            }),
            peer_addr: Arc::new(peer_addr),
            kept: Vec::new(),
        })
    }

    /// Sets the function that finds the peer's address in the extensions of a request. Default: the extension of type
    /// `SocketAddr`; with the feature `axum`, also that of type `ConnectInfo<SocketAddr>`, which axum adds if it serves
    /// the router's `into_make_service_with_connect_info::<SocketAddr>()`. An extension of type [`TlsIdentity`] becomes
    /// [`Peer::tls`].
    ///
    /// If this is the address of one of [`Config::trusted_proxies`], the client's address is found in the headers of the
    /// request.
    ///
    /// The function applies to the returned service and its later clones. Earlier clones keep their function.
    #[must_use]
    pub fn peer_addr(
        self,
        find: impl Fn(&Extensions) -> Option<SocketAddr> + Send + Sync + 'static,
    ) -> Upgrade {
        Upgrade {
            peer_addr: Arc::new(find),
            ..self
        }
    }

    /// Keeps the extension of type `T`, which an HTTP layer has added to the request, for the whole session, in
    /// [`Peer::request`]. Other extensions are dropped, because they can hold much memory: axum's router adds a slice of
    /// the HTTP server's read buffer.
    ///
    /// This applies to the returned service and its later clones.
    #[must_use]
    pub fn keep_extension<T: Clone + Send + Sync + 'static>(mut self) -> Upgrade {
        self.kept.push(|from, to| {
            if let Some(value) = from.get::<T>() {
                to.insert(value.clone());
            }
        });
        self
    }

    /// The current numbers of connections.
    #[must_use]
    pub fn connections(&self) -> ConnectionCounts {
        self.shared.connections.counts()
    }

    fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>> {
        let peer_address = (self.peer_addr)(request.extensions());
        let proxies = &self.shared.config.trusted_proxies;
        let client = proxies.client(peer_address, request.headers());
        self.accept(request, peer_address, client)
            .unwrap_or_else(|refusal| {
                refusal.report(client);
                refusal.response()
            })
    }

    fn accept<B>(
        &self,
        request: Request<B>,
        peer_address: Option<SocketAddr>,
        client: Option<SocketAddr>,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        let config = &self.shared.config;
        let mut kept = Extensions::new();
        for keep in &self.kept {
            keep(request.extensions(), &mut kept);
        }
        let identity = request.extensions().get::<TlsIdentity>().cloned();
        let (response, Handshake { upgrade, peer }) =
            Handshake::accept(request, peer_address, config)?;
        let permit = self
            .shared
            .connections
            .admit(client, false, &self.shared.lingering)?;
        let mut peer = peer.with_address(client).with_tls(identity);
        if let Some(head) = &mut peer.request {
            head.extensions = kept;
        }
        let upgraded = Arc::clone(&self.shared).upgrade(upgrade, peer, permit);
        tokio::spawn(config.shutdown.abortable(upgraded));
        Ok(response)
    }
}

/// The default of [`Upgrade::peer_addr`].
fn peer_addr(extensions: &Extensions) -> Option<SocketAddr> {
    let address = extensions.get::<SocketAddr>().copied();
    #[cfg(feature = "axum")]
    let address = address.or_else(|| {
        let info = extensions.get::<axum::extract::ConnectInfo<SocketAddr>>()?;
        Some(info.0)
    });
    address
}

impl Shared {
    async fn upgrade(
        self: Arc<Self>,
        upgrade: OnUpgrade,
        peer: Peer,
        mut permit: ConnectionPermit,
    ) {
        let address = peer.address;
        let upgraded = tokio::select! {
            upgraded = tokio::time::timeout(self.config.handshake_timeout, upgrade) => upgraded,
            displaced = permit.revoked() => {
                tracing::debug!(error = %displaced, "the connection ended during the upgrade to WebSocket");
                return;
            }
        };
        match upgraded {
            Ok(Ok(upgraded)) => {
                let socket = self.socket(upgraded, peer).with_permit(Box::new(permit));
                (self.serve)(socket);
            }
            Ok(Err(error)) => {
                let problem = format_args!("it ended during the upgrade to WebSocket: {error}");
                report::refused("handshake-failed", address, problem);
            }
            Err(_) => report::refused(
                "handshake-timeout",
                address,
                "the upgrade to WebSocket exceeded `Config::handshake_timeout`",
            ),
        }
    }

    /// Creates a socket over the upgraded stream. If this is a TCP stream, as usual, takes it out of hyper's box, so
    /// that reads and writes are not dispatched dynamically.
    fn socket(&self, upgraded: Upgraded, peer: Peer) -> Socket {
        let config = &self.config.socket;
        let upgraded =
            match hyper_util::server::conn::auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded)
            {
                Ok(parts) => return self.over_tcp(parts.io, &parts.read_buf, peer),
                Err(upgraded) => upgraded,
            };
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(Parts { io, read_buf, .. }) => self.over_tcp(io, &read_buf, peer),
            Err(upgraded) => Socket::over_websocket(TokioIo::new(upgraded), b"", peer, config),
        }
    }

    fn over_tcp(&self, io: TokioIo<TcpStream>, early: &[u8], peer: Peer) -> Socket {
        let stream = io.into_inner();
        tcp::set_nodelay(&stream);
        tcp::set_keepalive(&stream, self.config.tcp_keepalive);
        Socket::over_websocket(stream, early, peer, &self.config.socket)
    }
}

impl<B> Service<Request<B>> for Upgrade {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Full<Bytes>>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer(request)))
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}
