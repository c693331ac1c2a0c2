//! The bytes that were fed to a decoder and are not consumed yet.

use bytes::{Buf, Bytes, BytesMut};

/// A queue of bytes. It keeps a single piece as it was fed, and copies several pieces into one buffer.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// The only piece. Empty if `coalesced` is not.
    fed: Bytes,
    /// Several pieces, copied into one buffer.
    coalesced: BytesMut,
}

impl Input {
    /// Appends bytes. `expected_len` returns the length of the current frame, if it is known.
    #[inline]
    pub(crate) fn feed(&mut self, bytes: Bytes, expected_len: impl FnOnce() -> Option<usize>) {
        if !self.coalesced.is_empty() {
            if self.coalesced.capacity() - self.coalesced.len() < bytes.len() {
                self.grow(expected_len());
            }
            self.coalesced.extend_from_slice(&bytes);
        } else if self.fed.is_empty() {
            self.fed = bytes;
        } else {
            self.coalesce();
            self.coalesced.extend_from_slice(&bytes);
        }
    }

    /// Reserves room for a frame of `expected_len` bytes, but at most four times the bytes that have arrived. So a peer
    /// cannot claim much memory by only announcing a long body.
    #[cold]
    fn grow(&mut self, expected_len: Option<usize>) {
        let len = self.coalesced.len();
        self.coalesced
            .reserve(expected_len.unwrap_or(0).saturating_sub(len).min(3 * len));
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        if self.coalesced.is_empty() {
            &self.fed
        } else {
            &self.coalesced
        }
    }

    /// Returns true if there are no bytes, and no spare capacity to release.
    #[inline]
    pub(crate) fn is_vacant(&self) -> bool {
        self.fed.is_empty() && self.coalesced.capacity() == 0
    }

    /// All bytes, if they are in the coalesced buffer; otherwise `None`.
    #[inline]
    pub(crate) fn coalesced(&self) -> Option<&[u8]> {
        self.fed.is_empty().then_some(&self.coalesced)
    }

    /// Drops the first `count` bytes, which must exist.
    pub(crate) fn advance(&mut self, count: usize) {
        if self.coalesced.is_empty() {
            self.fed.advance(count)
        } else {
            self.coalesced.advance(count)
        }
    }

    /// Removes and returns the first `count` bytes, which must exist.
    #[inline]
    pub(crate) fn split_to(&mut self, count: usize) -> Bytes {
        if self.coalesced.is_empty() {
            self.fed.split_to(count)
        } else {
            self.coalesced.split_to(count).freeze()
        }
    }

    /// Copies the fed piece into the coalesced buffer, so that more pieces can be appended. Frees the coalesced buffer
    /// if there are no bytes.
    ///
    /// The piece is often a slice of a larger buffer. Without the copy, the beginning of a frame would keep that whole
    /// buffer alive.
    #[inline]
    pub(crate) fn coalesce(&mut self) {
        if !self.fed.is_empty() {
            self.coalesced = BytesMut::from(&self.fed[..]);
            self.fed = Bytes::new();
        } else if self.coalesced.is_empty() {
            self.coalesced = BytesMut::new();
        }
    }
}
