//! The escape sequences of header names and values, per version.

use crate::Version;
use bytes::{BufMut, BytesMut};

/// Whether frames of `version` escape at all. STOMP 1.0 does not.
pub(crate) fn is_used_in(version: Version) -> bool {
    version > Version::V1_0
}

/// Appends `escaped` to `out` with its escape sequences undone, or says at which octet an undefined one stands.
///
/// STOMP 1.2, "Value Encoding": "the following transformations MUST be applied: `\r` translates to carriage return,
/// `\n` translates to line feed, `\c` translates to `:`, `\\` translates to `\`. Undefined escape sequences such as
/// `\t` MUST be treated as a fatal protocol error." STOMP 1.1 has no `\r`.
pub(crate) fn undo(version: Version, escaped: &str, out: &mut String) -> Result<(), usize> {
    let mut rest = escaped;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        let (plain, sequence) = rest.split_at(at);
        out.push_str(plain);
        out.push(match (sequence.as_bytes().get(1), version) {
            (Some(b'\\'), _) => '\\',
            (Some(b'n'), _) => '\n',
            (Some(b'c'), _) => ':',
            (Some(b'r'), Version::V1_2) => '\r',
            _ => return Err(escaped.len() - sequence.len()),
        });
        rest = sequence.get(2..).unwrap_or_default();
    }
    out.push_str(rest);
    Ok(())
}

/// Appends `plain` to `out` with what `version` escapes escaped, or says which octet it cannot express.
pub(crate) fn apply(version: Version, plain: &str, out: &mut BytesMut) -> Result<(), u8> {
    let mut rest = plain.as_bytes();
    while let Some(at) = rest.iter().position(|octet| is_special(*octet)) {
        let (run, special) = rest.split_at(at);
        out.put_slice(run);
        let Some((&octet, after)) = special.split_first() else { break };
        out.put_slice(match (octet, version) {
            (b'\\', _) => b"\\\\",
            (b'\n', _) => b"\\n",
            (b':', _) => b"\\c",
            (b'\r', Version::V1_2) => b"\\r",
            _ => return Err(octet),
        });
        rest = after;
    }
    out.put_slice(rest);
    Ok(())
}

/// How many octets there are that some version or frame cannot have as they are.
pub(crate) fn specials(text: &[u8]) -> usize {
    // Sums in octets, of so many that they do not overflow, are what compilers do sixteen at a time.
    let in_few = |few: &[u8]| few.iter().fold(0, |sum, octet| sum + u8::from(is_special(*octet)));
    text.chunks(usize::from(u8::MAX)).map(|few| usize::from(in_few(few))).sum()
}

/// Without branches, which would keep [`specials`] from being done sixteen at a time.
#[inline]
fn is_special(octet: u8) -> bool {
    (octet == 0) | (octet == b'\\') | (octet == b'\n') | (octet == b':') | (octet == b'\r')
}
