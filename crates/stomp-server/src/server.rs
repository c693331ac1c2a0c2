//! A server with its own listeners.

use crate::{
    Config, ConnectionCounts, Listeners, Shutdown,
    acceptor::{Acceptor, Serve, spawn_each},
    connections::Connections,
    listeners::Accepting,
};
use std::{
    fmt,
    future::poll_fn,
    panic::resume_unwind,
    sync::Arc,
    task::{Context, Poll},
};
use stomp_socket::{InvalidConfig, Socket};
use tokio::{sync::mpsc, task::JoinSet};

/// Accepts connections from its listeners and returns their sockets.
///
/// Connections do not affect each other: if the handshake of one fails or times out, the others continue.
pub struct Server {
    /// The accept loops. Empty after the shutdown has started.
    accepting: Vec<Accepting>,
    shutdown: Shutdown,
    shutdown_started: Accepting,
    /// Enforces the drain timeout after the shutdown has started.
    draining: Option<Accepting>,
    sockets: mpsc::Receiver<Socket>,
    connections: Arc<Connections>,
}

/// Maximum number of sockets that are queued for [`Server::accept`]. Further sockets wait in their own tasks.
const BACKLOG: usize = 64;

impl Server {
    /// Creates a server for these listeners.
    ///
    /// # Errors
    ///
    /// Returns the error of [`Config::validate`], if a value is invalid.
    pub fn new(listeners: impl Into<Listeners>, config: Config) -> Result<Server, InvalidConfig> {
        Server::start(listeners.into(), config, None)
    }

    /// Accepts connections and runs `serve` for each socket, in a separate task, until the
    /// [shutdown](crate::Shutdown::start) has started and all handshakes and HTTP requests have ended. Sessions may then
    /// still run: [`Shutdown::finished`] waits for them. Its abort drops them.
    ///
    /// This costs less for each connection than to [`accept`](Server::accept) it and to spawn a task.
    ///
    /// # Errors
    ///
    /// Returns the error of [`Config::validate`], if a value is invalid.
    pub async fn run<F, R>(
        listeners: impl Into<Listeners>,
        config: Config,
        serve: F,
    ) -> Result<(), InvalidConfig>
    where
        F: Fn(Socket) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let serve = spawn_each(config.shutdown.clone(), serve);
        let mut server = Server::start(listeners.into(), config, Some(serve))?;
        // In a task, because the future of a program's `main` does not run on the threads that serve the connections. The
        // set ends the task when this future is dropped.
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            // The sockets are served elsewhere, so this ends only with the server.
            while server.accept().await.is_some() {}
        });
        if let Some(Err(error)) = accepting.join_next().await {
            if let Ok(panic) = error.try_into_panic() {
                resume_unwind(panic);
            }
        }
        Ok(())
    }

    fn start(
        mut listeners: Listeners,
        config: Config,
        serve: Option<Serve>,
    ) -> Result<Server, InvalidConfig> {
        config.validate()?;
        let (sender, sockets) = mpsc::channel(BACKLOG);
        let shutdown = config.shutdown.clone();
        let service = listeners.take_service();
        let acceptor = Arc::new(Acceptor::new(config, service, sender, serve));
        let connections = Arc::clone(&acceptor.connections);
        Ok(Server {
            accepting: listeners.start(&acceptor),
            shutdown_started: Box::pin(shutdown.started()),
            shutdown,
            draining: None,
            sockets,
            connections,
        })
    }

    /// Waits for the next socket whose handshake has completed. Returns `None` when the
    /// [shutdown](crate::Shutdown::start) has started and all handshakes and HTTP requests have ended. Those that are
    /// still open after the drain timeout are aborted.
    ///
    /// Connections are only accepted while this future is polled; their handshakes run in separate tasks. Dropping the
    /// future loses no connection.
    pub async fn accept(&mut self) -> Option<Socket> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<Socket>> {
        if !self.accepting.is_empty() && self.shutdown_started.as_mut().poll(cx).is_ready() {
            // Drops the listeners, so that their ports are free.
            self.accepting.clear();
            let shutdown = self.shutdown.clone();
            self.draining = Some(Box::pin(async move { shutdown.finished().await }));
        }
        if let Some(draining) = &mut self.draining {
            if draining.as_mut().poll(cx).is_ready() {
                self.draining = None;
            }
        }
        for accepting in &mut self.accepting {
            // Never completes.
            let _ = accepting.as_mut().poll(cx);
        }
        self.sockets.poll_recv(cx)
    }

    /// The current numbers of connections.
    #[must_use]
    pub fn connections(&self) -> ConnectionCounts {
        self.connections.counts()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}
