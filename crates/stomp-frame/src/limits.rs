//! Limits on the size of one frame.

use crate::InvalidConfig;

/// Limits on the size of one frame. All limits are inclusive: a frame may reach a limit, but must not exceed it.
///
/// STOMP 1.2, "Size Limits": "servers MAY place maximum limits on: the number of frame headers allowed in a single
/// frame, the maximum length of header lines, the maximum size of a frame body".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Maximum bytes in a frame, from the first byte of the command to the closing NUL, both included. Default: 256
    /// KiB.
    pub max_frame_bytes: usize,
    /// Maximum bytes in a head: command, headers and the empty line. Default: 16 KiB. The decoder lowers values above
    /// 2 GiB to 2 GiB.
    pub max_head_bytes: usize,
    /// Maximum bytes in one header line, without its EOL. Default: 8 KiB.
    pub max_line_bytes: usize,
    /// Maximum header lines in a frame, including repeated headers. Default: 64.
    pub max_headers: usize,
}

impl Limits {
    /// Limits for a peer that has not logged in yet: the defaults, except that `max_frame_bytes` is 16 KiB.
    #[must_use]
    pub fn before_login() -> Limits {
        Limits {
            max_frame_bytes: 16 << 10,
            ..Limits::default()
        }
    }

    /// Caps `max_head_bytes` at 2 GiB, because the index of the headers consists of `u32` positions.
    ///
    /// The unescaped text is appended to the head and is not longer than the head. Both together must be within the
    /// range of the index.
    pub(crate) fn indexable(self) -> Limits {
        Limits {
            max_head_bytes: self.max_head_bytes.min(u32::MAX as usize / 2),
            ..self
        }
    }

    /// Sets [`Limits::max_frame_bytes`].
    #[must_use]
    pub fn max_frame_bytes(mut self, bytes: usize) -> Limits {
        self.max_frame_bytes = bytes;
        self
    }

    /// Sets [`Limits::max_head_bytes`].
    #[must_use]
    pub fn max_head_bytes(mut self, bytes: usize) -> Limits {
        self.max_head_bytes = bytes;
        self
    }

    /// Sets [`Limits::max_line_bytes`].
    #[must_use]
    pub fn max_line_bytes(mut self, bytes: usize) -> Limits {
        self.max_line_bytes = bytes;
        self
    }

    /// Sets [`Limits::max_headers`].
    #[must_use]
    pub fn max_headers(mut self, lines: usize) -> Limits {
        self.max_headers = lines;
        self
    }

    /// Checks that no limit is 0.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first limit that is 0.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::reject_zero("max_frame_bytes", self.max_frame_bytes)?;
        InvalidConfig::reject_zero("max_head_bytes", self.max_head_bytes)?;
        InvalidConfig::reject_zero("max_line_bytes", self.max_line_bytes)?;
        InvalidConfig::reject_zero("max_headers", self.max_headers)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_frame_bytes: 256 << 10,
            max_head_bytes: 16 << 10,
            max_line_bytes: 8 << 10,
            max_headers: 64,
        }
    }
}
