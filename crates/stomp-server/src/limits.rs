//! Limits on the number of connections.

use stomp_socket::InvalidConfig;

/// Limits on the connections of a [`Server`](crate::Server) or an [`Upgrade`](crate::Upgrade).
///
/// A connection above a limit is refused with status 503. Listeners with TLS or without HTTP close such a connection
/// without a response. The log names the limit and the peer, at most once every 10 s for each limit.
///
/// # Shares
///
/// While there is room, any address may take any number of places. When `max_unauthenticated` is reached, a newcomer
/// takes the place of the oldest unauthenticated connection of the address that holds most of these places, and that
/// connection is closed without a response. The newcomer is refused if its own address holds most, or if this would only
/// exchange the shares of two addresses, unless the oldest connection is older than a second. So one address cannot lock
/// out the others. Addresses are IPv4 addresses and IPv6 /64 networks; all connections without a known address count as
/// one.
///
/// When `max_http` is reached, the connection that is idle for the longest time is closed, whatever its address. If all
/// are busy, the same shares apply, and only a connection of an address with at least two more is closed. When
/// `max_connections` is reached, room is made in both ways. Connections that have logged in are never closed to make
/// room.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectionLimits {
    /// Maximum number of open connections. Default: 16,384.
    pub max_connections: usize,
    /// Maximum number of open connections that have not logged in: a connection counts from the moment it is accepted
    /// until its `CONNECT` is answered with `CONNECTED`. Default: 1,024.
    pub max_unauthenticated: usize,
    /// Maximum number of open connections that are used for HTTP requests: see
    /// [`Listeners::http`](crate::Listeners::http). From its first request that is not a WebSocket handshake, a
    /// connection counts here and no longer as unauthenticated, so that pages that poll take no place of a STOMP client.
    /// It counts as unauthenticated again from a later handshake. Default: 1,024.
    pub max_http: usize,
    /// Maximum number of open connections per IPv4 address or IPv6 /64 network. Connections without a known address do
    /// not count. Default: no limit, because many clients behind a NAT share one address. Behind a proxy, also set
    /// [`Config::trusted_proxies`](crate::Config::trusted_proxies). The proxy's own connections are then not limited:
    /// clients count from their handshake on.
    pub max_per_address: Option<usize>,
    /// Maximum number of new connections per second, on average. The same number may arrive in one burst. Default: no
    /// limit.
    pub max_per_second: Option<u32>,
    /// Maximum number of closing connections of one listener, or of one [`Upgrade`](crate::Upgrade), from which the
    /// server drops more than 64 KiB so that their peers get the last frame: see
    /// [`stomp_socket::Config::max_linger_bytes`]. Further ones are closed after 64 KiB. May be 0. Default: 64.
    pub max_lingering: usize,
}

impl ConnectionLimits {
    /// Sets [`ConnectionLimits::max_connections`].
    #[must_use]
    pub fn max_connections(mut self, max_connections: usize) -> ConnectionLimits {
        self.max_connections = max_connections;
        self
    }

    /// Sets [`ConnectionLimits::max_unauthenticated`].
    #[must_use]
    pub fn max_unauthenticated(mut self, max_unauthenticated: usize) -> ConnectionLimits {
        self.max_unauthenticated = max_unauthenticated;
        self
    }

    /// Sets [`ConnectionLimits::max_http`].
    #[must_use]
    pub fn max_http(mut self, max_http: usize) -> ConnectionLimits {
        self.max_http = max_http;
        self
    }

    /// Sets [`ConnectionLimits::max_per_address`].
    #[must_use]
    pub fn max_per_address(
        mut self,
        max_per_address: impl Into<Option<usize>>,
    ) -> ConnectionLimits {
        self.max_per_address = max_per_address.into();
        self
    }

    /// Sets [`ConnectionLimits::max_per_second`].
    #[must_use]
    pub fn max_per_second(mut self, max_per_second: impl Into<Option<u32>>) -> ConnectionLimits {
        self.max_per_second = max_per_second.into();
        self
    }

    /// Sets [`ConnectionLimits::max_lingering`].
    #[must_use]
    pub fn max_lingering(mut self, max_lingering: usize) -> ConnectionLimits {
        self.max_lingering = max_lingering;
        self
    }

    /// Checks that these limits admit at least one connection.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first limit that is 0.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::reject_zero("max_connections", self.max_connections)?;
        InvalidConfig::reject_zero("max_unauthenticated", self.max_unauthenticated)?;
        InvalidConfig::reject_zero("max_http", self.max_http)?;
        InvalidConfig::reject_zero("max_per_address", self.max_per_address.unwrap_or(1))?;
        InvalidConfig::reject_zero(
            "max_per_second",
            self.max_per_second.map_or(1, |max| max as usize),
        )
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            max_connections: 16_384,
            max_unauthenticated: 1_024,
            max_http: 1_024,
            max_per_address: None,
            max_per_second: None,
            max_lingering: 64,
        }
    }
}

/// The numbers of connections of a server, see [`Server::connections`](crate::Server::connections).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConnectionCounts {
    /// The number of open connections.
    pub open: usize,
    /// The number of open connections that have not logged in yet, without those in [`ConnectionCounts::http`].
    pub unauthenticated: usize,
    /// The number of open connections that are used for HTTP requests.
    pub http: usize,
    /// The number of connections that were refused because of [`ConnectionLimits`], since the server was created.
    pub refused: u64,
    /// The number of connections that were closed to make room for another address, since the server was created: see
    /// [`ConnectionLimits`].
    pub displaced: u64,
}
