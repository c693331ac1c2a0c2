//! The fast path for reading: takes messages that consist of one short frame (RFC 6455, section 5.2), without a
//! tungstenite context.
//!
//! Nearly all messages are of this kind. They are unmasked in place, and text is checked for UTF-8. tungstenite reads
//! everything else, so that it alone decides all special cases. `tests/pieces.rs` reads the same messages with and
//! without the fast path, and compares the results.

use super::frame::{Header, mask};
use crate::transport::is_utf8;
use bytes::{Buf, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::protocol::Role;

/// The result of [`take_message`].
#[derive(Debug, PartialEq)]
pub(super) enum Taken {
    /// A message, which was removed from the bytes.
    Message(Bytes),
    /// There are no bytes, or they are an incomplete message.
    Incomplete,
    /// The first message is text that is not UTF-8.
    NotUtf8,
    /// The bytes begin with something else, which a tungstenite context must read and check.
    Other,
}

/// Takes the first message from `bytes`, if it consists of one frame of at most `max_frame` bytes.
#[inline]
pub(super) fn take_message(bytes: &mut BytesMut, role: Role, max_frame: usize) -> Taken {
    let (is_text, second) = match **bytes {
        [] | [TEXT | BINARY] => return Taken::Incomplete,
        [first @ (TEXT | BINARY), second, ..] => (first == TEXT, second),
        _ => return Taken::Other,
    };
    // RFC 6455, section 5.1: "a client MUST mask all frames that it sends to the server", "A server MUST NOT mask".
    if (second & MASKED != 0) != (role == Role::Server) {
        return Taken::Other;
    }
    let Some(Header { payload, size, .. }) = Header::parse(bytes) else {
        return Taken::Incomplete;
    };
    let room = max_frame.checked_sub(size);
    let Some(length) = usize::try_from(payload)
        .ok()
        .filter(|length| room.is_some_and(|room| *length <= room))
    else {
        return Taken::Other;
    };
    if bytes.len() < size + length {
        return Taken::Incomplete;
    }
    let (header, rest) = bytes.split_at_mut(size);
    let payload = rest.get_mut(..length).unwrap_or_default();
    if let (Role::Server, [.., a, b, c, d]) = (role, header) {
        mask(payload, [*a, *b, *c, *d]);
    }
    if is_text && !is_utf8(payload) {
        return Taken::NotUtf8;
    }
    bytes.advance(size);
    // The last message takes the whole buffer, so that the buffer is freed together with the message.
    let message = if bytes.len() == length {
        std::mem::take(bytes)
    } else {
        bytes.split_to(length)
    };
    Taken::Message(message.freeze())
}

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;

/// Returns true if `bytes` begin with an incomplete frame.
pub(super) fn is_incomplete(bytes: &[u8]) -> bool {
    let is_complete =
        |header: Header| header.payload.saturating_add(header.size as u64) <= bytes.len() as u64;
    !bytes.is_empty() && !Header::parse(bytes).is_some_and(is_complete)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
    const MAX_FRAME: usize = 4096;

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
    fn messages_in_one_frame_are_taken_one_by_one() {
        for role in [Role::Server, Role::Client] {
            for length in [0, 1, 15, 16, 17, 125, 126, 1000] {
                let payload: Vec<u8> = (0..length).map(|at| (at % 127) as u8).collect();
                let mut bytes = frame(TEXT, &payload, role);
                bytes.unsplit(frame(BINARY, b"\xff", role));
                assert_eq!(
                    take_message(&mut bytes, role, MAX_FRAME),
                    Taken::Message(payload.into()),
                    "{length}"
                );
                assert!(!is_incomplete(&bytes));
                assert_eq!(
                    take_message(&mut bytes, role, MAX_FRAME),
                    Taken::Message(Bytes::from_static(b"\xff"))
                );
                assert_eq!(take_message(&mut bytes, role, MAX_FRAME), Taken::Incomplete);
                assert_eq!(bytes.capacity(), 0, "an empty buffer owns no memory");
            }
        }
    }

    #[test]
    fn an_incomplete_message_stays_in_the_buffer() {
        let whole = frame(BINARY, &[7; 200], Role::Server);
        for here in 0..whole.len() {
            let mut bytes = BytesMut::from(&whole[..here]);
            assert_eq!(
                take_message(&mut bytes, Role::Server, MAX_FRAME),
                Taken::Incomplete,
                "{here}"
            );
            assert_eq!(bytes, whole[..here]);
            assert_eq!(is_incomplete(&bytes), here > 0);
        }
    }

    #[test]
    fn everything_but_a_short_unfragmented_message_is_left_to_tungstenite() {
        let opcodes = (0..=u8::MAX).filter(|first| ![TEXT, BINARY].contains(first));
        let odd = opcodes.map(|first| frame(first, b"?", Role::Server));
        let unmasked = frame(TEXT, b"?", Role::Client);
        let longer = frame(BINARY, &[0; MAX_FRAME - 7], Role::Server);
        let in_64_bits =
            BytesMut::from(&[TEXT, MASKED | 127, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4][..]);
        for mut bytes in odd.chain([unmasked, longer, in_64_bits]) {
            let before = bytes.clone();
            assert_eq!(
                take_message(&mut bytes, Role::Server, MAX_FRAME),
                Taken::Other,
                "{before:?}"
            );
            assert_eq!(bytes, before);
        }
        assert_eq!(
            take_message(&mut frame(TEXT, b"", Role::Server), Role::Server, 1),
            Taken::Other,
            "a frame longer than the limit"
        );
        let masked = frame(TEXT, b"?", Role::Server);
        assert_eq!(
            take_message(&mut masked.clone(), Role::Client, MAX_FRAME),
            Taken::Other
        );
    }

    #[test]
    fn text_messages_must_be_utf8() {
        for (payload, expected) in [(&b"\xc3\xa9"[..], None), (b"\xc3", Some(Taken::NotUtf8))] {
            let expected = expected.unwrap_or(Taken::Message(Bytes::from_static(payload)));
            assert_eq!(
                take_message(
                    &mut frame(TEXT, payload, Role::Server),
                    Role::Server,
                    MAX_FRAME
                ),
                expected
            );
            let binary = Taken::Message(Bytes::from_static(payload));
            assert_eq!(
                take_message(
                    &mut frame(BINARY, payload, Role::Server),
                    Role::Server,
                    MAX_FRAME
                ),
                binary
            );
        }
    }
}
