//! `App`: routes, settings and layers of one server.

use crate::broker_routes;
use std::{cell::Cell, fmt};
use stomp_broker::Broker;
use stomp_router::{
    Handler, IntoConnectResponse, IntoSendResponse, IntoSubscribeResponse, RouteService, Router,
    Routes, SessionRoutes, SessionService,
};
use stomp_server::Listeners;
use stomp_session::{MemoryBudget, Sessions};
use tower::Layer;

/// A STOMP server: a [`Router`] with middleware and with the settings of sessions and connections.
///
/// `S` is the type of the state that handlers still need: see [`App::with_state`]. An app can listen or be mounted only
/// if `S` is `()`.
#[must_use = "an app does nothing until it listens or is mounted"]
pub struct App<S = ()> {
    pub(crate) router: Router<S>,
    pub(crate) layers: Vec<Box<dyn FnOnce(Routes) -> Routes + Send>>,
    pub(crate) session_layers: Vec<SessionLayer>,
    pub(crate) session: stomp_session::Config,
    pub(crate) server: stomp_server::Config,
    /// The budget that replaces the one in `session`: the app's own, or that of its first broker.
    pub(crate) memory_budget: Option<MemoryBudget>,
    /// Adds the HTTP service to the listeners.
    pub(crate) http: Option<AddHttp>,
    /// True if [`App::sessions`] has handed out the registry in `session`.
    has_shared_sessions: Cell<bool>,
}

pub(crate) type AddHttp = Box<dyn FnOnce(Listeners) -> Listeners + Send>;

/// A function that wraps a layer around the routes of one session.
pub(crate) type SessionLayer = Box<dyn Fn(SessionRoutes) -> SessionRoutes + Send + Sync>;

impl<S: Clone + Send + 'static> App<S> {
    /// Creates an app without routes. Any client may connect to it. Every `SEND` and `SUBSCRIBE` gets the error
    /// `not-found`.
    pub fn new() -> App<S> {
        App::from(Router::new())
    }

    /// The registry of the app's connected sessions. Handlers can also take it as an argument.
    ///
    /// ```
    /// use webstomp::App;
    ///
    /// let app: App = App::new();
    /// let sessions = app.sessions();
    /// assert!(sessions.is_empty());
    /// ```
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        self.has_shared_sessions.set(true);
        self.session.sessions.clone()
    }

    /// Sets the configuration of sessions, such as limits, heart-beats and timeouts.
    ///
    /// If [`App::sessions`] was called before, the app keeps its registry, and ignores the one in `config`.
    ///
    /// ```
    /// use webstomp::{App, session::Config};
    ///
    /// let app: App = App::new().session_config(Config::default().max_subscriptions(16));
    /// ```
    pub fn session_config(mut self, mut config: stomp_session::Config) -> App<S> {
        if self.has_shared_sessions.get() {
            config.sessions = self.session.sessions;
        }
        self.session = config;
        self
    }

    /// Sets the budget of the messages that wait for the app's sessions. It takes precedence over the one in
    /// [`App::session_config`]. Without it, an app with a [broker](App::broker) shares the budget of the broker.
    ///
    /// Give the same budget to everything in the process that holds messages, such as other apps.
    ///
    /// ```
    /// use webstomp::{App, session::MemoryBudget};
    ///
    /// // A quarter of the memory of the container, or of the machine.
    /// let app: App = App::new().memory_budget(MemoryBudget::from_machine());
    /// ```
    pub fn memory_budget(mut self, budget: MemoryBudget) -> App<S> {
        self.memory_budget = Some(budget);
        self
    }

    /// Sets the configuration of the server, such as allowed origins, connection limits and the handshake timeout.
    ///
    /// ```
    /// use webstomp::{App, server::{Config, ConnectionLimits}};
    ///
    /// let limits = ConnectionLimits::default().max_connections(1_000);
    /// let app: App = App::new().server_config(Config::default().connection_limits(limits));
    /// ```
    pub fn server_config(mut self, config: stomp_server::Config) -> App<S> {
        self.server = config;
        self
    }

    /// Calls `handler` when a client connects: see [`Router::connect`].
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

    /// Calls `handler` once for each session, after `CONNECTED` was sent: see [`Router::connected`].
    #[track_caller]
    pub fn connected<A, H>(self, handler: H) -> App<S>
    where
        H: Handler<A, S, Output: IntoSendResponse<Context = ()>>,
    {
        App {
            router: self.router.connected(handler),
            ..self
        }
    }

    /// Calls `handler` with `SEND` frames to destinations that match `pattern`: see [`Router::send`].
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

    /// Calls `handler` with `SUBSCRIBE` frames to destinations that match `pattern`: see [`Router::subscribe`].
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

    /// Lets clients subscribe to destinations that match `pattern`, without a handler: see [`Router::inbox`].
    #[track_caller]
    pub fn inbox(self, pattern: &str) -> App<S> {
        App {
            router: self.router.inbox(pattern),
            ..self
        }
    }

    /// Calls `handler` when a subscription to a destination that matches `pattern` has ended, for any reason: see
    /// [`Router::unsubscribe`].
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

    /// Calls `handler` when a connected session ends, for any reason: see [`Router::disconnect`].
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

    /// Calls `handler` with `SEND` and `SUBSCRIBE` frames to destinations without a route: see [`Router::fallback`].
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

    /// Adds the routes of `router` under a prefix: see [`Router::nest`].
    pub fn nest(self, prefix: &str, router: Router<S>) -> App<S> {
        App {
            router: self.router.nest(prefix, router),
            ..self
        }
    }

    /// Adds the routes of `router` unchanged: see [`Router::merge`].
    pub fn merge(self, router: Router<S>) -> App<S> {
        App {
            router: self.router.merge(router),
            ..self
        }
    }

    /// Mounts a broker: it handles `SEND` and `SUBSCRIBE` to `/topic/…`, `/queue/…`, `/user/…` and `/temp-queue/…`. The
    /// app's own routes under these prefixes take precedence. To put layers around the broker's routes, use
    /// [`broker_routes`].
    ///
    /// The broker's [rules](stomp_broker::Rules) decide who may send and subscribe. They count as the
    /// [policy](Router::policy) of its routes.
    ///
    /// Sessions parse destinations below these prefixes by the [broker's syntax](stomp_broker::destination_syntax()),
    /// whatever [`Config::destinations`](stomp_session::Config::destinations) says about the same prefixes. If a longer
    /// prefix, or a router merged later, sets another syntax, the app's own routes use that one. The broker answers
    /// `bad-destination` for destinations that the two syntaxes read differently.
    ///
    /// An app's own route under a broker prefix gets every spelling of its destinations: a route for
    /// `/topic/rooms/{room}` gets `/topic/rooms.lobby` too. If a pattern covers destinations of such a `subscribe` route,
    /// a subscription to the pattern is refused: see [`Router`](Router#subscriptions-to-patterns).
    ///
    /// The messages that wait for the app's sessions count in the
    /// [memory budget](stomp_broker::Broker::memory_budget) of the broker, together with those of its topics,
    /// unless [`App::memory_budget`] has set another one. With several brokers, the budget of the first counts.
    ///
    /// ```
    /// use webstomp::{App, broker::Broker};
    ///
    /// # fn main() -> Result<(), webstomp::BoxError> {
    /// let broker = Broker::new(Default::default())?;
    /// // By default, clients may only subscribe to topics; the application publishes, from any task.
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
        self.memory_budget = self.memory_budget.or_else(|| broker.memory_budget());
        self.merge(broker_routes(broker))
    }

    /// Wraps a tower layer around the whole app, once. The layer sees every request of every session, including
    /// requests without a route and requests to routes that are added later. The layer that is added last is the
    /// outermost. See [`Routes::layer`].
    ///
    /// The layer's service is built when the app is served or mounted. Tower's `BufferLayer` needs a tokio runtime
    /// then.
    pub fn layer<L>(mut self, layer: L) -> App<S>
    where
        L: Layer<Routes, Service: RouteService> + Send + 'static,
    {
        self.layers.push(Box::new(|routes| routes.layer(layer)));
        self
    }

    /// Wraps a tower layer around each session. The layer's service is built for each connection: it need not be
    /// `Clone`, and its state belongs to one session. The layer that is added last is the outermost. Layers of sessions
    /// wrap the layers of [`App::layer`]. See [`SessionRoutes::layer`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower::limit::RateLimitLayer;
    /// use webstomp::App;
    ///
    /// // A session that sends more than 100 frames a second is slowed down.
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

    /// Provides the state that handlers take with [`State`](crate::State).
    pub fn with_state<S2>(self, state: S) -> App<S2> {
        let App {
            router,
            layers,
            session_layers,
            session,
            server,
            memory_budget,
            http,
            has_shared_sessions,
        } = self;
        App {
            router: router.with_state(state),
            layers,
            session_layers,
            session,
            server,
            memory_budget,
            http,
            has_shared_sessions,
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
            memory_budget: None,
            http: None,
            has_shared_sessions: Cell::new(false),
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
