//! WebSocket handshakes as a tower service.

use crate::{
    Config, ConnectionCounts, handshake::Handshake, limits::Connections, refusal::Refusal,
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
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use stomp_socket::{InvalidConfig, Peer, Permit, Socket, TlsIdentity};
use tokio::net::TcpStream;
use tower_service::Service;

/// A tower service that answers WebSocket handshakes and hands the sockets to a function.
///
/// It mounts wherever HTTP upgrades work: as `axum::Router::route_service("/stomp", upgrade)`, or on hyper with
/// `serve_connection(..).with_upgrades()`. It answers 101, or says in a sentence why not:
///
/// | status | when |
/// |---|---|
/// | 400 | a part of the handshake is malformed, missing or repeated, or it has a body |
/// | 403 | its origin is not among [`Config::origins`] |
/// | 405 | it is not a GET |
/// | 426 | it is no handshake, or of another WebSocket version, or the HTTP server allows no upgrades |
/// | 503 | there are too many connections, or the server goes down |
///
/// The deadline for the head of a request is the HTTP server's: axum's `serve` has none. See [`Server`](crate::Server)
/// where that matters.
///
/// Cloning is cheap.
#[derive(Clone)]
pub struct Upgrade {
    shared: Arc<Shared>,
    peer_addr: Arc<PeerAddr>,
}

struct Shared {
    config: Config,
    connections: Arc<Connections>,
    serve: Box<dyn Fn(Socket) -> BoxFuture + Send + Sync>,
}

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Finds a peer's address among a request's extensions.
type PeerAddr = dyn Fn(&Extensions) -> Option<SocketAddr> + Send + Sync;

impl Upgrade {
    /// A service that runs `serve`, in a task of its own, with every socket.
    ///
    /// # Errors
    ///
    /// See [`Config::validate`].
    pub fn new<F, R>(config: Config, serve: F) -> Result<Upgrade, InvalidConfig>
    where
        F: Fn(Socket) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        config.validate()?;
        let serve = Box::new(move |socket| Box::pin(serve(socket)) as BoxFuture);
        let connections =
            Connections::new(config.connection_limits.clone(), config.shutdown.clone());
        Ok(Upgrade {
            shared: Arc::new(Shared {
                config,
                connections,
                serve,
            }),
            peer_addr: Arc::new(|extensions| extensions.get().copied()),
        })
    }

    /// Says where the HTTP server put the peer's address. Without this, a `SocketAddr` among the request's extensions
    /// is looked for. A [`TlsIdentity`] is looked for there too.
    ///
    /// With axum's `into_make_service_with_connect_info::<SocketAddr>()` it is
    /// `|extensions| extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0)`.
    ///
    /// Clones made before keep the function that they have.
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

    /// How many connections there are now.
    #[must_use]
    pub fn connections(&self) -> ConnectionCounts {
        self.shared.connections.counts()
    }

    fn answer<B>(&self, request: Request<B>) -> Result<Response<Full<Bytes>>, Refusal> {
        let address = (self.peer_addr)(request.extensions());
        let identity = request.extensions().get::<TlsIdentity>().cloned();
        let (response, Handshake { upgrade, peer }) =
            Handshake::of(request, &self.shared.config.origins)?;
        let permit = self
            .shared
            .connections
            .enter(address.map(|address| address.ip()))?;
        let peer = peer.with_address(address).with_tls(identity);
        let upgraded = Arc::clone(&self.shared).upgrade(upgrade, peer, Box::new(permit));
        tokio::spawn(self.shared.config.shutdown.abortable(upgraded));
        Ok(response)
    }
}

impl Shared {
    async fn upgrade(self: Arc<Self>, upgrade: OnUpgrade, peer: Peer, permit: Box<dyn Permit>) {
        match tokio::time::timeout(self.config.handshake_timeout, upgrade).await {
            Ok(Ok(upgraded)) => {
                let socket = self.socket(upgraded, peer).with_permit(permit);
                // In a task of its own: this one has room for a handshake, which would be kept for the session's life.
                tokio::spawn(self.config.shutdown.abortable((self.serve)(socket)));
            }
            Ok(Err(error)) => tracing::debug!(%error, "a connection ended in its handshake"),
            Err(_) => tracing::debug!("a connection was not upgraded in time"),
        }
    }

    /// A socket over the stream under HTTP, which is mostly plain TCP and then needs no box.
    fn socket(&self, upgraded: Upgraded, peer: Peer) -> Socket {
        let config = &self.config.socket;
        let upgraded =
            match hyper_util::server::conn::auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded)
            {
                Ok(parts) => {
                    return Socket::over_websocket(
                        parts.io.into_inner(),
                        &parts.read_buf,
                        peer,
                        config,
                    );
                }
                Err(upgraded) => upgraded,
            };
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(Parts { io, read_buf, .. }) => {
                Socket::over_websocket(io.into_inner(), &read_buf, peer, config)
            }
            Err(upgraded) => Socket::over_websocket(TokioIo::new(upgraded), b"", peer, config),
        }
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
        ready(Ok(self
            .answer(request)
            .unwrap_or_else(|refusal| refusal.response())))
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}
