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
    for &octet in plain.as_bytes() {
        match (octet, version) {
            (0, _) | (b'\r', Version::V1_1) => return Err(octet),
            (b'\\', _) => out.put_slice(b"\\\\"),
            (b'\n', _) => out.put_slice(b"\\n"),
            (b':', _) => out.put_slice(b"\\c"),
            (b'\r', _) => out.put_slice(b"\\r"),
            _ => out.put_u8(octet),
        }
    }
    Ok(())
}

/// Whether `plain` holds an octet that [`apply`] would treat in some way.
pub(crate) fn is_needed(plain: &str) -> bool {
    plain.bytes().any(|octet| matches!(octet, 0 | b'\\' | b'\n' | b':' | b'\r'))
}
