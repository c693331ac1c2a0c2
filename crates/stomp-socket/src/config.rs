//! How a socket behaves.

use stomp_frame::Limits;

/// The settings of a [`Socket`](crate::Socket).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// What the peer may send before [`negotiated`](crate::Socket::negotiated). Default: [`Limits::before_login`].
    pub limits: Limits,
    /// Octets read at once. Default: 4 KiB, which every connection owns; larger ones were not measurably faster.
    pub read_buffer: usize,
    /// With more octets than this waiting to be written, nothing is read until some are gone. Default: 64 KiB.
    pub write_high_water: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { limits: Limits::before_login(), read_buffer: 4 << 10, write_high_water: 64 << 10 }
    }
}
