//! The WebSocket frames this side writes (RFC 6455, section 5.2): whole, unmasked messages.

use crate::wire::{Kind, Write};
use bytes::{BufMut, BytesMut};
use stomp_frame::EncodeError;

/// The longest header of an unmasked frame.
const LONGEST: usize = 10;

/// Appends a message whose payload `write` appends. If `write` fails, `out` is as before.
///
/// The header's length depends on the payload's, which is known only afterwards: the payload is written where it would
/// stand behind the longest header, and moved.
pub(crate) fn put_message(out: &mut BytesMut, write: Write<'_>) -> Result<(), EncodeError> {
    let start = out.len();
    out.put_bytes(0, LONGEST);
    let kind = match write(out) {
        Ok(kind) => kind,
        Err(error) => {
            out.truncate(start);
            return Err(error);
        }
    };
    let length = out.len() - start - LONGEST;
    let (header, header_length) = header(kind, length);
    if let Some(space) = out.get_mut(start..) {
        space.copy_within(LONGEST.., header_length);
        for (to, from) in space.iter_mut().zip(header.iter().take(header_length)) {
            *to = *from;
        }
    }
    out.truncate(start + header_length + length);
    Ok(())
}

fn header(kind: Kind, length: usize) -> ([u8; LONGEST], usize) {
    let first = match kind {
        Kind::Text => 0x81,
        Kind::Binary => 0x82,
    };
    let [.., high, low] = length.to_be_bytes();
    let [a, b, c, d, e, f, g, h] = (length as u64).to_be_bytes();
    match length {
        0..=125 => ([first, low, 0, 0, 0, 0, 0, 0, 0, 0], 2),
        126..=0xffff => ([first, 126, high, low, 0, 0, 0, 0, 0, 0], 4),
        _ => ([first, 127, a, b, c, d, e, f, g, h], LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_as_short_as_they_can_be() {
        for (length, header) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (0xffff, &[0x81, 126, 0xff, 0xff]),
            (0x10000, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = BytesMut::from(&b"before"[..]);
            put_message(&mut out, &mut |out| {
                out.put_bytes(b'x', length);
                Ok(Kind::Text)
            })
            .unwrap();
            let expected = [b"before", header, &b"x".repeat(length)].concat();
            assert!(out == expected, "{length}");
        }
    }
}
