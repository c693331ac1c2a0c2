//! Messages that are read without a context: those in one short frame, as nearly all are (RFC 6455, section 5.2).

use super::frames::{Header, mask};
use crate::wire::is_utf8;
use bytes::{Buf, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::protocol::Role;

/// What stands first in bytes that begin with a frame.
#[derive(Debug, PartialEq)]
pub(super) enum First {
    /// A message, which the bytes have no more.
    Message(Bytes),
    /// The beginning of one, or nothing.
    Part,
    /// A text message that is not UTF-8.
    NotUtf8,
    /// Anything else, which a context is to read, and to judge.
    Other,
}

/// Takes the first message of `bytes`, if its frame has no more than `most`.
#[inline]
pub(super) fn take(bytes: &mut BytesMut, role: Role, most: usize) -> First {
    let (is_text, second) = match **bytes {
        [] | [TEXT | BINARY] => return First::Part,
        [first @ (TEXT | BINARY), second, ..] => (first == TEXT, second),
        _ => return First::Other,
    };
    // RFC 6455, section 5.1: "a client MUST mask all frames that it sends to the server", "A server MUST NOT mask".
    if (second & MASKED != 0) != (role == Role::Server) {
        return First::Other;
    }
    let Some(Header { payload, size, .. }) = Header::parse(bytes) else {
        return First::Part;
    };
    let room = most.checked_sub(size);
    let Some(length) = usize::try_from(payload)
        .ok()
        .filter(|length| room.is_some_and(|room| *length <= room))
    else {
        return First::Other;
    };
    if bytes.len() < size + length {
        return First::Part;
    }
    let (header, rest) = bytes.split_at_mut(size);
    let payload = rest.get_mut(..length).unwrap_or_default();
    if let (Role::Server, [.., a, b, c, d]) = (role, header) {
        mask(payload, [*a, *b, *c, *d]);
    }
    if is_text && !is_utf8(payload) {
        return First::NotUtf8;
    }
    bytes.advance(size);
    // The last message takes all there is, so that nothing is left to share it with.
    let message = if bytes.len() == length {
        std::mem::take(bytes)
    } else {
        bytes.split_to(length)
    };
    First::Message(message.freeze())
}

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;

/// Whether `bytes` begin with a frame that is not whole.
pub(super) fn is_part(bytes: &[u8]) -> bool {
    let whole =
        |header: Header| header.payload.saturating_add(header.size as u64) <= bytes.len() as u64;
    !bytes.is_empty() && !Header::parse(bytes).is_some_and(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
    const MOST: usize = 4096;

    fn frame(first: u8, payload: &[u8], role: Role) -> BytesMut {
        let (masked, key) = if role == Role::Server {
            (MASKED, &KEY[..])
        } else {
            (0, &[0; 4][..0])
        };
        let mut frame = BytesMut::from(&[first][..]);
        match payload.len() {
            length @ 0..=125 => frame.extend([masked | length as u8]),
            length => frame.extend([masked | 126, (length >> 8) as u8, length as u8]),
        }
        frame.extend_from_slice(key);
        frame.extend(
            payload
                .iter()
                .zip(KEY.iter().cycle())
                .map(|(byte, by)| byte ^ if masked == 0 { 0 } else { *by }),
        );
        frame
    }

    #[test]
    fn plain_messages_are_taken_one_by_one() {
        for role in [Role::Server, Role::Client] {
            for length in [0, 1, 15, 16, 17, 125, 126, 1000] {
                let payload: Vec<u8> = (0..length).map(|at| (at % 127) as u8).collect();
                let mut bytes = frame(TEXT, &payload, role);
                bytes.unsplit(frame(BINARY, b"\xff", role));
                assert_eq!(
                    take(&mut bytes, role, MOST),
                    First::Message(payload.into()),
                    "{length}"
                );
                assert!(!is_part(&bytes));
                assert_eq!(
                    take(&mut bytes, role, MOST),
                    First::Message(Bytes::from_static(b"\xff"))
                );
                assert_eq!(take(&mut bytes, role, MOST), First::Part);
                assert_eq!(bytes.capacity(), 0, "nothing is kept for nothing");
            }
        }
    }

    #[test]
    fn parts_are_left_as_they_are() {
        let whole = frame(BINARY, &[7; 200], Role::Server);
        for here in 0..whole.len() {
            let mut bytes = BytesMut::from(&whole[..here]);
            assert_eq!(take(&mut bytes, Role::Server, MOST), First::Part, "{here}");
            assert_eq!(bytes, whole[..here]);
            assert_eq!(is_part(&bytes), here > 0);
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_a_context() {
        let opcodes = (0..=u8::MAX).filter(|first| ![TEXT, BINARY].contains(first));
        let odd = opcodes.map(|first| frame(first, b"?", Role::Server));
        let unmasked = frame(TEXT, b"?", Role::Client);
        let longer = frame(BINARY, &[0; MOST - 7], Role::Server);
        let in_64_bits =
            BytesMut::from(&[TEXT, MASKED | 127, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4][..]);
        for mut bytes in odd.chain([unmasked, longer, in_64_bits]) {
            let before = bytes.clone();
            assert_eq!(
                take(&mut bytes, Role::Server, MOST),
                First::Other,
                "{before:?}"
            );
            assert_eq!(bytes, before);
        }
        assert_eq!(
            take(&mut frame(TEXT, b"", Role::Server), Role::Server, 1),
            First::Other,
            "longer than a read"
        );
        let masked = frame(TEXT, b"?", Role::Server);
        assert_eq!(take(&mut masked.clone(), Role::Client, MOST), First::Other);
    }

    #[test]
    fn text_is_utf8() {
        for (payload, expected) in [(&b"\xc3\xa9"[..], None), (b"\xc3", Some(First::NotUtf8))] {
            let expected = expected.unwrap_or(First::Message(Bytes::from_static(payload)));
            assert_eq!(
                take(&mut frame(TEXT, payload, Role::Server), Role::Server, MOST),
                expected
            );
            let binary = First::Message(Bytes::from_static(payload));
            assert_eq!(
                take(
                    &mut frame(BINARY, payload, Role::Server),
                    Role::Server,
                    MOST
                ),
                binary
            );
        }
    }
}
