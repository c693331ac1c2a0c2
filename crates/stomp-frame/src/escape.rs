//! The escape sequences of header names and values, per version.

use crate::{Version, marks::is_mark};
use bytes::{BufMut, BytesMut};

/// Whether frames of `version` escape at all. STOMP 1.0 does not.
pub(crate) fn is_used_in(version: Version) -> bool {
    version > Version::V1_0
}

/// Appends `escaped` to `out` with its escape sequences undone, or says at which byte an undefined one stands.
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

/// Appends `plain` to `out` with what `version` escapes escaped, or says which byte it cannot express.
pub(crate) fn apply(version: Version, plain: &str, out: &mut BytesMut) -> Result<(), u8> {
    let mut rest = plain.as_bytes();
    while let Some(at) = rest.iter().position(|byte| is_special(*byte)) {
        let (run, special) = rest.split_at(at);
        out.put_slice(run);
        let Some((&byte, after)) = special.split_first() else {
            break;
        };
        out.put_slice(match (byte, version) {
            (b'\\', _) => b"\\\\",
            (b'\n', _) => b"\\n",
            (b':', _) => b"\\c",
            (b'\r', Version::V1_2) => b"\\r",
            _ => return Err(byte),
        });
        rest = after;
    }
    out.put_slice(rest);
    Ok(())
}

/// How many bytes there are that some version or frame cannot have as they are, tabs and the like included.
pub(crate) fn specials(text: &[u8]) -> usize {
    const FEW: usize = 16;
    const MANY: usize = 15 * FEW;
    let (most, rest) = text.split_at(text.len() - text.len() % FEW);
    let mut last = [b' '; FEW];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    most.chunks(MANY).map(specials_in_few).sum::<usize>() + specials_in_few(&last)
}

/// Of so many bytes that the sum does not overflow: sums in bytes are what compilers do sixteen at a time.
fn specials_in_few(few: &[u8]) -> usize {
    few.iter()
        .fold(0, |sum, byte| sum + u8::from(is_mark(*byte)))
        .into()
}

fn is_special(byte: u8) -> bool {
    matches!(byte, 0 | b'\\' | b'\n' | b':' | b'\r')
}
