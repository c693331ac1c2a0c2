//! WebSocket handshakes as a tower service.

use crate::Config;
use bytes::Bytes;
use http::{Extensions, HeaderValue, Request, Response, StatusCode, header};
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
use stomp_socket::{Peer, Socket, handshake};
use tokio::net::TcpStream;
use tower_service::Service;

/// A tower service that answers WebSocket handshakes and hands the sockets to a function.
///
/// It mounts wherever HTTP upgrades work: as `axum::Router::route_service("/stomp", upgrade)`, or on hyper with
/// `serve_connection(..).with_upgrades()`. It answers 101, or says in a sentence why not: 400, 403, 405 or 426.
///
/// Cloning is cheap.
#[derive(Clone)]
pub struct Upgrade(Arc<Shared>);

struct Shared {
    config: Config,
    serve: Box<dyn Fn(Socket) -> BoxFuture + Send + Sync>,
    peer_addr: PeerAddr,
}

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Finds a peer's address among a request's extensions.
type PeerAddr = fn(&Extensions) -> Option<SocketAddr>;

impl Upgrade {
    /// A service that runs `serve`, in a task of its own, with every socket.
    pub fn new<F, R>(config: Config, serve: F) -> Upgrade
    where
        F: Fn(Socket) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let serve = Box::new(move |socket| Box::pin(serve(socket)) as BoxFuture);
        Upgrade(Arc::new(Shared { config, serve, peer_addr: |extensions| extensions.get().copied() }))
    }

    /// Says where the HTTP server put the peer's address. Without this, a `SocketAddr` among the request's extensions
    /// is looked for.
    ///
    /// With axum's `into_make_service_with_connect_info::<SocketAddr>()` it is
    /// `|extensions| extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0)`.
    ///
    /// This is to be called before the service is cloned; later it has no effect.
    #[must_use]
    pub fn peer_addr(mut self, find: fn(&Extensions) -> Option<SocketAddr>) -> Upgrade {
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            shared.peer_addr = find;
        }
        self
    }

    fn answer<B>(&self, mut request: Request<B>) -> Response<Full<Bytes>> {
        let accepted = match handshake::accept(&request) {
            Ok(accepted) => accepted,
            Err(refused) => return refuse(refused.status, refused.reason),
        };
        let headers = request.headers();
        if headers.contains_key(header::TRANSFER_ENCODING)
            || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
        {
            return refuse(StatusCode::BAD_REQUEST, "A WebSocket handshake has no body.");
        }
        if !self.0.config.origins.allow(headers) {
            let origin = headers.get(header::ORIGIN);
            tracing::warn!(?origin, "refused a page of this origin; `Config::origins` says which are allowed");
            return refuse(StatusCode::FORBIDDEN, "Pages of this origin may not connect.");
        }
        let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
            tracing::error!("the HTTP server does not allow upgrades on this connection");
            return refuse(StatusCode::UPGRADE_REQUIRED, "This connection cannot be upgraded.");
        };
        let address = (self.0.peer_addr)(request.extensions());
        let (head, _) = request.into_parts();
        let peer = Peer::default().with_address(address).with_subprotocol(accepted.subprotocol).with_request(head);
        tokio::spawn(Arc::clone(&self.0).upgrade(upgrade, peer));
        accepted.response.map(|()| Full::default())
    }
}

impl Shared {
    async fn upgrade(self: Arc<Self>, upgrade: OnUpgrade, peer: Peer) {
        match tokio::time::timeout(self.config.handshake_timeout, upgrade).await {
            // In a task of its own: this one has room for a handshake, which would be kept for the session's life.
            Ok(Ok(upgraded)) => drop(tokio::spawn((self.serve)(self.socket(upgraded, peer)))),
            Ok(Err(error)) => tracing::debug!(%error, "a connection ended in its handshake"),
            Err(_) => tracing::debug!("a connection was not upgraded in time"),
        }
    }

    /// A socket over the stream under HTTP, which is mostly plain TCP and then needs no box.
    fn socket(&self, upgraded: Upgraded, peer: Peer) -> Socket {
        let config = &self.config.socket;
        let upgraded = match hyper_util::server::conn::auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => {
                return Socket::over_websocket(parts.io.into_inner(), &parts.read_buf, peer, config);
            }
            Err(upgraded) => upgraded,
        };
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(Parts { io, read_buf, .. }) => Socket::over_websocket(io.into_inner(), &read_buf, peer, config),
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
        ready(Ok(self.answer(request)))
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade").field("config", &self.0.config).finish_non_exhaustive()
    }
}

fn refuse(status: StatusCode, reason: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{reason}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::UPGRADE_REQUIRED {
        // RFC 9110, section 15.5.22, and RFC 6455, section 4.2.2.
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    response
}
