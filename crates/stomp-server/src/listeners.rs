//! The listeners of a server and their protocols.

use crate::{
    Listener, RequestBody,
    acceptor::Acceptor,
    http_service::{BoxError, HttpService},
};
use http::{Request, Response};
use hyper::body::Body;
use std::{fmt, pin::Pin, sync::Arc};
use tower_service::Service;

/// The listeners of one server. A single [`Listener`] converts into a list with one listener for WebSockets.
///
/// ```no_run
/// use stomp_server::{Config, Listeners, Server, bind};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let web = bind("0.0.0.0:8080").await?;
/// let services = bind("127.0.0.1:61613").await?;
/// let both = Listeners::new().websocket(web).byte_stream(services);
/// let server = Server::new(both, Config::default())?;
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
#[must_use = "pass it to a server"]
pub struct Listeners {
    starts: Vec<Box<dyn FnOnce(Arc<Acceptor>) -> Accepting + Send>>,
    service: Option<HttpService>,
}

/// A future that accepts the connections of one listener. It never completes.
pub(crate) type Accepting = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Listeners {
    /// Creates an empty list.
    pub fn new() -> Listeners {
        Listeners::default()
    }

    /// Adds a listener for WebSockets. Handshakes are accepted on the path
    /// [`Config::websocket_path`](crate::Config::websocket_path), or on any path if there is none.
    pub fn websocket(mut self, listener: impl Listener) -> Listeners {
        self.starts.push(Box::new(|acceptor| {
            Box::pin(acceptor.accept_websockets(listener))
        }));
        self
    }

    /// Adds a listener for STOMP without HTTP, as message brokers usually offer over TCP.
    pub fn byte_stream(mut self, listener: impl Listener) -> Listeners {
        self.starts.push(Box::new(|acceptor| {
            Box::pin(acceptor.accept_streams(listener))
        }));
        self
    }

    /// Sets the service that answers HTTP requests to the listeners for WebSockets: all requests to other paths than
    /// [`Config::websocket_path`](crate::Config::websocket_path), or, if there is no such path, all requests that do not
    /// ask for an upgrade to `websocket`. Without a service, these requests are refused.
    ///
    /// The service is any tower service for HTTP requests, such as an `axum::Router` or a `tower::service_fn`. Its error
    /// is logged, and the client gets status 500. The extensions of a request have the address of the client as
    /// [`SocketAddr`](std::net::SocketAddr); with the feature `axum`, also as `ConnectInfo<SocketAddr>`; and the
    /// [`TlsIdentity`](stomp_socket::TlsIdentity) of a connection with TLS.
    ///
    /// ```no_run
    /// use axum::{Router, routing::get};
    /// use stomp_server::{Config, Listeners, Server, bind};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let pages = Router::new().route("/health", get(|| async { "ok" }));
    /// let listeners = Listeners::new().websocket(bind("0.0.0.0:8080").await?).http(pages);
    /// let server = Server::new(listeners, Config::default().websocket_path("/stomp"))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`HttpConfig`](crate::HttpConfig) has the timeouts, and
    /// [`ConnectionLimits::max_http`](crate::ConnectionLimits::max_http) limits the connections. When the server shuts
    /// down, idle connections are closed, and requests that have begun are answered until the drain timeout. The time
    /// of a service for its response is not limited: use a layer such as tower's `TimeoutLayer`. If the service itself
    /// upgrades a connection, the server no longer counts that connection and does not wait for it, but still closes it
    /// if its peer takes bytes too slowly.
    pub fn http<S, B>(mut self, service: S) -> Listeners
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send,
        B: Body<Error: Into<BoxError>> + Send + 'static,
    {
        self.service = Some(HttpService::new(service));
        self
    }

    /// Removes the HTTP service from the list.
    pub(crate) fn take_service(&mut self) -> Option<HttpService> {
        self.service.take()
    }

    pub(crate) fn start(self, acceptor: &Arc<Acceptor>) -> Vec<Accepting> {
        self.starts
            .into_iter()
            .map(|start| start(Arc::clone(acceptor)))
            .collect()
    }
}

impl<L: Listener> From<L> for Listeners {
    fn from(listener: L) -> Listeners {
        Listeners::new().websocket(listener)
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners")
            .field("listeners", &self.starts.len())
            .field("has_http", &self.service.is_some())
            .finish()
    }
}
