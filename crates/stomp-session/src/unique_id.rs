//! Random numbers of 128 bits, and their text: the ids that are unique among all processes.

use std::{fmt, str};

/// A random number of 128 bits.
///
/// The numbers come from the cryptographic generator that `rand` keeps for each thread: ChaCha12, whose key comes from
/// the operating system and is renewed after 64 KiB. Numbers that a peer knows tell nothing about other ones: not their
/// values, and not how many were drawn between. So ids do not tell how much others send, or how many clients connect.
/// The probability that two of 10^12 numbers are equal is about 10^-15. A fork of the process would draw the same
/// numbers, but asynchronous runtimes do not survive a fork either.
///
/// A number costs some nanoseconds, without a lock or an allocation, and with a system call once in 4,096 times.
// Two halves, because `u128` would align each struct that contains it to 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UniqueId {
    high: u64,
    low: u64,
}

/// The text of a [`UniqueId`]: 22 digits to the base 64, in the URL-safe alphabet of RFC 4648. No version of STOMP
/// escapes them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UniqueIdText([u8; UniqueIdText::LEN]);

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const BITS: u32 = 6;

impl UniqueId {
    /// Draws a random number.
    ///
    /// # Panics
    ///
    /// Panics if the operating system provides no random bytes.
    pub(crate) fn random() -> UniqueId {
        UniqueId::from(rand::random::<u128>())
    }

    pub(crate) fn text(self) -> UniqueIdText {
        let mut rest = u128::from(self);
        let mut text = [0; UniqueIdText::LEN];
        for digit in text.iter_mut().rev() {
            let index = usize::try_from(rest % 64).unwrap_or_default();
            *digit = DIGITS.get(index).copied().unwrap_or_default();
            rest >>= BITS;
        }
        UniqueIdText(text)
    }

    /// Parses the text of a number. Each number has one text.
    pub(crate) fn parse(text: &str) -> Option<UniqueId> {
        if text.len() != UniqueIdText::LEN {
            return None;
        }
        let digits = text.bytes().map(digit);
        digits
            .enumerate()
            .try_fold(0_u128, |number, (index, digit)| {
                // 22 digits have 132 bits, so the first one is below 4.
                let digit = digit.filter(|digit| index > 0 || *digit < 4)?;
                Some(number << BITS | u128::from(digit))
            })
            .map(UniqueId::from)
    }
}

/// The value of a digit.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

impl From<u128> for UniqueId {
    fn from(number: u128) -> UniqueId {
        UniqueId {
            high: (number >> 64) as u64,
            low: number as u64,
        }
    }
}

impl From<UniqueId> for u128 {
    fn from(id: UniqueId) -> u128 {
        u128::from(id.high) << 64 | u128::from(id.low)
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl UniqueIdText {
    pub(crate) const LEN: usize = 22;

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_number_has_one_text(number: u128) {
            let text = UniqueId::from(number).text();
            prop_assert_eq!(UniqueId::parse(text.as_str()).map(u128::from), Some(number));
        }

        #[test]
        fn a_text_that_parses_is_the_text_of_its_number(text in "[A-D][A-Za-z0-9_-]{21}") {
            let id = UniqueId::parse(&text).unwrap();
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn a_text_of_another_form_is_no_number() {
        for text in [
            "",
            "d1",
            "E000000000000000000000",
            "A00000000000000000000",
            "A0000000000000000000000",
            "A00000000000000000000+",
            "A0000000000000000000 0",
            "A00000000000000000000\u{e9}",
        ] {
            assert_eq!(UniqueId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn neighbours_have_nothing_in_common() {
        let ids = [(); 1_000].map(|()| u128::from(UniqueId::random()));
        let differing_bits = |pair: &[u128]| (pair[0] ^ pair[1]).count_ones();
        let least = ids.windows(2).map(differing_bits).min();
        assert!(least > Some(20), "{least:?}");
    }
}
