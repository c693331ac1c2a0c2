//! Reads structured values from a fuzz input: one byte per choice, then texts, then the rest.
//!
//! Every input is valid. Versions, counts and limits are printable bytes, so that seeds are text files.

use std::borrow::Cow;

use stomp_frame::{Command, Limits, Version};

/// The end of a text: a byte that does not occur in UTF-8.
const END: u8 = 0xff;

/// The part of an input that was not read yet.
pub(crate) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Choices(input)
    }

    /// Reads the next byte; 0 at the end of the input.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// Reads a version: `0`, `1` and `2` are STOMP 1.0, 1.1 and 1.2.
    pub(crate) fn version(&mut self) -> Version {
        self.one_of(Version::ALL, b'0')
    }

    /// Reads a command: `A` is the first of [`Command::ALL`], `O` the last.
    pub(crate) fn command(&mut self) -> Command {
        self.one_of(Command::ALL, b'A')
    }

    /// Reads a number below eight. The digits `0` to `7` have their usual values.
    pub(crate) fn count(&mut self) -> usize {
        usize::from(self.byte() % 8)
    }

    /// Reads small limits for the frame, the head, a line and the number of headers, from one byte each. `-` is the
    /// default.
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

    /// Reads the text up to the next [`END`], and drops this byte. Without an [`END`], reads the whole rest.
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
        let index = usize::from(self.byte().wrapping_sub(first)) % N;
        all.get(index).copied().unwrap_or(all[0])
    }
}
