//! The settings of HTTP requests that are no WebSocket handshakes.

use std::time::Duration;
use stomp_socket::InvalidConfig;

/// The settings of a [`Server`](crate::Server) for the requests that its [HTTP service](crate::Listeners::http) answers.
///
/// Heads are limited to 16 KiB and 100 lines. The first one has [`Config::handshake_timeout`](crate::Config).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Maximum time from the end of a response to the end of the next request's head on the same connection. The
    /// connection is then closed. Default: 60 s.
    pub keep_alive_timeout: Duration,
    /// Maximum time that a client may lag behind [`HttpConfig::min_bytes_per_second`]. Time in which the service has
    /// nothing to read or to write does not count. If the body of a request lags, the service gets an error instead of
    /// the rest. If the client takes a response too slowly, the connection is closed. Default: 10 s.
    pub stall_timeout: Duration,
    /// Minimum average rate at which a client must send the body of a request and take a response. Default: 1,024 bytes
    /// per second.
    pub min_bytes_per_second: u32,
}

impl HttpConfig {
    /// Sets [`HttpConfig::keep_alive_timeout`].
    #[must_use]
    pub fn keep_alive_timeout(mut self, keep_alive_timeout: Duration) -> HttpConfig {
        self.keep_alive_timeout = keep_alive_timeout;
        self
    }

    /// Sets [`HttpConfig::stall_timeout`].
    #[must_use]
    pub fn stall_timeout(mut self, stall_timeout: Duration) -> HttpConfig {
        self.stall_timeout = stall_timeout;
        self
    }

    /// Sets [`HttpConfig::min_bytes_per_second`].
    #[must_use]
    pub fn min_bytes_per_second(mut self, min_bytes_per_second: u32) -> HttpConfig {
        self.min_bytes_per_second = min_bytes_per_second;
        self
    }

    /// Checks that all values are valid.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first setting that is 0.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::reject_zero_duration("keep_alive_timeout", self.keep_alive_timeout)?;
        InvalidConfig::reject_zero_duration("stall_timeout", self.stall_timeout)?;
        InvalidConfig::reject_zero("min_bytes_per_second", self.min_bytes_per_second as usize)
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            keep_alive_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(10),
            min_bytes_per_second: 1 << 10,
        }
    }
}
