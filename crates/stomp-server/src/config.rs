//! The settings of a server.

use crate::{ConnectionLimits, HttpConfig, Origins, Shutdown, TrustedProxies, host};
use std::time::Duration;
use stomp_socket::InvalidConfig;

/// The settings of a [`Server`](crate::Server) or an [`Upgrade`](crate::Upgrade).
///
/// Clones share only their [`shutdown`](Config::shutdown): each server counts its own connections.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The web pages that may connect. Default: [`Origins::SameOrigin`].
    pub origins: Origins,
    /// The names by which clients address this server, without a port, such as `stomp.example.com`. Default: none.
    ///
    /// A page can make its own host name resolve to this server, so that its `Origin` equals the `Host` (DNS rebinding).
    /// So for [`Origins::SameOrigin`], the `Host` must be an address, a loopback name such as `localhost`, or one of
    /// these names. This is checked for connections from a loopback address and, if this list is not empty, for all
    /// connections. It is not checked if a proxy has added `Forwarded`, `X-Forwarded-For` or `Via`, which no page can
    /// set, nor for clients that are no pages.
    pub hosts: Vec<String>,
    /// Maximum time for a TLS handshake, and again for all HTTP requests until the upgrade, or for the head of the first
    /// one if there is an [HTTP service](crate::Listeners::http). Bytes that arrive do not extend it. If you mount
    /// an [`Upgrade`](crate::Upgrade), the timeout of your HTTP server applies to the head of the request. Default: 5 s.
    pub handshake_timeout: Duration,
    /// Time without traffic after which TCP probes if the peer's network still exists. A peer that answers none of six
    /// probes within a minute is disconnected. Sessions of WebSockets and sessions with heart-beats notice earlier;
    /// other sessions over TCP would never notice. `None` leaves the defaults of the operating system, which usually
    /// sends no probes. Default: 60 s.
    ///
    /// On Linux, a peer that neither acknowledges nor reads sent bytes for this time and a minute is disconnected too.
    /// If you mount an [`Upgrade`](crate::Upgrade), this applies to connections that are plain TCP.
    pub tcp_keepalive: Option<Duration>,
    /// The path of WebSocket handshakes, such as `/stomp`. It is compared with the path of the request, without the
    /// query. Default: `None`, which accepts handshakes on any path. An [`Upgrade`](crate::Upgrade) does not use this
    /// setting: the HTTP server that it is mounted on selects the path.
    pub websocket_path: Option<String>,
    /// The settings of requests to the [HTTP service](crate::Listeners::http). See [`HttpConfig`] for the defaults.
    pub http: HttpConfig,
    /// The reverse proxies whose statements about the addresses of their clients are believed. These addresses count for
    /// [`ConnectionLimits`], and are in [`Peer::address`](stomp_socket::Peer::address). Default: none.
    pub trusted_proxies: TrustedProxies,
    /// Limits on the number of connections. See [`ConnectionLimits`] for the defaults.
    pub connection_limits: ConnectionLimits,
    /// The handle that shuts the server down. Default: a new handle, which is not shared with another server.
    pub shutdown: Shutdown,
    /// The settings of each socket.
    pub socket: stomp_socket::Config,
}

impl Config {
    /// Sets [`Config::origins`].
    #[must_use]
    pub fn origins(mut self, origins: Origins) -> Config {
        self.origins = origins;
        self
    }

    /// Sets [`Config::hosts`].
    #[must_use]
    pub fn hosts(mut self, hosts: Vec<String>) -> Config {
        self.hosts = hosts;
        self
    }

    /// Sets [`Config::tcp_keepalive`].
    #[must_use]
    pub fn tcp_keepalive(mut self, tcp_keepalive: impl Into<Option<Duration>>) -> Config {
        self.tcp_keepalive = tcp_keepalive.into();
        self
    }

    /// Sets [`Config::handshake_timeout`].
    #[must_use]
    pub fn handshake_timeout(mut self, handshake_timeout: Duration) -> Config {
        self.handshake_timeout = handshake_timeout;
        self
    }

    /// Sets [`Config::websocket_path`].
    #[must_use]
    pub fn websocket_path(mut self, path: impl Into<String>) -> Config {
        self.websocket_path = Some(path.into());
        self
    }

    /// Sets [`Config::http`].
    #[must_use]
    pub fn http(mut self, http: HttpConfig) -> Config {
        self.http = http;
        self
    }

    /// Sets [`Config::trusted_proxies`].
    #[must_use]
    pub fn trusted_proxies(mut self, trusted_proxies: TrustedProxies) -> Config {
        self.trusted_proxies = trusted_proxies;
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

    /// Checks that all values are valid.
    ///
    /// # Errors
    ///
    /// Returns an error if [`Config::handshake_timeout`] is zero, if [`Config::tcp_keepalive`] is less than 1 s, if an
    /// entry of [`Origins::List`] is not an origin that a browser can send, if an entry of [`Config::hosts`] is not a
    /// host, if [`Config::websocket_path`] does not begin with `/`, or if a value in [`Config::http`],
    /// [`Config::connection_limits`] or [`Config::socket`] is invalid.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::reject_zero_duration("handshake_timeout", self.handshake_timeout)?;
        if let Some(idle) = self.tcp_keepalive.filter(|idle| idle.as_secs() == 0) {
            return Err(InvalidConfig::new(
                "tcp_keepalive",
                format!("is {idle:?}, but must be at least 1 s"),
            ));
        }
        self.origins.validate()?;
        host::validate(&self.hosts)?;
        if let Some(path) = &self.websocket_path {
            if !path.starts_with('/') || path.contains(['?', '#']) {
                let problem = format!("is {path:?}, but must begin with `/` and have no query");
                return Err(InvalidConfig::new("websocket_path", problem));
            }
        }
        self.http
            .validate()
            .map_err(|invalid| invalid.within("http"))?;
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
            hosts: Vec::new(),
            tcp_keepalive: Some(Duration::from_secs(60)),
            handshake_timeout: Duration::from_secs(5),
            websocket_path: None,
            http: HttpConfig::default(),
            trusted_proxies: TrustedProxies::default(),
            connection_limits: ConnectionLimits::default(),
            shutdown: Shutdown::default(),
            socket: stomp_socket::Config::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validate_names_the_invalid_setting() {
        let limits = |limits| Config::default().connection_limits(limits);
        let http = |http| Config::default().http(http);
        let none = ConnectionLimits::default;
        let socket = stomp_socket::Config::default().read_buffer_bytes(0);
        let origins = Origins::List(vec!["example.com".to_owned()]);
        for (config, setting) in [
            (
                Config::default().handshake_timeout(Duration::ZERO),
                "handshake_timeout",
            ),
            (Config::default().origins(origins), "origins"),
            (
                Config::default().hosts(vec!["http://example.com".to_owned()]),
                "hosts",
            ),
            (
                Config::default().tcp_keepalive(Duration::from_millis(999)),
                "tcp_keepalive",
            ),
            (
                limits(none().max_connections(0)),
                "connection_limits.max_connections",
            ),
            (
                limits(none().max_unauthenticated(0)),
                "connection_limits.max_unauthenticated",
            ),
            (
                limits(none().max_per_address(0)),
                "connection_limits.max_per_address",
            ),
            (
                limits(none().max_per_second(0)),
                "connection_limits.max_per_second",
            ),
            (limits(none().max_http(0)), "connection_limits.max_http"),
            (Config::default().socket(socket), "socket.read_buffer_bytes"),
            (Config::default().websocket_path("stomp"), "websocket_path"),
            (Config::default().websocket_path("/a?b"), "websocket_path"),
            (
                http(HttpConfig::default().keep_alive_timeout(Duration::ZERO)),
                "http.keep_alive_timeout",
            ),
            (
                http(HttpConfig::default().stall_timeout(Duration::ZERO)),
                "http.stall_timeout",
            ),
            (
                http(HttpConfig::default().min_bytes_per_second(0)),
                "http.min_bytes_per_second",
            ),
        ] {
            let error = config.validate().unwrap_err();
            assert_eq!(error.setting(), setting);
            assert!(error.to_string().starts_with(setting), "{error}");
        }
        assert_eq!(Config::default().validate(), Ok(()));
    }
}
