//! How a socket behaves.

use stomp_frame::{InvalidConfig, Limits};

/// The settings of a [`Socket`](crate::Socket).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// What the peer may send before [`resume`](crate::Socket::resume): one frame within these limits, and in
    /// all, with whatever is around it, no more bytes than a frame and one read have. Default:
    /// [`Limits::before_login`].
    pub limits: Limits,
    /// Bytes read at once. Default: 4 KiB. A connection with nothing to read owns no buffer, whatever this is.
    pub read_buffer_bytes: usize,
    /// With more bytes than this waiting to be written, nothing is read until some are gone. Default: 64 KiB.
    pub max_write_buffer_bytes: usize,
    /// Whether a WebSocket peer gets binary messages only. Default: no, those that are UTF-8 are text.
    pub always_binary: bool,
}

impl Config {
    /// Sets [`Config::limits`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Config {
        self.limits = limits;
        self
    }

    /// Sets [`Config::read_buffer_bytes`].
    #[must_use]
    pub fn read_buffer_bytes(mut self, read_buffer_bytes: usize) -> Config {
        self.read_buffer_bytes = read_buffer_bytes;
        self
    }

    /// Sets [`Config::max_write_buffer_bytes`].
    #[must_use]
    pub fn max_write_buffer_bytes(mut self, max_write_buffer_bytes: usize) -> Config {
        self.max_write_buffer_bytes = max_write_buffer_bytes;
        self
    }

    /// Sets [`Config::always_binary`].
    #[must_use]
    pub fn always_binary(mut self, always_binary: bool) -> Config {
        self.always_binary = always_binary;
        self
    }

    /// Checks that a socket can run with these values.
    ///
    /// # Errors
    ///
    /// If [`Config::read_buffer_bytes`], [`Config::max_write_buffer_bytes`] or a limit is 0.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        self.limits
            .validate()
            .map_err(|invalid| invalid.within("limits"))?;
        InvalidConfig::reject_zero("read_buffer_bytes", self.read_buffer_bytes)?;
        InvalidConfig::reject_zero("max_write_buffer_bytes", self.max_write_buffer_bytes)
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            limits: Limits::before_login(),
            read_buffer_bytes: 4 << 10,
            max_write_buffer_bytes: 64 << 10,
            always_binary: false,
        }
    }
}
