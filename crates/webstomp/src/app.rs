//! A whole server.

use std::fmt;
use stomp_broker::Broker;
use stomp_frame::Command;
use stomp_router::{
    Handler, IntoConnectResponse, IntoSendResponse, IntoSubscribeResponse, RouteService, Router,
    Routes, SessionRoutes, SessionService,
};
use tower::Layer;

/// A STOMP server: a [`Router`] with the settings of its sessions and of the way in.
///
/// `S` is the state that handlers still miss: see [`App::with_state`].
#[must_use = "an app does nothing until it listens or is mounted"]
pub struct App<S = ()> {
    pub(crate) router: Router<S>,
    pub(crate) layers: Vec<Box<dyn FnOnce(Routes) -> Routes + Send>>,
    pub(crate) session_layers: Vec<SessionLayer>,
    pub(crate) session: stomp_session::Config,
    pub(crate) server: stomp_server::Config,
}

/// Wraps a layer around the routes of one session.
pub(crate) type SessionLayer = Box<dyn Fn(SessionRoutes) -> SessionRoutes + Send + Sync>;

impl<S: Clone + Send + 'static> App<S> {
    /// An app without routes: it lets any client in and serves nothing.
    pub fn new() -> App<S> {
        App::from(Router::new())
    }

    /// Sets how sessions behave: limits, heart-beats, deadlines.
    pub fn session_config(mut self, config: stomp_session::Config) -> App<S> {
        self.session = config;
        self
    }

    /// Sets how connections are taken in: origins, handshakes.
    pub fn server_config(mut self, config: stomp_server::Config) -> App<S> {
        self.server = config;
        self
    }

    /// See [`Router::connect`].
    #[track_caller]
    pub fn connect<A, H>(self, handler: H) -> App<S>
    where
        H: Handler<A, S, Output: IntoConnectResponse>,
    {
        App {
            router: self.router.connect(handler),
            ..self
        }
    }

    /// See [`Router::send`].
    #[track_caller]
    pub fn send<A, H>(self, pattern: &str, handler: H) -> App<S>
    where
        H: Handler<A, S, Output: IntoSendResponse>,
    {
        App {
            router: self.router.send(pattern, handler),
            ..self
        }
    }

    /// See [`Router::subscribe`].
    #[track_caller]
    pub fn subscribe<A, H>(self, pattern: &str, handler: H) -> App<S>
    where
        H: Handler<A, S, Output: IntoSubscribeResponse>,
    {
        App {
            router: self.router.subscribe(pattern, handler),
            ..self
        }
    }

    /// See [`Router::unsubscribe`].
    #[track_caller]
    pub fn unsubscribe<A, H>(self, pattern: &str, handler: H) -> App<S>
    where
        H: Handler<A, S, Output: IntoSendResponse<Context = ()>>,
    {
        App {
            router: self.router.unsubscribe(pattern, handler),
            ..self
        }
    }

    /// See [`Router::disconnect`].
    #[track_caller]
    pub fn disconnect<A, H>(self, handler: H) -> App<S>
    where
        H: Handler<A, S, Output: IntoSendResponse<Context = ()>>,
    {
        App {
            router: self.router.disconnect(handler),
            ..self
        }
    }

    /// See [`Router::fallback`].
    #[track_caller]
    pub fn fallback<A, H>(self, handler: H) -> App<S>
    where
        H: Handler<A, S, Output: IntoSendResponse<Context = ()>>,
    {
        App {
            router: self.router.fallback(handler),
            ..self
        }
    }

    /// See [`Router::nest`].
    pub fn nest(self, prefix: &str, router: Router<S>) -> App<S> {
        App {
            router: self.router.nest(prefix, router),
            ..self
        }
    }

    /// See [`Router::merge`].
    pub fn merge(self, router: Router<S>) -> App<S> {
        App {
            router: self.router.merge(router),
            ..self
        }
    }

    /// Mounts a broker: `SEND` and `SUBSCRIBE` to `/topic/…`, `/queue/…`, `/user/…` and `/temp-queue/…` are its. Routes of
    /// the app's own under these go before it.
    ///
    /// ```
    /// use webstomp::{App, broker::Broker};
    ///
    /// # fn main() -> Result<(), webstomp::BoxError> {
    /// let broker = Broker::new(Default::default())?;
    /// // Clients subscribe, and only the application sends, from anywhere.
    /// let app: App = App::new().broker(&broker);
    /// # let _ = async {
    /// broker.publish("/topic/news", "It works.").await?;
    /// # Ok::<_, webstomp::BoxError>(())
    /// # };
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn broker(mut self, broker: &Broker) -> App<S> {
        for pattern in [
            "/topic/{*path}",
            "/queue/{*path}",
            "/user/{*path}",
            "/temp-queue/{*path}",
        ] {
            for command in [Command::Send, Command::Subscribe] {
                self.router = self.router.route_service(command, pattern, broker.clone());
            }
        }
        self
    }

    /// Wraps a tower layer around the whole app, once: it sees every request of every session, whether there is a route
    /// or not, and also of routes that are added after it. The last one is the outermost. See [`Routes::layer`].
    ///
    /// It is made when the app is built; tower's `BufferLayer` must be in a runtime then.
    pub fn layer<L>(mut self, layer: L) -> App<S>
    where
        L: Layer<Routes, Service: RouteService> + Send + 'static,
    {
        self.layers.push(Box::new(|routes| routes.layer(layer)));
        self
    }

    /// Wraps a tower layer around each session, built anew for each connection: so its service need not be `Clone`, and
    /// what it counts is one session's. The last one is the outermost, and all of them are around those of
    /// [`App::layer`]. See [`SessionRoutes::layer`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower::limit::RateLimitLayer;
    /// use webstomp::App;
    ///
    /// // Who sends more than 100 frames a second is read from more slowly.
    /// let app: App = App::new().layer_per_session(RateLimitLayer::new(100, Duration::from_secs(1)));
    /// ```
    pub fn layer_per_session<L>(mut self, layer: L) -> App<S>
    where
        L: Layer<SessionRoutes, Service: SessionService> + Send + Sync + 'static,
    {
        self.session_layers
            .push(Box::new(move |routes| routes.layer(&layer)));
        self
    }

    /// Provides the state that handlers take parts of with [`State`](crate::State).
    pub fn with_state<S2>(self, state: S) -> App<S2> {
        let App {
            router,
            layers,
            session_layers,
            session,
            server,
        } = self;
        App {
            router: router.with_state(state),
            layers,
            session_layers,
            session,
            server,
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
        App {
            router,
            layers: Vec::new(),
            session_layers: Vec::new(),
            session: stomp_session::Config::default(),
            server: stomp_server::Config::default(),
        }
    }
}

impl<S> fmt::Debug for App<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("router", &self.router)
            .field("session", &self.session)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
