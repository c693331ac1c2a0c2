//! How connections are taken in.

use crate::{ConnectionLimits, Origins, Shutdown};
use std::time::Duration;
use stomp_socket::InvalidConfig;

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
    pub connection_limits: ConnectionLimits,
    /// Tells the server to go down. Default: nothing tells it so.
    pub shutdown: Shutdown,
    /// The settings of the sockets.
    pub socket: stomp_socket::Config,
}

impl Config {
    /// Sets [`Config::origins`].
    #[must_use]
    pub fn origins(mut self, origins: Origins) -> Config {
        self.origins = origins;
        self
    }

    /// Sets [`Config::handshake_timeout`].
    #[must_use]
    pub fn handshake_timeout(mut self, handshake_timeout: Duration) -> Config {
        self.handshake_timeout = handshake_timeout;
        self
    }

    /// Sets [`Config::connection_limits`].
    #[must_use]
    pub fn connection_limits(mut self, connection_limits: ConnectionLimits) -> Config {
        self.connection_limits = connection_limits;
        self
    }

    /// Sets [`Config::shutdown`].
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Config {
        self.shutdown = shutdown;
        self
    }

    /// Sets [`Config::socket`].
    #[must_use]
    pub fn socket(mut self, socket: stomp_socket::Config) -> Config {
        self.socket = socket;
        self
    }

    /// Checks that a server can run with these values.
    ///
    /// # Errors
    ///
    /// If [`Config::handshake_timeout`] is zero, or a setting of [`Config::socket`] is impossible.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        if self.handshake_timeout.is_zero() {
            return Err(InvalidConfig::new(
                "handshake_timeout",
                "is zero, but must be longer",
            ));
        }
        self.connection_limits
            .validate()
            .map_err(|invalid| invalid.within("connection_limits"))?;
        self.socket
            .validate()
            .map_err(|invalid| invalid.within("socket"))
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            origins: Origins::default(),
            handshake_timeout: Duration::from_secs(5),
            connection_limits: ConnectionLimits::default(),
            shutdown: Shutdown::default(),
            socket: stomp_socket::Config::default(),
        }
    }
}
