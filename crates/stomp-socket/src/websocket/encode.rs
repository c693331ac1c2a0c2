//! Encoding of WebSocket messages, each in one frame (RFC 6455, section 5.2).

use super::frame::mask;
use crate::transport::{EncodePayload, MessageKind};
use bytes::{BufMut, BytesMut};
use stomp_frame::EncodeError;

/// The first byte of a header: FIN, and the opcode of a text message.
const TEXT: u8 = 0x81;
/// The first byte of a header: FIN, and the opcode of a binary message.
const BINARY: u8 = 0x82;
/// Length in bytes of the longest header without a masking key.
const LONGEST: usize = 10;

/// Appends a message to `out`. `encode` appends the payload; if it fails, `out` is unchanged.
///
/// The length of the header depends on the length of the payload, which is known only afterwards. So this function writes
/// the header for a payload of `guess` bytes. If the guess was wrong, it corrects the header, and moves the payload if the
/// right header is shorter or longer.
#[inline]
pub(super) fn put_message(
    out: &mut BytesMut,
    guess: usize,
    encode: EncodePayload<'_>,
) -> Result<(), EncodeError> {
    let start = out.len();
    let (guessed, room) = header(TEXT, guess);
    out.put_slice(guessed.get(..room).unwrap_or_default());
    let first = match encode(out) {
        Ok(MessageKind::Text) => TEXT,
        Ok(MessageKind::Binary) => BINARY,
        Err(error) => {
            out.truncate(start);
            return Err(error);
        }
    };
    let length = out.len() - start - room;
    if (first, length) == (TEXT, guess) {
        return Ok(());
    }
    let (header, size) = header(first, length);
    if size != room {
        out.put_bytes(0, size.saturating_sub(room));
        out.copy_within(start + room..start + room + length, start + size);
        out.truncate(start + size + length);
    }
    if let (Some(space), Some(header)) = (out.get_mut(start..start + size), header.get(..size)) {
        space.copy_from_slice(header);
    }
    Ok(())
}

/// Appends a ping without a payload.
pub(super) fn put_ping(out: &mut BytesMut) {
    // FIN and opcode 9.
    out.put_slice(&[0x89, 0]);
}

/// Masks the message from `start` to the end of `out`, and inserts the key before the payload. Clients must mask their
/// messages.
pub(super) fn mask_message(out: &mut BytesMut, start: usize, key: [u8; 4]) {
    let Some([_, second, ..]) = out.get_mut(start..) else {
        return;
    };
    let size = match *second {
        127 => LONGEST,
        126 => 4,
        _ => 2,
    };
    *second |= 0x80;
    let (payload, end) = (start + size, out.len());
    out.put_slice(&key);
    out.copy_within(payload..end, payload + key.len());
    if let Some((place, payload)) = out
        .get_mut(payload..)
        .and_then(<[u8]>::split_first_chunk_mut)
    {
        *place = key;
        mask(payload, key);
    }
}

/// Returns the header for a payload of `length` bytes, and the length of the header.
fn header(first: u8, length: usize) -> ([u8; LONGEST], usize) {
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

    const LENGTHS: [(usize, &[u8]); 5] = [
        (0, &[0x81, 0]),
        (125, &[0x81, 125]),
        (126, &[0x81, 126, 0, 126]),
        (0xffff, &[0x81, 126, 0xff, 0xff]),
        (0x10000, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ];

    fn payload(length: usize) -> Vec<u8> {
        (0..length).map(|at| b'a' + (at % 23) as u8).collect()
    }

    fn put(length: usize, guess: usize) -> BytesMut {
        let mut out = BytesMut::from(&b"before"[..]);
        put_message(&mut out, guess, &mut |out| {
            out.put_slice(&payload(length));
            Ok(MessageKind::Text)
        })
        .unwrap();
        out
    }

    #[test]
    fn headers_have_the_shortest_possible_form_whatever_length_was_guessed() {
        for (length, header) in LENGTHS {
            for (guess, _) in LENGTHS {
                assert!(
                    put(length, guess) == [b"before", header, &payload(length)].concat(),
                    "{length} guessed as {guess}"
                );
            }
        }
    }

    #[test]
    fn a_binary_message_has_its_opcode() {
        let mut out = BytesMut::new();
        put_message(&mut out, 2, &mut |out| {
            out.put_slice(b"ab");
            Ok(MessageKind::Binary)
        })
        .unwrap();
        assert_eq!(out, b"\x82\x02ab"[..]);
    }

    #[test]
    fn mask_message_masks_the_payload_and_inserts_the_key_before_it() {
        let key = [0x11, 0x22, 0x33, 0x44];
        for (length, header) in LENGTHS {
            let mut header = header.to_vec();
            header[1] |= 0x80;
            let masked: Vec<u8> = payload(length)
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key)
                .collect();
            let mut out = put(length, 0);
            mask_message(&mut out, b"before".len(), key);
            assert!(
                out == [b"before", &header[..], &key, &masked].concat(),
                "{length}"
            );
        }
    }

    #[test]
    fn a_payload_that_cannot_be_encoded_leaves_the_buffer_unchanged() {
        let mut out = BytesMut::from(&b"before"[..]);
        let failed = put_message(&mut out, 0, &mut |out| {
            out.put_slice(b"half a fra");
            let odd = stomp_frame::Frame::new(stomp_frame::Command::Send).with_header("a", "b\0");
            stomp_frame::Encoder::new(stomp_frame::Version::V1_2).encode(&odd, out)?;
            Ok(MessageKind::Text)
        });
        assert!(failed.is_err());
        assert_eq!(out, b"before"[..]);
    }
}
