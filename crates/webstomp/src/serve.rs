//! Running an app: on its own listeners, or mounted on an HTTP server.

use crate::{App, BoxError, StartupError, app::SessionLayer};
use futures_util::{FutureExt, future::OptionFuture};
use http::{Request, Response};
use hyper::body::Body;
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use stomp_router::{Buildable, Router, Routes, SessionRoutes, map_error};
use stomp_server::{Listeners, RequestBody, Server, Shutdown, Upgrade, bind};
use stomp_session::{ErrorMapper, InvalidConfig, Session};
use stomp_socket::Socket;
use tokio::net::ToSocketAddrs;
use tower::Service;

impl<S> App<S> {
    /// Sets the handle that stops the server. This is the setting [`Config::shutdown`](stomp_server::Config::shutdown)
    /// of the server.
    ///
    /// ```no_run
    /// use webstomp::{App, BoxError, server::Shutdown};
    ///
    /// #[tokio::main]
    /// async fn main() -> Result<(), BoxError> {
    ///     // After Ctrl-C or SIGTERM, sessions finish what they have started. A second signal disconnects them.
    ///     Ok(App::new().shutdown(Shutdown::on_signals()?).listen("127.0.0.1:8080").await?)
    /// }
    /// ```
    pub fn shutdown(mut self, shutdown: Shutdown) -> App<S> {
        self.server.shutdown = shutdown;
        self
    }

    /// Sets the path of WebSocket handshakes. This is the setting
    /// [`Config::websocket_path`](stomp_server::Config::websocket_path) of the server.
    pub fn websocket_path(mut self, path: impl Into<String>) -> App<S> {
        self.server.websocket_path = Some(path.into());
        self
    }

    /// Sets the service that answers HTTP requests on the app's own ports, such as an `axum::Router` with the pages of a
    /// web site. It gets all requests to other paths than [`App::websocket_path`], or, without such a path, all requests
    /// that do not ask for an upgrade to `websocket`: see [`Listeners::http`].
    ///
    /// ```no_run
    /// use axum::{Router, routing::get};
    /// use webstomp::{App, BoxError, server::Shutdown};
    ///
    /// #[tokio::main]
    /// async fn main() -> Result<(), BoxError> {
    ///     let pages = Router::new().route("/", get(|| async { "Connect to /stomp." }));
    ///     let app = App::new()
    ///         .websocket_path("/stomp")
    ///         .http(pages)
    ///         .shutdown(Shutdown::on_signals()?);
    ///     Ok(app.listen("127.0.0.1:8080").await?)
    /// }
    /// ```
    pub fn http<H, B>(mut self, service: H) -> App<S>
    where
        H: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        H::Error: Into<BoxError>,
        H::Future: Send,
        B: Body<Error: Into<BoxError>> + Send + 'static,
    {
        self.http = Some(Box::new(|listeners: Listeners| listeners.http(service)));
        self
    }
}

impl<S> App<S> {
    /// Builds a tower service that answers WebSocket handshakes, to be mounted on an HTTP server.
    ///
    /// [`App::http`] is simpler and safer if the app may own the port. The HTTP server on which the service is mounted
    /// has to do what the app does on its own port:
    ///
    /// - bound the heads of requests that it buffers, the time for a head, idle connections, and the number of
    ///   connections; axum's `serve` bounds none of these except the size of heads, to about 400 KiB;
    /// - provide the addresses of its peers: see [`Upgrade::peer_addr`];
    /// - not wait for its connections without a limit when it shuts down: see [`Shutdown`] for an example.
    ///
    /// # Errors
    ///
    /// Returns an error if [`App::http`] or [`App::websocket_path`] was called, if a setting is impossible, or if the
    /// routes cannot be built: see [`Router::build`](crate::Router::build).
    pub fn into_service(self) -> Result<Upgrade, StartupError>
    where
        Router<S>: Buildable,
    {
        if self.http.is_some() {
            let problem = "is set, but a mounted app cannot answer other HTTP requests";
            return Err(InvalidConfig::new("http", problem).into());
        }
        if self.server.websocket_path.is_some() {
            let problem = "is set, but the path of a mounted app is chosen by its HTTP server";
            return Err(within_server(InvalidConfig::new("websocket_path", problem)).into());
        }
        let (sessions, config) = self.build()?;
        Ok(Upgrade::new(config, move |socket| sessions.run(socket)).map_err(within_server)?)
    }

    /// Serves WebSocket connections on an address, at any path or at [`App::websocket_path`], until the app's
    /// [`shutdown`](App::shutdown) has finished. Dropping the future stops accepting connections.
    ///
    /// # Errors
    ///
    /// Returns an error if the app cannot listen on the address, if a setting is impossible, or if the routes cannot be
    /// built: see [`Router::build`](crate::Router::build).
    pub async fn listen(self, address: impl ToSocketAddrs + fmt::Debug) -> Result<(), StartupError>
    where
        Router<S>: Buildable,
    {
        // Addresses need not implement `Display`. `Debug` escapes control characters, and puts strings in quotation
        // marks, which are removed here.
        let text = format!("{address:?}").trim_matches('"').to_owned();
        let listener = bind(address).await.map_err(|error| StartupError::Listen {
            address: text,
            error,
        })?;
        self.serve(listener).await
    }

    /// Serves the connections of any [`Listeners`], until the app's [`shutdown`](App::shutdown) has finished. Unlike
    /// [`App::listen`], this supports several ports, ports that the system has chosen, STOMP directly over TCP, and
    /// TLS.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is impossible, or if the routes cannot be built: see
    /// [`Router::build`](crate::Router::build).
    pub async fn serve(mut self, listeners: impl Into<Listeners>) -> Result<(), StartupError>
    where
        Router<S>: Buildable,
    {
        let listeners = match self.http.take() {
            Some(add) => add(listeners.into()),
            None => listeners.into(),
        };
        let (sessions, config) = self.build()?;
        let shutdown = config.shutdown.clone();
        Server::run(listeners, config, move |socket| sessions.run(socket))
            .await
            .map_err(within_server)?;
        shutdown.finished().await;
        Ok(())
    }

    fn build(mut self) -> Result<(SessionRunner, stomp_server::Config), StartupError>
    where
        Router<S>: Buildable,
    {
        if let Some(budget) = self.memory_budget {
            self.session.memory_budget = budget;
        }
        self.session
            .validate()
            .map_err(|invalid| invalid.within("session"))?;
        let routes = self.router.build()?;
        let routes = self
            .layers
            .into_iter()
            .fold(routes, |routes, layer| layer(routes));
        // The syntax of the routes replaces what the settings say about the same prefixes. A longer prefix in the
        // settings, or in a router that was merged later, can still differ from a broker's syntax. The broker then
        // refuses the destinations about which the two syntaxes differ.
        let mut session = self.session;
        session.destinations = session.destinations.merge(routes.destinations());
        Ok((
            SessionRunner::new(routes, self.session_layers, session),
            self.server,
        ))
    }
}

/// Prefixes the setting's name with `server`, which is the name of [`App::server_config`] in the guide.
fn within_server(invalid: InvalidConfig) -> InvalidConfig {
    invalid.within("server")
}

/// The routes, layers and settings that all sessions share.
struct SessionRunner {
    routes: Routes,
    layers: Arc<[SessionLayer]>,
    config: Arc<stomp_session::Config>,
}

impl SessionRunner {
    fn new(
        routes: Routes,
        layers: Vec<SessionLayer>,
        mut config: stomp_session::Config,
    ) -> SessionRunner {
        // Unlike the default mapper of a session, `map_error` knows the errors of tower's layers.
        config
            .error_mapper
            .get_or_insert_with(|| ErrorMapper::new(map_error));
        #[cfg(feature = "metrics")]
        config.monitors.add(stomp_session::SessionMetrics::new());
        SessionRunner {
            routes,
            layers: layers.into(),
            config: Arc::new(config),
        }
    }

    /// Returns the future that serves one connection.
    fn run(&self, socket: Socket) -> impl Future<Output = ()> + Send + 'static + use<> {
        let routes = SessionRoutes::from(self.routes.clone());
        // A layer that panics here ends only its own session, not the loop that accepts connections.
        let service = catch_unwind(AssertUnwindSafe(|| {
            self.layers
                .iter()
                .fold(routes, |routes, layer| layer(routes))
        }));
        // An async block would hold the connection twice: before it runs, and while it runs.
        let run = |service| Session::with_service(socket, Arc::clone(&self.config), service).1;
        OptionFuture::from(service.ok().map(run)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stomp_broker::{Broker, Memory, MemoryConfig};
    use stomp_session::MemoryBudget;

    /// Returns the limit of the memory budget that the sessions of an app have.
    fn limit(app: App) -> usize {
        let (sessions, _) = app.build().unwrap();
        sessions.config.memory_budget.limit()
    }

    fn broker(limit: usize) -> Broker {
        let memory = MemoryConfig::default().memory_budget(MemoryBudget::new(limit));
        Broker::with_engine(Default::default(), Memory::new(memory).unwrap()).unwrap()
    }

    #[test]
    fn sessions_share_the_memory_budget_of_the_broker_unless_the_app_has_its_own() {
        let config = stomp_session::Config::default().memory_budget(MemoryBudget::new(1));
        assert_eq!(limit(App::new()), MemoryBudget::DEFAULT_LIMIT);
        assert_eq!(limit(App::new().session_config(config.clone())), 1);
        let with_broker = || App::new().broker(&broker(2));
        assert_eq!(limit(with_broker()), 2);
        assert_eq!(limit(with_broker().session_config(config)), 2);
        let own = || App::new().memory_budget(MemoryBudget::new(3));
        assert_eq!(limit(own()), 3);
        assert_eq!(limit(own().broker(&broker(2))), 3);
        assert_eq!(limit(with_broker().memory_budget(MemoryBudget::new(3))), 3);
    }
}
