//! How a fuzz input decides things: a byte each, then texts, then the rest.
//!
//! Any input means something, and what tells versions, counts and limits can be typed, so that seeds are text files.

use std::borrow::Cow;

use stomp_frame::{Command, Limits, Version};

/// What ends a text: a byte that no UTF-8 holds.
const END: u8 = 0xff;

/// What is left of an input.
pub(crate) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Choices(input)
    }

    /// The next byte; zero for ever after the last.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// `0`, `1` and `2` are STOMP 1.0, 1.1 and 1.2.
    pub(crate) fn version(&mut self) -> Version {
        self.one_of(Version::ALL, b'0')
    }

    /// `A` is the first of [`Command::ALL`], `O` the last.
    pub(crate) fn command(&mut self) -> Command {
        self.one_of(Command::ALL, b'A')
    }

    /// Below eight: a digit stands for itself.
    pub(crate) fn count(&mut self) -> usize {
        usize::from(self.byte() % 8)
    }

    /// Small limits for frame, head, line and headers; `-` is the default.
    pub(crate) fn limits(&mut self) -> Limits {
        let default = Limits::default();
        let mut limit = |unit: usize, default: usize| match self.byte() {
            b'-' => default,
            byte => usize::from(byte) * unit,
        };
        let limits = default
            .max_frame_bytes(limit(4, default.max_frame_bytes))
            .max_head_bytes(limit(2, default.max_head_bytes));
        limits
            .max_line_bytes(limit(1, default.max_line_bytes))
            .max_headers(limit(1, default.max_headers) % 65)
    }

    /// The bytes before the next [`END`], which is dropped, or all that are left.
    pub(crate) fn text(&mut self) -> Cow<'a, str> {
        let mut parts = self.0.splitn(2, |byte| *byte == END);
        let text = parts.next().unwrap_or_default();
        self.0 = parts.next().unwrap_or_default();
        String::from_utf8_lossy(text)
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    fn one_of<T: Copy, const N: usize>(&mut self, all: [T; N], first: u8) -> T {
        let at = usize::from(self.byte().wrapping_sub(first)) % N;
        all.get(at).copied().unwrap_or(all[0])
    }
}
