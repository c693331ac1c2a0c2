//! The escape sequences of header names and values, per version.

use crate::{Version, structural::is_structural};
use bytes::{BufMut, BytesMut};

/// Returns true if `version` defines escape sequences. STOMP 1.0 does not.
pub(crate) fn is_defined_in(version: Version) -> bool {
    version > Version::V1_0
}

/// Unescapes `escaped`, and appends the result to `out`. The error is the position of an undefined escape sequence.
///
/// STOMP 1.2, "Value Encoding": "the following transformations MUST be applied: `\r` translates to carriage return,
/// `\n` translates to line feed, `\c` translates to `:`, `\\` translates to `\`. Undefined escape sequences such as
/// `\t` MUST be treated as a fatal protocol error." STOMP 1.1 has no `\r`.
pub(crate) fn unescape(version: Version, escaped: &str, out: &mut String) -> Result<(), usize> {
    let mut rest = escaped;
    while let Some(position) = memchr::memchr(b'\\', rest.as_bytes()) {
        let (plain, sequence) = rest.split_at(position);
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

/// Escapes `plain` for `version`, and appends the result to `out`. The error is a byte that the version cannot express.
pub(crate) fn escape(version: Version, plain: &str, out: &mut BytesMut) -> Result<(), u8> {
    let mut rest = plain.as_bytes();
    if is_plain(plain) {
        out.put_slice(rest);
        return Ok(());
    }
    while let Some(position) = rest.iter().position(|byte| needs_escape(*byte)) {
        let (run, special) = rest.split_at(position);
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

/// Returns true if no version escapes or forbids a byte of `text`. In doubt, returns false.
///
/// Most texts are plain. Unlike a search, this loop has no branches.
#[inline]
pub(crate) fn is_plain(text: &str) -> bool {
    let is_found = |is_found, byte| is_found | is_structural(byte);
    !text.bytes().fold(false, is_found)
}

fn needs_escape(byte: u8) -> bool {
    matches!(byte, 0 | b'\\' | b'\n' | b':' | b'\r')
}

/// Counts the structural bytes of `text`: all bytes that any version escapes or forbids, and a few harmless control
/// characters.
pub(crate) fn count_structural(text: &[u8]) -> usize {
    const CHUNK: usize = 16;
    const MAX_BYTES: usize = 15 * CHUNK;
    let (chunks, rest) = text.split_at(text.len() - text.len() % CHUNK);
    let mut last = [b' '; CHUNK];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    chunks
        .chunks(MAX_BYTES)
        .map(count_structural_in_few)
        .sum::<usize>()
        + count_structural_in_few(&last)
}

/// Counts the structural bytes of `few`. They are at most 240 bytes, so that their number fits into a `u8` and the loop
/// vectorizes.
fn count_structural_in_few(few: &[u8]) -> usize {
    few.iter()
        .fold(0, |sum, byte| sum + u8::from(is_structural(*byte)))
        .into()
}
