//! A whole server.

use std::{io, sync::Arc};
use stomp_router::{ConnectAnswer, Handler, Route, RouteErrors, Router, Routes, SendAnswer, SubscribeAnswer, describe};
use stomp_server::{Server, Upgrade};
use stomp_session::Session;
use stomp_socket::Socket;
use tokio::net::{TcpListener, ToSocketAddrs};
use tower::Layer;

/// A STOMP server: a [`Router`] with the settings of its sessions and of the way in.
///
/// `S` is the state that handlers still miss: see [`App::with_state`].
#[derive(Debug)]
#[must_use = "an app does nothing until it listens or is mounted"]
pub struct App<S = ()> {
    router: Router<S>,
    session: stomp_session::Config,
    server: stomp_server::Config,
}

impl<S: Clone + Send + 'static> App<S> {
    /// An app without routes: it lets any client in and serves nothing.
    pub fn new() -> App<S> {
        App::from(Router::new())
    }

    /// Sets how sessions behave: limits, heart-beats, deadlines.
    pub fn session(mut self, config: stomp_session::Config) -> App<S> {
        self.session = config;
        self
    }

    /// Sets how connections are taken in: origins, handshakes.
    pub fn server(mut self, config: stomp_server::Config) -> App<S> {
        self.server = config;
        self
    }

    /// See [`Router::connect`].
    pub fn connect<A, H>(self, handler: H) -> App<S>
    where
        H: Handler<A, S, Output: ConnectAnswer>,
    {
        self.route(|router| router.connect(handler))
    }

    /// See [`Router::send`].
    pub fn send<A, H>(self, pattern: &str, handler: H) -> App<S>
    where
        H: Handler<A, S, Output: SendAnswer>,
    {
        self.route(|router| router.send(pattern, handler))
    }

    /// See [`Router::subscribe`].
    pub fn subscribe<A, H>(self, pattern: &str, handler: H) -> App<S>
    where
        H: Handler<A, S, Output: SubscribeAnswer>,
    {
        self.route(|router| router.subscribe(pattern, handler))
    }

    /// See [`Router::unsubscribe`].
    pub fn unsubscribe<A, H>(self, pattern: &str, handler: H) -> App<S>
    where
        H: Handler<A, S, Output: SendAnswer>,
    {
        self.route(|router| router.unsubscribe(pattern, handler))
    }

    /// See [`Router::disconnect`].
    pub fn disconnect<A, H>(self, handler: H) -> App<S>
    where
        H: Handler<A, S, Output: SendAnswer>,
    {
        self.route(|router| router.disconnect(handler))
    }

    /// Wraps each route added so far in a tower layer, see [`Router::layer`].
    pub fn layer<L>(self, layer: L) -> App<S>
    where
        L: Layer<Route, Service: stomp_router::RouteService> + Clone + Send + 'static,
    {
        self.route(|router| router.layer(layer))
    }

    /// Provides the state that handlers take parts of with [`State`](crate::State).
    pub fn with_state<S2>(self, state: S) -> App<S2> {
        self.route(|router| router.with_state(state))
    }

    fn route<S2>(self, change: impl FnOnce(Router<S>) -> Router<S2>) -> App<S2> {
        App { router: change(self.router), session: self.session, server: self.server }
    }
}

impl App {
    /// The app as a tower service that answers WebSocket handshakes, to be mounted on an HTTP server.
    ///
    /// # Errors
    ///
    /// See [`Router::build`].
    pub fn into_service(self) -> Result<Upgrade, RouteErrors> {
        let sessions = Sessions::new(self.router.build()?, self.session);
        Ok(Upgrade::new(self.server, move |socket| sessions.run(socket)))
    }

    /// Listens on an address, for WebSocket connections on any path, until the future is dropped.
    ///
    /// # Errors
    ///
    /// See [`Router::build`], or if it is not possible to listen there.
    pub async fn listen(self, address: impl ToSocketAddrs) -> Result<(), Error> {
        let listener = TcpListener::bind(address).await?;
        Ok(self.serve(listener).await?)
    }

    /// As [`App::listen`], on a listener: for a port that the system has chosen, or one that was handed over.
    ///
    /// # Errors
    ///
    /// See [`Router::build`].
    pub async fn serve(self, listener: TcpListener) -> Result<(), RouteErrors> {
        let sessions = Sessions::new(self.router.build()?, self.session);
        let mut server = Server::new(listener, self.server);
        loop {
            tokio::spawn(sessions.run(server.accept().await));
        }
    }
}

impl<S: Clone + Send + 'static> Default for App<S> {
    fn default() -> Self {
        App::new()
    }
}

impl<S> From<Router<S>> for App<S> {
    fn from(router: Router<S>) -> App<S> {
        App { router, session: stomp_session::Config::default(), server: stomp_server::Config::default() }
    }
}

/// What every connection is given.
struct Sessions {
    routes: Routes,
    config: Arc<stomp_session::Config>,
}

impl Sessions {
    fn new(routes: Routes, mut config: stomp_session::Config) -> Sessions {
        // The router's knows the errors of tower's layers.
        config.describe.get_or_insert(describe);
        Sessions { routes, config: Arc::new(config) }
    }

    fn run(&self, socket: Socket) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (_, _, connection) = Session::new(socket, Arc::clone(&self.config));
        connection.run(self.routes.clone())
    }
}

/// Why an app cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its routes exclude each other, or are malformed.
    #[error(transparent)]
    Routes(#[from] RouteErrors),
    /// The address cannot be listened on.
    #[error("cannot listen: {0}")]
    Io(#[from] io::Error),
}
