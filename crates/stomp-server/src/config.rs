//! How connections are taken in.

use crate::{ConnectionLimits, Origins, Shutdown};
use std::time::Duration;

/// The settings of a [`Server`](crate::Server) or an [`Upgrade`](crate::Upgrade).
///
/// Clones share their [`shutdown`](Config::shutdown), and nothing else: each server counts its own connections.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Which web pages may connect. Default: [`Origins::SameOrigin`].
    pub origins: Origins,
    /// How long a TLS handshake may take, and after it everything in HTTP up to the upgrade, however much is sent
    /// meanwhile. Under an HTTP server of your own, its own deadline holds for the head of the request.
    /// Default: 5 s.
    pub handshake_timeout: Duration,
    /// How many connections there may be. See [`ConnectionLimits`] for the defaults.
    pub connections: ConnectionLimits,
    /// Tells the server to go down. Default: nothing tells it so.
    pub shutdown: Shutdown,
    /// The settings of the sockets.
    pub socket: stomp_socket::Config,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            origins: Origins::default(),
            handshake_timeout: Duration::from_secs(5),
            connections: ConnectionLimits::default(),
            shutdown: Shutdown::default(),
            socket: stomp_socket::Config::default(),
        }
    }
}
