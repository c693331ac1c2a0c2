//! A search for the structural bytes of a head, 64 bytes at a time.

/// Iterates over the positions of structural bytes: colons, backslashes, and all bytes below 16, among them line feeds,
/// carriage returns and NULs.
///
/// Lines are short, so restarting memchr after each match is slower than finding all matches of a 64-byte block at
/// once. Testing a few bytes at a time is slower too: processors cannot predict those branches.
pub(crate) struct StructuralBytes<'a> {
    /// The bytes after the current block.
    rest: &'a [u8],
    /// The position of the current block.
    block: usize,
    /// A bit for each structural byte of the current block whose position was not returned yet.
    found: u64,
}

impl<'a> StructuralBytes<'a> {
    /// Creates an iterator over the structural bytes of `bytes`. The first byte has the position `start`.
    #[inline]
    pub(crate) fn new(bytes: &'a [u8], start: usize) -> StructuralBytes<'a> {
        let mut search = StructuralBytes {
            rest: bytes,
            block: start,
            found: 0,
        };
        search.found = search.search_block();
        search
    }

    /// Searches the next block, and returns a bit for each structural byte. Pads the last block with spaces.
    #[inline]
    fn search_block(&mut self) -> u64 {
        if let Some((block, rest)) = self.rest.split_first_chunk() {
            self.rest = rest;
            return structural_bits(block);
        }
        let mut block = [b' '; BLOCK];
        if let Some(part) = block.get_mut(..self.rest.len()) {
            part.copy_from_slice(self.rest);
        }
        self.rest = &[];
        structural_bits(&block)
    }
}

impl Iterator for StructuralBytes<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.found == 0 {
            if self.rest.is_empty() {
                return None;
            }
            self.block += BLOCK;
            self.found = self.search_block();
        }
        let position = self.block + self.found.trailing_zeros() as usize;
        self.found &= self.found - 1;
        Some(position)
    }
}

const BLOCK: usize = u64::BITS as usize;
const BYTE: usize = u8::BITS as usize;

/// Returns a bit for each byte of the block, which is set if the byte is structural. The lowest bit is for the first
/// byte.
fn structural_bits(block: &[u8; BLOCK]) -> u64 {
    // Compilers vectorize this loop, for sixteen bytes at a time.
    let mut bits = [0; BLOCK];
    for (number, (bit, byte)) in bits.iter_mut().zip(block).enumerate() {
        *bit = if is_structural(*byte) {
            1 << (number % BYTE)
        } else {
            0
        };
    }
    // The highest byte of the product is the sum of all eight bytes, which have no bit in common.
    let gathered =
        |eight: [u8; BYTE]| u64::from_le_bytes(eight).wrapping_mul(0x0101_0101_0101_0101) >> 56;
    let eights = bits
        .chunks_exact(BYTE)
        .filter_map(|eight| eight.try_into().ok());
    eights
        .rev()
        .fold(0, |found, eight| found << BYTE | gathered(eight))
}

/// Returns true for a colon, a backslash and bytes below 16. It has no branches, so that loops over it vectorize.
#[inline]
pub(crate) fn is_structural(byte: u8) -> bool {
    (byte < 16) | (byte == b':') | (byte == b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    proptest! {
        #[test]
        fn all_structural_bytes_and_no_others_are_found(bytes in vec(prop_oneof![any::<u8>(), 0..20u8, 0x38..0x3cu8, 0x5a..0x5eu8], 0..200)) {
            let is_expected = |byte: &u8| matches!(byte, b':' | b'\\' | 0..16);
            let expected: Vec<usize> =
                bytes.iter().enumerate().filter(|(_, byte)| is_expected(byte)).map(|(index, _)| 7 + index).collect();
            prop_assert_eq!(StructuralBytes::new(&bytes, 7).collect::<Vec<_>>(), expected);
        }
    }
}
