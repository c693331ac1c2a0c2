//! The listeners of a server and their protocols.

use crate::{Listener, acceptor::Acceptor};
use std::{fmt, pin::Pin, sync::Arc};

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
pub struct Listeners(Vec<Box<dyn FnOnce(Arc<Acceptor>) -> Accepting + Send>>);

/// A future that accepts the connections of one listener. It never completes.
pub(crate) type Accepting = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Listeners {
    /// Creates an empty list.
    pub fn new() -> Listeners {
        Listeners::default()
    }

    /// Adds a listener for WebSockets. Handshakes are accepted on any path.
    pub fn websocket(mut self, listener: impl Listener) -> Listeners {
        self.0.push(Box::new(|acceptor| {
            Box::pin(acceptor.accept_websockets(listener))
        }));
        self
    }

    /// Adds a listener for STOMP without HTTP, as message brokers usually offer over TCP.
    pub fn byte_stream(mut self, listener: impl Listener) -> Listeners {
        self.0.push(Box::new(|acceptor| {
            Box::pin(acceptor.accept_streams(listener))
        }));
        self
    }

    pub(crate) fn start(self, acceptor: &Arc<Acceptor>) -> Vec<Accepting> {
        self.0
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
        f.debug_tuple("Listeners").field(&self.0.len()).finish()
    }
}
