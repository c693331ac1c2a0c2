//! Limits of one frame.

use crate::InvalidConfig;

/// The bounds of one frame. All are inclusive: a frame that reaches a limit passes, one byte more does not.
///
/// STOMP 1.2, "Size Limits": "servers MAY place maximum limits on: the number of frame headers allowed in a single
/// frame, the maximum length of header lines, the maximum size of a frame body".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes in a whole frame, from the command's first to the closing NUL. Default: 256 KiB.
    pub max_frame_bytes: usize,
    /// Bytes in a head: command, headers and the empty line. Default: 16 KiB. At most 2 GiB; more counts as that.
    pub max_head_bytes: usize,
    /// Bytes in one header line, without its EOL. Default: 8 KiB.
    pub max_line_bytes: usize,
    /// Header lines in a frame, repeated ones counted too. Default: 64.
    pub max_headers: usize,
}

impl Limits {
    /// What a peer may send before it is known who it is: as the default, but 16 KiB a frame.
    #[must_use]
    pub fn before_login() -> Limits {
        Limits {
            max_frame_bytes: 16 << 10,
            ..Limits::default()
        }
    }

    /// With heads so short that the index of their headers reaches everywhere, behind them too: what escapes mean is
    /// added there, and is no longer than they are.
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
}

impl Limits {
    /// Checks that a frame can pass these limits.
    ///
    /// # Errors
    ///
    /// If a limit is 0.
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
