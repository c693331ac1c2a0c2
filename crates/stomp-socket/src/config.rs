//! The settings of a socket.

use stomp_frame::{InvalidConfig, Limits};

/// The settings of a [`Socket`](crate::Socket).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Limits for the one frame that the peer may send before [`resume`](crate::Socket::resume) is called.
    ///
    /// Until then, the peer may send at most [`Limits::max_frame_bytes`] + [`Config::read_buffer_bytes`] bytes in
    /// total, including pings and empty messages. Default: [`Limits::before_login`].
    pub limits: Limits,
    /// Maximum bytes per read. The buffer is shared by all connections of a thread, so an idle connection owns no
    /// buffer. Default: 4 KiB.
    pub read_buffer_bytes: usize,
    /// Maximum bytes that may wait to be written. If more bytes wait, the socket writes before it reads or accepts
    /// another frame. Default: 64 KiB.
    pub max_write_buffer_bytes: usize,
    /// Maximum bytes that a closing socket reads and drops until the peer closes too. Without this, TCP could reset the
    /// connection, and the peer could lose the last frame. The first 64 KiB of them are always dropped; beyond, a
    /// [`Permit`](crate::Permit) may refuse. Default: 4 MiB.
    pub max_linger_bytes: u64,
    /// If true, a WebSocket peer receives binary messages only. If false, messages that are UTF-8 are sent as text.
    /// Default: false.
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

    /// Sets [`Config::max_linger_bytes`].
    #[must_use]
    pub fn max_linger_bytes(mut self, max_linger_bytes: u64) -> Config {
        self.max_linger_bytes = max_linger_bytes;
        self
    }

    /// Sets [`Config::always_binary`].
    #[must_use]
    pub fn always_binary(mut self, always_binary: bool) -> Config {
        self.always_binary = always_binary;
        self
    }

    /// Checks that all values are valid.
    ///
    /// # Errors
    ///
    /// Returns an error if [`Config::read_buffer_bytes`], [`Config::max_write_buffer_bytes`] or a limit is 0, or if
    /// [`Config::read_buffer_bytes`] exceeds `isize::MAX`, the largest buffer that can be allocated.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        self.limits
            .validate()
            .map_err(|invalid| invalid.within("limits"))?;
        InvalidConfig::reject_zero("read_buffer_bytes", self.read_buffer_bytes)?;
        if isize::try_from(self.read_buffer_bytes).is_err() {
            return Err(InvalidConfig::new(
                "read_buffer_bytes",
                format!(
                    "is {}, but must be at most {}",
                    self.read_buffer_bytes,
                    isize::MAX
                ),
            ));
        }
        InvalidConfig::reject_zero("max_write_buffer_bytes", self.max_write_buffer_bytes)
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            limits: Limits::before_login(),
            read_buffer_bytes: 4 << 10,
            max_write_buffer_bytes: 64 << 10,
            max_linger_bytes: 4 << 20,
            always_binary: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validate_names_the_invalid_setting() {
        let zero = Limits::default().max_headers(0);
        for (config, setting) in [
            (Config::default().limits(zero), "limits.max_headers"),
            (Config::default().read_buffer_bytes(0), "read_buffer_bytes"),
            (
                Config::default().read_buffer_bytes(usize::MAX),
                "read_buffer_bytes",
            ),
            (
                Config::default().max_write_buffer_bytes(0),
                "max_write_buffer_bytes",
            ),
        ] {
            let error = config.validate().unwrap_err();
            assert_eq!(error.setting(), setting);
            assert!(error.to_string().starts_with(setting), "{error}");
        }
        assert_eq!(Config::default().validate(), Ok(()));
    }
}
