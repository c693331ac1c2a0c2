//! The bytes that give a head its shape.

/// Finds colons, backslashes, and bytes below 16, which line feeds, carriage returns and NULs are, 64 bytes at a time.
///
/// Lines are short. To begin a search anew behind each mark, as memchr would have to, costs more than to find them all;
/// and so does a branch for every few bytes, which no processor foresees.
pub(crate) struct Marks<'a> {
    /// What was not looked at, behind the block.
    rest: &'a [u8],
    /// Where the block stands.
    block: usize,
    /// A bit for each byte of the block that is a mark and was not given.
    found: u64,
}

impl<'a> Marks<'a> {
    /// The marks of `bytes`, of which the first stands at `start`.
    #[inline]
    pub(crate) fn new(bytes: &'a [u8], start: usize) -> Marks<'a> {
        let mut marks = Marks {
            rest: bytes,
            block: start,
            found: 0,
        };
        marks.found = marks.look();
        marks
    }

    /// Looks at the next block, the last of which ends with blanks.
    #[inline]
    fn look(&mut self) -> u64 {
        if let Some((block, rest)) = self.rest.split_first_chunk() {
            self.rest = rest;
            return marked(block);
        }
        let mut block = [b' '; BLOCK];
        if let Some(part) = block.get_mut(..self.rest.len()) {
            part.copy_from_slice(self.rest);
        }
        self.rest = &[];
        marked(&block)
    }
}

impl Iterator for Marks<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.found == 0 {
            if self.rest.is_empty() {
                return None;
            }
            self.block += BLOCK;
            self.found = self.look();
        }
        let at = self.block + self.found.trailing_zeros() as usize;
        self.found &= self.found - 1;
        Some(at)
    }
}

const BLOCK: usize = u64::BITS as usize;
const BYTE: usize = u8::BITS as usize;

/// A bit for each byte that is a mark, the lowest for the first.
fn marked(block: &[u8; BLOCK]) -> u64 {
    // Compilers do this for sixteen bytes at a time.
    let mut bits = [0; BLOCK];
    for (number, (bit, byte)) in bits.iter_mut().zip(block).enumerate() {
        *bit = if is_mark(*byte) {
            1 << (number % BYTE)
        } else {
            0
        };
    }
    // The highest byte of the product is the sum of all eight, which have no bit in common.
    let gathered =
        |eight: [u8; BYTE]| u64::from_le_bytes(eight).wrapping_mul(0x0101_0101_0101_0101) >> 56;
    let eights = bits
        .chunks_exact(BYTE)
        .filter_map(|eight| eight.try_into().ok());
    eights
        .rev()
        .fold(0, |found, eight| found << BYTE | gathered(eight))
}

/// Without branches, for the loops that do many at a time.
#[inline]
pub(crate) fn is_mark(byte: u8) -> bool {
    (byte < 16) | (byte == b':') | (byte == b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    proptest! {
        #[test]
        fn each_mark_is_found_and_nothing_else(bytes in vec(prop_oneof![any::<u8>(), 0..20u8, 0x38..0x3cu8, 0x5a..0x5eu8], 0..200)) {
            let marks = |byte: &u8| matches!(byte, b':' | b'\\' | 0..16);
            let expected: Vec<usize> =
                bytes.iter().enumerate().filter(|(_, byte)| marks(byte)).map(|(at, _)| 7 + at).collect();
            prop_assert_eq!(Marks::new(&bytes, 7).collect::<Vec<_>>(), expected);
        }
    }
}
