//! Listeners of one's own.

use crate::{
    Config, ConnectionCounts, Listeners, acceptor::Acceptor, limits::Connections,
    listeners::Accepting,
};
use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};
use stomp_socket::{InvalidConfig, Socket};
use tokio::sync::mpsc;

/// Listens for connections, and gives their sockets.
///
/// A connection that cannot be accepted, breaks its handshake off or takes too long over it makes no other wait, and
/// ends nothing but itself.
pub struct Server {
    /// None is left once the server goes down.
    accepting: Vec<Accepting>,
    going_down: Accepting,
    sockets: mpsc::Receiver<Socket>,
    connections: Arc<Connections>,
}

/// So many sockets wait for [`Server::accept`]; further ones wait in their tasks.
const BACKLOG: usize = 64;

impl Server {
    /// A server on these listeners.
    ///
    /// # Errors
    ///
    /// See [`Config::validate`].
    pub fn new(listeners: impl Into<Listeners>, config: Config) -> Result<Server, InvalidConfig> {
        config.validate()?;
        let (sender, sockets) = mpsc::channel(BACKLOG);
        let going_down = Box::pin(config.shutdown.started());
        let acceptor = Arc::new(Acceptor::new(config, sender));
        let connections = Arc::clone(&acceptor.connections);
        Ok(Server {
            accepting: listeners.into().start(&acceptor),
            going_down,
            sockets,
            connections,
        })
    }

    /// The next socket whose handshake is done, or none when the server has [gone down](crate::Shutdown::start) and no
    /// handshake is left.
    ///
    /// Connections are taken in while this is polled; their handshakes go on in tasks of their own. Dropping the future
    /// loses nothing.
    pub async fn accept(&mut self) -> Option<Socket> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<Socket>> {
        if !self.accepting.is_empty() && self.going_down.as_mut().poll(cx).is_ready() {
            // The ports are free from now on.
            self.accepting.clear();
        }
        for accepting in &mut self.accepting {
            // They do not end.
            let _ = accepting.as_mut().poll(cx);
        }
        self.sockets.poll_recv(cx)
    }

    /// How many connections there are now.
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
