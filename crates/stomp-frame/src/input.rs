//! The bytes a decoder has been fed and not yet consumed.

use bytes::{Buf, Bytes, BytesMut};

/// A queue of bytes that gives slices without copying, as long as what is taken was fed in one piece.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// What was fed last. Empty, or `gathered` is.
    fed: Bytes,
    /// Several pieces, copied together.
    gathered: BytesMut,
}

impl Input {
    /// Adds bytes to a frame of which `expected` tells how many it will have, if it is known.
    #[inline]
    pub(crate) fn feed(&mut self, bytes: Bytes, expected: impl FnOnce() -> Option<usize>) {
        if !self.gathered.is_empty() {
            if self.gathered.capacity() - self.gathered.len() < bytes.len() {
                self.grow(expected());
            }
            self.gathered.extend_from_slice(&bytes);
        } else if self.fed.is_empty() {
            self.fed = bytes;
        } else {
            self.gather();
            self.gathered.extend_from_slice(&bytes);
        }
    }

    /// Makes room for so many bytes in all, but never for more than four times those that are there: who promises much
    /// has to send much.
    #[cold]
    fn grow(&mut self, expected: Option<usize>) {
        let here = self.gathered.len();
        self.gathered
            .reserve(expected.unwrap_or(0).saturating_sub(here).min(3 * here));
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        if self.gathered.is_empty() {
            &self.fed
        } else {
            &self.gathered
        }
    }

    /// Whether there is nothing, and no room for more.
    #[inline]
    pub(crate) fn is_used_up(&self) -> bool {
        self.fed.is_empty() && self.gathered.capacity() == 0
    }

    /// All there is, if it has been copied together.
    #[inline]
    pub(crate) fn gathered(&self) -> Option<&[u8]> {
        self.fed.is_empty().then_some(&self.gathered)
    }

    /// Drops the first `count` bytes. There must be as many.
    pub(crate) fn advance(&mut self, count: usize) {
        if self.gathered.is_empty() {
            self.fed.advance(count)
        } else {
            self.gathered.advance(count)
        }
    }

    /// Takes the first `count` bytes. There must be as many.
    pub(crate) fn split_to(&mut self, count: usize) -> Bytes {
        if self.gathered.is_empty() {
            self.fed.split_to(count)
        } else {
            self.gathered.split_to(count).freeze()
        }
    }

    /// Copies what was fed, so that it can be added to.
    ///
    /// What was fed is often a slice of a larger buffer, which must not be kept alive by the beginning of a frame.
    #[inline]
    pub(crate) fn gather(&mut self) {
        if !self.fed.is_empty() {
            self.gathered = BytesMut::from(&self.fed[..]);
            self.fed = Bytes::new();
        } else if self.gathered.is_empty() {
            self.gathered = BytesMut::new();
        }
    }
}
