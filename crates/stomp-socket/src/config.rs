//! How a socket behaves.

use stomp_frame::Limits;

/// The settings of a [`Socket`](crate::Socket).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// What the peer may send before [`negotiated`](crate::Socket::negotiated): one frame within these limits, and in
    /// all, with whatever is around it, no more bytes than a frame and one read have. Default:
    /// [`Limits::before_login`].
    pub limits: Limits,
    /// Bytes read at once. Default: 4 KiB. A connection with nothing to read owns no buffer, whatever this is.
    pub read_buffer: usize,
    /// With more bytes than this waiting to be written, nothing is read until some are gone. Default: 64 KiB.
    pub write_high_water: usize,
    /// Whether a WebSocket peer gets binary messages only. Default: no, those that are UTF-8 are text.
    pub always_binary: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            limits: Limits::before_login(),
            read_buffer: 4 << 10,
            write_high_water: 64 << 10,
            always_binary: false,
        }
    }
}
