//! The parts of WebSocket and STOMP that the generator needs, without allocations.
//!
//! A full client would cost as much as the server under load.

use std::io;

const TEXT: u8 = 0x81;
const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const CLOSE: u8 = 0x08;
const MASK: [u8; 4] = [0x5a, 0xc3, 0x17, 0x8e];

/// Placeholder for the number of a message in the text of a [`Template`].
pub(crate) const NUMBER: &str = "############";

/// Maximum length of a WebSocket header from a server.
const MAX_HEADER: usize = 10;

/// Appends a text message as a client sends it, in one masked frame. The parts are its text.
pub(crate) fn append_message(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(TEXT);
    match length {
        0..126 => out.push(MASKED | length as u8),
        126..0x1_0000 => {
            out.push(MASKED | 126);
            out.extend((length as u16).to_be_bytes());
        }
        _ => {
            out.push(MASKED | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend(MASK);
    let bytes = parts.iter().copied().flatten();
    out.extend(
        bytes
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
}

/// Encodes one text message as a client sends it.
pub(crate) fn message(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    append_message(&mut out, &[text.as_bytes()]);
    out
}

/// An encoded message in which only a number changes.
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// The position of the number in `bytes`, and in the unmasked text.
    place: usize,
    place_in_text: usize,
}

impl Template {
    /// Encodes a message once. Returns an error if `text` does not contain [`NUMBER`].
    pub(crate) fn new(text: &str) -> io::Result<Template> {
        let place_in_text = text
            .find(NUMBER)
            .ok_or_else(|| io::Error::other(format!("{text:?} has no place for a number")))?;
        let bytes = message(text);
        Ok(Template {
            place: bytes.len() - text.len() + place_in_text,
            place_in_text,
            bytes,
        })
    }

    /// Appends the message with this number.
    pub(crate) fn append(&self, number: u64, out: &mut Vec<u8>) {
        let start = out.len() + self.place;
        out.extend(&self.bytes);
        let masks = MASK.iter().cycle().skip(self.place_in_text % MASK.len());
        let place = out.iter_mut().skip(start);
        for ((byte, digit), mask) in place.zip(digits(number)).zip(masks) {
            *byte = digit ^ mask;
        }
    }
}

/// The last twelve decimal digits of a number.
fn digits(mut number: u64) -> [u8; NUMBER.len()] {
    let mut digits = [b'0'; NUMBER.len()];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    digits
}

/// Reads a number at the start of `bytes`, as [`Template::append`] writes it.
pub(crate) fn number(bytes: &[u8]) -> Option<u64> {
    let mut number = 0;
    for byte in bytes.get(..NUMBER.len())? {
        number = number * 10 + u64::from(byte.checked_sub(b'0').filter(|digit| *digit < 10)?);
    }
    Some(number)
}

/// Reads the number behind the first occurrence of `marker`.
pub(crate) fn number_after(payload: &[u8], marker: &[u8]) -> Option<u64> {
    number(after(payload, marker)?)
}

/// Reads the number at the start of a body of `length` bytes, at the end of a STOMP frame.
pub(crate) fn number_in_body(payload: &[u8], length: usize) -> Option<u64> {
    let end = payload.iter().rposition(|byte| *byte != b'\n')?;
    // The last byte is the NUL after the body.
    number(payload.get(end.checked_sub(length)?..)?)
}

/// Returns the bytes behind the first occurrence of `marker`.
pub(crate) fn after<'a>(payload: &'a [u8], marker: &[u8]) -> Option<&'a [u8]> {
    let at = payload
        .windows(marker.len())
        .position(|window| window == marker)?;
    payload.get(at + marker.len()..)
}

/// Takes the next complete message from `bytes`, and skips pings and pongs. Returns `None` if no message is complete.
pub(crate) fn next_message<'a>(bytes: &mut &'a [u8]) -> io::Result<Option<&'a [u8]>> {
    loop {
        let Some((header, length)) = header(bytes) else {
            return Ok(None);
        };
        let first = bytes.first().copied().unwrap_or_default();
        let Some(payload) = bytes.get(header..).and_then(|rest| rest.get(..length)) else {
            return Ok(None);
        };
        *bytes = bytes.get(header + length..).unwrap_or_default();
        if first & 0x0f == CLOSE {
            return Err(io::Error::other("the server closed a connection"));
        }
        if first & FIN == 0 {
            return Err(io::Error::other("the server sent a message in fragments"));
        }
        if first & CLOSE == 0 {
            return Ok(Some(payload));
        }
    }
}

/// Number of bytes that a frame needs at least, after its first `bytes`.
pub(crate) fn missing(bytes: &[u8]) -> usize {
    match header(bytes) {
        Some((header, length)) => (header + length).saturating_sub(bytes.len()),
        None => 1 + usize::from(bytes.is_empty()),
    }
}

/// Reads the lengths of the header and of the payload of an unmasked frame. Returns `None` if the header is incomplete.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes.get(..bytes.len().min(MAX_HEADER))? {
        [_, length @ 0..126, ..] => Some((2, usize::from(*length))),
        [_, 126, a, b, ..] => Some((4, usize::from(u16::from_be_bytes([*a, *b])))),
        [_, 127, a, b, c, d, e, f, g, h] => {
            let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
            Some((MAX_HEADER, usize::try_from(length).unwrap_or(usize::MAX)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_server(text: &str) -> Vec<u8> {
        let mut frame = vec![TEXT];
        match text.len() {
            length @ 0..126 => frame.push(length as u8),
            length => {
                frame.push(126);
                frame.extend((length as u16).to_be_bytes());
            }
        }
        frame.extend(text.bytes());
        frame
    }

    fn unmasked(frame: &[u8], header: usize) -> Vec<u8> {
        let payload = frame.iter().skip(header + MASK.len());
        let masks = MASK.iter().cycle();
        payload.zip(masks).map(|(byte, mask)| byte ^ mask).collect()
    }

    #[test]
    fn messages_are_taken_one_by_one_and_pings_are_skipped() {
        let long = "R".repeat(300);
        let stream = [
            from_server("RECEIPT"),
            vec![0x89, 1, b'!'],
            from_server(&long),
            from_server("half"),
        ]
        .concat();
        let mut rest = &stream[..stream.len() - 1];
        assert_eq!(next_message(&mut rest).unwrap(), Some(&b"RECEIPT"[..]));
        assert_eq!(next_message(&mut rest).unwrap(), Some(long.as_bytes()));
        assert_eq!(next_message(&mut rest).unwrap(), None);
        assert_eq!(rest, &from_server("half")[..5]);
    }

    #[test]
    fn a_close_and_a_fragment_are_errors() {
        assert!(next_message(&mut &[0x88, 0][..]).is_err());
        assert!(next_message(&mut &[0x01, 1, b'a'][..]).is_err());
    }

    #[test]
    fn a_message_is_masked() {
        let expected = [0x81, 0x82, 0x5a, 0xc3, 0x17, 0x8e, 0x3b, 0xa1];
        assert_eq!(message("ab"), expected);
        assert_eq!(message(&"x".repeat(200)).len(), 2 + 2 + 4 + 200);
        assert_eq!(message(&"x".repeat(70_000)).len(), 2 + 8 + 4 + 70_000);
    }

    #[test]
    fn a_template_writes_its_number_masked() {
        for before in ["", "a", "ab", "abc"] {
            let template = Template::new(&format!("{before}{NUMBER}\0")).unwrap();
            let mut out = vec![b'?'];
            template.append(120_000_000_345, &mut out);
            let text = unmasked(&out[1..], 2);
            assert_eq!(text, format!("{before}120000000345\0").as_bytes());
        }
        assert!(Template::new("no number").is_err());
    }

    #[test]
    fn numbers_are_found_in_headers_and_in_bodies() {
        let receipt = b"RECEIPT\nreceipt-id:000000000017\n\n\0";
        assert_eq!(number_after(receipt, b"receipt-id:"), Some(17));
        assert_eq!(number_after(receipt, b"receipt:"), None);
        let message = b"MESSAGE\nsubscription:0\n\n000000000018xx\0\n";
        assert_eq!(number_in_body(message, 14), Some(18));
        assert_eq!(number_in_body(message, 13), None);
        assert_eq!(number_in_body(b"\0", 14), None);
    }
}
