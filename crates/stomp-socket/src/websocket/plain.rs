//! Messages that are read without a context: those in one short frame, as nearly all are (RFC 6455, section 5.2).

use super::frames::Header;
use crate::wire::is_utf8;
use bytes::{Buf, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::protocol::Role;

/// What stands first in octets that begin with a frame.
#[derive(Debug, PartialEq)]
pub(super) enum First {
    /// A message, which the octets have no more.
    Message(Bytes),
    /// The beginning of one, with so many octets of payload to come and here; none if too little is here to tell.
    Part(usize),
    /// A text message that is not UTF-8.
    NotUtf8,
    /// Anything else, which a context is to read, and to judge.
    Other,
}

/// Takes the first message of `octets`, if its frame has no more than `most`.
#[inline]
pub(super) fn take(octets: &mut BytesMut, role: Role, most: usize) -> First {
    let (is_text, second) = match **octets {
        [] | [TEXT | BINARY] => return First::Part(0),
        [first @ (TEXT | BINARY), second, ..] => (first == TEXT, second),
        _ => return First::Other,
    };
    // RFC 6455, section 5.1: "a client MUST mask all frames that it sends to the server", "A server MUST NOT mask".
    if (second & MASKED != 0) != (role == Role::Server) {
        return First::Other;
    }
    let Some(Header { payload, size, .. }) = Header::parse(octets) else { return First::Part(0) };
    let Some(length) = usize::try_from(payload).ok().filter(|length| *length <= most.saturating_sub(size)) else {
        return First::Other;
    };
    if octets.len() < size + length {
        return First::Part(length);
    }
    let (header, rest) = octets.split_at_mut(size);
    let payload = rest.get_mut(..length).unwrap_or_default();
    if let (Role::Server, [.., a, b, c, d]) = (role, header) {
        unmask(payload, [*a, *b, *c, *d]);
    }
    if is_text && !is_utf8(payload) {
        return First::NotUtf8;
    }
    octets.advance(size);
    // The last message takes all there is, so that nothing is left to share it with.
    let message = if octets.len() == length { std::mem::take(octets) } else { octets.split_to(length) };
    First::Message(message.freeze())
}

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;

/// RFC 6455, section 5.3: octet i of the payload is XORed with octet i modulo 4 of the key.
fn unmask(payload: &mut [u8], key: [u8; 4]) {
    // As many at a time as compilers do at once.
    let mut parts = payload.chunks_exact_mut(16);
    let [a, b, c, d] = key;
    let keys = [a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d];
    for part in &mut parts {
        part.iter_mut().zip(keys).for_each(|(octet, key)| *octet ^= key);
    }
    parts.into_remainder().iter_mut().zip(keys).for_each(|(octet, key)| *octet ^= key);
}

/// Whether `octets` begin with a frame that is not whole.
pub(super) fn is_part(octets: &[u8]) -> bool {
    let whole = |header: Header| header.payload.saturating_add(header.size as u64) <= octets.len() as u64;
    !octets.is_empty() && !Header::parse(octets).is_some_and(whole)
}
