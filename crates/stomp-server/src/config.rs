//! How connections are taken in.

use crate::Origins;
use std::time::Duration;

/// The settings of a [`Server`](crate::Server) or an [`Upgrade`](crate::Upgrade).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Which web pages may connect. Default: [`Origins::SameOrigin`].
    pub origins: Origins,
    /// How long the head of an HTTP request may take to come, and the upgrade after it. Under an HTTP server of your
    /// own, its own deadline holds for the head. Default: 5 s.
    pub handshake_timeout: Duration,
    /// The settings of the sockets.
    pub socket: stomp_socket::Config,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            origins: Origins::default(),
            handshake_timeout: Duration::from_secs(5),
            socket: stomp_socket::Config::default(),
        }
    }
}
