//! The bytes a decoder has been fed and not yet consumed.

use bytes::{Buf, Bytes, BytesMut};

/// A queue of octets that gives slices without copying, as long as what is taken was fed in one piece.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// What was fed last. Empty, or `gathered` is.
    fed: Bytes,
    /// Several pieces, copied together.
    gathered: BytesMut,
}

impl Input {
    pub(crate) fn feed(&mut self, bytes: Bytes) {
        if self.as_slice().is_empty() {
            *self = Input { fed: bytes, gathered: BytesMut::new() };
        } else {
            self.gather();
            self.gathered.extend_from_slice(&bytes);
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        if self.gathered.is_empty() { &self.fed } else { &self.gathered }
    }

    /// Drops the first `count` octets. There must be as many.
    pub(crate) fn advance(&mut self, count: usize) {
        if self.gathered.is_empty() { self.fed.advance(count) } else { self.gathered.advance(count) }
    }

    /// Takes the first `count` octets. There must be as many.
    pub(crate) fn split_to(&mut self, count: usize) -> Bytes {
        if self.gathered.is_empty() { self.fed.split_to(count) } else { self.gathered.split_to(count).freeze() }
    }

    /// Copies what was fed, so that it can be added to.
    ///
    /// What was fed is often a slice of a larger buffer, which must not be kept alive by the beginning of a frame.
    pub(crate) fn gather(&mut self) {
        if !self.fed.is_empty() {
            self.gathered = BytesMut::from(&self.fed[..]);
            self.fed = Bytes::new();
        } else if self.gathered.is_empty() {
            self.gathered = BytesMut::new();
        }
    }
}
