//! An app at work: on ports of its own, or mounted.

use crate::{App, StartupError, app::SessionLayer};
use std::{fmt, sync::Arc};
use stomp_router::{Buildable, Router, Routes, SessionRoutes, map_error};
use stomp_server::{Listeners, Server, Shutdown, Upgrade, bind};
use stomp_session::{ErrorMapper, InvalidConfig, Session};
use stomp_socket::Socket;
use tokio::net::ToSocketAddrs;

impl<S> App<S> {
    /// Sets what tells the server to go down; the same as [`Config::shutdown`](stomp_server::Config::shutdown).
    ///
    /// ```no_run
    /// use webstomp::{App, BoxError, server::Shutdown};
    ///
    /// #[tokio::main]
    /// async fn main() -> Result<(), BoxError> {
    ///     // Ctrl-C and SIGTERM: sessions finish what they have begun. A second one cuts them.
    ///     Ok(App::new().shutdown(Shutdown::on_signals()?).listen("127.0.0.1:8080").await?)
    /// }
    /// ```
    pub fn shutdown(mut self, shutdown: Shutdown) -> App<S> {
        self.server.shutdown = shutdown;
        self
    }
}

impl<S> App<S> {
    /// The app as a tower service that answers WebSocket handshakes, to be mounted on an HTTP server.
    ///
    /// # Errors
    ///
    /// See [`Router::build`](crate::Router::build).
    pub fn into_service(self) -> Result<Upgrade, StartupError>
    where
        Router<S>: Buildable,
    {
        let (sessions, config) = self.sessions()?;
        Ok(Upgrade::new(config, move |socket| sessions.run(socket)).map_err(within_server)?)
    }

    /// Listens on an address, for WebSocket connections on any path, until the future is dropped or the app's
    /// [`shutdown`](App::shutdown) has ended.
    ///
    /// # Errors
    ///
    /// See [`Router::build`](crate::Router::build), or if it is not possible to listen there.
    pub async fn listen(self, address: impl ToSocketAddrs + fmt::Debug) -> Result<(), StartupError>
    where
        Router<S>: Buildable,
    {
        let text = format!("{address:?}");
        let listener = bind(address).await.map_err(|error| StartupError::Listen {
            address: text,
            error,
        })?;
        self.serve(listener).await
    }

    /// As [`App::listen`], on any listeners: one for WebSockets on a port that the system has chosen, several, with TLS,
    /// for STOMP over TCP: see [`Listeners`].
    ///
    /// # Errors
    ///
    /// See [`Router::build`](crate::Router::build).
    pub async fn serve(self, listeners: impl Into<Listeners>) -> Result<(), StartupError>
    where
        Router<S>: Buildable,
    {
        let (sessions, config) = self.sessions()?;
        let shutdown = config.shutdown.clone();
        let mut server = Server::new(listeners, config).map_err(within_server)?;
        while let Some(socket) = server.accept().await {
            tokio::spawn(shutdown.abortable(sessions.run(socket)));
        }
        shutdown.finished().await;
        Ok(())
    }

    fn sessions(self) -> Result<(Sessions, stomp_server::Config), StartupError>
    where
        Router<S>: Buildable,
    {
        self.session
            .validate()
            .map_err(|invalid| invalid.within("session"))?;
        let routes = self.router.build()?;
        let routes = self
            .layers
            .into_iter()
            .fold(routes, |routes, layer| layer(routes));
        Ok((
            Sessions::new(routes, self.session_layers, self.session),
            self.server,
        ))
    }
}

fn within_server(invalid: InvalidConfig) -> InvalidConfig {
    invalid.within("server")
}

/// What every connection is given.
struct Sessions {
    routes: Routes,
    layers: Arc<[SessionLayer]>,
    config: Arc<stomp_session::Config>,
}

impl Sessions {
    fn new(
        routes: Routes,
        layers: Vec<SessionLayer>,
        mut config: stomp_session::Config,
    ) -> Sessions {
        // The router's knows the errors of tower's layers.
        config
            .error_mapper
            .get_or_insert_with(|| ErrorMapper::new(map_error));
        Sessions {
            routes,
            layers: layers.into(),
            config: Arc::new(config),
        }
    }

    fn run(&self, socket: Socket) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (_, _, connection) = Session::new(socket, Arc::clone(&self.config));
        let (routes, layers) = (self.routes.clone(), Arc::clone(&self.layers));
        // A layer that panics ends its own session, and not the loop that accepts others.
        async move {
            let service = layers
                .iter()
                .fold(SessionRoutes::from(routes), |routes, layer| layer(routes));
            connection.run(service).await;
        }
    }
}
