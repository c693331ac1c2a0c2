//! How much a peer may send.

/// The bounds of one frame. All are inclusive: a frame that reaches a limit passes, one byte more does not.
///
/// STOMP 1.2, "Size Limits": "servers MAY place maximum limits on: the number of frame headers allowed in a single
/// frame, the maximum length of header lines, the maximum size of a frame body".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes in a whole frame, from the command's first to the closing NUL. Default: 256 KiB.
    pub frame: usize,
    /// Bytes in a head: command, headers and the empty line. Default: 16 KiB. At most 2 GiB; more counts as that.
    pub head: usize,
    /// Bytes in one header line, without its EOL. Default: 8 KiB.
    pub line: usize,
    /// Header lines in a frame, repeated ones counted too. Default: 64.
    pub headers: usize,
}

impl Limits {
    /// What a peer may send before it is known who it is: as the default, but 16 KiB a frame.
    #[must_use]
    pub fn before_login() -> Limits {
        Limits {
            frame: 16 << 10,
            ..Limits::default()
        }
    }

    /// With heads so short that the index of their headers reaches everywhere, behind them too: what escapes mean is
    /// added there, and is no longer than they are.
    pub(crate) fn indexable(self) -> Limits {
        Limits {
            head: self.head.min(u32::MAX as usize / 2),
            ..self
        }
    }

    /// Sets [`Limits::frame`].
    #[must_use]
    pub fn frame(mut self, bytes: usize) -> Limits {
        self.frame = bytes;
        self
    }

    /// Sets [`Limits::head`].
    #[must_use]
    pub fn head(mut self, bytes: usize) -> Limits {
        self.head = bytes;
        self
    }

    /// Sets [`Limits::line`].
    #[must_use]
    pub fn line(mut self, bytes: usize) -> Limits {
        self.line = bytes;
        self
    }

    /// Sets [`Limits::headers`].
    #[must_use]
    pub fn headers(mut self, lines: usize) -> Limits {
        self.headers = lines;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            frame: 256 << 10,
            head: 16 << 10,
            line: 8 << 10,
            headers: 64,
        }
    }
}
